//! Layers as functions see them, and the command that publishes them.

use std::fs;
use std::io::{Cursor, Write};
use std::process::{Command, Output};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::{Lamina, guest, program, zipped};
use crate::layers::{ARN, LAYERS, delete, error_of, get, publish, refusal, zip_of};

const FUNCTIONS: &str = "/2015-03-31/functions";

fn lamina(host: &Lamina, arguments: &[&str]) -> Output {
    let mut command = Command::new(program());
    command.args(["--endpoint-url", &host.endpoint()]);
    command.args(arguments).env_remove("AWS_REGION");
    command.output().expect("the program runs")
}

#[tokio::test(flavor = "multi_thread")]
async fn cli_publishes_directories_and_zips() {
    let host = Lamina::start();
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::create_dir(dir.path().join("lib")).expect("it is made");
    fs::write(dir.path().join("lib/data.txt"), "data").expect("it is written");
    let path = dir.path().to_str().expect("UTF-8");
    let said = [
        "--description",
        "what it is",
        "--license-info",
        "MIT",
        "--compatible-runtime",
        "provided.al2023",
        "--compatible-runtime",
        "wasip2",
        "--compatible-architecture",
        "arm64",
    ];
    let arguments = [&["layer", "publish", "my-layer", path][..], &said].concat();
    let first = lamina(&host, &arguments);
    let error_of = String::from_utf8_lossy(&first.stdout).into_owned();
    assert_eq!(error_of, format!("{ARN}:my-layer:1\n"), "{first:?}");
    let shown = get(&host, "/my-layer/versions/1").await.json();
    assert_eq!(shown["Description"], "what it is");
    assert_eq!(shown["LicenseInfo"], "MIT");
    assert_eq!(
        shown["CompatibleRuntimes"],
        json!(["provided.al2023", "wasip2"])
    );
    assert_eq!(shown["CompatibleArchitectures"], json!(["arm64"]));

    // A downloaded layer can be published again and is identical.
    let location = shown["Content"]["Location"].as_str().expect("a link");
    let link = location.strip_prefix(&host.endpoint()).expect("here");
    let zip = host.send("GET", link, &[], "").await.body;
    let file = dir.path().join("layer.zip");
    fs::write(&file, &zip).expect("it is written");
    let file = file.to_str().expect("UTF-8");
    let again = ["layer", "publish", "my-layer", file, "--output", "json"];
    let second = lamina(&host, &again);
    let second: Value = serde_json::from_slice(&second.stdout).expect("JSON");
    assert_eq!(second["Version"], 2);
    assert_eq!(
        second["Content"]["CodeSha256"],
        shown["Content"]["CodeSha256"]
    );

    let path = format!("{LAYERS}/my-layer/versions");
    let listed = host.lambda("GET", &path, &Value::Null).await.json();
    assert_eq!(listed["LayerVersions"].as_array().map(Vec::len), Some(2));
    for (arguments, code, expected) in [
        (
            ["layer", "publish", "no name", file],
            3,
            "ValidationException",
        ),
        (["layer", "publish", "l", "/no/such"], 3, "/no/such"),
        (["layer", "publish", "", file], 3, "needs a name"),
        (["layer", "publish", "l", "--zip"], 2, "Usage"),
    ] {
        let refused = lamina(&host, &arguments);
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains(expected), "{arguments:?}: {text}");
    }
}

async fn layer(host: &Lamina, name: &str, files: &[(&str, &str)]) -> Value {
    let answer = publish(host, name, &zip_of(files), json!({})).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let made = answer.json();
    json!({"Arn": made["LayerVersionArn"], "CodeSize": made["Content"]["CodeSize"]})
}

/// Content of a file as the function reads it.
async fn read(host: &Lamina, name: &str, path: &str) -> Value {
    let event = json!({"do": "read", "path": path});
    host.invoke(name, &event).await.json()
}

async fn reconfigured(host: &Lamina, name: &str, change: Value) -> Value {
    let path = format!("{FUNCTIONS}/{name}/configuration");
    let answer = host.lambda("PUT", &path, &change).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    host.settled(name).await;
    answer.json()
}

/// Waits until `count` packages are left; collection starts soon after the host.
async fn left(host: &Lamina, count: usize) {
    let packages = host.dir.path().join("data/packages");
    for _ in 0..1_000 {
        if fs::read_dir(&packages).expect("it is there").count() == count {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("other than {count} packages are left");
}

#[tokio::test]
async fn layers_are_merged_at_opt_while_attached() {
    let package = zipped(&guest("hostile"));
    let host = Lamina::start();
    let one = layer(
        &host,
        "one",
        &[("lib/both", "one"), ("lib/one", "1"), ("turn/dir", "one")],
    )
    .await;
    let two = layer(&host, "two", &[("lib/both", "two"), ("turn", "a file")]).await;
    let both = json!({"Layers": [one["Arn"], two["Arn"]]});
    let made = host.try_create("f", &package, both).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.json()["Layers"], json!([one, two]));
    let shown = host.settled("f").await;
    assert_eq!(shown["Layers"], json!([one, two]));
    assert_eq!(read(&host, "f", "/opt/lib/both").await, "two");
    assert_eq!(read(&host, "f", "/opt/lib/one").await, "1");
    assert_eq!(read(&host, "f", "/opt/turn").await, "a file");
    let list = json!({"do": "list", "path": "/opt"});
    assert_eq!(host.invoke("f", &list).await.json(), json!(["lib", "turn"]));
    let write = json!({"do": "write", "path": "/opt/lib/one", "bytes": 1});
    let refused = host.invoke("f", &write).await;
    assert_eq!(refused.header("x-amz-function-error"), "Unhandled");

    // Published versions keep their layers.
    let path = format!("{FUNCTIONS}/f/versions");
    let version = host.lambda("POST", &path, &json!({})).await.json();
    assert_eq!(version["Layers"], json!([one, two]));
    // Changed order changes the merged files; a changed description does not.
    let turned = json!({"Layers": [two["Arn"], one["Arn"]]});
    let changed = reconfigured(&host, "f", turned).await;
    assert_eq!(changed["Layers"], json!([two, one]));
    let same = reconfigured(&host, "f", json!({"Description": "x"})).await;
    assert_eq!(same["Layers"], json!([two, one]));
    assert_eq!(read(&host, "f", "/opt/lib/both").await, "one");
    assert_eq!(read(&host, "f", "/opt/turn/dir").await, "one");
    assert_eq!(read(&host, "f:1", "/opt/lib/both").await, "two");

    // Deleted layers stay mounted, also after a restart.
    layer(&host, "spare", &[("spare", "")]).await;
    for name in ["one", "two", "spare"] {
        let gone = delete(&host, &format!("{LAYERS}/{name}/versions/1")).await;
        assert_eq!(gone.status, 204);
    }
    let host = Lamina::in_dir(host.kill(), "");
    left(&host, 3).await;
    assert_eq!(read(&host, "f", "/opt/lib/both").await, "one");
    assert_eq!(read(&host, "f:1", "/opt/lib/both").await, "two");
    let again = host
        .try_create("g", &package, json!({"Layers": [one["Arn"]]}))
        .await;
    let missing = format!("Layer version {ARN}:one:1 does not exist.");
    assert_eq!(
        error_of(&again),
        refusal(400, "InvalidParameterValueException", &missing)
    );
    // They can be removed from the function.
    let changed = reconfigured(&host, "f", json!({"Layers": []})).await;
    assert!(changed.get("Layers").is_none(), "{changed}");
    let gone = host
        .invoke("f", &json!({"do": "read", "path": "/opt/lib/both"}))
        .await;
    assert_eq!(gone.header("x-amz-function-error"), "Unhandled");
    assert_eq!(read(&host, "f:1", "/opt/lib/both").await, "two");
}

#[tokio::test]
async fn unsuitable_layers_are_refused() {
    let package = zipped(&guest("echo"));
    let host = Lamina::start();
    let mut arns = Vec::new();
    for name in ["a", "b", "c", "d", "e", "f"] {
        arns.push(layer(&host, name, &[(name, name)]).await["Arn"].clone());
    }
    layer(&host, "a", &[("a", "2")]).await;
    let second = format!("{ARN}:a:2");
    let elsewhere = ARN.replace("us-east-1", "eu-west-1");
    let invalid = |text: &str| refusal(400, "InvalidParameterValueException", text);
    let cases = [
        (json!(arns), invalid("Cannot reference more than 5 layers.")),
        (
            json!([arns[0], arns[1], second]),
            invalid(&format!(
                "Two different versions of the same layer are not allowed to be referenced in the \
                 same function. {ARN}:a:1 and {ARN}:a:2 are versions of the same layer."
            )),
        ),
        (
            json!([format!("{ARN}:a:9")]),
            invalid(&format!("Layer version {ARN}:a:9 does not exist.")),
        ),
        (
            json!([format!("{elsewhere}:a:1")]),
            invalid(
                "Layers are not in the same region as the function. Layers are expected to be in \
                 region us-east-1.",
            ),
        ),
    ];
    host.create("there", &guest("echo"), json!({})).await;
    let path = format!("{FUNCTIONS}/there/configuration");
    for (layers, expected) in cases {
        let wish = json!({"Layers": layers});
        let created = host.try_create("not-there", &package, wish.clone()).await;
        assert_eq!(error_of(&created), expected, "{wish}");
        let updated = host.lambda("PUT", &path, &wish).await;
        assert_eq!(error_of(&updated), expected, "{wish}");
    }
    let shapeless = json!({"Layers": [format!("{ARN}:a")]});
    let refused = host.lambda("PUT", &path, &shapeless).await;
    assert_eq!(refused.error().0, "ValidationException");
    let five = json!({"Layers": arns[..5]});
    host.create("five", &guest("echo"), five).await;
    assert_eq!(host.invoke("five", &json!(1)).await.text(), "1");
}

#[tokio::test]
async fn function_and_layers_over_250_mib_are_refused() {
    let echo = guest("echo");
    // Just over half of the limit, compressible but below the ratio limit.
    let noise: String = (0..16_384_u32)
        .map(|n| char::from(b' ' + (n.wrapping_mul(2_654_435_761) >> 24) as u8 % 95))
        .collect();
    let half = noise.repeat(8_064);
    let large = zip_of(&[("pad", &half)]);
    let mut zip = zip::ZipWriter::new_append(Cursor::new(zipped(&echo))).expect("a zip");
    zip.start_file("pad", zip::write::SimpleFileOptions::default())
        .expect("in memory");
    zip.write_all(half.as_bytes()).expect("in memory");
    let package = zip.finish().expect("in memory").into_inner();
    let host = Lamina::start();
    for name in ["a", "b"] {
        let made = publish(&host, name, &large, json!({})).await;
        assert_eq!(made.status, 201, "{}", made.text());
    }
    let (one, both) = (
        json!({"Layers": [format!("{ARN}:a:1")]}),
        json!({"Layers": [format!("{ARN}:a:1"), format!("{ARN}:b:1")]}),
    );
    let invalid = |text: &str| refusal(400, "InvalidParameterValueException", text);
    let consumed = invalid("Layers consume more than the available size of 262144000 bytes");
    let refused = host.try_create("f", &zipped(&echo), both).await;
    assert_eq!(error_of(&refused), consumed);
    let exceeded = invalid(&format!(
        "Function code combined with layers exceeds the maximum allowed size of 262144000 bytes. \
         The actual size is {} bytes.",
        2 * half.len() + echo.len()
    ));
    let refused = host.try_create("f", &package, one.clone()).await;
    assert_eq!(error_of(&refused), exceeded);

    let path = format!("{FUNCTIONS}/small");
    host.create("small", &echo, one.clone()).await;
    let code = json!({"ZipFile": STANDARD.encode(&package)});
    let refused = host.lambda("PUT", &format!("{path}/code"), &code).await;
    assert_eq!(error_of(&refused), exceeded);
    reconfigured(&host, "small", json!({"Layers": []})).await;
    let taken = host.lambda("PUT", &format!("{path}/code"), &code).await;
    assert_eq!(taken.status, 200, "{}", taken.text());
    host.settled("small").await;
    let refused = host
        .lambda("PUT", &format!("{path}/configuration"), &one)
        .await;
    assert_eq!(error_of(&refused), exceeded);
}
