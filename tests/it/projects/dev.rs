//! `lamina dev` of a project: what it prints, and changes of the manifest that it deploys.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::Signal;

use super::{Project, command, ran};
use crate::harness::signal;

/// A running `lamina dev`, whose lines of both outputs come in one channel.
struct Dev {
    child: Child,
    lines: Receiver<String>,
    /// All lines so far. The order of lines of different outputs is open.
    seen: Vec<String>,
}

impl Dev {
    fn start(project: &Project) -> Self {
        let mut command = command(project.path(), &["dev", "--listen", "127.0.0.1:0"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let (send, lines) = channel();
        let out = BufReader::new(child.stdout.take().expect("it was piped"));
        let err = BufReader::new(child.stderr.take().expect("it was piped"));
        let other = send.clone();
        std::thread::spawn(move || {
            out.lines()
                .map_while(Result::ok)
                .try_for_each(|it| send.send(it))
        });
        std::thread::spawn(move || {
            err.lines()
                .map_while(Result::ok)
                .try_for_each(|it| other.send(it))
        });
        Self {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// Waits until a line has this text.
    fn until(&mut self, wanted: &str) {
        while !self.seen.iter().any(|line| line.contains(wanted)) {
            let line = self.lines.recv_timeout(Duration::from_secs(120));
            let line = line.unwrap_or_else(|_| panic!("{wanted} did not come: {:#?}", self.seen));
            self.seen.push(line);
        }
    }

    /// Stops the program like Ctrl-C; returns all its lines.
    fn stop(mut self) -> Vec<String> {
        signal(&self.child, Signal::INT);
        assert!(self.child.wait().expect("it ends").success());
        let mut seen = std::mem::take(&mut self.seen);
        seen.extend(self.lines.iter());
        seen
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn manifest(greeting: &str) -> String {
    format!(
        "name = \"f\"\n[environment]\nGREETING = \"{greeting}\"\n[build]\nartifact = \"app.wasm\"\n"
    )
}

#[test]
fn change_of_the_manifest_is_deployed() {
    let project = Project::new(&manifest("first"));
    project.write(
        "event.json",
        "{\"do\": \"variable\", \"name\": \"GREETING\"}",
    );
    let mut dev = Dev::start(&project);
    dev.until("\"first\"");
    dev.until("f: built in ");
    dev.until("watching for changes");
    project.write("lamina.toml", manifest("second"));
    dev.until("\"second\"");
    // A manifest that is broken changes nothing, and its mending is deployed.
    project.write("lamina.toml", "memory = ");
    dev.until("is not valid");
    project.write("lamina.toml", manifest("third"));
    dev.until("\"third\"");
    let seen = dev.stop();
    let reports = seen.iter().filter(|it| it.contains("REPORT RequestId"));
    assert_eq!(reports.count(), 3, "one for each call: {seen:#?}");
    for noise in ["INIT_START", "deleted packages", "START RequestId"] {
        assert!(
            !seen.iter().any(|it| it.contains(noise)),
            "{noise}: {seen:#?}"
        );
    }
}

#[test]
fn single_run_shows_what_the_function_prints() {
    let project = Project::new(&manifest("x"));
    let event = "{\"do\": \"print\", \"stdout\": \"printed by f\\n\", \"stderr\": \"\"}";
    project.write("event.json", event);
    let arguments = ["dev", "--once", "--listen", "127.0.0.1:0"];
    let (code, told, notes) = ran(&mut command(project.path(), &arguments));
    assert_eq!(code, Some(0), "{notes}");
    let lines: Vec<_> = told.lines().collect();
    assert!(lines.contains(&"printed by f"), "{told}");
    assert_eq!(told.matches("REPORT RequestId").count(), 1, "{told}");
}

#[test]
fn functions_share_one_stream_with_labels() {
    let function =
        |name: &str| format!("[[functions]]\nname = \"{name}\"\nbuild.artifact = \"app.wasm\"\n");
    let manifest = format!(
        "{}{}[host]\nregion = \"eu-west-3\"\n",
        function("a"),
        function("long")
    );
    let project = Project::new(&manifest);
    project.write(
        "event.json",
        "{\"do\": \"print\", \"stdout\": \"hi\\n\", \"stderr\": \"\"}",
    );
    let arguments = ["dev", "--once", "--listen", "127.0.0.1:0"];
    let (code, told, notes) = ran(&mut command(project.path(), &arguments));
    assert_eq!(code, Some(0), "{notes}");
    for line in ["a    | hi", "long | hi"] {
        assert!(told.lines().any(|it| it == line), "{line} in {told}");
    }
    assert!(told.contains("AWS_DEFAULT_REGION=eu-west-3"), "{told}");
}
