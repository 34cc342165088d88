//! `lamina backup` and `lamina restore`: copies of a running host, and copies that are refused.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Lamina, guest};
use crate::projects::{command, ran};

fn lamina(dir: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    ran(&mut command(dir, arguments))
}

/// A host with one function, and a backup of it named `copy`.
async fn backed_up() -> (Lamina, TempDir) {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = host.dir.path().join("data");
    let data = data.to_str().expect("UTF-8");
    let (code, _, notes) = lamina(dir.path(), &["backup", "copy", "--data-dir", data]);
    assert_eq!((code, notes.as_str()), (Some(0), ""));
    (host, dir)
}

/// Files below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("it is there");
    let paths = entries.map(|it| it.expect("it is read").path());
    let files = paths.flat_map(|path| match path.is_dir() {
        true => files(&path),
        false => vec![path],
    });
    files.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_inside_the_data_directory_is_refused() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    let before = files(host.dir.path()).len();
    for target in ["data/copy", "data/logs/copy", "data"] {
        let backup = ["backup", target, "--data-dir", "data"];
        let (code, _, notes) = lamina(host.dir.path(), &backup);
        assert_eq!(code, Some(3), "{target}");
        assert!(notes.contains("is inside the directory data"), "{notes}");
    }
    assert_eq!(files(host.dir.path()).len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_has_content_of_the_host_only() {
    let (host, _) = backed_up().await;
    let data = host.dir.path().join("data");
    for name in ["test/lamina.db", "notes/mine"] {
        let path = data.join(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("it is made");
        fs::write(path, "x").expect("it is written");
    }
    let backup = ["backup", "copy", "--data-dir", "data"];
    let (code, _, notes) = lamina(host.dir.path(), &backup);
    assert_eq!(code, Some(0));
    assert_eq!(notes, "notes is not of the host and was not copied\n");
    let copy = host.dir.path().join("copy");
    assert!(!copy.join("test").exists() && !copy.join("notes").exists());
    assert!(copy.join("host.key").is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_with_missing_content_is_refused() {
    let (_host, dir) = backed_up().await;
    let copy = dir.path().join("copy");
    let one = |part: &str| {
        let found = files(&copy.join(part));
        found.into_iter().next().expect("a file")
    };
    for path in [one("trees"), one("packages"), copy.join("host.key")] {
        let aside = dir.path().join("aside");
        fs::rename(&path, &aside).expect("it is moved");
        let restore = ["restore", "copy", "--data-dir", "data"];
        let (code, _, notes) = lamina(dir.path(), &restore);
        assert_eq!(code, Some(3), "{path:?}");
        assert!(notes.contains("is missing"), "{notes}");
        assert!(!dir.path().join("data").exists());
        fs::rename(&aside, &path).expect("it is moved back");
    }
    let (code, _, notes) = lamina(dir.path(), &["restore", "copy", "--data-dir", "data"]);
    assert_eq!(code, Some(0), "{notes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_restore_does_not_start() {
    let (_host, dir) = backed_up().await;
    fs::remove_file(dir.path().join("copy/lamina.db")).expect("it is deleted");
    let start = ["start", "--data-dir", "copy", "--listen", "127.0.0.1:0"];
    let (code, _, notes) = lamina(dir.path(), &start);
    assert_eq!(code, Some(3));
    assert!(notes.contains("has no lamina.db"), "{notes}");
    fs::create_dir(dir.path().join("other")).expect("it is made");
    fs::write(dir.path().join("other/passwd"), "x").expect("it is written");
    let start = ["start", "--data-dir", "other", "--listen", "127.0.0.1:0"];
    let (code, _, notes) = lamina(dir.path(), &start);
    assert_eq!(code, Some(3));
    assert!(notes.contains("is no data directory"), "{notes}");
    assert_eq!(files(&dir.path().join("other")).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_of_a_running_host_is_restored() {
    let host = Lamina::start();
    let more = json!({"Environment": {"Variables": {"KEY": "kept"}}});
    host.create("f", &guest("hostile"), more).await;
    // Waits for a minute after its first attempt; the body is a file.
    let event = json!({"do": "fail", "type": "E", "message": "m".repeat(40_000)});
    assert_eq!(host.send_event("f", &event).await.status, 202);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = host.dir.path().join("data");
    let data = data.to_str().expect("UTF-8");
    let (code, _, notes) = lamina(dir.path(), &["backup", "copy", "--data-dir", data]);
    assert_eq!(code, Some(0), "{notes}");
    let (code, _, notes) = lamina(dir.path(), &["backup", "copy", "--data-dir", data]);
    assert_eq!(code, Some(3));
    assert!(notes.contains("copy exists"), "{notes}");
    let path = "/2015-03-31/functions/f";
    assert_eq!(host.lambda("DELETE", path, &Value::Null).await.status, 204);
    drop(host);
    let (code, _, notes) = lamina(dir.path(), &["restore", "copy", "--data-dir", "data"]);
    assert_eq!(code, Some(0), "{notes}");
    let (code, _, notes) = lamina(dir.path(), &["restore", "copy", "--data-dir", "data"]);
    assert_eq!(code, Some(3));
    assert!(notes.contains("data is not empty"), "{notes}");
    let host = Lamina::in_dir(dir, "");
    let answer = host
        .invoke("f", &json!({"do": "variable", "name": "KEY"}))
        .await;
    assert_eq!(answer.text(), "\"kept\"");
    let queues = host.send("GET", "/_lamina/queues", &[], "").await.json();
    assert_eq!(queues["Queues"], json!([{"Function": "f", "Events": 1}]));
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_or_unfinished_backup_is_refused() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = host.dir.path().join("data");
    let data = data.to_str().expect("UTF-8");
    let (code, _, notes) = lamina(dir.path(), &["backup", "copy", "--data-dir", data]);
    assert_eq!(code, Some(0), "{notes}");
    let packages = std::fs::read_dir(dir.path().join("copy/packages")).expect("it is there");
    let package = packages.filter_map(Result::ok).next().expect("one").path();
    let whole = std::fs::read(&package).expect("it is read");
    std::fs::remove_file(&package).expect("it is deleted");
    std::fs::write(&package, &whole[1..]).expect("it is written");
    let restore = ["restore", "copy", "--data-dir", "data"];
    let (code, _, notes) = lamina(dir.path(), &restore);
    assert_eq!(code, Some(3));
    assert!(notes.contains("is damaged"), "{notes}");
    std::fs::remove_file(dir.path().join("copy/backup.json")).expect("it is deleted");
    let (code, _, notes) = lamina(dir.path(), &restore);
    assert_eq!(code, Some(3));
    assert!(notes.contains("is not a whole backup"), "{notes}");
    assert!(!dir.path().join("data").exists());
    let (_, _, notes) = lamina(dir.path(), &["backup", "other", "--data-dir", "none"]);
    assert!(notes.contains("not a data directory"), "{notes}");
}
