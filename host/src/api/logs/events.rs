//! FilterLogEvents and GetLogEvents: pages of log events.

use serde::Deserialize;
use serde_json::{Value, json};

use super::constraint::Constraints;
use super::operation::{Backend, Operation};
use super::target::{Group, Stream};
use super::{Fault, pattern};
use crate::clock::Timestamp;
use crate::names::Home;
use crate::telemetry::log::{Direction, Event, Filter, Page};

/// AWS's default and maximum page size.
const EVENTS_MAX: u32 = 10_000;
/// AWS's limit of `logStreamNames`.
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
    start_from_head: Option<bool>,
}

impl Operation for FilterLogEvents {
    const NAME: &'static str = "FilterLogEvents";
    type Request = FilterRequest;
    // AWS authorizes this operation by group only; a policy for a stream does not apply.
    type Target = Group;
    type Answer = Value;

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
            // The end time is inclusive here and exclusive in GetLogEvents.
            end: end.map(|end| Timestamp::from_millis(end.millis().saturating_add(1))),
            pattern: pattern::parse(request.filter_pattern.as_deref().unwrap_or_default())?,
            // Oldest first by default; GetLogEvents defaults to newest first.
            direction: direction(
                request.next_token.as_deref(),
                request.start_from_head != Some(false),
            )?,
            limit,
        };
        Ok((group, Self(filter)))
    }

    fn answer(self, group: &Group, backend: &Backend) -> Result<Value, Fault> {
        let page = backend.logs.filter(group.name(), &self.0);
        let page = page.ok_or_else(Fault::no_group)?;
        let mut events: Vec<_> = page.events.iter().map(|it| shown(it, true)).collect();
        let is_forward = matches!(self.0.direction, Direction::Forward(_));
        if !is_forward {
            events.reverse();
        }
        let mut answer = json!({"events": events, "searchedLogStreams": []});
        if let Some(next) = page.next {
            // Forward tokens are plain numbers, because `lamina logs` derives tokens from event
            // ids.
            answer["nextToken"] = match is_forward {
                true => next.to_string().into(),
                false => format!("b/{}", next + 1).into(),
            };
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
    start_from_head: Option<bool>,
}

impl Operation for GetLogEvents {
    const NAME: &'static str = "GetLogEvents";
    type Request = GetRequest;
    type Target = Stream;
    type Answer = Value;

    fn parse(request: GetRequest, home: &Home) -> Result<(Stream, Self), Fault> {
        let group = Group::parse(request.log_group_name, request.log_group_identifier, home)?;
        let stream = Stream::parse(group, request.log_stream_name)?;
        let Paging { start, end, limit } =
            Paging::parse(request.start_time, request.end_time, request.limit)?;
        let filter = Filter {
            start,
            end,
            direction: direction(
                request.next_token.as_deref(),
                request.start_from_head == Some(true),
            )?,
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
        let streams = backend.logs.streams(stream.group.name());
        let mut streams = streams.ok_or_else(Fault::no_group)?.into_iter();
        if !streams.any(|it| *it.name == *stream.name) {
            return Err(Fault::no_stream());
        }
        let page = backend.logs.filter(stream.group.name(), &filter);
        let Page { events, .. } = page.ok_or_else(Fault::no_group)?;
        // As in AWS, an empty page returns the token of its request, at which clients stop.
        let empty = match filter.direction {
            Direction::Forward(from) => (from, from),
            Direction::Backward(u64::MAX) => (0, 0),
            Direction::Backward(before) => (before, before),
        };
        let forward = events.last().map_or(empty.0, |event| event.sequence + 1);
        let backward = events.first().map_or(empty.1, |event| event.sequence);
        Ok(json!({
            "events": events.iter().map(|event| shown(event, false)).collect::<Vec<_>>(),
            "nextForwardToken": format!("f/{forward}"),
            "nextBackwardToken": format!("b/{backward}"),
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

/// Streams selected by a filter. Authorization covers the whole group, so they are no targets.
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

/// Start of a page: a token, or an end of the log.
fn direction(token: Option<&str>, from_head: bool) -> Result<Direction, Fault> {
    let Some(token) = token else {
        return Ok(match from_head {
            true => Direction::Forward(0),
            false => Direction::Backward(u64::MAX),
        });
    };
    let (make, sequence): (fn(u64) -> _, _) = match token.split_once('/') {
        None => (Direction::Forward, token),
        Some(("f", sequence)) => (Direction::Forward, sequence),
        Some(("b", sequence)) => (Direction::Backward, sequence),
        Some(_) => return Err(bad_token()),
    };
    sequence.parse().map(make).map_err(|_| bad_token())
}

pub(super) fn bad_token() -> Fault {
    Fault::invalid("The specified nextToken is invalid.")
}

/// Event in AWS's shape. Lambda ends each message with a line feed.
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
