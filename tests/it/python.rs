//! The managed runtime python3.14: unmodified source code of Lambda functions. `tests/run` builds it; these tests fail
//! without it and say so.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::corpus::lines_of;
use crate::harness::{Lamina, log_of};
use crate::layers::zip_of;
use crate::managed::call;

mod blueprint;
mod bytecode;
mod cases;
mod clients;
mod failures;
mod installation;
mod layers;
mod logs;
mod packages;
mod tls;

/// Runs `lamina runtime` on a data directory.
fn runtime(arguments: &[&str], data_dir: &Path) -> (Option<i32>, String, String) {
    crate::managed::command(arguments, data_dir)
}

/// Runtime that `tests/run` has built.
fn bundle() -> PathBuf {
    crate::managed::bundle("python3.14")
}

/// Host with the runtime.
async fn host() -> Lamina {
    Lamina::in_dir(data_dir().await, "")
}

/// Host with the runtime, whose functions may reach what the setting says.
async fn with_egress(egress: &str) -> Lamina {
    let settings = format!("egress = {egress:?}");
    Lamina::in_dir_with(data_dir().await, &settings)
}

/// Directory with the runtime in the host's data directory.
async fn data_dir() -> tempfile::TempDir {
    static SEED: OnceCell<PathBuf> = OnceCell::const_new();
    let first = zip_of(&[("lambda_function.py", HELLO)]);
    let seed = SEED.get_or_init(|| crate::managed::seed("python3.14", &first, members()));
    crate::managed::seeded(seed.await)
}

const HELLO: &str =
    "def lambda_handler(event, context):\n    return 'Hello, ' + event.get('name', 'world')\n";

/// Creates a function of one file and waits until it is active.
async fn create(host: &Lamina, name: &str, source: &str, more: Value) {
    create_zip(host, name, &zip_of(&[("lambda_function.py", source)]), more).await;
}

async fn create_zip(host: &Lamina, name: &str, package: &[u8], more: Value) {
    crate::managed::create(host, name, package, members(), more).await;
}

fn members() -> Value {
    json!({"Runtime": "python3.14", "Handler": "lambda_function.lambda_handler"})
}

#[tokio::test(flavor = "multi_thread")]
async fn environment_is_initialized_once_for_many_invocations() {
    let host = host().await;
    let source = "import time\nSTARTED = time.time_ns()\nCALLS = []\n\
                  def lambda_handler(event, context):\n    CALLS.append(1)\n    return [STARTED, len(CALLS)]\n";
    create(&host, "f", source, json!({})).await;
    let first = call(&host, "f", json!({})).await;
    for calls in 2..=20 {
        let next = call(&host, "f", json!({})).await;
        assert_eq!((&next[0], &next[1]), (&first[0], &json!(calls)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_invocations_are_isolated() {
    let host = host().await;
    let source = "import time, random, uuid\nNAME = str(uuid.uuid4())\nACTIVE = 0\n\
                  def lambda_handler(event, context):\n    global ACTIVE\n    ACTIVE += 1\n    before = ACTIVE\n    \
                  time.sleep(0.05)\n    ACTIVE -= 1\n    return [event['n'] * 2, before, NAME, random.random()]\n";
    create(&host, "f", source, json!({})).await;
    let host = Arc::new(host);
    let calls = (0..24).map(|n| {
        let host = Arc::clone(&host);
        tokio::spawn(async move { (n, call(&host, "f", json!({"n": n})).await) })
    });
    let calls: Vec<_> = calls.collect();
    let mut results = Vec::new();
    for call in calls {
        results.push(call.await.expect("it ends"));
    }
    for (n, result) in &results {
        assert_eq!((&result[0], &result[1]), (&json!(n * 2), &json!(1)));
    }
    let distinct = |at: usize| {
        let values = results.iter().map(|(_, it)| it[at].to_string());
        values.collect::<std::collections::BTreeSet<_>>().len()
    };
    // Each environment has a name and a sequence of random numbers of its own.
    assert!(distinct(2) > 1);
    assert_eq!(distinct(3), results.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_share_one_compiled_runtime() {
    let host = host().await;
    for (name, runtime) in [("a", "python3.14"), ("b", "python3.9"), ("c", "python3.13")] {
        create(&host, name, HELLO, json!({"Runtime": runtime})).await;
        let greeting = call(&host, name, json!({"name": name})).await;
        assert_eq!(greeting, format!("Hello, {name}"));
    }
    let artifacts = fs::read_dir(host.dir.path().join("data/artifacts")).expect("a directory");
    assert_eq!(artifacts.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_of_functions_is_bounded() {
    let host = host().await;
    let source = "KEPT = []\ndef lambda_handler(event, context):\n    \
                  KEPT.append(bytearray(event['mib'] << 20))\n    return len(KEPT)\n";
    create(&host, "f", source, json!({"MemorySize": 128})).await;
    assert_eq!(call(&host, "f", json!({"mib": 40})).await, 1);
    let answer = host.invoke("f", &json!({"mib": 100})).await;
    assert_eq!(answer.header("x-amz-function-error"), "Unhandled");
    assert_eq!(
        answer.json()["errorType"],
        "MemoryError",
        "{}",
        answer.text()
    );
    // The exception was caught by the runtime, so the environment lives on.
    assert_eq!(call(&host, "f", json!({"mib": 1})).await, 2);
    let log = log_of(&host.invoke("f", &json!({"mib": 1})).await);
    assert!(log.contains("Memory Size: 128 MB"), "{log}");
}
