//! `lamina dev` during edits: every edit is deployed, and nothing else triggers a build.

use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{program, signal};

/// Function that responds with a dependency's text. Its build waits for a file `go`.
struct Crate {
    dir: tempfile::TempDir,
}

impl Crate {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let made = Self { dir };
        let package = |name: &str, more: &str| {
            format!(
                "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{more}\n[workspace]\n"
            )
        };
        let dependency = "[dependencies]\nsaying = { path = \"../saying\" }\n";
        made.write("f/Cargo.toml", &package("f", dependency));
        made.write(
            "f/src/main.rs",
            "fn main() { println!(\"\\\"{}\\\"\", saying::TEXT); }",
        );
        let wait = "while !std::path::Path::new(\"go\").exists() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }";
        let build = "println!(\"cargo::rerun-if-changed=build.rs\");";
        made.write("f/build.rs", &format!("fn main() {{ {build} {wait} }}"));
        made.write("saying/Cargo.toml", &package("saying", ""));
        made.say("one");
        made
    }

    fn say(&self, text: &str) {
        let source = format!("pub const TEXT: &str = \"{text}\";");
        self.write("saying/src/lib.rs", &source);
    }

    fn function(&self) -> PathBuf {
        self.dir.path().join("f")
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().expect("it is in the crate")).expect("it is made");
        std::fs::write(path, text).expect("it is written");
    }

    /// Waits until the dependency is compiled.
    fn dependency_is_built(&self) {
        let deps = self.function().join("target/wasm32-wasip2/release/deps");
        let is_built = || {
            let entries = std::fs::read_dir(&deps).into_iter().flatten();
            let names = entries.filter_map(|it| it.ok()?.file_name().into_string().ok());
            let mut names = names.filter(|it| it.starts_with("libsaying-"));
            names.any(|it| it.ends_with(".rlib"))
        };
        while !is_built() {
            std::thread::yield_now();
        }
    }
}

struct Dev {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    notes: Receiver<String>,
    noted: Vec<String>,
}

impl Dev {
    fn start(dir: &Path) -> Self {
        let mut child = Command::new(program())
            .args(["dev", "--listen", "127.0.0.1:0", "--data-dir", "./data"])
            .current_dir(dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stdout = BufReader::new(child.stdout.take().expect("it was piped")).lines();
        let stderr = BufReader::new(child.stderr.take().expect("it was piped")).lines();
        let (note, notes) = channel();
        std::thread::spawn(move || {
            let mut lines = stderr.map_while(Result::ok);
            lines.try_for_each(|line| note.send(line))
        });
        Self {
            child,
            stdout,
            notes,
            noted: Vec::new(),
        }
    }

    /// Waits for a note on stderr.
    fn noted(&mut self, wanted: &str) {
        loop {
            let line = self.notes.recv_timeout(Duration::from_secs(120));
            self.noted.push(line.expect("something is said"));
            if self.noted.last().is_some_and(|line| line.contains(wanted)) {
                return;
            }
        }
    }

    /// Waits for a line on stdout.
    fn until(&mut self, wanted: &str) {
        let mut lines = self.stdout.by_ref().map_while(Result::ok);
        assert!(lines.any(|line| line == wanted), "{wanted} did not come");
    }

    /// Stops the program like Ctrl-C; returns its stderr.
    fn stop(mut self) -> Vec<String> {
        signal(&self.child, Signal::INT);
        assert!(self.child.wait().expect("it ends").success());
        self.noted.extend(self.notes.iter());
        self.noted
    }
}

#[test]
fn edit_is_deployed_once() {
    let made = Crate::new();
    let mut dev = Dev::start(&made.function());
    // During the first build, after it has compiled the dependency.
    made.dependency_is_built();
    made.say("two");
    made.write("f/go", "");
    dev.until("\"one\"");
    dev.until("\"two\"");
    // The host has written its data into the crate by now, and cargo its target.
    made.say("three");
    dev.until("\"three\"");
    let notes = dev.stop();
    let builds = notes.iter().filter(|it| it.contains("Building f")).count();
    assert!((2..=3).contains(&builds), "{notes:#?}");
}

#[test]
fn failed_first_build_is_retried() {
    let made = Crate::new();
    made.write("f/go", "");
    made.write("f/src/main.rs", "fn main() { this is no Rust }");
    let mut dev = Dev::start(&made.function());
    dev.noted("waiting for a change");
    made.write(
        "f/src/main.rs",
        "fn main() { println!(\"\\\"mended\\\"\"); }",
    );
    dev.until("\"mended\"");
    let notes = dev.stop();
    assert!(
        notes.iter().any(|it| it.starts_with("error:")),
        "{notes:#?}"
    );
}

#[test]
fn configured_host_signs_with_own_key() {
    let made = Crate::new();
    made.write("f/go", "");
    let keys = "region = \"eu-west-1\"\n[[keys]]\naccess_key_id = \"mine\"\nsecret_access_key = \"it's\"\n";
    made.write("f/lamina.toml", keys);
    let mut command = Command::new(program());
    command
        .args(["dev", "--once", "--listen", "127.0.0.1:0"])
        .args(["--config", "lamina.toml"])
        .current_dir(made.function())
        .env("AWS_REGION", "us-east-2")
        .env("LAMINA_LOG", "debug");
    let output = command.output().expect("the program runs");
    let (told, notes) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert!(output.status.success(), "{notes}");
    let paste = "AWS_ACCESS_KEY_ID=mine AWS_SECRET_ACCESS_KEY=\"$AWS_SECRET_ACCESS_KEY\" \
                 AWS_DEFAULT_REGION=eu-west-1 \\";
    assert!(told.contains(paste), "{told}");
    assert!(
        !told.contains("it's") && !notes.contains("it's"),
        "{told}{notes}"
    );
    assert!(notes.contains("the secret of mine"), "{notes}");
    // stderr is not a terminal.
    assert!(notes.contains("DEBUG"), "{notes}");
    assert!(!notes.contains('\x1b'), "{notes}");
}
