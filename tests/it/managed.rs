//! Managed runtimes of tests: built by `tests/run`, installed and compiled once for all tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Lamina, log_of, program, root};

/// Runtime that `tests/run` has built. Tests fail without it and say so.
pub(crate) fn bundle(name: &str) -> PathBuf {
    let bundle = root().join(format!(".tools/runtimes/{name}.zip"));
    assert!(
        bundle.exists(),
        "{} is missing: run tests/run",
        bundle.display()
    );
    bundle
}

/// Runs `lamina runtime` on a data directory.
pub(crate) fn command(arguments: &[&str], data_dir: &Path) -> (Option<i32>, String, String) {
    let mut command = Command::new(program());
    command.arg("runtime").args(arguments);
    let output = command.arg("--data-dir").arg(data_dir).output();
    let output = output.expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// Data directory with the files of a runtime under more names: to compile it takes a core ten seconds.
pub(crate) fn seeded(seed: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for name in ["runtimes", "artifacts"] {
        link(&seed.join(name), &dir.path().join("data").join(name));
    }
    dir
}

/// Installed runtime, compiled by this program's engine for a first function; kept between runs of the tests.
pub(crate) async fn seed(name: &str, package: &[u8], members: Value) -> PathBuf {
    let seed = root().join("target/seeds").join(name);
    fs::create_dir_all(seed.join("artifacts")).expect("a directory");
    let bundle = bundle(name);
    let bundle = bundle.to_str().expect("UTF-8");
    let (code, _, stderr) = command(&["install", name, "--from", bundle], &seed);
    assert_eq!(code, Some(0), "{stderr}");
    let host = Lamina::in_dir(seeded(&seed), "");
    let made = host.try_create("f", package, members).await;
    assert_eq!(made.status, 201, "{}", made.text());
    host.settled("f").await;
    // An artifact of another engine is of no use, and the host has deleted its own name of it.
    fs::remove_dir_all(seed.join("artifacts")).expect("it is there");
    let compiled = host.dir.path().join("data/artifacts");
    link(&compiled, &seed.join("artifacts"));
    seed
}

/// Creates a function with `members`, of which `more` replaces some, and waits until it is active.
pub(crate) async fn create(
    host: &Lamina,
    name: &str,
    package: &[u8],
    mut members: Value,
    more: Value,
) {
    members["MemorySize"] = json!(256);
    members["Timeout"] = json!(60);
    for (key, value) in more.as_object().into_iter().flatten() {
        members[key] = value.clone();
    }
    let made = host.try_create(name, package, members).await;
    assert_eq!(made.status, 201, "{}", made.text());
    host.settled(name).await;
}

/// Invokes a function that must not fail.
pub(crate) async fn call(host: &Lamina, name: &str, event: Value) -> Value {
    let answer = host.invoke(name, &event).await;
    let is_failed = !answer.header("x-amz-function-error").is_empty();
    assert!(!is_failed, "{} {}", answer.text(), log_of(&answer));
    answer.json()
}

fn link(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            link(&path, &target);
        } else if fs::hard_link(&path, &target).is_err() {
            fs::copy(&path, &target).expect("it is copied");
        }
    }
}
