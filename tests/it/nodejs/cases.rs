//! Handlers of the corpus, each run here and in this machine's Node.js: results, errors and lines of the console are equal.

use serde_json::json;

use crate::corpus::{Case, Corpus, Outcome, lines_of};
use crate::harness::ApiResponse;

const CORPUS: Corpus = Corpus {
    dir: "tests/nodejs/cases",
    comment: "//",
    file: "index",
    handler: "index.handler",
    runtime: "nodejs22.x",
    native: ["node", "tests/nodejs/native.mjs"],
};

/// Cases whose error messages are the engine's own words.
const WORDS_OF_ENGINE: [&str; 2] = ["syntax_error", "throws_sync"];

fn outcome(answer: &ApiResponse) -> Outcome {
    let failed = !answer.header("x-amz-function-error").is_empty();
    let mut payload = answer.json();
    let mut printed = Vec::new();
    for line in lines_of(answer) {
        // Time, request, and then what native Node.js gives.
        match line.splitn(3, '\t').collect::<Vec<_>>()[..] {
            [_, id, rest] if id.len() == 36 => printed.push(rest.to_owned()),
            _ => match printed.last_mut() {
                Some(last) => *last = format!("{last}\n{line}"),
                None => printed.push(line.clone()),
            },
        }
    }
    if failed {
        let frames = payload.as_object_mut().and_then(|it| it.remove("trace"));
        assert!(frames.is_some_and(|it| it.is_array()), "{payload}");
        printed.retain(|it| !it.starts_with("ERROR\tInvoke Error \t{"));
        printed.retain(|it| !it.starts_with("ERROR\tUncaught Exception \t{"));
    }
    Outcome {
        failed,
        payload,
        printed,
    }
}

fn without_words(case: &Case, mut outcome: Outcome) -> Outcome {
    if WORDS_OF_ENGINE.contains(&case.name.as_str()) {
        outcome.payload["errorMessage"] = json!("");
    }
    outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_behave_as_in_native_nodejs() {
    let host = super::host().await;
    CORPUS
        .require_native_behaviour(&host, 49, outcome, without_words)
        .await;
}
