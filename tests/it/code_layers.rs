//! Code layers: components in layers that satisfy imports of a function or wrap its handler.

use std::io::{Cursor, Write};

use serde_json::{Value, json};

use crate::harness::{ApiResponse, Lamina, example, guest, zipped};
use crate::layers::publish;

const GREETER: &str = "lib/greeter.wasm";
const CHECKED: &str = "wrappers/checked.wasm";

fn layer_zip(path: &str, component: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file(path, options).expect("in memory");
    zip.write_all(component).expect("in memory");
    zip.finish().expect("in memory").into_inner()
}

/// Publishes a layer with one component; returns its ARN.
async fn layer(host: &Lamina, name: &str, path: &str, component: &[u8]) -> Value {
    let made = publish(host, name, &layer_zip(path, component), json!({})).await;
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()["LayerVersionArn"].clone()
}

/// The component with another text of the same length in its data.
fn with_text(component: &[u8], text: &str, other: &str) -> Vec<u8> {
    assert_eq!(text.len(), other.len());
    let at = component
        .windows(text.len())
        .position(|it| it == text.as_bytes());
    let at = at.expect("the component has the text");
    let mut changed = component.to_vec();
    changed[at..at + text.len()].copy_from_slice(other.as_bytes());
    changed
}

async fn set_layers(host: &Lamina, name: &str, layers: Value) -> ApiResponse {
    let path = format!("/2015-03-31/functions/{name}/configuration");
    let set = host.lambda("PUT", &path, &json!({"Layers": layers})).await;
    if set.status == 200 {
        host.settled(name).await;
    }
    set
}

#[tokio::test]
async fn library_of_layer_satisfies_import() {
    let mut host = Lamina::start();
    let function = zipped(&example("library-user"));
    let refused = host.try_create("f", &function, json!({})).await;
    assert_eq!(refused.status, 400);
    let (_, text) = refused.error();
    assert!(text.contains("example:greeter/greeter@1.0.0"), "{text}");

    let library = example("library-layer");
    let first = layer(&host, "greeter", GREETER, &library).await;
    let other = with_text(&library, "Servus", "Moikka");
    let second = layer(&host, "finnish", GREETER, &other).await;
    host.create("f", &example("library-user"), json!({"Layers": [first]}))
        .await;
    let greeted = host.invoke("f", &json!("Ada")).await;
    assert_eq!(greeted.text(), "\"Servus, Ada!\"");

    // A later layer's file hides that of an earlier one.
    let set = set_layers(&host, "f", json!([first, second])).await;
    assert_eq!(set.status, 200, "{}", set.text());
    let greeted = host.invoke("f", &json!("Ada")).await;
    assert_eq!(greeted.text(), "\"Moikka, Ada!\"");

    let refused = set_layers(&host, "f", json!([])).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    host = Lamina::again(host.kill(), "", "");
    let greeted = host.invoke("f", &json!("Eva")).await;
    assert_eq!(greeted.text(), "\"Moikka, Eva!\"");
}

#[tokio::test]
async fn first_wrapper_of_layers_is_the_outermost() {
    let host = Lamina::start();
    let wrapper = example("wrapper-layer");
    let one = layer(&host, "one", "wrappers/one.wasm", &wrapper).await;
    let other = with_text(&wrapper, "has no token", "has no TOKEN");
    let other = layer(&host, "other", "wrappers/other.wasm", &other).await;
    host.create("f", &example("hello"), json!({"Layers": [one, other]}))
        .await;
    let passed = host
        .invoke("f", &json!({"token": "t", "name": "Ada"}))
        .await;
    assert_eq!(passed.text(), "\"Hello, Ada!\"");
    let refused = host.invoke("f", &json!({"name": "Ada"})).await.json();
    assert_eq!(refused["errorType"], "Unauthorized", "{refused}");
    assert_eq!(refused["errorMessage"], "The event has no token.");
    let set = set_layers(&host, "f", json!([other, one])).await;
    assert_eq!(set.status, 200, "{}", set.text());
    let refused = host.invoke("f", &json!({"name": "Ada"})).await.json();
    assert_eq!(refused["errorMessage"], "The event has no TOKEN.");
}

#[tokio::test]
async fn layers_that_do_not_fit_are_refused_by_name() {
    let host = Lamina::start();
    let wrapper = layer(&host, "checked", CHECKED, &example("wrapper-layer")).await;
    let broken = layer(&host, "broken", GREETER, b"\0asm, or is it").await;
    let many: Vec<(String, &[u8])> = (0..8)
        .map(|number| (format!("lib/{number}.wasm"), &b"x"[..]))
        .collect();
    let many = {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in &many {
            let options = zip::write::SimpleFileOptions::default();
            zip.start_file(name.as_str(), options).expect("in memory");
            zip.write_all(content).expect("in memory");
        }
        zip.finish().expect("in memory").into_inner()
    };
    let many = publish(&host, "many", &many, json!({})).await.json()["LayerVersionArn"].clone();
    let cases = [
        ("http", &wrapper, "wrappers/checked.wasm wraps nothing"),
        ("hello", &broken, "lib/greeter.wasm: "),
        ("hello", &many, "7 at most"),
    ];
    for (function, layer, part) in cases {
        let more = json!({"Layers": [layer]});
        let refused = host
            .try_create("f", &zipped(&example(function)), more)
            .await;
        assert_eq!(refused.status, 400, "{}", refused.text());
        let (_, text) = refused.error();
        assert!(text.contains(part), "{text}");
    }
    // Without code, layers change nothing.
    let plain = layer(&host, "plain", "lib/readme.txt", b"text").await;
    host.create("f", &guest("echo"), json!({"Layers": [plain]}))
        .await;
    assert_eq!(host.invoke("f", &json!(1)).await.text(), "1");
}

#[tokio::test]
async fn functions_with_the_same_layers_share_the_composition() {
    let host = Lamina::start();
    let wrapper = layer(&host, "checked", CHECKED, &example("wrapper-layer")).await;
    let more = json!({"Layers": [wrapper]});
    host.create("a", &example("hello"), more.clone()).await;
    let artifacts = || {
        let dir = host.dir.path().join("data/artifacts");
        let listed = std::fs::read_dir(&dir).expect("the directory of artifacts");
        listed.count()
    };
    let before = artifacts();
    host.create("b", &example("hello"), more).await;
    assert_eq!(artifacts(), before);
    let answered = host.invoke("b", &json!({"token": "t"})).await;
    assert_eq!(answered.text(), "\"Hello, world!\"");
}
