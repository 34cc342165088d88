//! Data directory: private, usable on a full disk, and never opened without its host key.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::collector::{Collector, SETTINGS};
use crate::harness::{Lamina, guest, program, zipped};

const FUNCTIONS: &str = "/2015-03-31/functions";

/// Modes of everything below a directory, without following links.
fn modes(dir: &Path, found: &mut Vec<(PathBuf, u32)>) {
    for entry in fs::read_dir(dir).expect("it can be read").flatten() {
        let seen = entry.metadata().expect("it is there");
        found.push((entry.path(), seen.permissions().mode() & 0o777));
        if seen.is_dir() {
            modes(&entry.path(), found);
        }
    }
}

#[tokio::test]
async fn data_directory_is_private_with_any_umask() {
    for umask in ["000", "022", "077"] {
        let host = Lamina::after(&format!("umask {umask}"), "");
        let more = json!({"Environment": {"Variables": {"AB": "1"}}});
        host.create("f", &guest("hostile"), more).await;
        // Leaves a warm environment with a file in `/tmp`, and a log.
        let write = json!({"do": "write", "path": "/tmp/secret", "bytes": 9});
        host.invoke("f", &write).await;
        let data = host.dir.path().join("data");
        let is_logged = || {
            let mut found = Vec::new();
            modes(&data.join("logs"), &mut found);
            found.iter().any(|(path, _)| path.ends_with("current"))
        };
        while !is_logged() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let mut found = Vec::new();
        modes(&data, &mut found);
        let own = fs::metadata(&data)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(own & 0o777, 0o700, "umask {umask}");
        // Files of guests and unpacked packages keep their own modes, inside private directories.
        let is_inner = |path: &Path| {
            let below = path.strip_prefix(&data).expect("below").components();
            let parts: Vec<_> = below.map(|it| it.as_os_str().to_owned()).collect();
            parts.len() > 2 && ["trees", "scratch"].contains(&parts[0].to_str().expect("a name"))
        };
        for (path, mode) in found.iter().filter(|(path, _)| !is_inner(path)) {
            assert_eq!(
                mode & 0o077,
                0,
                "umask {umask}: {} {mode:o}",
                path.display()
            );
        }
        assert!(found.len() > 12, "{found:?}");
    }
}

#[tokio::test]
async fn artifact_writable_by_others_is_recompiled() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    let dir = host.kill();
    let mut artifacts = Vec::new();
    modes(&dir.path().join("data/artifacts"), &mut artifacts);
    assert!(!artifacts.is_empty());
    for (path, _) in &artifacts {
        fs::write(path, "native code of another user").expect("it is written");
        fs::set_permissions(path, Permissions::from_mode(0o666)).expect("it is opened");
    }
    let host = Lamina::in_dir(dir, "");
    assert_eq!(
        host.invoke("f", &json!({"a": 1})).await.json(),
        json!({"a": 1})
    );
}

/// stderr of a refused start.
fn refused_start(dir: &Path) -> String {
    let mut command = Command::new(program());
    command.args(["start", "--listen", "127.0.0.1:0", "--data-dir"]);
    let output = command.arg(dir).output().expect("the program runs");
    assert_eq!(output.status.code(), Some(3));
    String::from_utf8(output.stderr).expect("UTF-8")
}

#[tokio::test]
async fn missing_host_key_stops_the_start() {
    let host = Lamina::start();
    let variables = json!({"Environment": {"Variables": {"AB": "1"}}});
    host.create("f", &guest("echo"), variables).await;
    let dir = host.kill();
    let data = dir.path().join("data");
    let (key, kept) = (data.join("host.key"), dir.path().join("kept"));
    fs::rename(&key, &kept).expect("it is moved");
    let told = refused_start(&data);
    for part in [
        "host.key is missing",
        "Put it back",
        "head -c 32 /dev/urandom",
    ] {
        assert!(told.contains(part), "{told}");
    }
    assert!(!key.exists(), "no key is made");
    fs::rename(&kept, &key).expect("it is moved");
    let host = Lamina::in_dir(dir, "");
    let path = format!("{FUNCTIONS}/f/configuration");
    let shown = host.lambda("GET", &path, &Value::Null).await.json();
    assert_eq!(shown["Environment"]["Variables"]["AB"], "1");
}

#[test]
fn readable_config_with_secrets_is_warned_of() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let config = dir.path().join("lamina.toml");
    let data = dir.path().join("data");
    let keys = "[[keys]]\naccess_key_id = \"a\"\nsecret_access_key = \"b\"\n";
    let told = |text: &str, mode: u32| {
        fs::write(&config, text).expect("it is written");
        fs::set_permissions(&config, Permissions::from_mode(mode)).expect("it is set");
        // This address cannot be bound, so the program exits.
        let mut command = Command::new(program());
        command.args(["start", "--listen", "192.0.2.1:1", "--config"]);
        let output = command.arg(&config).arg("--data-dir").arg(&data).output();
        String::from_utf8(output.expect("the program runs").stderr).expect("UTF-8")
    };
    let warning = "can be read by other users and has secrets";
    let open = told(keys, 0o644);
    assert!(
        open.contains(warning) && open.contains("chmod 600"),
        "{open}"
    );
    let s3 = "[s3]\naccess_key_id = \"a\"\nsecret_access_key = \"b\"\n";
    for (text, mode, warned) in [(keys, 0o600, false), ("", 0o644, false), (s3, 0o640, true)] {
        let told = told(text, mode);
        assert_eq!(told.contains(warning), warned, "{text} {mode:o}: {told}");
    }
}

/// Prints even if the test passes.
fn say(text: &str) {
    let mut stderr = std::io::stderr().lock();
    std::io::Write::write_all(&mut stderr, format!("{text}\n").as_bytes()).expect("it is open");
}

/// Small mounted disk, unmounted on drop.
struct Disk(TempDir);

impl Disk {
    /// `None`, with a message, if this process may not mount.
    fn of(mib: u32) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let size = format!("size={mib}m");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(dir.path());
        match mount.output() {
            Ok(output) if output.status.success() => Some(Self(dir)),
            told => {
                say(&format!(
                    "SKIPPED: a full disk cannot be tried without root and mount: {told:?}"
                ));
                None
            }
        }
    }

    fn dir(&self) -> TempDir {
        TempDir::new_in(self.0.path()).expect("a directory on the disk")
    }

    /// Fills the remaining space.
    fn fill(&self) {
        let path = self.0.path().join("filler");
        let file = fs::File::options().create(true).append(true).open(path);
        let mut file = file.expect("it is made");
        for size in [1 << 20, 4 << 10, 1] {
            while std::io::Write::write_all(&mut file, &vec![0; size]).is_ok() {}
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.0.path().join("filler")).expect("it is deleted");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount")
            .arg("--lazy")
            .arg(self.0.path())
            .status();
        // No assertion: a panic in drop would hide the test's own.
        if !unmounted.is_ok_and(|status| status.success()) {
            say(&format!("{} is still mounted", self.0.path().display()));
        }
    }
}

#[tokio::test]
async fn full_disk_lets_functions_run_and_be_deleted() {
    let Some(disk) = Disk::of(48) else { return };
    let host = Lamina::in_dir(disk.dir(), "");
    for (name, code) in [
        ("kept", "echo"),
        ("first", "http-hello"),
        ("second", "echo"),
    ] {
        host.create(name, &guest(code), json!({})).await;
    }
    disk.fill();
    let path = |name: &str| format!("{FUNCTIONS}/{name}");
    let event = json!({"n": 1});
    assert_eq!(host.invoke("kept", &event).await.json(), event);
    let more = json!({"Description": "x".repeat(250)});
    let refused = host
        .try_create("new", &zipped(&guest("hostile")), more)
        .await;
    let (name, text) = refused.error();
    assert_eq!(name, "ServiceException", "{text}");
    assert!(
        text.contains("the disk of the data directory is full"),
        "{text}"
    );
    let delete = async |host: &Lamina, name: &str| {
        let deleted = host.lambda("DELETE", &path(name), &Value::Null).await;
        assert_eq!(deleted.status, 204, "{}", deleted.text());
        let gone = host.lambda("GET", &path(name), &Value::Null).await;
        assert_eq!(gone.status, 404, "{}", gone.text());
    };
    delete(&host, "first").await;
    let packages = host.dir.path().join("data/packages");
    let count = || fs::read_dir(&packages).expect("it is there").count();
    for _ in 0..6_000 {
        if count() == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(
        count(),
        1,
        "the room of the deleted function is not given back"
    );
    disk.fill();
    // A change of a few bytes completes too.
    let changed = json!({"Timeout": 9});
    let change = host
        .lambda("PUT", &(path("kept") + "/configuration"), &changed)
        .await;
    assert_eq!(change.status, 200, "{}", change.text());
    assert_eq!(host.settled("kept").await["Timeout"], 9);
    let host = Lamina::in_dir(host.kill(), "");
    assert_eq!(host.invoke("kept", &event).await.json(), event);
    disk.fill();
    delete(&host, "second").await;
    disk.make_room();
    host.create("new", &guest("hostile"), json!({})).await;
}

#[tokio::test]
async fn full_disk_refuses_events_and_lets_queued_ones_end() {
    let Some(disk) = Disk::of(48) else { return };
    let collector = Collector::start().await;
    let host = Lamina::in_dir_with(disk.dir(), SETTINGS);
    host.create("f", &guest("hostile"), json!({"Timeout": 30}))
        .await;
    host.create("g", &guest("echo"), json!({})).await;
    // Its events are queued while this runs.
    let reserved = json!({"ReservedConcurrentExecutions": 1});
    let path = "/2017-10-31/functions/f/concurrency";
    assert_eq!(host.lambda("PUT", path, &reserved).await.status, 200);
    let busy = json!({"do": "sleep", "ms": 3_000});
    let queued = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        for number in 0..20 {
            let mut event = collector.event(&number.to_string());
            if number % 4 == 0 {
                event["padding"] = json!("x".repeat(20_000));
            }
            assert_eq!(host.send_event("f", &event).await.status, 202);
        }
        disk.fill();
        let files = host.dir.path().join("data/events");
        let count = || fs::read_dir(&files).expect("it is there").count();
        let before = count();
        for bytes in [10, 30_000] {
            let event = json!({"padding": "x".repeat(bytes)});
            let refused = host.send_event("g", &event).await;
            assert_eq!(refused.status, 503, "{}", refused.text());
            let (name, text) = refused.error();
            assert_eq!(name, "ServiceUnavailableException", "{text}");
            assert!(
                text.contains("the disk of the data directory is full"),
                "{text}"
            );
        }
        assert!(before > 0 && count() <= before, "{before} {}", count());
        assert_eq!(host.invoke("g", &json!({"n": 1})).await.status, 200);
    };
    let (_, ()) = tokio::join!(host.invoke("f", &busy), queued);
    host.until_no_events("f").await;
    let mut lines = collector.lines().clone();
    lines.sort_by_key(|line| line.parse::<u32>().expect("a number"));
    assert_eq!(lines, (0..20).map(|it| it.to_string()).collect::<Vec<_>>());
    assert_eq!(host.invoke("g", &json!({"n": 1})).await.status, 200);
    disk.make_room();
    assert_eq!(host.send_event("g", &json!({})).await.status, 202);
    host.until_no_events("g").await;
}
