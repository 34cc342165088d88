//! First minutes with Lamina: the README's function, the scaffold of `lamina new` and the printed
//! commands agree and work.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Lamina, example, program, root, signal};
use crate::urls::{get, url_of};

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect("it is there")
}

/// Child that is killed on drop, if a test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn readme_shows_the_scaffold_of_new() {
    let readme = read("README.md");
    let shown = readme.split("```rust\n").nth(1).expect("a function");
    let shown = shown.split("```").next().expect("its end");
    let source = read("examples/hello/src/lib.rs");
    let (_, function) = source.split_once("\n\n").expect("a heading");
    assert_eq!(shown, function);
}

/// New function of the default blueprint. It is built beside the examples, whose dependencies are
/// compiled.
fn scaffold(dir: &Path) {
    let mut new = Command::new(program());
    let made = new.arg("new").arg(dir).output().expect("the program runs");
    assert!(made.status.success(), "{made:?}");
    assert_eq!(
        std::fs::read_to_string(dir.join("src/lib.rs")).expect("it was made"),
        read("examples/hello/src/lib.rs")
    );
    let lock = root().join("examples/Cargo.lock");
    std::fs::copy(lock, dir.join("Cargo.lock")).expect("it is copied");
}

#[test]
fn printed_commands_call_the_new_function() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let function = dir.path().join("mine");
    scaffold(&function);
    let mut dev = Command::new(program());
    dev.args(["dev", ".", "--listen", "127.0.0.1:0"])
        .current_dir(&function);
    dev.env("CARGO_TARGET_DIR", root().join("examples/target"));
    dev.env_remove("AWS_REGION");
    let child = dev.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut dev = Running(child.expect("the program starts"));
    let stderr = BufReader::new(dev.0.stderr.take().expect("it was piped"));
    let notes =
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).collect::<Vec<_>>());
    let stdout = BufReader::new(dev.0.stdout.take().expect("it was piped"));
    let mut printed = Vec::new();
    // Kept open: the program exits when its stdout closes.
    let mut lines = stdout.lines().map_while(Result::ok);
    for line in lines.by_ref() {
        let is_last = line.contains("aws lambda invoke");
        printed.push(line);
        if is_last {
            break;
        }
    }
    assert!(
        printed.contains(&"\"Hello, Ada!\"".to_owned()),
        "{printed:#?}"
    );
    let typed = |command: &str| {
        let mut path = root().join(".tools/venv/bin:").into_os_string();
        path.push(std::env::var_os("PATH").expect("there is one"));
        let output = Command::new("sh")
            .args(["-c", command])
            .env("PATH", path)
            .output();
        let output = output.expect("a shell runs");
        assert!(output.status.success(), "{command}: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let curl = printed
        .iter()
        .find(|line| line.trim_start().starts_with("curl "));
    let curl = curl
        .expect("it is printed")
        .replace("curl ", "curl --silent --fail ");
    assert_eq!(typed(&curl), "Hello, world!");
    let at = printed
        .iter()
        .position(|line| line.contains("AWS_ACCESS_KEY_ID="));
    let aws = printed[at.expect("it is printed")..].join("\n");
    assert!(typed(&aws).starts_with("\"Hello, world!\""));
    signal(&dev.0, Signal::INT);
    assert!(dev.0.wait().expect("it ends").success());
    let notes = notes.join().expect("it reads").join("\n");
    assert!(notes.contains("the URL is public"), "{notes}");
}

#[tokio::test]
async fn blueprint_url_answers_plain_get() {
    let host = Lamina::start();
    for name in ["hello", "counter", "custom-runtime", "command", "http"] {
        host.create(name, &example(name), json!({})).await;
        let domain = url_of(&host, name, json!({})).await;
        let answer = get(&host, &domain, "/", &[]).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    }
}

/// Deploys the example with these options; returns stdout, stderr and the URL's configuration.
async fn deployed(host: &Lamina, options: &[&str]) -> (Vec<String>, String, Value) {
    let mut deploy = Command::new(program());
    deploy.arg("deploy").arg(root().join("examples/hello"));
    deploy
        .args(["--endpoint-url", &host.endpoint()])
        .args(options);
    deploy
        .env("AWS_ACCESS_KEY_ID", "AK")
        .env("AWS_SECRET_ACCESS_KEY", "secret");
    deploy.env_remove("AWS_REGION");
    let output = deploy.output().expect("the program runs");
    let (told, notes) = (
        String::from_utf8(output.stdout).expect("UTF-8"),
        String::from_utf8(output.stderr).expect("UTF-8"),
    );
    assert!(output.status.success(), "{notes}");
    let path = "/2021-10-31/functions/hello/url";
    let shown = host.lambda("GET", path, &Value::Null).await.json();
    (told.lines().map(str::to_owned).collect(), notes, shown)
}

#[tokio::test(flavor = "multi_thread")]
async fn url_is_created_on_request_only() {
    let host = Lamina::start();
    let public = "the URL is public: anyone who reaches the host may call it";
    let policy = async || {
        let path = "/2015-03-31/functions/hello/policy";
        host.lambda("GET", path, &Value::Null).await.status.as_u16()
    };
    let (told, notes, shown) = deployed(&host, &[]).await;
    assert_eq!(
        (told.len(), shown["FunctionUrl"].is_null()),
        (1, true),
        "{told:?}"
    );
    assert!(!notes.contains(public), "{notes}");
    let (told, notes, shown) = deployed(&host, &["--url", "iam"]).await;
    assert_eq!(
        (told.len(), &shown["AuthType"]),
        (2, &json!("AWS_IAM")),
        "{told:?}"
    );
    assert!(!notes.contains(public), "{notes}");
    assert_eq!(policy().await, 404);
    let (told, notes, shown) = deployed(&host, &["--url", "public"]).await;
    assert_eq!(json!(told[1]), shown["FunctionUrl"]);
    assert_eq!(shown["AuthType"], "NONE");
    assert!(notes.contains(public), "{notes}");
    assert_eq!(policy().await, 200);
    // Without the option the URL stays unchanged, and a public one is announced again.
    let (told, notes, _) = deployed(&host, &["--output", "json"]).await;
    let told: Value = serde_json::from_str(&told[0]).expect("JSON");
    assert_eq!(
        (&told["FunctionUrl"], &told["AuthType"]),
        (&shown["FunctionUrl"], &json!("NONE"))
    );
    assert!(notes.contains(public), "{notes}");
    let (told, _, shown) = deployed(&host, &["--url", "none"]).await;
    assert_eq!(
        (told.len(), shown["FunctionUrl"].is_null()),
        (1, true),
        "{told:?}"
    );
    assert_eq!(policy().await, 404, "what was public is closed");
}
