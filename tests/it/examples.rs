//! Examples, each deployed and called through the interface that it shows.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::harness::{ApiResponse, Lamina, example, guest, root};
use crate::response_streams::reserve_one_of;
use crate::urls::url_of;

fn event(name: &str) -> Value {
    let text = std::fs::read_to_string(root().join("examples").join(name).join("event.json"));
    serde_json::from_str(&text.expect("each example has an event")).expect("which is JSON")
}

#[tokio::test]
async fn example_responds_to_its_event() {
    let host = Lamina::start();
    let checks: [(&str, fn(&ApiResponse) -> bool); 12] = [
        ("hello", |answer| answer.text().starts_with("\"Hello, ")),
        ("counter", |answer| answer.json().is_object()),
        ("custom-runtime", |answer| !answer.json().is_null()),
        ("command", |answer| answer.json().is_object()),
        ("http", |answer| answer.json()["statusCode"] == 200),
        ("queue", |answer| {
            answer.json()["batchItemFailures"] == json!([{"itemIdentifier": "2"}])
        }),
        ("redis", |answer| {
            answer.json()["batchItemFailures"] == json!([{"itemIdentifier": "2-0"}])
        }),
        ("schedule", |answer| answer.json() == "2026-01-01T00:00:00Z"),
        ("stream", |answer| answer.json()["state"] == json!({"a": 2})),
        ("table", |answer| answer.json() == 1),
        ("topic", |answer| answer.json() == json!([{"articles": 3}])),
        ("streaming", |answer| {
            answer.text().ends_with("\0\0\0\0\0\0\0\x001\nlift-off\n")
        }),
    ];
    for (name, is_right) in checks {
        host.create(name, &example(name), json!({})).await;
        for _ in 0..3 {
            let answer = host.invoke(name, &event(name)).await;
            assert_eq!(
                answer.header("x-amz-function-error"),
                "",
                "{name}: {}",
                answer.text()
            );
            assert!(is_right(&answer), "{name}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn streaming_example_is_read_line_by_line() {
    let host = Lamina::start();
    host.create("countdown", &example("streaming"), json!({"Timeout": 30}))
        .await;
    reserve_one_of(&host, "countdown").await;
    let streamed = json!({"InvokeMode": "RESPONSE_STREAM"});
    let domain = url_of(&host, "countdown", streamed).await;
    let mut curl = tokio::process::Command::new("curl")
        .args(["-sNi", "-H", &format!("host: {domain}")])
        .arg(format!("{}/?from=4", host.endpoint()))
        .stdout(Stdio::piped())
        .spawn()
        .expect("curl runs");
    let mut lines = BufReader::new(curl.stdout.take().expect("it was piped")).lines();
    let mut line = async || lines.next_line().await.expect("UTF-8");
    while line().await.expect("a head and a body") != "4" {}
    // The function still runs.
    let invoked = host.invoke("countdown", &json!({})).await;
    assert_eq!(invoked.status, 429);
    for expected in ["3", "2", "1", "lift-off"] {
        assert_eq!(line().await.as_deref(), Some(expected));
    }
    assert_eq!(line().await, None);
}

#[tokio::test]
async fn every_example_has_a_test() {
    let dirs = std::fs::read_dir(root().join("examples")).expect("examples/ is there");
    let names = dirs
        .filter_map(Result::ok)
        .filter(|it| it.path().join("Cargo.toml").exists());
    let mut names: Vec<_> = names
        .filter_map(|it| it.file_name().into_string().ok())
        .collect();
    names.sort();
    // hello-component is deployed by `clients`, if cargo-component is installed, proxy by `outgoing`; `embedders` runs
    // embed and filter, `blueprints` http-api and the consumers, `extensions` extension, `file_systems` files,
    // `code_layers` library-layer, library-user and wrapper-layer.
    assert_eq!(
        names,
        [
            "command",
            "counter",
            "custom-runtime",
            "embed",
            "extension",
            "files",
            "filter",
            "hello",
            "hello-component",
            "http",
            "http-api",
            "library-layer",
            "library-user",
            "proxy",
            "queue",
            "redis",
            "s3-consumer",
            "schedule",
            "sqs-consumer",
            "stream",
            "streaming",
            "table",
            "topic",
            "wrapper-layer"
        ]
    );
}

#[tokio::test]
async fn streaming_function_response_is_buffered() {
    let host = Lamina::start();
    host.create("s", &guest("streaming"), json!({})).await;
    let plain = host.invoke("s", &json!({"chunks": ["a", "b"]})).await;
    assert_eq!(plain.text(), "ab");
    let event = json!({"metadata": {"statusCode": 201}, "chunks": ["a"]});
    let with_prelude = host.invoke("s", &event).await;
    assert_eq!(with_prelude.text(), "{\"statusCode\":201}\0\0\0\0\0\0\0\0a");
}

#[test]
fn hello_function_is_small() {
    let bytes = example("hello").len();
    assert!(bytes <= 200_000, "{bytes}");
    let source = std::fs::read_to_string(root().join("examples/hello/src/lib.rs"));
    assert!(source.expect("hello is there").lines().count() <= 15);
}
