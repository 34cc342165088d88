//! Blueprints of `lamina new`: each is generated, built, deployed, called, and its saved events are run.

use std::path::Path;

use serde_json::Value;

use crate::harness::{Lamina, root};
use crate::projects::{command, ran};

/// Runs a command in a directory. Crates are built beside the examples, whose dependencies are compiled.
fn lamina(dir: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = command(dir, arguments);
    // Of cargo and rustup.
    command.env("HOME", std::env::var_os("HOME").unwrap_or_default());
    ran(command.env("CARGO_TARGET_DIR", root().join("examples/target")))
}

/// Makes a function of a blueprint.
fn made(dir: &Path, name: &str, blueprint: &str) {
    let (code, _, notes) = lamina(dir, &["new", name, "--blueprint", blueprint]);
    assert_eq!(code, Some(0), "{blueprint}: {notes}");
    let crate_dir = dir.join(name);
    if crate_dir.join("Cargo.toml").exists() {
        let lock = root().join("examples/Cargo.lock");
        std::fs::copy(lock, crate_dir.join("Cargo.lock")).expect("it is copied");
    }
}

fn listed() -> Vec<String> {
    let (code, told, _) = lamina(root(), &["blueprints"]);
    assert_eq!(code, Some(0));
    let names = told
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    names.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn blueprint_is_built_deployed_and_called() {
    let host = Lamina::start();
    let dir = tempfile::tempdir().expect("a temporary directory");
    // `python` is in the tests of its runtime; `https` needs the network to answer.
    for blueprint in listed().iter().filter(|it| *it != "python") {
        let name = format!("my-{blueprint}");
        made(dir.path(), &name, blueprint);
        let endpoint = host.endpoint();
        let deploy = ["deploy", &name, "--endpoint-url", &endpoint];
        let (code, _, notes) = lamina(dir.path(), &deploy);
        assert_eq!(code, Some(0), "{blueprint}: {notes}");
        let path = format!("/2015-03-31/functions/{name}/configuration");
        let shown = host.lambda("GET", &path, &Value::Null).await.json();
        assert_eq!(shown["State"], "Active", "{shown}");
        if blueprint == "https" {
            continue;
        }
        let event = dir.path().join(&name).join("event.json");
        let event = event.to_str().expect("UTF-8");
        let invoke = ["invoke", &name, "-f", event, "--endpoint-url", &endpoint];
        let (code, told, notes) = lamina(dir.path(), &invoke);
        assert_eq!(code, Some(0), "{blueprint}: {told}{notes}");
    }
}

#[test]
fn saved_events_of_blueprints_pass() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (blueprint, event) in [
        ("http-api", "get-item"),
        ("sqs", "order"),
        ("s3", "upload"),
        ("schedule", "midnight"),
    ] {
        let name = format!("my-{blueprint}");
        made(dir.path(), &name, blueprint);
        let (code, told, notes) = lamina(dir.path(), &["test", &name]);
        assert_eq!(code, Some(0), "{told}{notes}");
        assert_eq!(told, format!("ok      {name}/{event}\n"));
    }
}

#[test]
fn differing_response_fails_the_test_and_can_be_accepted() {
    let project = crate::projects::Project::new("name = \"f\"\n[build]\nartifact = \"app.wasm\"\n");
    project.write(
        "events/one.json",
        "{\"do\": \"variable\", \"name\": \"NONE\"}",
    );
    project.write("events/one.expected.json", "7");
    project.write("events/two.json", "{\"do\": \"trap\"}");
    project.write("events/three.json", "{\"do\": \"count\"}");
    let (code, told, _) = lamina(project.path(), &["test"]);
    assert_eq!(code, Some(1));
    assert!(told.contains("FAILED  f/one\n  - 7\n  + null\n"), "{told}");
    assert!(
        told.contains("FAILED  f/two\n") && told.contains("ok      f/three\n"),
        "{told}"
    );
    let (code, _, _) = lamina(project.path(), &["test", ".", "one", "--update"]);
    assert_eq!(code, Some(0));
    let (code, told, _) = lamina(project.path(), &["test", ".", "one"]);
    assert_eq!((code, told.as_str()), (Some(0), "ok      f/one\n"));
    let empty = tempfile::tempdir().expect("a temporary directory");
    std::fs::copy(
        project.path().join("app.wasm"),
        empty.path().join("app.wasm"),
    )
    .expect("a copy");
    let (code, _, notes) = lamina(empty.path(), &["test", "app.wasm"]);
    assert_eq!(code, Some(3));
    assert!(notes.contains("there are no events"), "{notes}");
}

#[test]
fn test_polls_no_event_source() {
    let queues = std::net::TcpListener::bind("127.0.0.1:0").expect("it is bound");
    queues.set_nonblocking(true).expect("it is set");
    let address = queues.local_addr().expect("it has one");
    let project = crate::projects::Project::new(&format!(
        "name = \"f\"\n[build]\nartifact = \"app.wasm\"\n[[sources]]\n\
         arn = \"arn:aws:sqs:us-east-1:000000000000:orders\"\n[host.aws]\nendpoint = \"http://{address}\"\n\
         access_key_id = \"a\"\nsecret_access_key = \"b\"\n"
    ));
    project.write("events/one.json", "{\"do\": \"sleep\", \"ms\": 500}");
    let (code, told, notes) = lamina(project.path(), &["test"]);
    assert_eq!(code, Some(0), "{told}{notes}");
    let connected = queues.accept();
    assert!(connected.is_err(), "the host of the test calls the queue");
}

#[test]
fn broken_event_or_failed_function_is_named() {
    let project = crate::projects::Project::new("name = \"f\"\n[build]\nartifact = \"app.wasm\"\n");
    project.write("events/a.json", "{\"do\": ");
    project.write("events/b.json", "{\"do\": \"trap\"}");
    project.write("events/c.json", "{\"do\": \"count\"}");
    let (code, told, _) = lamina(project.path(), &["test", ".", "--update"]);
    assert_eq!(code, Some(1));
    assert!(
        told.contains("FAILED  f/a\n  ./events/a.json is not JSON: "),
        "{told}"
    );
    assert!(
        told.contains("FAILED  f/b\nthe function failed; nothing was written"),
        "{told}"
    );
    assert!(told.contains("c.expected.json"), "{told}");
    assert!(!project.path().join("events/b.expected.json").exists());
    let (code, _, notes) = lamina(project.path(), &["test", ".", "none"]);
    assert_eq!(code, Some(3));
    assert!(notes.contains("no event has `none` in its name"), "{notes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sample_event_is_sent() {
    let host = Lamina::start();
    host.create("f", &crate::harness::guest("echo"), serde_json::json!({}))
        .await;
    let endpoint = host.endpoint();
    for (service, pointer, expected) in [
        ("sqs", "/Records/0/eventSource", "aws:sqs"),
        ("s3", "/Records/0/eventSource", "aws:s3"),
        ("apigateway", "/httpMethod", "GET"),
        ("http-api", "/version", "2.0"),
        ("schedule", "/detail-type", "Scheduled Event"),
    ] {
        let invoke = [
            "invoke",
            "f",
            "--event",
            service,
            "--endpoint-url",
            &endpoint,
        ];
        let (code, told, notes) = lamina(root(), &invoke);
        assert_eq!(code, Some(0), "{notes}");
        let event: Value = serde_json::from_str(&told).expect("it is JSON");
        assert_eq!(event.pointer(pointer), Some(&expected.into()), "{service}");
    }
    let (code, _, notes) = lamina(root(), &["invoke", "f", "--event", "fax"]);
    assert_eq!(code, Some(2));
    assert!(notes.contains("fax"), "{notes}");
}

#[test]
fn blueprint_may_be_a_directory() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    made(dir.path(), "first", "sqs");
    let (code, _, notes) = lamina(dir.path(), &["new", "second", "--blueprint", "./first"]);
    assert_eq!(code, Some(0), "{notes}");
    for file in ["Cargo.toml", "lamina.toml"] {
        let text = std::fs::read_to_string(dir.path().join("second").join(file));
        assert!(
            text.expect("it was made").contains("name = \"second\""),
            "{file}"
        );
    }
    let (code, _, notes) = lamina(dir.path(), &["new", "third", "--blueprint", "nothing"]);
    assert_eq!(code, Some(3));
    assert!(notes.contains("lamina blueprints"), "{notes}");
    assert!(!dir.path().join("third").exists());
    let (code, _, notes) = lamina(dir.path(), &["new", "second"]);
    assert_eq!(code, Some(3));
    assert!(notes.contains("nothing was written"), "{notes}");
    let inside = ["new", "a/b/inner", "--blueprint", "."];
    let (code, _, notes) = lamina(&dir.path().join("second"), &inside);
    assert_eq!(code, Some(3));
    assert!(notes.contains("is inside the directory ."), "{notes}");
    assert!(!dir.path().join("second/a").exists());
    let (code, _, notes) = lamina(dir.path(), &["new", "fourth", "--blueprint", "."]);
    assert_eq!(code, Some(3));
    assert!(notes.contains("is no blueprint"), "{notes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn backtrace_names_functions() {
    let host = Lamina::start();
    let dir = tempfile::tempdir().expect("a temporary directory");
    made(dir.path(), "failing", "command");
    let source = "//! Fails.\n\n#[inline(never)]\nfn divide_the_bill(guests: usize) -> usize {\n    \
                  if guests == 0 {\n        std::process::abort();\n    }\n    100 / guests\n}\n\n\
                  fn main() {\n    println!(\"{}\", divide_the_bill(std::env::args().count() .saturating_sub(9)));\n}\n";
    std::fs::write(dir.path().join("failing/src/main.rs"), source).expect("it is written");
    let endpoint = host.endpoint();
    let deploy = ["deploy", "failing", "--endpoint-url", &endpoint];
    let (code, _, notes) = lamina(dir.path(), &deploy);
    assert_eq!(code, Some(0), "{notes}");
    let invoke = ["invoke", "failing", "--log", "--endpoint-url", &endpoint];
    let (code, _, log) = lamina(dir.path(), &invoke);
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("divide_the_bill"), "{log}");
}
