//! CloudWatch Logs Insights: StartQuery, GetQueryResults, StopQuery and DescribeQueries. A query runs to its end before
//! StartQuery responds, because a log group has a megabyte at most.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Fault;
use super::operation::{Backend, Operation};
use super::queries::Ended;
use super::target::{AllGroups, Group, Groups};
use crate::clock::Timestamp;
use crate::names::{Home, RequestId};
use crate::telemetry::log::{Direction, Filter, Logs};

mod execute;
mod expression;
mod reader;
mod row;
mod syntax;
#[cfg(test)]
mod tests;
mod value;

use row::Row;
use syntax::{Command, ROWS_MAX};

/// Longest query, in characters.
const QUERY_CHARS_MAX: usize = 10_000;
/// Log groups of one query.
const GROUPS_MAX: usize = 50;
#[derive(Debug)]
pub(super) struct StartQuery {
    text: String,
    commands: Vec<Command>,
    start: Timestamp,
    end: Timestamp,
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
    limit: Option<usize>,
}

impl Operation for StartQuery {
    const NAME: &'static str = "StartQuery";
    type Request = StartRequest;
    type Target = Groups;

    fn parse(request: StartRequest, home: &Home) -> Result<(Groups, Self), Fault> {
        let names = request.log_group_name.into_iter();
        let names = names.chain(request.log_group_names.into_iter().flatten());
        let named = names.map(|name| Group::named("logGroupNames", name));
        let identified = request.log_group_identifiers.into_iter().flatten();
        let identified = identified.map(|it| Group::identified(it, home));
        let groups = named.chain(identified).collect::<Result<Vec<_>, _>>()?;
        if groups.is_empty() || groups.len() > GROUPS_MAX {
            return Err(Fault::invalid(format!(
                "A query has 1 to {GROUPS_MAX} log groups: logGroupName, logGroupNames or logGroupIdentifiers."
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
            return Err(Fault::new(
                "MalformedQueryException",
                "end date and time is either before the start date and time",
            ));
        }
        let commands = syntax::parse(&text)
            .map_err(|error| Fault::new("MalformedQueryException", error.to_string()))?;
        let query = Self {
            text,
            commands,
            start: seconds(start),
            // Inclusive.
            end: Timestamp::from_millis(seconds(end).millis().saturating_add(1_000)),
            limit: request.limit.unwrap_or(ROWS_MAX).clamp(1, ROWS_MAX),
        };
        Ok((Groups(groups), query))
    }

    fn answer(self, groups: &Groups, backend: &Backend) -> Result<Value, Fault> {
        let mut rows = Vec::new();
        for group in &groups.0 {
            rows.extend(self.read(&backend.logs, group)?);
        }
        let bytes = |row: &Row| row.get("@message").text().unwrap_or_default().len();
        let (scanned, bytes_scanned) = (rows.len(), rows.iter().map(bytes).sum());
        let table = execute::run(&self.commands, rows);
        let cells = |row: &Row| {
            let fields = table.fields.iter().map(String::as_str);
            let pointer = row.is_event().then_some("@ptr");
            let fields = fields.chain(pointer);
            let cells = fields.filter_map(|name| Some((name.to_owned(), row.get(name).text()?)));
            cells.collect::<Vec<_>>()
        };
        let id = RequestId::random(&backend.clock).to_string();
        let first = groups.0.first().map(Group::name).unwrap_or_default();
        backend.queries.add(Ended {
            id: id.clone(),
            group: first.to_owned(),
            started: backend.clock.now(),
            results: table.rows.iter().take(self.limit).map(cells).collect(),
            matched: table.matched,
            text: self.text,
            scanned,
            bytes_scanned,
        });
        Ok(json!({"queryId": id}))
    }
}

impl StartQuery {
    /// Events of a group in the time of the query.
    fn read(&self, logs: &Logs, group: &Group) -> Result<Vec<Row>, Fault> {
        let name: Arc<str> = group.name().into();
        let mut filter = Filter {
            start: Some(self.start),
            end: Some(self.end),
            limit: ROWS_MAX,
            ..Filter::default()
        };
        let mut rows = Vec::new();
        loop {
            let page = logs.filter(group.name(), &filter);
            let page = page.ok_or_else(Fault::no_group)?;
            let events = page.events.into_iter();
            rows.extend(events.map(|event| Row::of_event(Arc::clone(&name), event)));
            match page.next {
                Some(next) => {
                    filter.direction = Direction::Forward(next);
                }
                None => return Ok(rows),
            }
        }
    }
}

fn seconds(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds.saturating_mul(1_000))
}

#[derive(Debug)]
pub(super) struct GetQueryResults(String);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QueryRequest {
    query_id: Option<String>,
}

impl Operation for GetQueryResults {
    const NAME: &'static str = "GetQueryResults";
    type Request = QueryRequest;
    type Target = AllGroups;

    fn parse(request: QueryRequest, _home: &Home) -> Result<(AllGroups, Self), Fault> {
        Ok((AllGroups, Self(request.query_id.unwrap_or_default())))
    }

    fn answer(self, _: &AllGroups, backend: &Backend) -> Result<Value, Fault> {
        let ended = backend.queries.find(&self.0).ok_or_else(no_query)?;
        let row = |row: &Vec<(String, String)>| {
            let cells = row.iter();
            let cells = cells.map(|(field, value)| json!({"field": field, "value": value}));
            Value::Array(cells.collect())
        };
        let statistics = json!({
            "recordsMatched": ended.matched as f64,
            "recordsScanned": ended.scanned as f64,
            "bytesScanned": ended.bytes_scanned as f64,
        });
        Ok(json!({
            "queryLanguage": "CWLI",
            "results": ended.results.iter().map(row).collect::<Vec<_>>(),
            "statistics": statistics,
            "status": "Complete",
        }))
    }
}

#[derive(Debug)]
pub(super) struct StopQuery(String);

impl Operation for StopQuery {
    const NAME: &'static str = "StopQuery";
    type Request = QueryRequest;
    type Target = AllGroups;

    fn parse(request: QueryRequest, _home: &Home) -> Result<(AllGroups, Self), Fault> {
        Ok((AllGroups, Self(request.query_id.unwrap_or_default())))
    }

    fn answer(self, _: &AllGroups, backend: &Backend) -> Result<Value, Fault> {
        backend.queries.find(&self.0).ok_or_else(no_query)?;
        Err(Fault::invalid(
            "This query has already ended with status: Complete",
        ))
    }
}

#[derive(Debug)]
pub(super) struct DescribeQueries {
    group: Option<String>,
    status: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeRequest {
    log_group_name: Option<String>,
    status: Option<String>,
}

impl Operation for DescribeQueries {
    const NAME: &'static str = "DescribeQueries";
    type Request = DescribeRequest;
    type Target = AllGroups;

    fn parse(request: DescribeRequest, _home: &Home) -> Result<(AllGroups, Self), Fault> {
        let query = Self {
            group: request.log_group_name,
            status: request.status,
        };
        Ok((AllGroups, query))
    }

    fn answer(self, _: &AllGroups, backend: &Backend) -> Result<Value, Fault> {
        let is_wanted = |it: &Arc<Ended>| {
            let is_complete = self.status.as_ref().is_none_or(|it| it == "Complete");
            is_complete && self.group.as_ref().is_none_or(|group| *group == it.group)
        };
        let all = backend.queries.newest_first().into_iter();
        let shown = all.filter(is_wanted).map(|it| {
            json!({
                "queryId": it.id,
                "queryString": it.text,
                "status": "Complete",
                "createTime": it.started.millis(),
                "logGroupName": it.group,
                "queryLanguage": "CWLI",
            })
        });
        Ok(json!({"queries": shown.collect::<Vec<_>>()}))
    }
}

fn no_query() -> Fault {
    Fault::new(
        "ResourceNotFoundException",
        "The specified query does not exist.",
    )
}
