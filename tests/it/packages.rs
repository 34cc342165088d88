//! Packages as tools write them: root entries, repeated directories, symbolic links. Functions see
//! the same files as after `unzip` and on AWS.

use std::io::{Cursor, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Lamina, guest};
use crate::layers::{ARN, publish};

type Zip = zip::ZipWriter<Cursor<Vec<u8>>>;

/// Zip written by `write`.
fn zip(write: impl FnOnce(&mut Zip, zip::write::SimpleFileOptions)) -> Vec<u8> {
    let mut zip = Zip::new(Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    write(&mut zip, options);
    zip.finish().expect("in memory").into_inner()
}

fn file(zip: &mut Zip, name: &str, content: &[u8], options: zip::write::SimpleFileOptions) {
    zip.start_file(name, options).expect("in memory");
    zip.write_all(content).expect("in memory");
}

async fn ask(host: &Lamina, event: Value) -> Value {
    let answer = host.invoke("f", &event).await;
    match answer.header("x-amz-function-error") {
        "" => answer.json(),
        _ => answer.json()["errorType"].clone(),
    }
}

async fn read(host: &Lamina, path: &str) -> Value {
    ask(host, json!({"do": "read", "path": path})).await
}

#[tokio::test]
async fn package_with_root_entry_is_accepted() {
    let host = Lamina::start();
    let component = guest("hostile");
    for (root, name) in [("/", "f"), ("./", "g")] {
        let package = zip(|zip, options| {
            zip.add_directory(root, options).expect("in memory");
            file(zip, "bootstrap.wasm", &component, options);
            file(zip, "a/b", b"content", options);
        });
        let made = host.try_create(name, &package, json!({})).await;
        assert_eq!(made.status, 201, "{root}: {}", made.text());
    }
    host.settled("f").await;
    assert_eq!(read(&host, "/var/task/a/b").await, "content");
    let layer = zip(|zip, options| {
        zip.add_directory("./", options).expect("in memory");
        file(zip, "lib/x", b"x", options);
    });
    let made = publish(&host, "l", &layer, json!({})).await;
    assert_eq!(made.status, 201, "{}", made.text());
}

#[tokio::test]
async fn symbolic_links_are_confined_to_package_and_layer() {
    let host = Lamina::start();
    let component = guest("hostile");
    let links = |zip: &mut Zip, options: zip::write::SimpleFileOptions| {
        for (name, target) in [
            ("lib/same", "real"),
            ("up", "lib/../lib/same"),
            ("passwd", "/etc/passwd"),
            ("out", "../../../../../../etc/passwd"),
        ] {
            zip.add_symlink(name, target, options).expect("in memory");
        }
        file(zip, "lib/real", b"content", options);
    };
    let layer = zip(links);
    // The component may be a symbolic link, as in packages with `bootstrap -> bin/app`.
    let package = zip(|zip, options| {
        links(zip, options);
        file(zip, "bin/app", &component, options);
        zip.add_symlink("bootstrap", "bin/app", options)
            .expect("in memory");
    });
    for name in ["one", "two"] {
        let made = publish(&host, name, &layer, json!({})).await;
        assert_eq!(made.status, 201, "{}", made.text());
    }
    let layers = json!({"Layers": [format!("{ARN}:one:1"), format!("{ARN}:two:1")]});
    let made = host.try_create("f", &package, layers).await;
    assert_eq!(made.status, 201, "{}", made.text());
    host.settled("f").await;
    for root in ["/var/task", "/opt"] {
        for name in ["lib/same", "up"] {
            let path = format!("{root}/{name}");
            assert_eq!(read(&host, &path).await, "content", "{path}");
        }
        for name in ["passwd", "out"] {
            let path = format!("{root}/{name}");
            let kind = read(&host, &path).await;
            assert_eq!(kind, "PermissionDenied", "{path}");
        }
    }
    let names = ask(&host, json!({"do": "list", "path": "/opt"})).await;
    assert_eq!(names, json!(["lib", "out", "passwd", "up"]));
}

/// Modes of a directory and its entries.
fn modes(dir: &Path) -> Vec<(String, u32)> {
    let mode = |path: &Path| {
        let found = std::fs::metadata(path).expect("it is there");
        let name = path.display().to_string();
        (name, found.permissions().mode() & 0o777)
    };
    let mut modes = vec![mode(dir)];
    let entries = std::fs::read_dir(dir).expect("it is there").flatten();
    modes.extend(entries.map(|entry| mode(&entry.path())));
    modes
}

#[tokio::test]
async fn packages_and_artifacts_are_private_with_any_umask() {
    let host = Lamina::masked("000");
    host.create("f", &guest("hostile"), json!({})).await;
    let data = host.dir.path().join("data");
    for name in ["packages", "artifacts"] {
        for (path, mode) in modes(&data.join(name)) {
            assert_eq!(mode & 0o077, 0, "{path}: {mode:o}");
        }
    }
    let (_, mode) = modes(&data.join("trees"))[0];
    assert_eq!(mode, 0o700);
}

#[tokio::test]
async fn artifact_writable_by_others_is_not_run() {
    let host = Lamina::start();
    host.create("f", &guest("hostile"), json!({})).await;
    let artifacts = host.dir.path().join("data/artifacts");
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(&artifacts, open).expect("it is ours");
    let refused = host.invoke("f", &json!({"do": "echo"})).await;
    assert_eq!(refused.status, 500, "{}", refused.text());
    // The next start does not trust the artifacts and recompiles.
    let host = Lamina::in_dir(host.kill(), "");
    let echo = json!({"do": "echo"});
    assert_eq!(host.invoke("f", &echo).await.json(), echo);
}

#[tokio::test]
async fn code_storage_limit_is_enforced_and_shown() {
    let package = crate::harness::zipped(&guest("echo"));
    let limit = package.len() * 5 / 2;
    let host = Lamina::configured(&format!("code_bytes = {limit}"));
    let path = "/2016-08-19/account-settings";
    let settings = host.lambda("GET", path, &Value::Null).await.json();
    assert_eq!(settings["AccountLimit"]["TotalCodeSize"], json!(limit));
    host.create("f", &guest("echo"), json!({})).await;
    let versions = "/2015-03-31/functions/f/versions";
    let published = host.lambda("POST", versions, &json!({})).await;
    assert_eq!(published.status, 201, "{}", published.text());
    let refused = host.try_create("g", &package, json!({})).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    let (name, text) = refused.error();
    assert_eq!(name, "CodeStorageExceededException");
    assert!(text.starts_with("Code storage limit exceeded."), "{text}");
    let layer = publish(&host, "l", &package, json!({})).await;
    assert_eq!(layer.error().0, "CodeStorageExceededException");
    // New code replaces the old in the sum.
    let zip = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &package);
    let code = json!({"ZipFile": zip});
    let path = "/2015-03-31/functions/f/code";
    let updated = host.lambda("PUT", path, &code).await;
    assert_eq!(updated.status, 200, "{}", updated.text());
    // Deleted code is not counted.
    let version = "/2015-03-31/functions/f?Qualifier=1";
    let deleted = host.lambda("DELETE", version, &Value::Null).await;
    assert_eq!(deleted.status, 204, "{}", deleted.text());
    let made = host.try_create("g", &package, json!({})).await;
    assert_eq!(made.status, 201, "{}", made.text());
}
