//! A batch in its function: one invocation, and which records failed.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
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

/// An invocation with a batch, and its outcome.
#[derive(Debug)]
pub(super) struct Invoked {
    pub(super) request_id: RequestId,
    /// Version that ran. `None` if the function was not reached.
    pub(super) executed_version: Option<Arc<str>>,
    /// True for a function error.
    pub(super) is_error: bool,
    pub(super) outcome: Outcome,
    /// Response of a function that succeeded.
    pub(super) response: Bytes,
}

impl Shared {
    /// Invokes a function with an event. With identifiers of its records, the function reports which of them failed.
    pub(super) async fn invoke(
        &self,
        target: &Target,
        event: Value,
        trace_id: Option<String>,
        identifiers: Option<HashSet<String>>,
    ) -> Invoked {
        let request_id = RequestId::random(&self.clock);
        let event = Event::Json(Document::from(event));
        let mut invoke = Invoke::new(request_id, target.clone(), event);
        invoke.trace_id = trace_id;
        let finished = match self.invoker.invoke(invoke).await {
            Ok(finished) => finished,
            Err(error) => {
                error.log();
                return Invoked {
                    request_id,
                    executed_version: None,
                    is_error: false,
                    outcome: refusal(&error),
                    response: Bytes::new(),
                };
            }
        };
        let is_error = finished.outcome.is_err();
        let response = finished.outcome.map(|response| response.into_bytes());
        let outcome = match (&response, identifiers) {
            (Err(_), _) => Outcome::Failed,
            (Ok(_), None) => Outcome::Done {
                failed: HashSet::new(),
            },
            (Ok(response), Some(identifiers)) => reported(response, &identifiers),
        };
        Invoked {
            request_id,
            executed_version: Some(finished.executed_version),
            is_error,
            outcome,
            response: response.unwrap_or_default(),
        }
    }
}

fn refusal(error: &invoke::Error) -> Outcome {
    tracing::debug!(%error, "a batch did not reach its function");
    Outcome::Refused
}

/// Failures that a function reports with `ReportBatchItemFailures`. Nothing, null and an empty list are a success;
/// anything else that does not name records of the batch is a failure of all, as in AWS.
fn reported(response: &Bytes, identifiers: &HashSet<String>) -> Outcome {
    let nothing = Outcome::Done {
        failed: HashSet::new(),
    };
    if response.is_empty() {
        return nothing;
    }
    let Ok(response) = Document::parse(response.clone()) else {
        return Outcome::Failed;
    };
    let root = response.root();
    if root.members().is_none() && !root.is_null() {
        return Outcome::Failed;
    }
    let failures = root.member("batchItemFailures");
    let Some(failures) = failures.filter(|it| !it.is_null()) else {
        return nothing;
    };
    let Some(mut failures) = failures.elements().map(Iterator::peekable) else {
        return Outcome::Failed;
    };
    if failures.peek().is_none() {
        return nothing;
    }
    let known = failures.map(|failure| {
        let identifier = failure.member("itemIdentifier")?.text()?.decode().ok()?;
        let is_known = identifiers.contains(&*identifier);
        is_known.then(|| identifier.into_owned())
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
            // serde_json refuses these.
            (
                r#"{"log":"\ud83d","batchItemFailures":[{"itemIdentifier":"a"}]}"#,
                done(&["a"]),
            ),
            (r#"{"total":1e999,"batchItemFailures":[]}"#, done(&[])),
            (r#""text""#, Outcome::Failed),
            ("no JSON", Outcome::Failed),
        ] {
            let bytes = Bytes::from(response);
            assert_eq!(reported(&bytes, &all), expected, "{response}");
        }
    }
}
