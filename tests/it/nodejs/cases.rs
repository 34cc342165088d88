//! Handlers of the corpus, each run here and in this machine's Node.js: results, errors and lines of the console are equal.

use serde_json::{Value, json};

use crate::corpus::{Corpus, lines_of};
use crate::harness::Answer;

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

/// Result of one invocation.
#[derive(Debug, PartialEq)]
struct Outcome {
    failed: bool,
    payload: Value,
    /// Levels and texts of the console.
    printed: Vec<String>,
}

impl Outcome {
    fn of(answer: &Answer) -> Self {
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

    fn without_words(mut self) -> Self {
        self.payload["errorMessage"] = json!("");
        self
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_behave_as_in_native_nodejs() {
    let host = super::host().await;
    let cases = CORPUS.cases();
    assert!(cases.len() >= 49);
    let mut differing = Vec::new();
    for case in cases {
        let here = CORPUS.here(&host, &case).await;
        let mut here: Vec<_> = here.iter().map(Outcome::of).collect();
        let mut native: Vec<_> = CORPUS
            .native(&case)
            .iter()
            .map(Outcome::of_native)
            .collect();
        if WORDS_OF_ENGINE.contains(&case.name.as_str()) {
            here = here.into_iter().map(Outcome::without_words).collect();
            native = native.into_iter().map(Outcome::without_words).collect();
        }
        if here != native {
            let name = &case.name;
            differing.push(format!("{name}\n  here:   {here:?}\n  native: {native:?}"));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}
