//! Handlers of the corpus, each run here and in this machine's Python: results, errors and printed lines are equal.

use super::lines_of;
use crate::corpus::{Corpus, Outcome};
use crate::harness::ApiResponse;

const CORPUS: Corpus = Corpus {
    dir: "tests/python/cases",
    comment: "#",
    file: "lambda_function",
    handler: "lambda_function.lambda_handler",
    runtime: "python3.14",
    native: ["python3", "tests/python/native.py"],
};

fn outcome(answer: &ApiResponse) -> Outcome {
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
    Outcome {
        failed,
        payload,
        printed,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_behave_as_in_native_python() {
    let host = super::host().await;
    CORPUS
        .require_native_behaviour(&host, 51, outcome, |_, outcome| outcome)
        .await;
}
