//! `lamina push` and `lamina deploy --image`: from files to a registry, and from there to a host.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::layout::Image;
use super::registry::{LOGIN, Registry};
use super::{code, ended};
use crate::harness::{Lamina, guest, program};

/// Runs the program in a directory, which is also where it looks for Docker's configuration.
fn lamina(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(program());
    command
        .args(arguments)
        .current_dir(dir)
        .env("DOCKER_CONFIG", dir);
    command
        .env_remove("AWS_REGION")
        .env_remove("LAMINA_ENDPOINT_URL");
    command.output().expect("the program runs")
}

/// Output of a run that succeeds.
fn ran(dir: &Path, arguments: &[&str]) -> String {
    let output = lamina(dir, arguments);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {told}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn pushed_component_is_deployed_by_reference() {
    let registry = Registry::start().await;
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("echo.wasm"), guest("echo")).expect("a file");
    let uri = registry.image("team/echo:1");
    let resolved = ran(dir.path(), &["push", &uri, "echo.wasm"]);
    assert!(
        resolved.starts_with(&format!("{}@sha256:", registry.image("team/echo"))),
        "{resolved}"
    );
    // The same content again is the same image.
    assert_eq!(ran(dir.path(), &["push", &uri, "echo.wasm"]), resolved);
    let host = Lamina::with(&registry.settings(), "");
    let endpoint = host.endpoint();
    let deploy = [
        "deploy",
        "--image",
        &uri,
        "--name",
        "f",
        "--memory",
        "256",
        "--endpoint-url",
        &endpoint,
    ];
    ran(dir.path(), &deploy);
    let shown = ended(&host, "f").await;
    assert_eq!(
        (&shown["PackageType"], &shown["MemorySize"]),
        (&json!("Image"), &json!(256))
    );
    assert_eq!(code(&host, "f").await["ResolvedImageUri"], resolved);
    assert_eq!(host.invoke("f", &json!(3)).await.json(), json!(3));
    // An equal deployment changes nothing; one of a moved tag does.
    ran(dir.path(), &deploy);
    assert_eq!(ended(&host, "f").await["RevisionId"], shown["RevisionId"]);
    Image::component(guest("image")).push(&uri, &[]);
    ran(dir.path(), &deploy);
    assert_ne!(code(&host, "f").await["ResolvedImageUri"], resolved);
    let seen = host.invoke("f", &json!({})).await.json();
    assert_eq!(
        (&seen["arguments"], &seen["directory"]),
        (&json!([]), &json!(null))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pushed_function_with_files_finds_them() {
    let registry = Registry::start().await;
    let dir = tempfile::tempdir().expect("a directory");
    let manifest = "name = \"f\"\nassets = [\"prices\"]\n[build]\nartifact = \"app.wasm\"\n";
    fs::write(dir.path().join("lamina.toml"), manifest).expect("a file");
    fs::write(dir.path().join("app.wasm"), guest("image")).expect("a file");
    fs::create_dir(dir.path().join("prices")).expect("a directory");
    fs::write(dir.path().join("prices/today"), "7").expect("a file");
    let uri = registry.image("files:1");
    ran(dir.path(), &["push", &uri]);
    let host = Lamina::with(&registry.settings(), "");
    ran(
        dir.path(),
        &[
            "deploy",
            "--image",
            &uri,
            "--endpoint-url",
            &host.endpoint(),
        ],
    );
    let event = json!({"read": ["/var/task/prices/today"]});
    let seen = host.invoke("f", &event).await.json();
    assert_eq!(seen["read"]["/var/task/prices/today"], "7", "{seen}");
    assert_eq!(seen["directory"], "/var/task");
}

#[tokio::test(flavor = "multi_thread")]
async fn push_to_a_closed_registry_needs_a_login() {
    let registry = Registry::closed().await;
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("echo.wasm"), guest("echo")).expect("a file");
    let uri = registry.image("echo:1");
    let refused = lamina(dir.path(), &["push", &uri, "echo.wasm"]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(3), "{told}");
    assert!(told.contains("does not have permission"), "{told}");
    let auth = STANDARD.encode(format!("{}:{}", LOGIN.0, LOGIN.1));
    let login = json!({"auths": {registry.host.clone(): {"auth": auth}}});
    fs::write(dir.path().join("config.json"), login.to_string()).expect("a file");
    ran(dir.path(), &["push", &uri, "echo.wasm"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_deployment_of_an_image_says_why() {
    let registry = Registry::start().await;
    let dir = tempfile::tempdir().expect("a directory");
    let uri = registry.image("none:1");
    let host = Lamina::with(&registry.settings(), "");
    let endpoint = host.endpoint();
    let deploy = [
        "deploy",
        "--image",
        &uri,
        "--name",
        "f",
        "--endpoint-url",
        &endpoint,
    ];
    let told = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let refused = lamina(dir.path(), &deploy);
    assert!(
        told(&refused).contains("does not exist"),
        "{}",
        told(&refused)
    );
    Image::component(b"\0asm\x01\0\0\0".to_vec()).push(&uri, &[]);
    let failed = lamina(dir.path(), &deploy);
    assert!(
        told(&failed).contains("core WebAssembly module"),
        "{}",
        told(&failed)
    );
    let not_one = lamina(dir.path(), &["push", "alpine:3", "."]);
    assert!(
        told(&not_one).contains("names no registry"),
        "{}",
        told(&not_one)
    );
}
