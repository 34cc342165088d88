//! Handlers as Lambda's users write them, each run here and in this machine's own interpreter, for every managed runtime.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{ApiResponse, Lamina, log_of, root};
use crate::layers::zip_of;

/// Handlers of one runtime.
pub(crate) struct Corpus {
    /// Their directory.
    pub(crate) dir: &'static str,
    /// Beginning of a comment.
    pub(crate) comment: &'static str,
    /// File of a handler that is one file, without its extension.
    pub(crate) file: &'static str,
    /// Their handler, unless they name another.
    pub(crate) handler: &'static str,
    pub(crate) runtime: &'static str,
    /// Interpreter and its script, which gets the directory and the handler.
    pub(crate) native: [&'static str; 2],
}

/// A handler with its files and events.
pub(crate) struct Case {
    pub(crate) name: String,
    handler: String,
    files: Vec<(String, String)>,
    /// As texts: not all of JSON is a value of Rust.
    events: Vec<String>,
}

/// Result of one invocation.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) failed: bool,
    pub(crate) payload: Value,
    /// Lines that the handler printed, in the form of the native script.
    pub(crate) printed: Vec<String>,
}

impl Outcome {
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

impl Corpus {
    /// Requires that at least `cases_min` cases behave on this host as in the machine's interpreter. `of` reads an
    /// answer; `compared` takes out of both results what may differ.
    pub(crate) async fn require_native_behaviour(
        &self,
        host: &Lamina,
        cases_min: usize,
        of: fn(&ApiResponse) -> Outcome,
        compared: fn(&Case, Outcome) -> Outcome,
    ) {
        let cases = self.cases();
        assert!(cases.len() >= cases_min);
        let mut differing = Vec::new();
        for case in cases {
            let compared = |it| compared(&case, it);
            let here = self.here(host, &case).await;
            let here: Vec<_> = here.iter().map(of).map(compared).collect();
            let native = self.native(&case);
            let native = native.iter().map(Outcome::of_native).map(compared);
            let native: Vec<_> = native.collect();
            if here != native {
                let name = &case.name;
                differing.push(format!("{name}\n  here:   {here:?}\n  native: {native:?}"));
            }
        }
        assert!(differing.is_empty(), "{}", differing.join("\n"));
    }

    fn cases(&self) -> Vec<Case> {
        let entries = fs::read_dir(root().join(self.dir)).expect("the cases");
        let paths = entries.map(|it| it.expect("an entry").path());
        let mut paths: Vec<PathBuf> = paths.filter(|it| !it.ends_with("__pycache__")).collect();
        paths.sort();
        paths.iter().map(|path| self.read(path)).collect()
    }

    fn read(&self, path: &Path) -> Case {
        let mut files = Vec::new();
        if path.is_dir() {
            collect(path, path, &mut files);
        } else {
            let text = fs::read_to_string(path).expect("it can be read");
            let extension = path.extension().expect("an extension").to_string_lossy();
            files.push((format!("{}.{extension}", self.file), text));
        }
        let lines = || files.iter().flat_map(|(_, text)| text.lines());
        let member = |name: &str| {
            let mark = format!("{} {name}: ", self.comment);
            lines().filter_map(move |it| it.strip_prefix(&mark).map(str::to_owned))
        };
        let handler = member("handler").next();
        let name = path.file_stem().expect("a name");
        Case {
            name: name.to_string_lossy().into(),
            handler: handler.unwrap_or_else(|| self.handler.into()),
            events: member("event").collect(),
            files,
        }
    }

    /// Answers to the events of a case, from a function of this host.
    async fn here(&self, host: &Lamina, case: &Case) -> Vec<ApiResponse> {
        let files = case.files.iter();
        let files: Vec<_> = files
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        let members = json!({
            "Runtime": self.runtime, "Handler": case.handler, "MemorySize": 256, "Timeout": 60,
        });
        let made = host.try_create(&case.name, &zip_of(&files), members).await;
        assert_eq!(made.status, 201, "{}: {}", case.name, made.text());
        host.settled(&case.name).await;
        let path = format!("/2015-03-31/functions/{}/invocations", case.name);
        let mut answers = Vec::new();
        for event in &case.events {
            let tail = [("x-amz-log-type", "Tail")];
            let answer = host.send("POST", &path, &tail, event.clone()).await;
            assert_eq!(answer.status, 200, "{}: {}", case.name, answer.text());
            answers.push(answer);
        }
        answers
    }

    /// Results of the events of a case in the machine's interpreter: for each, if it failed, the payload and the lines.
    fn native(&self, case: &Case) -> Vec<Value> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for (name, text) in &case.files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().expect("a directory")).expect("it is made");
            fs::write(path, text).expect("it is written");
        }
        let [program, script] = self.native;
        let mut command = Command::new(program);
        command
            .arg(root().join(script))
            .arg(dir.path())
            .arg(&case.handler);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the interpreter runs");
        let mut stdin = child.stdin.take().expect("it was piped");
        stdin.write_all(case.facts().as_bytes()).expect("it reads");
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{}: {error}", case.name))
    }
}

impl Case {
    /// Facts of the context, variables and events.
    fn facts(&self) -> String {
        let name = &self.name;
        let arn = format!("arn:aws:lambda:us-east-1:000000000000:function:{name}");
        let context = json!({
            "function_name": name, "function_version": "$LATEST", "memory_limit_in_mb": "256",
            "invoked_function_arn": arn, "log_group_name": format!("/aws/lambda/{name}"),
            "aws_request_id": "x".repeat(36),
        });
        let environment = json!({
            "AWS_LAMBDA_FUNCTION_NAME": name, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_REGION": "us-east-1", "_HANDLER": self.handler, "PYTHONIOENCODING": "utf-8",
        });
        let events = self.events.join(",");
        format!(r#"{{"context":{context},"environment":{environment},"events":[{events}]}}"#)
    }
}

/// Lines of a function's log tail between START and END.
pub(crate) fn lines_of(answer: &ApiResponse) -> Vec<String> {
    let log = log_of(answer);
    let lines = log.lines().skip_while(|it| !it.starts_with("START"));
    let lines = lines.skip(1).take_while(|it| !it.starts_with("END"));
    lines.map(str::to_owned).collect()
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
