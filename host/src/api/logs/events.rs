//! FilterLogEvents and GetLogEvents: pages of log events.

use serde::Deserialize;
use serde_json::{Value, json};

use super::constraint::Constraints;
use super::operation::{Backend, Operation};
use super::target::{Group, Stream};
use super::{Fault, pattern};
use crate::clock::Timestamp;
use crate::names::Home;
use crate::telemetry::log::{Event, Filter, Page};

/// AWS's default and bound for the events on a page.
const EVENTS_MAX: u32 = 10_000;
/// AWS's bound on `logStreamNames`.
const STREAMS_MAX: usize = 100;

#[derive(Debug)]
pub(super) struct FilterLogEvents(Filter);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FilterRequest {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_names: Option<Vec<String>>,
    log_stream_name_prefix: Option<String>,
    start_time: Option<i64>,
    end_time: Option<i64>,
    filter_pattern: Option<String>,
    next_token: Option<String>,
    limit: Option<i64>,
}

impl Operation for FilterLogEvents {
    const NAME: &'static str = "FilterLogEvents";
    type Request = FilterRequest;
    // AWS grants this operation by group only: a grant on a stream allows it nowhere.
    type Target = Group;

    fn parse(request: FilterRequest, home: &Home) -> Result<(Group, Self), Fault> {
        let group = Group::parse(request.log_group_name, request.log_group_identifier, home)?;
        let Paging { start, end, limit } =
            Paging::parse(request.start_time, request.end_time, request.limit)?;
        let filter = Filter {
            streams: streams(
                request.log_stream_names,
                request.log_stream_name_prefix.as_deref(),
            )?,
            stream_prefix: request.log_stream_name_prefix.unwrap_or_default(),
            start,
            // The end is part of the range here; in GetLogEvents it is not.
            end: end.map(|end| Timestamp::from_millis(end.millis().saturating_add(1))),
            pattern: pattern::parse(request.filter_pattern.as_deref().unwrap_or_default())?,
            from: token(request.next_token.as_deref())?.unwrap_or_default(),
            limit,
        };
        Ok((group, Self(filter)))
    }

    fn answer(self, group: &Group, backend: &Backend) -> Result<Value, Fault> {
        let page = backend.logs.filter(group.name(), &self.0);
        let page = page.ok_or_else(Fault::no_group)?;
        let mut answer = json!({
            "events": page.events.iter().map(|event| shown(event, true)).collect::<Vec<_>>(),
            "searchedLogStreams": [],
        });
        if page.more {
            answer["nextToken"] = page.next.to_string().into();
        }
        Ok(answer)
    }
}

#[derive(Debug)]
pub(super) struct GetLogEvents(Filter);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetRequest {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name: Option<String>,
    start_time: Option<i64>,
    end_time: Option<i64>,
    next_token: Option<String>,
    limit: Option<i64>,
}

impl Operation for GetLogEvents {
    const NAME: &'static str = "GetLogEvents";
    type Request = GetRequest;
    type Target = Stream;

    fn parse(request: GetRequest, home: &Home) -> Result<(Stream, Self), Fault> {
        let group = Group::parse(request.log_group_name, request.log_group_identifier, home)?;
        let stream = Stream::parse(group, request.log_stream_name)?;
        let Paging { start, end, limit } =
            Paging::parse(request.start_time, request.end_time, request.limit)?;
        let forward = request.next_token.as_deref();
        let forward = forward.map(|token| token.trim_start_matches("f/"));
        let filter = Filter {
            start,
            end,
            from: token(forward)?.unwrap_or_default(),
            limit,
            ..Filter::default()
        };
        Ok((stream, Self(filter)))
    }

    fn answer(self, stream: &Stream, backend: &Backend) -> Result<Value, Fault> {
        let filter = Filter {
            streams: vec![stream.name.clone()],
            ..self.0
        };
        let page = backend.logs.filter(stream.group.name(), &filter);
        let Page { events, next, .. } = page.ok_or_else(Fault::no_group)?;
        Ok(json!({
            "events": events.iter().map(|event| shown(event, false)).collect::<Vec<_>>(),
            "nextForwardToken": format!("f/{next}"),
            "nextBackwardToken": format!("f/{}", filter.from),
        }))
    }
}

struct Paging {
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    limit: usize,
}

impl Paging {
    fn parse(start: Option<i64>, end: Option<i64>, limit: Option<i64>) -> Result<Self, Fault> {
        let mut constraints = Constraints::default();
        constraints.range("startTime", start, 0, i64::MAX);
        constraints.range("endTime", end, 0, i64::MAX);
        constraints.range("limit", limit, 1, EVENTS_MAX.into());
        constraints.met()?;
        let time = |millis: i64| u64::try_from(millis).ok().map(Timestamp::from_millis);
        let limit = limit.and_then(|it| usize::try_from(it).ok());
        Ok(Self {
            start: start.and_then(time),
            end: end.and_then(time),
            limit: limit.unwrap_or(EVENTS_MAX as usize),
        })
    }
}

/// Streams of the group that a filter picks. None of them is a target: the whole group is judged.
fn streams(names: Option<Vec<String>>, prefix: Option<&str>) -> Result<Vec<String>, Fault> {
    let names = names.unwrap_or_default();
    if !names.is_empty() && prefix.is_some() {
        return Err(Fault::invalid(
            "logStreamNames and logStreamNamePrefix are alternatives: at most one of them is expected.",
        ));
    }
    if names.len() > STREAMS_MAX {
        return Err(Fault::invalid(format!(
            "logStreamNames has {} names. {STREAMS_MAX} are allowed.",
            names.len()
        )));
    }
    let mut constraints = Constraints::default();
    for name in &names {
        constraints.stream_name("logStreamNames", Some(name));
    }
    if prefix.is_some() {
        constraints.stream_name("logStreamNamePrefix", prefix);
    }
    constraints.met().map(|()| names)
}

fn token(text: Option<&str>) -> Result<Option<u64>, Fault> {
    let bad = |_| Fault::invalid("The specified nextToken is invalid.");
    text.map(|text| text.parse().map_err(bad)).transpose()
}

/// An event in AWS's shape. Lambda ends each message with a line feed.
fn shown(event: &Event, filtered: bool) -> Value {
    let mut shown = json!({
        "timestamp": event.at.millis(),
        "message": format!("{}\n", event.message),
        "ingestionTime": event.at.millis(),
    });
    if filtered {
        shown["logStreamName"] = event.stream.as_ref().into();
        shown["eventId"] = format!("{:056}", event.sequence).into();
    }
    shown
}
