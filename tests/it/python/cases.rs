//! Handlers of the corpus, each run here and in this machine's Python: results, errors and printed lines are equal.

use serde_json::Value;

use super::lines_of;
use crate::corpus::Corpus;
use crate::harness::Answer;

const CORPUS: Corpus = Corpus {
    dir: "tests/python/cases",
    comment: "#",
    file: "lambda_function",
    handler: "lambda_function.lambda_handler",
    runtime: "python3.14",
    native: ["python3", "tests/python/native.py"],
};

/// Result of one invocation.
#[derive(Debug, PartialEq)]
struct Outcome {
    failed: bool,
    payload: Value,
    printed: Vec<String>,
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

#[tokio::test(flavor = "multi_thread")]
async fn handlers_behave_as_in_native_python() {
    let host = super::host().await;
    let cases = CORPUS.cases();
    assert!(cases.len() > 50);
    let mut differing = Vec::new();
    for case in cases {
        let here: Vec<_> = CORPUS
            .here(&host, &case)
            .await
            .iter()
            .map(Outcome::of)
            .collect();
        let native: Vec<_> = CORPUS
            .native(&case)
            .iter()
            .map(Outcome::of_native)
            .collect();
        if here != native {
            let name = &case.name;
            differing.push(format!("{name}\n  here:   {here:?}\n  native: {native:?}"));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}
