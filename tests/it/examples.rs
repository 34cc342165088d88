//! Examples, each deployed and called through the interface that it shows.

use serde_json::{Value, json};

use crate::harness::{Lamina, example, guest, root};

fn event(name: &str) -> Value {
    let text = std::fs::read_to_string(root().join("examples").join(name).join("event.json"));
    serde_json::from_str(&text.expect("each example has an event")).expect("which is JSON")
}

#[tokio::test]
async fn example_responds_to_its_event() {
    let host = Lamina::start();
    let checks: [(&str, fn(&Value) -> bool); 5] = [
        ("hello", |answer| {
            answer.as_str().is_some_and(|it| it.starts_with("Hello, "))
        }),
        ("counter", Value::is_object),
        ("custom-runtime", |answer| !answer.is_null()),
        ("command", Value::is_object),
        ("http", |answer| answer["statusCode"] == 200),
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
            assert!(is_right(&answer.json()), "{name}: {}", answer.text());
        }
    }
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
    // hello-component is deployed by `clients`, if cargo-component is installed.
    assert_eq!(
        names,
        [
            "command",
            "counter",
            "custom-runtime",
            "hello",
            "hello-component",
            "http"
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
