//! The managed runtime nodejs22.x: unmodified source code of Lambda functions. `tests/run` builds it; these tests fail
//! without it and say so.

use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::harness::{Lamina, log_of};
use crate::layers::zip_of;
use crate::managed::call;

mod cases;
mod failures;
mod packages;

const HELLO: &str = "export const handler = async (event) => `Hello, ${event.name ?? 'world'}`;\n";

/// Host with the runtime.
async fn host() -> Lamina {
    Lamina::in_dir(data_dir().await, "")
}

/// Host with the runtime, whose functions may reach any address.
async fn with_egress() -> Lamina {
    Lamina::in_dir_with(data_dir().await, "egress = \"any\"")
}

async fn data_dir() -> tempfile::TempDir {
    static SEED: OnceCell<PathBuf> = OnceCell::const_new();
    let first = zip_of(&[("index.mjs", HELLO)]);
    let seed = SEED.get_or_init(|| crate::managed::seed("nodejs22.x", &first, members()));
    crate::managed::seeded(seed.await)
}

/// Creates a function of one file and waits until it is active.
async fn create(host: &Lamina, name: &str, source: &str, more: Value) {
    create_zip(host, name, &zip_of(&[("index.mjs", source)]), more).await;
}

async fn create_zip(host: &Lamina, name: &str, package: &[u8], more: Value) {
    crate::managed::create(host, name, package, members(), more).await;
}

fn members() -> Value {
    json!({"Runtime": "nodejs22.x", "Handler": "index.handler"})
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_share_one_compiled_runtime_and_say_their_own() {
    let host = host().await;
    let source = "export const handler = async () => [process.version.split('.')[0], process.env.AWS_EXECUTION_ENV];\n";
    for major in [18, 20, 22, 24, 26] {
        let (name, runtime) = (format!("f{major}"), format!("nodejs{major}.x"));
        create(&host, &name, source, json!({"Runtime": runtime})).await;
        let expected = json!([format!("v{major}"), format!("AWS_Lambda_{runtime}")]);
        assert_eq!(call(&host, &name, json!({})).await, expected);
    }
    let artifacts = std::fs::read_dir(host.dir.path().join("data/artifacts"));
    assert_eq!(artifacts.expect("a directory").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn environments_differ_in_random_numbers() {
    let host = std::sync::Arc::new(host().await);
    let source = "import { randomUUID } from 'node:crypto';\nconst own = [Math.random(), randomUUID()];\n\
                  export const handler = async () => { await new Promise((done) => setTimeout(done, 50)); return own; };\n";
    create(&host, "f", source, json!({})).await;
    let calls: Vec<_> = (0..6)
        .map(|_| {
            let host = std::sync::Arc::clone(&host);
            tokio::spawn(async move { call(&host, "f", json!({})).await })
        })
        .collect();
    let mut results = Vec::new();
    for call in calls {
        results.push(call.await.expect("it ends"));
    }
    for at in [0, 1] {
        let values = results.iter().map(|it| it[at].to_string());
        let distinct = values.collect::<std::collections::BTreeSet<_>>();
        assert!(distinct.len() > 1, "{results:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_are_found_by_name() {
    let host = host().await;
    let layer = zip_of(&[(
        "nodejs/node_modules/shared/index.js",
        "exports.name = 'layer';\n",
    )]);
    let layer = crate::layers::publish(&host, "shared", &layer, json!({})).await;
    let arn = layer.json()["LayerVersionArn"].clone();
    let source = "exports.handler = async () => require('shared').name;\n";
    let package = zip_of(&[("index.js", source)]);
    create_zip(&host, "f", &package, json!({"Layers": [arn]})).await;
    assert_eq!(call(&host, "f", json!({})).await, "layer");
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_have_awss_formats() {
    let host = host().await;
    let source = "console.log('while loading');\nexport const handler = async () => {\n  console.log('two\\nlines');\n  \
                  console.error(new TypeError('x'));\n  process.stdout.write('raw\\n');\n};\n";
    create(&host, "f", source, json!({})).await;
    let answer = host.invoke("f", &json!({})).await;
    let (log, id) = (log_of(&answer), answer.header("x-amzn-requestid"));
    assert!(
        log.contains(&format!("\t{id}\tINFO\ttwo\nlines\n")),
        "{log}"
    );
    assert!(
        log.contains(&format!("\t{id}\tERROR\tTypeError: x\n    at ")),
        "{log}"
    );
    assert!(log.contains("\nraw\n"), "{log}");
    let logging = json!({"LoggingConfig": {"LogFormat": "JSON", "ApplicationLogLevel": "WARN"}});
    create(&host, "g", source, logging).await;
    let log = log_of(&host.invoke("g", &json!({})).await);
    let lines = log
        .lines()
        .filter_map(|it| serde_json::from_str::<Value>(it).ok());
    let own: Vec<_> = lines.filter(|it| it["level"] == "ERROR").collect();
    assert_eq!(own.len(), 1, "{log}");
    assert_eq!(own[0]["errorType"], "TypeError");
    assert_eq!(own[0]["errorMessage"], "x");
    assert!(!log.contains("two"), "{log}");
}
