//! Handlers as Lambda's users write them, each run here and in this machine's Python: results, errors and printed
//! lines are equal.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{create_zip, lines_of};
use crate::harness::{Answer, Lamina, root};
use crate::layers::zip_of;

/// A handler with its files and events.
struct Case {
    name: String,
    handler: String,
    files: Vec<(String, String)>,
    /// As texts: not all of JSON is a value of Rust.
    events: Vec<String>,
}

/// Result of one invocation.
#[derive(Debug, PartialEq)]
struct Outcome {
    failed: bool,
    payload: Value,
    printed: Vec<String>,
}

impl Case {
    fn read(path: &Path) -> Self {
        let mut files = Vec::new();
        if path.is_dir() {
            collect(path, path, &mut files);
        } else {
            let text = fs::read_to_string(path).expect("it can be read");
            files.push(("lambda_function.py".to_owned(), text));
        }
        let lines = || files.iter().flat_map(|(_, text)| text.lines());
        let member = |mark: &'static str| lines().filter_map(move |it| it.strip_prefix(mark));
        let handler = member("# handler: ").next();
        Self {
            name: path.file_stem().expect("a name").to_string_lossy().into(),
            handler: handler.unwrap_or("lambda_function.lambda_handler").into(),
            events: member("# event: ").map(str::to_owned).collect(),
            files,
        }
    }

    fn all() -> Vec<Self> {
        let dir = root().join("tests/python/cases");
        let entries = fs::read_dir(dir).expect("the cases");
        let paths = entries.map(|it| it.expect("an entry").path());
        let mut paths: Vec<PathBuf> = paths.filter(|it| !it.ends_with("__pycache__")).collect();
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    async fn here(&self, host: &Lamina) -> Vec<Outcome> {
        let files: Vec<_> = self
            .files
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        let more = json!({"Handler": self.handler});
        create_zip(host, &self.name, &zip_of(&files), more).await;
        let path = format!("/2015-03-31/functions/{}/invocations", self.name);
        let mut outcomes = Vec::new();
        for event in &self.events {
            let tail = [("x-amz-log-type", "Tail")];
            let answer = host.send("POST", &path, &tail, event.clone()).await;
            assert_eq!(answer.status, 200, "{}: {}", self.name, answer.text());
            outcomes.push(Outcome::of(&answer));
        }
        outcomes
    }

    fn native(&self) -> Vec<Outcome> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for (name, text) in &self.files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().expect("a directory")).expect("it is made");
            fs::write(path, text).expect("it is written");
        }
        let arn = format!(
            "arn:aws:lambda:us-east-1:000000000000:function:{}",
            self.name
        );
        let context = json!({
            "function_name": self.name, "function_version": "$LATEST", "memory_limit_in_mb": "256",
            "invoked_function_arn": arn, "log_group_name": format!("/aws/lambda/{}", self.name),
            "aws_request_id": "x".repeat(36),
        });
        let environment = json!({
            "AWS_LAMBDA_FUNCTION_NAME": self.name, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_REGION": "us-east-1", "_HANDLER": self.handler, "PYTHONIOENCODING": "utf-8",
        });
        let events = self.events.join(",");
        let given =
            format!(r#"{{"context":{context},"environment":{environment},"events":[{events}]}}"#);
        let mut command = Command::new("python3");
        command.arg(root().join("tests/python/native.py"));
        command.arg(dir.path()).arg(&self.handler);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python runs");
        let mut stdin = child.stdin.take().expect("it was piped");
        stdin.write_all(given.as_bytes()).expect("it reads");
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        let results: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let results = results.as_array().expect("a list").iter();
        results.map(Outcome::of_native).collect()
    }
}

impl Outcome {
    fn of(answer: &Answer) -> Self {
        let failed = !answer.header("x-amz-function-error").is_empty();
        let mut payload = answer.json();
        let mut printed = lines_of(answer);
        if failed {
            assert_eq!(payload["requestId"], answer.header("x-amzn-requestid"));
            let members = payload.as_object_mut().expect("an object");
            members.remove("requestId");
            let frames = payload["stackTrace"].as_array_mut().expect("a list");
            // Frames of the standard library differ by version.
            frames.retain(|it| {
                it.as_str()
                    .is_some_and(|it| it.contains("\"/var/task/") || it.contains("[Previous line"))
            });
            let until = printed.iter().position(|it| it.starts_with("[ERROR]"));
            printed.truncate(until.unwrap_or(printed.len()));
        }
        Self {
            failed,
            payload,
            printed,
        }
    }

    fn of_native(result: &Value) -> Self {
        let printed = result[2].as_array().expect("a list").iter();
        let printed = printed.map(|it| it.as_str().expect("a text").to_owned());
        Self {
            failed: result[0] == true,
            payload: result[1].clone(),
            printed: printed.collect(),
        }
    }
}

fn collect(root: &Path, dir: &Path, into: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("__pycache__") {
            collect(root, &path, into);
        } else if path.is_file() {
            let name = path.strip_prefix(root).expect("it is below");
            let text = fs::read_to_string(&path).expect("it can be read");
            into.push((name.to_string_lossy().into_owned(), text));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_behave_as_in_native_python() {
    let host = super::host().await;
    let cases = Case::all();
    assert!(cases.len() > 50);
    let mut differing = Vec::new();
    for case in cases {
        let (here, native) = (case.here(&host).await, case.native());
        if here != native {
            differing.push(format!(
                "{}\n  here:   {here:?}\n  native: {native:?}",
                case.name
            ));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}
