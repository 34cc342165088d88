//! `lamina` program beside other programs: pipes, signals, function references and errors.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use rustix::process::Signal;
use serde_json::json;

use crate::harness::{Lamina, guest, program, root, signal};

fn lamina(arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(arguments);
    for name in ["AWS_REGION", "LAMINA_ENDPOINT_URL", "LAMINA_LOG"] {
        command.env_remove(name);
    }
    command
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = lamina(arguments).output().expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_stdout_is_no_error() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    host.invoke("f", &json!({})).await;
    let endpoint = host.endpoint();
    for command in [&["logs", "f"][..], &["list"], &["invoke", "f"]] {
        let mut child = lamina(&[command, &["--endpoint-url", &endpoint]].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn function_reference_has_aws_forms() {
    let host = Lamina::start();
    let group = json!({"LoggingConfig": {"LogGroup": "elsewhere"}});
    host.create("f", &guest("echo"), group).await;
    let endpoint = host.endpoint();
    let lamina = |arguments: &[&str]| run(&[&["--endpoint-url", &endpoint], arguments].concat());
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
    for name in ["f", "f:$LATEST", arn, &format!("{arn}:$LATEST")] {
        let answered = lamina(&["invoke", name, "-d", "7"]);
        assert_eq!(answered, (Some(0), "7\n".into(), String::new()), "{name}");
        let (code, stderr, _) = lamina(&["logs", name]);
        assert_eq!((code, stderr.contains("REPORT")), (Some(0), true), "{name}");
    }
    let (code, _, stderr) = lamina(&["invoke", "f:g:h"]);
    assert_eq!(code, Some(2));
    assert!(
        stderr.contains("`f:g:h` is not a function name"),
        "{stderr}"
    );
    for what in ["logs", "invoke"] {
        let (code, _, stderr) = lamina(&[what, "nope"]);
        let expected = "error: ResourceNotFoundException: Function not found: \
                        arn:aws:lambda:us-east-1:000000000000:function:nope";
        assert_eq!(code, Some(3));
        assert!(stderr.starts_with(expected), "{stderr}");
    }
    host.create("quiet", &guest("echo"), json!({})).await;
    let (code, _, stderr) = lamina(&["logs", "quiet"]);
    assert_eq!(
        (code, stderr.as_str()),
        (Some(0), "quiet has no log events\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_of_deleted_function_are_readable() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    host.invoke("f", &json!({})).await;
    let path = "/2015-03-31/functions/f";
    let deleted = host.lambda("DELETE", path, &serde_json::Value::Null).await;
    assert_eq!(deleted.status, 204);
    let (code, stderr, note) = run(&["logs", "f", "--endpoint-url", &host.endpoint()]);
    assert_eq!(
        (code, note.as_str()),
        (Some(0), "the function has been deleted\n")
    );
    assert!(stderr.contains("REPORT"), "{stderr}");
}

#[test]
fn error_is_printed_once() {
    let host = Lamina::start();
    let address = host.address.to_string();
    let data = tempfile::tempdir().expect("a temporary directory");
    let data = data.path().to_str().expect("UTF-8");
    let (code, _, stderr) = run(&["start", "--listen", &address, "--data-dir", data]);
    let expected = format!(
        "error: cannot listen on {address}; choose another address with --listen: \
         Address already in use (os error 98)\n"
    );
    assert_eq!((code, stderr), (Some(3), expected));
    let (_, _, stderr) = run(&["start", "--config", "/no/such.toml"]);
    let expected = "error: /no/such.toml cannot be read: No such file or directory (os error 2)\n";
    assert_eq!(stderr, expected);
    let taken = host.dir.path().join("data");
    let taken = taken.to_str().expect("UTF-8");
    let (_, _, stderr) = run(&["start", "--listen", "127.0.0.1:0", "--data-dir", taken]);
    assert_eq!(
        stderr.matches("in use by another process").count(),
        1,
        "{stderr}"
    );
}

#[test]
fn option_of_other_command_is_refused() {
    for arguments in [
        &["start", "--region", "eu-west-1"][..],
        &["--region", "eu-west-1", "start"],
        &["dev", "--endpoint-url", "http://127.0.0.1:1"],
        &["--endpoint-url", "http://127.0.0.1:1", "dev"],
        &["new", "f", "--output", "json"],
        &["start", "--output", "json"],
        &["build", "--region", "eu-west-1"],
        &[
            "sign",
            "--endpoint-url",
            "x",
            "p",
            "--key",
            "k",
            "--profile",
            "a",
            "--out",
            "o",
        ],
    ] {
        let (code, _, stderr) = run(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {stderr}");
        let option = arguments
            .iter()
            .find(|it| it.starts_with("--"))
            .expect("one");
        assert!(stderr.contains(option), "{arguments:?}: {stderr}");
    }
    let (code, _, help) = run(&[]);
    assert_eq!(code, Some(2));
    assert!(help.contains("  start "), "{help}");
    assert!(!help.contains("compile-component"), "{help}");
}

#[test]
fn second_ctrl_c_exits_at_once() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = dir.path().to_str().expect("UTF-8");
    let mut child = lamina(&["start", "--listen", "127.0.0.1:0", "--data-dir", data])
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let stderr = child.stderr.take().expect("it was piped");
    let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
    let address = lines.find_map(|line| {
        let rest = line.split("http://").nth(1)?;
        rest.split(',').next().map(str::to_owned)
    });
    // An incomplete request keeps the host running.
    let address = address.expect("it answers");
    let mut held = std::net::TcpStream::connect(address).expect("it answers");
    let begun = b"POST /2015-03-31/functions HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\n{";
    std::io::Write::write_all(&mut held, begun).expect("it reads");
    signal(&child, Signal::INT);
    assert!(lines.any(|line| line.contains("exit at once")));
    signal(&child, Signal::INT);
    let status = child.wait().expect("it ends");
    // 0 if the host had not yet read the request.
    assert!(matches!(status.code(), Some(130 | 0)), "{status}");
}

#[test]
fn new_function_builds_outside_checkout() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("mine");
    let path = path.to_str().expect("UTF-8");
    let (code, _, stderr) = run(&["new", path, "--vendor"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stderr.contains("lamina-sdk is not on crates.io"),
        "{stderr}"
    );
    let manifest = dir.path().join("mine/Cargo.toml");
    let manifest = std::fs::read_to_string(manifest).expect("it was written");
    let repository = root().to_str().expect("UTF-8");
    assert!(!manifest.contains(repository), "{manifest}");
    // Locked dependencies of the examples, which are compiled already.
    let lock = root().join("examples/Cargo.lock");
    std::fs::copy(lock, dir.path().join("mine/Cargo.lock")).expect("it is copied");
    let output = lamina(&["build", path])
        .env("CARGO_TARGET_DIR", root().join("examples/target"))
        .output()
        .expect("the program runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    for name in ["1abc", "fn", "test", "serde"] {
        let path = dir.path().join(name);
        let (code, _, stderr) = run(&["new", path.to_str().expect("UTF-8")]);
        assert_eq!(code, Some(3), "{stderr}");
        assert!(!path.exists(), "{name}");
    }
}
