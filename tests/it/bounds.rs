//! Limits that take long to reach or apply to other processes.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::harness::{Lamina, guest, program};

/// The first initialization is independent of the function's own timeout, the second within it.
#[tokio::test]
async fn init_over_ten_seconds_times_out() {
    let host = Lamina::start();
    for (name, init) in [("within", "sleep:9000"), ("beyond", "sleep:12000")] {
        let more = json!({"Timeout": 1, "Environment": {"Variables": {"INIT": init}}});
        host.create(name, &guest("hostile"), more).await;
    }
    let event = json!({"do": "echo"});
    let (within, beyond) =
        tokio::join!(host.invoke("within", &event), host.invoke("beyond", &event));
    assert_eq!(
        within.header("x-amz-function-error"),
        "",
        "{}",
        within.text()
    );
    let beyond = beyond.json();
    assert_eq!(beyond["errorType"], "Sandbox.Timedout", "{beyond}");
    let text = beyond["errorMessage"].as_str().unwrap_or_default();
    assert!(
        text.ends_with("Task timed out after 1.00 seconds"),
        "{text}"
    );
}

#[test]
fn compiler_process_is_limited() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    // The child blocks on this FIFO after it has set its limits.
    let component = dir.path().join("component");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &component, kind, mode, 0).expect("it is made");
    let mut child = Command::new(program())
        .arg("compile-component")
        .arg(&component)
        .arg(dir.path().join("artifact"))
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts");
    let path = format!("/proc/{}/limits", child.id());
    let limits = || {
        let text = std::fs::read_to_string(&path).expect("it runs");
        let limit = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let words = line.expect("it is listed").split_whitespace();
            words.take(2).collect::<Vec<_>>().join(" ")
        };
        ["Max cpu time", "Max address space", "Max core file size"].map(limit)
    };
    // Limits are set in this order.
    let is_limited = (0..1_000_000).any(|_| limits()[2] == "0 0");
    assert!(is_limited, "{:?}", limits());
    let found = limits();
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
    assert_eq!(found, ["120 120", "4294967296 4294967296", "0 0"]);
}
