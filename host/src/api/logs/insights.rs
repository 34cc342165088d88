//! StartQuery of CloudWatch Logs Insights. A query is parsed once it is authorized, and runs on a thread of its own with
//! a lower priority than the network's, within a budget of time and memory.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Fault;
use super::constraint::Constraints;
use super::operation::{Backend, Operation};
use super::queries::Query;
use super::target::{Group, Groups};
use crate::clock::Timestamp;
use crate::names::{Home, RequestId};
use crate::telemetry::log::Filter;

mod aggregate;
mod budget;
mod execute;
mod execution;
mod expression;
mod function;
mod pattern;
mod reader;
pub(super) mod results;
mod row;
mod syntax;
#[cfg(test)]
mod tests;
mod value;

use execution::Execution;
use syntax::ROWS_MAX;

/// Longest query, in characters.
const QUERY_CHARS_MAX: usize = 10_000;
/// Log groups of one query.
const GROUPS_MAX: usize = 50;
/// Stack of a query's thread. Expressions nest, and are evaluated recursively.
const STACK_BYTES: usize = 4 << 20;

/// Language of queries, as AWS names it.
const LANGUAGE: &str = "CWLI";

#[derive(Debug)]
pub(super) struct StartQuery {
    text: String,
    start: Timestamp,
    /// Exclusive.
    end: Timestamp,
    /// Rows of the results.
    limit: usize,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StartRequest {
    log_group_name: Option<String>,
    log_group_names: Option<Vec<String>>,
    log_group_identifiers: Option<Vec<String>>,
    start_time: Option<u64>,
    end_time: Option<u64>,
    query_string: Option<String>,
    query_language: Option<String>,
    limit: Option<i64>,
}

impl Operation for StartQuery {
    const NAME: &'static str = "StartQuery";
    type Request = StartRequest;
    type Target = Groups;
    type Answer = Value;

    fn parse(request: StartRequest, home: &Home) -> Result<(Groups, Self), Fault> {
        let mut constraints = Constraints::default();
        let rows_max = i64::try_from(ROWS_MAX).unwrap_or(i64::MAX);
        constraints.range("limit", request.limit, 1, rows_max);
        constraints.met()?;
        let limit = request.limit.and_then(|it| usize::try_from(it).ok());
        let language = request.query_language.as_deref().unwrap_or(LANGUAGE);
        if language != LANGUAGE {
            return Err(Fault::invalid(format!(
                "This host has queries in {LANGUAGE} only, not in {language}."
            )));
        }
        let text = request.query_string.unwrap_or_default();
        if text.chars().count() > QUERY_CHARS_MAX {
            return Err(Fault::invalid(format!(
                "queryString has more than {QUERY_CHARS_MAX} characters."
            )));
        }
        let (Some(start), Some(end)) = (request.start_time, request.end_time) else {
            return Err(Fault::invalid("startTime and endTime are required."));
        };
        if start > end {
            let message = "end date and time is either before the start date and time";
            return Err(Fault::new("MalformedQueryException", message));
        }
        let groups = groups(
            request.log_group_name,
            request.log_group_names,
            request.log_group_identifiers,
            home,
        )?;
        let query = Self {
            text,
            start: seconds(start),
            end: seconds(end.saturating_add(1)),
            limit: limit.unwrap_or(ROWS_MAX),
        };
        Ok((groups, query))
    }

    fn answer(self, groups: &Groups, backend: &Backend) -> Result<Value, Fault> {
        // Before the query is parsed, which may take a while, too.
        let permit = backend.queries.reserve(backend.key.clone());
        let permit =
            permit.map_err(|full| Fault::new("LimitExceededException", full.to_string()))?;
        let one = Filter {
            limit: 1,
            ..Filter::default()
        };
        for group in &groups.0 {
            let found = backend.logs.filter(group.name(), &one);
            found.ok_or_else(Fault::no_group)?;
        }
        let commands = syntax::parse(&self.text)
            .map_err(|error| Fault::new("MalformedQueryException", error.to_string()))?;
        let id = RequestId::random(&backend.clock).to_string();
        let groups: Vec<_> = groups.0.iter().map(|it| it.name().to_owned()).collect();
        let now = backend.clock.now();
        let query = Query::new(id.clone(), self.text, groups.clone(), now);
        let execution = Execution {
            logs: backend.logs.clone(),
            clock: backend.clock.clone(),
            groups,
            commands,
            start: self.start,
            end: self.end,
            limit: self.limit,
            running: permit.begin(query),
        };
        // Not a blocking thread of tokio: a runtime that shuts down waits for those.
        let thread = std::thread::Builder::new().name("lamina-query".into());
        let started = thread.stack_size(STACK_BYTES).spawn(|| execution.run());
        started.map_err(|error| {
            tracing::error!(%error, "the thread of a log query could not be started");
            Fault::of_host(
                "ServiceUnavailableException",
                "The query could not be started.",
            )
        })?;
        Ok(json!({"queryId": id}))
    }
}

/// Log groups of a query, each once. One member names them.
fn groups(
    name: Option<String>,
    names: Option<Vec<String>>,
    identifiers: Option<Vec<String>>,
    home: &Home,
) -> Result<Groups, Fault> {
    let wrong = || {
        Fault::invalid(format!(
            "A query has 1 to {GROUPS_MAX} log groups, in one of logGroupName, logGroupNames and logGroupIdentifiers."
        ))
    };
    let all = match (name, names, identifiers) {
        (Some(name), None, None) => vec![Group::named("logGroupName", name)],
        (None, Some(names), None) => {
            let named = names.into_iter().take(GROUPS_MAX + 1);
            named.map(|it| Group::named("logGroupNames", it)).collect()
        }
        (None, None, Some(identifiers)) => {
            let identified = identifiers.into_iter().take(GROUPS_MAX + 1);
            identified.map(|it| Group::identified(it, home)).collect()
        }
        _ => return Err(wrong()),
    };
    let mut groups = Vec::new();
    let count = all.len();
    for group in all {
        let group = group?;
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    match count {
        1..=GROUPS_MAX => Ok(Groups(groups)),
        _ => Err(wrong()),
    }
}

fn seconds(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds.saturating_mul(1_000))
}
