//! `lamina` program as typed by users.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::harness::{Lamina, guest, program, root};

fn lamina(arguments: &[&str]) -> Output {
    let mut command = Command::new(program());
    command
        .args(arguments)
        .env_remove("AWS_REGION")
        .env_remove("LAMINA_ENDPOINT_URL");
    command.output().expect("the program runs")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn new_function_runs_in_one_command() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("mine");
    let path = path.to_str().expect("UTF-8");
    let made = lamina(&["new", path, "--blueprint", "command"]);
    assert!(made.status.success(), "{}", err(&made));
    let again = lamina(&["new", path]);
    assert_eq!(again.status.code(), Some(3));
    assert!(
        err(&again).contains("nothing was written"),
        "{}",
        err(&again)
    );
    let data = dir.path().join("data");
    let data = data.to_str().expect("UTF-8");
    let dev = [
        "dev",
        path,
        "--once",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        data,
    ];
    let ran = lamina(&dev);
    let text = out(&ran);
    assert!(ran.status.success(), "{}", err(&ran));
    for part in [
        "REPORT RequestId: ",
        "URL",
        "curl http://",
        "aws lambda invoke",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_drive_running_host() {
    let host = Lamina::start();
    host.create("f", &guest("hostile"), json!({})).await;
    let endpoint = host.endpoint();
    let lamina = |arguments: &[&str]| lamina(&[&["--endpoint-url", &endpoint], arguments].concat());
    let echoed = lamina(&["invoke", "f", "-d", r#"{"do":"echo"}"#]);
    assert_eq!(
        (echoed.status.code(), out(&echoed)),
        (Some(0), "{\"do\":\"echo\"}\n".into())
    );
    let failed = lamina(&["invoke", "f", "-d", r#"{"do":"trap"}"#, "--output", "json"]);
    assert_eq!(failed.status.code(), Some(1));
    let told: Value = serde_json::from_str(&out(&failed)).expect("JSON");
    assert_eq!(told["Payload"]["errorType"], "Runtime.ExitError");
    let listed = lamina(&["list"]);
    assert!(out(&listed).contains("provided.al2023"), "{}", out(&listed));
    let logs = lamina(&["logs", "f"]);
    assert!(out(&logs).contains("REPORT RequestId: "), "{}", out(&logs));
    let missing = lamina(&["invoke", "none"]);
    assert_eq!(missing.status.code(), Some(3));
    assert!(
        err(&missing).contains("Function not found"),
        "{}",
        err(&missing)
    );
}

#[test]
fn usage_error_has_remedy() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().to_str().expect("UTF-8");
    let cases: [(&[&str], i32, &str); 5] = [
        (
            &["list", "--endpoint-url", "http://127.0.0.1:1"],
            3,
            "lamina start",
        ),
        (&["build", path], 3, "lamina new"),
        (
            &["start", "--listen", "0.0.0.0:0", "--data-dir", path],
            3,
            "[[keys]]",
        ),
        (&["start", "--config", "/no/such.toml"], 3, "/no/such.toml"),
        (&["invoke"], 2, "Usage"),
    ];
    for (arguments, code, expected) in cases {
        let output = lamina(arguments);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {}",
            err(&output)
        );
        assert!(
            err(&output).contains(expected),
            "{arguments:?}: {}",
            err(&output)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn locked_or_newer_data_directory_is_refused() {
    let host = Lamina::start();
    let data = host.dir.path().join("data");
    let start = || {
        lamina(&[
            "start",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            data.to_str().expect("UTF-8"),
        ])
    };
    assert!(
        err(&start()).contains("in use by another process"),
        "{}",
        err(&start())
    );
    let _dir = host.kill();
    let data = _dir.path().join("data");
    let script =
        "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA user_version = 99')";
    let changed = Command::new("python3")
        .args(["-c", script])
        .arg(data.join("lamina.db"))
        .status();
    assert!(changed.expect("python runs").success());
    let refused = lamina(&[
        "start",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        data.to_str().expect("UTF-8"),
    ]);
    assert!(
        err(&refused).contains("schema version 99"),
        "{}",
        err(&refused)
    );
}

#[test]
fn help_lists_every_command() {
    let help = out(&lamina(&["--help"]));
    for command in [
        "start", "new", "build", "deploy", "dev", "invoke", "logs", "list",
    ] {
        assert!(
            help.lines()
                .any(|line| line.trim_start().starts_with(command)),
            "{help}"
        );
    }
    assert!(root().join("README.md").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn queue_command_shows_and_empties_a_queue() {
    let host = Lamina::start();
    host.create("f", &guest("hostile"), json!({})).await;
    let endpoint = host.endpoint();
    let queue = |arguments: &[&str]| {
        let client = ["--endpoint-url", &endpoint, "--output", "json"];
        let ran = lamina(&[&["queue"], arguments, &client].concat());
        assert!(ran.status.success(), "{}", err(&ran));
        serde_json::from_str::<Value>(&out(&ran)).expect("it is JSON")
    };
    assert_eq!(queue(&["list"]), json!([]));
    // Waits for a minute after its first attempt.
    let event = json!({"do": "fail", "type": "E", "message": "m"});
    let id = host.send_event("f", &event).await;
    let id = id.header("x-amzn-requestid");
    let mut shown = Value::Null;
    for _ in 0..200 {
        shown = queue(&["peek", "f"]);
        if shown[0]["Attempts"] == 1 {
            break;
        }
    }
    assert_eq!(shown[0]["RequestId"], id, "{shown}");
    assert_eq!(shown[0]["Payload"], event.to_string());
    assert_eq!(queue(&["peek", "f:$LATEST"]), json!([]));
    assert_eq!(queue(&["list"]), json!([{"Function": "f", "Events": 1}]));
    assert_eq!(queue(&["purge", "f"]), json!({"Deleted": 1}));
    assert_eq!(queue(&["list"]), json!([]));
}
