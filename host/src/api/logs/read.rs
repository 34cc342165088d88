//! The operations themselves: shapes of CloudWatch Logs over what the host keeps.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Fault, pattern};
use crate::clock::Timestamp;
use crate::names::Home;
use crate::telemetry::log::{Event, Filter, Logs, Page};

/// Events on a page where the caller does not say, and at most.
const EVENTS_MAX: usize = 10_000;
/// The longest name of a group.
const GROUP_CHARS_MAX: usize = 512;
/// Streams or groups on a page at most.
const PAGE_MAX: usize = 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FilterLogEvents {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_names: Option<Vec<String>>,
    log_stream_name_prefix: Option<String>,
    start_time: Option<u64>,
    end_time: Option<u64>,
    filter_pattern: Option<String>,
    next_token: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetLogEvents {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name: String,
    start_time: Option<u64>,
    end_time: Option<u64>,
    next_token: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeLogStreams {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name_prefix: Option<String>,
    order_by: Option<String>,
    descending: Option<bool>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeLogGroups {
    log_group_name_prefix: Option<String>,
    limit: Option<usize>,
}

pub(super) fn filter_log_events(logs: &Logs, request: &FilterLogEvents) -> Result<Value, Fault> {
    let group = group(
        request.log_group_name.as_ref(),
        request.log_group_identifier.as_ref(),
    )?;
    let filter = Filter {
        streams: request.log_stream_names.clone().unwrap_or_default(),
        stream_prefix: request.log_stream_name_prefix.clone().unwrap_or_default(),
        start: request.start_time.map(Timestamp::from_millis),
        // Here the end is part of the range; in GetLogEvents it is not.
        end: request
            .end_time
            .map(|end| Timestamp::from_millis(end.saturating_add(1))),
        pattern: pattern::parse(request.filter_pattern.as_deref().unwrap_or_default())?,
        from: token(request.next_token.as_deref())?.unwrap_or_default(),
        limit: request.limit.unwrap_or(EVENTS_MAX).clamp(1, EVENTS_MAX),
    };
    let page = logs.filter(group, &filter).ok_or_else(no_group)?;
    let mut answer = json!({
        "events": page.events.iter().map(|event| shown(event, true)).collect::<Vec<_>>(),
        "searchedLogStreams": [],
    });
    if page.more {
        answer["nextToken"] = page.next.to_string().into();
    }
    Ok(answer)
}

pub(super) fn get_log_events(logs: &Logs, request: &GetLogEvents) -> Result<Value, Fault> {
    let group = group(
        request.log_group_name.as_ref(),
        request.log_group_identifier.as_ref(),
    )?;
    let forward = request
        .next_token
        .as_deref()
        .map(|token| token.trim_start_matches("f/"));
    let filter = Filter {
        streams: vec![request.log_stream_name.clone()],
        start: request.start_time.map(Timestamp::from_millis),
        end: request.end_time.map(Timestamp::from_millis),
        from: token(forward)?.unwrap_or_default(),
        limit: request.limit.unwrap_or(EVENTS_MAX).clamp(1, EVENTS_MAX),
        ..Filter::default()
    };
    let Page { events, next, .. } = logs.filter(group, &filter).ok_or_else(no_group)?;
    Ok(json!({
        "events": events.iter().map(|event| shown(event, false)).collect::<Vec<_>>(),
        "nextForwardToken": format!("f/{next}"),
        "nextBackwardToken": format!("f/{}", filter.from),
    }))
}

pub(super) fn describe_log_streams(
    logs: &Logs,
    request: &DescribeLogStreams,
    home: &Home,
) -> Result<Value, Fault> {
    let group = group(
        request.log_group_name.as_ref(),
        request.log_group_identifier.as_ref(),
    )?;
    let mut streams = logs.streams(group).ok_or_else(no_group)?;
    let prefix = request
        .log_stream_name_prefix
        .as_deref()
        .unwrap_or_default();
    streams.retain(|stream| stream.name.starts_with(prefix));
    if request.order_by.as_deref() == Some("LastEventTime") {
        streams.sort_by_key(|stream| stream.last);
    }
    if request.descending == Some(true) {
        streams.reverse();
    }
    streams.truncate(request.limit.unwrap_or(50).min(PAGE_MAX));
    let shown = streams.iter().map(|stream| {
        json!({
            "logStreamName": stream.name.as_ref(),
            "creationTime": stream.first.millis(),
            "firstEventTimestamp": stream.first.millis(),
            "lastEventTimestamp": stream.last.millis(),
            "lastIngestionTime": stream.last.millis(),
            "arn": format!("{}:log-stream:{}", arn(home, group), stream.name),
        })
    });
    Ok(json!({"logStreams": shown.collect::<Vec<_>>()}))
}

pub(super) fn describe_log_groups(logs: &Logs, request: &DescribeLogGroups, home: &Home) -> Value {
    let prefix = request.log_group_name_prefix.as_deref().unwrap_or_default();
    let mut groups = logs.groups(prefix);
    groups.truncate(request.limit.unwrap_or(50).min(PAGE_MAX));
    let shown = groups.iter().map(|group| {
        json!({
            "logGroupName": group.name,
            "storedBytes": group.stored_bytes,
            "arn": format!("{}:*", arn(home, &group.name)),
            "logGroupArn": arn(home, &group.name),
        })
    });
    json!({"logGroups": shown.collect::<Vec<_>>()})
}

fn arn(home: &Home, group: &str) -> String {
    format!(
        "arn:aws:logs:{}:{}:log-group:{group}",
        home.region, home.account
    )
}

/// The name of a group that is named by its name or its ARN.
pub(super) fn bare_group(name: &str) -> &str {
    let name = name
        .split_once(":log-group:")
        .map_or(name, |(_, name)| name);
    name.trim_end_matches(":*")
}

/// The group by its name, or by its ARN, which ends in its name.
fn group<'a>(name: Option<&'a String>, identifier: Option<&'a String>) -> Result<&'a str, Fault> {
    let name = name.or(identifier).map(String::as_str);
    let name = name.map(bare_group).ok_or_else(|| {
        Fault::new(
            "InvalidParameterException",
            "logGroupName or logGroupIdentifier is required.",
        )
    })?;
    require_name(name).map(|()| name)
}

/// Refuses what no group can be called.
fn require_name(name: &str) -> Result<(), Fault> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || ".-_/#".contains(letter);
    let constraint = if name.is_empty() {
        "have length greater than or equal to 1"
    } else if name.chars().count() > GROUP_CHARS_MAX {
        "have length less than or equal to 512"
    } else if !name.chars().all(fits) {
        r"satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+"
    } else {
        return Ok(());
    };
    let text = format!(
        "1 validation error detected: Value '{name}' at 'logGroupName' failed to satisfy \
         constraint: Member must {constraint}"
    );
    Err(Fault::new("InvalidParameterException", text))
}

fn token(text: Option<&str>) -> Result<Option<u64>, Fault> {
    let bad = |_| {
        Fault::new(
            "InvalidParameterException",
            "The specified nextToken is invalid.",
        )
    };
    text.map(|text| text.parse().map_err(bad)).transpose()
}

fn no_group() -> Fault {
    Fault::new(
        "ResourceNotFoundException",
        "The specified log group does not exist.",
    )
}

/// An event as AWS shows it: what Lambda writes to a log ends with its line.
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
