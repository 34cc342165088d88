//! Layers as functions see them, and the command that publishes them.

use std::fs;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::harness::{Lamina, program};
use crate::layers::{ARN, LAYERS, get};

fn lamina(host: &Lamina, arguments: &[&str]) -> Output {
    let mut command = Command::new(program());
    command.args(["--endpoint-url", &host.endpoint()]);
    command.args(arguments).env_remove("AWS_REGION");
    command.output().expect("the program runs")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_publishes_directories_and_zips() {
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
    let told = String::from_utf8_lossy(&first.stdout).into_owned();
    assert_eq!(told, format!("{ARN}:my-layer:1\n"), "{first:?}");
    let shown = get(&host, "/my-layer/versions/1").await.json();
    assert_eq!(shown["Description"], "what it is");
    assert_eq!(shown["LicenseInfo"], "MIT");
    assert_eq!(
        shown["CompatibleRuntimes"],
        json!(["provided.al2023", "wasip2"])
    );
    assert_eq!(shown["CompatibleArchitectures"], json!(["arm64"]));

    // What can be downloaded can be published again, and is the same.
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
        (["layer", "publish", "no name", file], 3, "ValidationException"),
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
