//! Installation of runtimes, with and without a running host.

use serde_json::{Value, json};

use super::{HELLO, bundle, call, create, runtime};
use crate::harness::Lamina;
use crate::layers::zip_of;

const PYTHON: &str = "python3.14";

fn members() -> Value {
    json!({"Runtime": "python3.13", "Handler": "lambda_function.lambda_handler"})
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_runtime_is_refused_with_its_remedy() {
    let host = Lamina::start();
    let package = zip_of(&[("lambda_function.py", HELLO)]);
    let refused = host.try_create("f", &package, members()).await;
    let expected = (
        "InvalidParameterValueException".to_owned(),
        "Runtime python3.14 is not installed on this host: install it by `lamina runtime install python3.14`."
            .to_owned(),
    );
    assert_eq!((refused.status.as_u16(), refused.error()), (400, expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn host_that_accepts_missing_runtimes_says_what_is_missing() {
    let host = Lamina::with("runtimes = \"accept\"", "settle_millis = 20");
    create(&host, "f", HELLO, members()).await;
    let answer = host.invoke("f", &json!({})).await;
    assert_eq!(answer.error().0, "InvalidRuntimeException");
    assert!(
        answer.error().1.contains("lamina runtime install"),
        "{}",
        answer.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn running_host_finds_a_runtime_installed_from_a_file() {
    let host = super::host().await;
    let data_dir = host.dir.path().join("data");
    let (code, listed, stderr) = runtime(&["list", "--output", "json"], &data_dir);
    assert_eq!(code, Some(0), "{stderr}");
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(listed["Runtime"], PYTHON);
    let version = listed["RuntimeVersion"].as_str().expect("a version");
    assert!(version.starts_with("python:3.14."), "{version}");
    let bundle = bundle();
    let from = ["install", PYTHON, "--from", bundle.to_str().expect("UTF-8")];
    let (code, installed, stderr) = runtime(&from, &data_dir);
    assert_eq!(
        (code, installed.trim()),
        (Some(0), format!("{PYTHON}  {version}").as_str()),
        "{stderr}"
    );
    create(&host, "f", HELLO, members()).await;
    assert_eq!(call(&host, "f", json!({})).await, "Hello, world");
}

#[test]
fn file_that_is_no_runtime_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("file.zip");
    std::fs::write(&file, zip_of(&[("runtime.json", "{}")])).expect("it is written");
    let from = ["install", PYTHON, "--from", file.to_str().expect("UTF-8")];
    let (code, _, stderr) = runtime(&from, &dir.path().join("data"));
    assert_eq!(code, Some(3));
    assert!(stderr.contains("it has no runtime.wasm"), "{stderr}");
    let (code, _, stderr) = runtime(&["install", "java21"], &dir.path().join("data"));
    assert_eq!(code, Some(2));
    assert!(
        stderr.contains("the installable runtimes are python3.14"),
        "{stderr}"
    );
    let (code, listed, _) = runtime(&["list"], &dir.path().join("data"));
    assert_eq!((code, listed.as_str()), (Some(0), ""));
}
