//! A batch in its function: one invocation, and which records failed.

use std::collections::HashSet;

use serde_json::Value;

use super::Shared;
use crate::invoke::{self, Invoke, Target};
use crate::names::RequestId;
use crate::payload::{Document, Event};

/// Outcome of a batch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// All records succeeded but these, by their identifiers.
    Done { failed: HashSet<String> },
    /// All records failed: a function error, or a response that names no record of the batch.
    Failed,
    /// The function was not reached: throttled, missing, or the host failed.
    Refused,
}

impl Shared {
    /// Invokes a function with records.
    pub(super) async fn invoke(
        &self,
        target: &Target,
        records: Vec<Value>,
        trace_id: Option<String>,
        identifiers: Option<HashSet<String>>,
    ) -> Outcome {
        let event = Document::from(serde_json::json!({"Records": records}));
        let mut invoke = Invoke::new(
            RequestId::random(&self.clock),
            target.clone(),
            Event::Json(event),
        );
        invoke.trace_id = trace_id;
        let finished = match self.invoker.invoke(invoke).await {
            Ok(finished) => finished,
            Err(error) => {
                error.log();
                return refusal(&error);
            }
        };
        match (finished.outcome, identifiers) {
            (Err(_), _) => Outcome::Failed,
            (Ok(_), None) => Outcome::Done {
                failed: HashSet::new(),
            },
            (Ok(response), Some(identifiers)) => reported(&response.into_bytes(), &identifiers),
        }
    }
}

fn refusal(error: &invoke::Error) -> Outcome {
    tracing::debug!(%error, "a batch did not reach its function");
    Outcome::Refused
}

/// Failures that a function reports with `ReportBatchItemFailures`. Nothing, null and an empty list are a success;
/// anything else that does not name records of the batch is a failure of all, as in AWS.
fn reported(response: &[u8], identifiers: &HashSet<String>) -> Outcome {
    let nothing = Outcome::Done {
        failed: HashSet::new(),
    };
    if response.is_empty() {
        return nothing;
    }
    let failures = match serde_json::from_slice::<Value>(response) {
        Err(_) => return Outcome::Failed,
        Ok(Value::Object(members)) => members.get("batchItemFailures").cloned(),
        Ok(Value::Null) => None,
        Ok(_) => return Outcome::Failed,
    };
    let failures = match failures {
        None | Some(Value::Null) => return nothing,
        Some(Value::Array(failures)) => failures,
        Some(_) => return Outcome::Failed,
    };
    let known = failures.iter().map(|failure| {
        let identifier = failure["itemIdentifier"].as_str()?;
        identifiers
            .contains(identifier)
            .then(|| identifier.to_owned())
    });
    match known.collect::<Option<HashSet<String>>>() {
        Some(failed) => Outcome::Done { failed },
        None => Outcome::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reported_failures_are_read_as_in_aws() {
        let all: HashSet<String> = ["a", "b"].map(str::to_owned).into();
        let done = |failed: &[&str]| Outcome::Done {
            failed: failed.iter().map(|it| (*it).to_owned()).collect(),
        };
        for (response, expected) in [
            ("", done(&[])),
            ("null", done(&[])),
            ("{}", done(&[])),
            (r#"{"batchItemFailures":null}"#, done(&[])),
            (r#"{"batchItemFailures":[]}"#, done(&[])),
            (
                r#"{"batchItemFailures":[{"itemIdentifier":"a"}]}"#,
                done(&["a"]),
            ),
            (
                r#"{"batchItemFailures":[{"itemIdentifier":"c"}]}"#,
                Outcome::Failed,
            ),
            (
                r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
                Outcome::Failed,
            ),
            (
                r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
                Outcome::Failed,
            ),
            (r#"{"batchItemFailures":[{"bad":"a"}]}"#, Outcome::Failed),
            (r#"{"batchItemFailures":"a"}"#, Outcome::Failed),
            (r#""text""#, Outcome::Failed),
            ("no JSON", Outcome::Failed),
        ] {
            assert_eq!(reported(response.as_bytes(), &all), expected, "{response}");
        }
    }
}
