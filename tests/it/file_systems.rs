//! File systems: access points of `lamina.toml` that functions mount below `/mnt`.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};

use crate::clients::{client, json_of};
use crate::harness::{ApiResponse, Lamina, example, guest, zipped};

const EFS: &str =
    "arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/fsap-0123456789abcdef0";
const OTHER: &str =
    "arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/fsap-0123456789abcdef1";
const S3: &str = "arn:aws:s3files:us-east-1:000000000000:file-system/fs-0123456789abcdef0\
                  /access-point/fsap-0123456789abcdef0";

/// Operations on one access point at once.
const THREADS: usize = 16;

/// A pipe, whose opening waits for a writer: what a mount that hangs looks like.
fn make_pipe(path: &Path) {
    let mode = Mode::RUSR | Mode::WUSR;
    mknodat(CWD, path, FileType::Fifo, mode, 0).expect("it is made");
}

/// An access point of `lamina.toml`.
fn access_point(arn: &str, directory: &Path, more: &str) -> String {
    format!(
        "[[file_systems]]\narn = \"{arn}\"\ndirectory = \"{}\"\n{more}\n",
        directory.display()
    )
}

fn mounting(arn: &str) -> Value {
    json!({
        "Timeout": 60,
        "FileSystemConfigs": [{"Arn": arn, "LocalMountPath": "/mnt/data"}],
    })
}

/// A host with one access point, and a function that mounts it.
async fn mounted(directory: &Path, more: &str) -> Lamina {
    let host = Lamina::with(&access_point(EFS, directory, more), "settle_millis = 20");
    host.create("f", &guest("hostile"), mounting(EFS)).await;
    host
}

/// Result of an action of the function, or its error.
fn done(answer: &ApiResponse) -> Result<Value, String> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    match answer.header("x-amz-function-error") {
        "" => Ok(answer.json()),
        _ => Err(answer.json()["errorMessage"].to_string()),
    }
}

async fn act(host: &Lamina, event: Value) -> Result<Value, String> {
    done(&host.invoke("f", &event).await)
}

#[tokio::test]
async fn mounted_file_survives_environments_and_restarts() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let host = mounted(data.path(), "root = \"/made/here\"").await;
    let append = json!({"do": "append", "path": "/mnt/data/log", "line": "one", "times": 1});
    act(&host, append.clone()).await.expect("it is written");
    let _ = host.invoke("f", &json!({"do": "trap"})).await;
    act(&host, append.clone()).await.expect("it is written");
    let settings = access_point(EFS, data.path(), "root = \"/made/here\"");
    let host = Lamina::again(host.kill(), &settings, "");
    act(&host, append).await.expect("it is written");
    let read = act(&host, json!({"do": "read", "path": "/mnt/data/log"})).await;
    assert_eq!(read.expect("it is read"), "one\none\none\n");
    let file = data.path().join("made/here/log");
    assert_eq!(
        fs::read_to_string(file).expect("it is there"),
        "one\none\none\n"
    );
    let listed = act(&host, json!({"do": "list", "path": "/mnt/data"})).await;
    assert_eq!(listed, Ok(json!(["log"])));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_environments_append_without_loss() {
    const LINES: u64 = 50;
    for quota in ["", "quota_bytes = 1000000"] {
        let data = tempfile::tempdir().expect("a temporary directory");
        let host = Arc::new(mounted(data.path(), quota).await);
        let calls = (0..4).map(|writer| {
            let host = Arc::clone(&host);
            let line = writer.to_string().repeat(100);
            let append =
                json!({"do": "append", "path": "/mnt/data/log", "line": line, "times": LINES});
            tokio::spawn(async move { act(&host, append).await })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.expect("it ends").expect("it is written");
        }
        let text = fs::read_to_string(data.path().join("log")).expect("it is there");
        for writer in 0..4 {
            let line = writer.to_string().repeat(100);
            let lines = text.lines().filter(|it| *it == line).count();
            assert_eq!(lines as u64, LINES, "of {writer} with {quota:?}");
        }
    }
}

#[tokio::test]
async fn link_out_of_the_mount_is_refused() {
    let outside = tempfile::tempdir().expect("a temporary directory");
    fs::write(outside.path().join("secret"), "secret").expect("it is written");
    let data = tempfile::tempdir().expect("a temporary directory");
    symlink(outside.path().join("secret"), data.path().join("absolute")).expect("it is made");
    let relative = Path::new("..").join(outside.path().file_name().expect("a name"));
    symlink(relative.join("secret"), data.path().join("relative")).expect("it is made");
    symlink(outside.path(), data.path().join("directory")).expect("it is made");
    let host = mounted(data.path(), "").await;
    for path in ["absolute", "relative", "directory/secret", "../secret"] {
        let read = json!({"do": "read", "path": format!("/mnt/data/{path}")});
        assert!(act(&host, read).await.is_err(), "{path}");
        let write = json!({"do": "write", "path": format!("/mnt/data/{path}"), "bytes": 1});
        assert!(act(&host, write).await.is_err(), "{path}");
    }
    let link = json!({"do": "symlink", "target": "/etc/passwd", "path": "/mnt/data/mine"});
    let _ = act(&host, link).await;
    let read = act(&host, json!({"do": "read", "path": "/mnt/data/mine"})).await;
    assert!(read.is_err(), "{read:?}");
    // The system calls this EXDEV.
    act(&host, json!({"do": "write", "path": "/tmp/f", "bytes": 1}))
        .await
        .expect("it is written");
    for act_of in ["rename", "link"] {
        let across = json!({"do": act_of, "from": "/tmp/f", "to": "/mnt/data/f"});
        let refused = act(&host, across).await.expect_err("it is refused");
        assert!(
            refused.contains("Cross-device") || refused.contains("os error 75"),
            "{refused}"
        );
    }
    let secret = fs::read_to_string(outside.path().join("secret")).expect("it is there");
    assert_eq!(secret, "secret");
}

#[tokio::test]
async fn read_only_mount_refuses_changes() {
    let data = tempfile::tempdir().expect("a temporary directory");
    fs::write(data.path().join("model"), "weights").expect("it is written");
    let host = mounted(data.path(), "read_only = true").await;
    let read = act(&host, json!({"do": "read", "path": "/mnt/data/model"})).await;
    assert_eq!(read, Ok(json!("weights")));
    for change in [
        json!({"do": "write", "path": "/mnt/data/model", "bytes": 1}),
        json!({"do": "append", "path": "/mnt/data/new", "line": "x", "times": 1}),
        json!({"do": "remove", "path": "/mnt/data/model"}),
        json!({"do": "make-directory", "path": "/mnt/data/directory"}),
        json!({"do": "rename", "from": "/mnt/data/model", "to": "/mnt/data/other"}),
        json!({"do": "link", "from": "/mnt/data/model", "to": "/mnt/data/other"}),
        json!({"do": "symlink", "target": "model", "path": "/mnt/data/other"}),
    ] {
        assert!(act(&host, change.clone()).await.is_err(), "{change}");
    }
    let model = fs::read_to_string(data.path().join("model")).expect("it is there");
    assert_eq!(model, "weights");
    assert_eq!(fs::read_dir(data.path()).expect("it is there").count(), 1);
}

#[tokio::test]
async fn quota_of_bytes_is_exact_and_survives_restart() {
    const QUOTA: u64 = 16 * 4_096;
    let data = tempfile::tempdir().expect("a temporary directory");
    let quota = format!("quota_bytes = {QUOTA}");
    let host = mounted(data.path(), &quota).await;
    act(
        &host,
        json!({"do": "sparse", "path": "/mnt/data/first", "bytes": 4_096}),
    )
    .await
    .expect("it fits");
    let filled = act(&host, json!({"do": "fill", "path": "/mnt/data/second"})).await;
    assert_eq!(filled.expect("it ends")["bytes"], QUOTA - 4_096);
    let host = Lamina::again(host.kill(), &access_point(EFS, data.path(), &quota), "");
    let more = json!({"do": "write", "path": "/mnt/data/third", "bytes": 1});
    assert!(act(&host, more.clone()).await.is_err(), "it is full");
    act(&host, json!({"do": "remove", "path": "/mnt/data/first"}))
        .await
        .expect("it is removed");
    act(&host, more).await.expect("there is space");
    let grown = act(
        &host,
        json!({"do": "sparse", "path": "/mnt/data/third", "bytes": 4_097}),
    )
    .await;
    assert!(grown.is_err(), "{grown:?}");
}

#[tokio::test]
async fn quota_of_files_counts_directories_and_links() {
    let data = tempfile::tempdir().expect("a temporary directory");
    fs::write(data.path().join("there"), "").expect("it is written");
    let host = mounted(data.path(), "quota_files = 10").await;
    for made in [
        json!({"do": "make-directory", "path": "/mnt/data/directory"}),
        json!({"do": "symlink", "target": "there", "path": "/mnt/data/symbolic"}),
        json!({"do": "link", "from": "/mnt/data/there", "to": "/mnt/data/hard"}),
    ] {
        act(&host, made).await.expect("it is made");
    }
    let names = json!({"do": "names", "dir": "/mnt/data/directory"});
    let made = act(&host, names.clone()).await.expect("it ends");
    assert_eq!(made["made"], 6, "{made}");
    act(&host, json!({"do": "remove", "path": "/mnt/data/hard"}))
        .await
        .expect("it is removed");
    let directory = json!({"do": "make-directory", "path": "/mnt/data/again"});
    act(&host, directory.clone()).await.expect("there is space");
    let restarted = access_point(EFS, data.path(), "quota_files = 10");
    let host = Lamina::again(host.kill(), &restarted, "");
    assert!(act(&host, directory).await.is_err(), "it is full");
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_mount_stalls_only_its_functions() {
    let (stalled, healthy) = (
        tempfile::tempdir().expect("a temporary directory"),
        tempfile::tempdir().expect("a temporary directory"),
    );
    let pipe = stalled.path().join("pipe");
    make_pipe(&pipe);
    let settings = access_point(EFS, stalled.path(), "") + &access_point(OTHER, healthy.path(), "");
    let host = Arc::new(Lamina::with(&settings, "settle_millis = 20"));
    host.create("f", &guest("hostile"), mounting(EFS)).await;
    host.create("other", &guest("hostile"), mounting(OTHER))
        .await;
    host.create("none", &guest("hostile"), json!({})).await;
    // Opening the pipe waits for a writer.
    let stalled_calls: Vec<_> = (0..2 * THREADS)
        .map(|_| {
            let host = Arc::clone(&host);
            let read = json!({"do": "read", "path": "/mnt/data/pipe"});
            tokio::spawn(async move { host.invoke("f", &read).await })
        })
        .collect();
    // The root cannot be opened once all threads are taken.
    let mut number = 0;
    let late = loop {
        number += 1;
        let name = format!("late-{number}");
        host.create(&name, &guest("hostile"), mounting(EFS)).await;
        let answer = host.invoke(&name, &json!({"do": "echo"})).await;
        if answer.status != 200 {
            break answer;
        }
    };
    let (name, message) = late.error();
    assert_eq!(
        (late.status.as_u16(), name.as_str()),
        (408, "EFSMountTimeoutException")
    );
    assert!(message.contains(EFS), "{message}");
    for _ in 0..20 {
        let write = json!({"do": "write", "path": "/mnt/data/f", "bytes": 100_000});
        let answer = host.invoke("other", &write).await;
        assert_eq!(done(&answer), Ok(json!(100_000)));
        let answer = host
            .invoke(
                "none",
                &json!({"do": "write", "path": "/tmp/f", "bytes": 9}),
            )
            .await;
        assert_eq!(done(&answer), Ok(json!(9)));
        host.health().await;
    }
    let waiting = stalled_calls.iter().filter(|it| !it.is_finished()).count();
    assert!(waiting >= THREADS, "{waiting} wait for a writer");
    while stalled_calls.iter().any(|it| !it.is_finished()) {
        // The opening of those that wait succeeds.
        drop(
            File::options()
                .read(true)
                .write(true)
                .open(&pipe)
                .expect("it is opened"),
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for call in stalled_calls {
        let answer = call.await.expect("it ends");
        match answer.status.as_u16() {
            // Its environment came when all threads were taken.
            408 => assert_eq!(answer.error().0, "EFSMountTimeoutException"),
            // A pipe cannot be read at an offset.
            _ => assert!(done(&answer).is_err(), "{}", answer.text()),
        }
    }
}

#[tokio::test]
async fn host_ends_despite_a_stalled_mount() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let pipe = data.path().join("pipe");
    make_pipe(&pipe);
    let mut host = mounted(data.path(), "").await;
    let update = json!({"Timeout": 1});
    let path = "/2015-03-31/functions/f/configuration";
    assert_eq!(host.lambda("PUT", path, &update).await.status, 200);
    host.settled("f").await;
    let read = json!({"do": "read", "path": "/mnt/data/pipe"});
    let timed_out = act(&host, read).await.expect_err("it times out");
    assert!(
        timed_out.contains("timed out after 1.00 seconds"),
        "{timed_out}"
    );
    let answer = act(&host, json!({"do": "list", "path": "/mnt/data"})).await;
    assert_eq!(answer, Ok(json!(["pipe"])), "a thread is left");
    host.signal(rustix::process::Signal::TERM);
    assert!(host.ended().success());
}

#[tokio::test]
async fn file_system_that_cannot_be_mounted_has_the_error_of_aws() {
    let data = tempfile::tempdir().expect("a temporary directory");
    fs::create_dir(data.path().join("directory")).expect("it is made");
    symlink("/", data.path().join("directory/out")).expect("it is made");
    let settings = access_point(EFS, &data.path().join("directory"), "root = \"/out\"")
        + &access_point(S3, &data.path().join("missing"), "");
    let host = Lamina::with(&settings, "settle_millis = 20");
    for (arn, expected) in [
        (EFS, "EFSMountFailureException"),
        (OTHER, "EFSMountFailureException"),
        (S3, "S3FilesMountFailureException"),
    ] {
        let name = format!("f-{}", &arn[arn.len() - 4..]);
        let name = format!("{name}-{}", arn.len());
        host.create(&name, &guest("hostile"), mounting(arn)).await;
        let answer = host.invoke(&name, &json!({"do": "echo"})).await;
        let (error, message) = answer.error();
        assert_eq!(
            (answer.status.as_u16(), error.as_str()),
            (403, expected),
            "{message}"
        );
        assert!(message.contains(arn), "{message}");
        assert_eq!(message.contains("lamina.toml"), arn == OTHER, "{message}");
    }
    fs::create_dir(data.path().join("missing")).expect("it is made");
    let answer = host
        .invoke(&format!("f-def0-{}", S3.len()), &json!({"do": "echo"}))
        .await;
    assert!(done(&answer).is_ok(), "the directory is there now");
}

#[tokio::test]
async fn mount_path_outside_mnt_is_refused() {
    let host = Lamina::start();
    for (path, expected) in [
        ("/data", "ValidationException"),
        ("/mnt/a/b", "ValidationException"),
        ("/mnt/..", "InvalidParameterValueException"),
    ] {
        let systems = json!({"FileSystemConfigs": [{"Arn": EFS, "LocalMountPath": path}]});
        let refused = host.try_create("f", &zipped(&guest("echo")), systems).await;
        let (error, message) = refused.error();
        assert_eq!(
            (refused.status.as_u16(), error.as_str()),
            (400, expected),
            "{message}"
        );
        assert!(message.contains("/mnt"), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn aws_cli_mounts_the_files_example() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let host = Lamina::with(&access_point(EFS, data.path(), ""), "settle_millis = 20");
    let package = data.path().join("package.zip");
    fs::write(&package, zipped(&example("files"))).expect("it is written");
    let lambda = |arguments: &[&str]| {
        let mut command = client("venv/bin/aws", &host);
        command.arg("lambda").args(arguments);
        json_of(&mut command)
    };
    let config = format!("Arn={EFS},LocalMountPath=/mnt/books");
    let zip = format!("fileb://{}", package.display());
    let role = "arn:aws:iam::000000000000:role/r";
    let made = lambda(&[
        "create-function",
        "--function-name",
        "files",
        "--runtime",
        "provided.al2023",
        "--handler",
        "bootstrap",
        "--role",
        role,
        "--zip-file",
        &zip,
        "--file-system-configs",
        &config,
    ]);
    let shown = json!([{"Arn": EFS, "LocalMountPath": "/mnt/books"}]);
    assert_eq!(made["FileSystemConfigs"], shown);
    host.settled("files").await;
    let entry = json!({"book": "guests", "line": "Ada was here"});
    for lines in 1..=3 {
        assert_eq!(done(&host.invoke("files", &entry).await), Ok(json!(lines)));
    }
    let book = fs::read_to_string(data.path().join("guests")).expect("it is there");
    assert_eq!(book, "Ada was here\n".repeat(3));
    lambda(&[
        "update-function-configuration",
        "--function-name",
        "files",
        "--file-system-configs",
        "[]",
    ]);
    host.settled("files").await;
    assert!(
        done(&host.invoke("files", &entry).await).is_err(),
        "nothing is mounted"
    );
}
