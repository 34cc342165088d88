//! DescribeLogGroups and DescribeLogStreams.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Fault;
use super::constraint::Constraints;
use super::events::bad_token;
use super::operation::{Backend, Operation};
use super::target::{AllGroups, Group, group_arn};
use crate::names::Home;
use crate::telemetry::log::{GroupSummary, GroupsQuery, StreamSummary};

/// AWS's default and maximum page size for groups and streams.
const PAGE_MAX: u8 = 50;
/// Log class of every group of this host, and AWS's default.
const STANDARD: &str = "STANDARD";
const CLASSES: [&str; 4] = [STANDARD, "INFREQUENT_ACCESS", "DELIVERY", "ESSENTIALS"];

#[derive(Debug)]
pub(super) struct DescribeLogGroups {
    query: GroupsQuery,
    /// True for requests of groups that this host never has: other accounts or classes.
    is_empty: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupsRequest {
    account_identifiers: Option<Vec<String>>,
    log_group_class: Option<String>,
    log_group_identifiers: Option<Vec<String>>,
    log_group_name_pattern: Option<String>,
    log_group_name_prefix: Option<String>,
    next_token: Option<String>,
    limit: Option<i64>,
}

impl Operation for DescribeLogGroups {
    const NAME: &'static str = "DescribeLogGroups";
    type Request = GroupsRequest;
    // AWS authorizes the whole list, whatever filters the request has.
    type Target = AllGroups;
    type Answer = Value;

    fn parse(request: GroupsRequest, home: &Home) -> Result<(AllGroups, Self), Fault> {
        let class = request.log_group_class.as_deref();
        let mut constraints = Constraints::default();
        constraints.one_of("logGroupClass", class, &CLASSES);
        let limit = limit(request.limit, constraints)?;
        if request.log_group_name_pattern.is_some() && request.log_group_name_prefix.is_some() {
            return Err(Fault::invalid(
                "logGroupNamePattern and logGroupNamePrefix are alternatives: at most one of them \
                 is expected.",
            ));
        }
        let accounts = request.account_identifiers.unwrap_or_default();
        let is_foreign = !accounts.is_empty() && !accounts.contains(&home.account.to_string());
        let identifiers = request
            .log_group_identifiers
            .unwrap_or_default()
            .into_iter();
        let groups = identifiers.map(|identifier| Group::identified(identifier, home));
        let groups = groups.collect::<Result<Vec<_>, _>>()?;
        let operation = Self {
            query: GroupsQuery {
                prefix: request.log_group_name_prefix.unwrap_or_default(),
                part: request.log_group_name_pattern.unwrap_or_default(),
                names: groups.iter().map(|group| group.name().to_owned()).collect(),
                after: request.next_token,
                limit,
            },
            is_empty: is_foreign || class.is_some_and(|class| class != STANDARD),
        };
        Ok((AllGroups, operation))
    }

    fn answer(self, AllGroups: &AllGroups, backend: &Backend) -> Result<Value, Fault> {
        let (groups, has_more) = match self.is_empty {
            true => (Vec::new(), false),
            false => backend.logs.groups(&self.query),
        };
        let shown = groups.iter().map(|group| shown_group(group, &backend.home));
        let mut answer = json!({"logGroups": shown.collect::<Vec<_>>()});
        if let Some(last) = groups.last().filter(|_| has_more) {
            answer["nextToken"] = last.name.as_str().into();
        }
        Ok(answer)
    }
}

fn shown_group(group: &GroupSummary, home: &Home) -> Value {
    let arn = group_arn(home, &group.name);
    let mut shown = json!({
        "logGroupName": group.name,
        "creationTime": group.created.millis(),
        "metricFilterCount": 0,
        "arn": format!("{arn}:*"),
        "storedBytes": group.stored_bytes,
        "logGroupClass": STANDARD,
        "logGroupArn": arn,
    });
    if let Some(days) = group.retention_days {
        shown["retentionInDays"] = days.into();
    }
    shown
}

#[derive(Debug)]
pub(super) struct DescribeLogStreams {
    prefix: String,
    by_time: bool,
    descending: bool,
    /// Last stream of the previous page.
    after: Option<(u64, String)>,
    limit: usize,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StreamsRequest {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name_prefix: Option<String>,
    order_by: Option<String>,
    descending: Option<bool>,
    next_token: Option<String>,
    limit: Option<i64>,
}

impl Operation for DescribeLogStreams {
    const NAME: &'static str = "DescribeLogStreams";
    type Request = StreamsRequest;
    type Target = Group;
    type Answer = Value;

    fn parse(request: StreamsRequest, home: &Home) -> Result<(Group, Self), Fault> {
        let group = Group::parse(request.log_group_name, request.log_group_identifier, home)?;
        let order = request.order_by.as_deref();
        let mut constraints = Constraints::default();
        constraints.one_of("orderBy", order, &["LogStreamName", "LastEventTime"]);
        let limit = limit(request.limit, constraints)?;
        let by_time = order == Some("LastEventTime");
        if by_time && request.log_stream_name_prefix.is_some() {
            return Err(Fault::invalid(
                "Cannot order by LastEventTime with a logStreamNamePrefix.",
            ));
        }
        let operation = Self {
            prefix: request.log_stream_name_prefix.unwrap_or_default(),
            by_time,
            descending: request.descending == Some(true),
            after: request.next_token.as_deref().map(position).transpose()?,
            limit,
        };
        Ok((group, operation))
    }

    fn answer(self, group: &Group, backend: &Backend) -> Result<Value, Fault> {
        let streams = backend.logs.streams(group.name());
        let mut streams = self.page(streams.ok_or_else(Fault::no_group)?);
        let has_more = streams.len() > self.limit;
        streams.truncate(self.limit);
        let arn = group_arn(&backend.home, group.name());
        let shown = streams.iter().map(|stream| {
            json!({
                "logStreamName": stream.name.as_ref(),
                "creationTime": stream.first.millis(),
                "firstEventTimestamp": stream.first.millis(),
                "lastEventTimestamp": stream.last.millis(),
                "lastIngestionTime": stream.last.millis(),
                "arn": format!("{arn}:log-stream:{}", stream.name),
                // AWS stopped counting the bytes of streams.
                "storedBytes": 0,
            })
        });
        let mut answer = json!({"logStreams": shown.collect::<Vec<_>>()});
        if let Some(last) = streams.last().filter(|_| has_more) {
            let (time, name) = self.key(last);
            answer["nextToken"] = format!("{time}/{name}").into();
        }
        Ok(answer)
    }
}

impl DescribeLogStreams {
    /// Remaining streams, in order.
    fn page(&self, mut streams: Vec<StreamSummary>) -> Vec<StreamSummary> {
        streams.retain(|stream| stream.name.starts_with(&self.prefix));
        streams.sort_by_cached_key(|stream| self.key(stream));
        if let Some(after) = &self.after {
            streams.retain(|stream| match self.descending {
                true => self.key(stream) < *after,
                false => self.key(stream) > *after,
            });
        }
        if self.descending {
            streams.reverse();
        }
        streams
    }

    fn key(&self, stream: &StreamSummary) -> (u64, String) {
        let time = if self.by_time {
            stream.last.millis()
        } else {
            0
        };
        (time, stream.name.as_ref().to_owned())
    }
}

/// Position in a list of streams, parsed from a token.
fn position(token: &str) -> Result<(u64, String), Fault> {
    let (time, name) = token.split_once('/').ok_or_else(bad_token)?;
    let time = time.parse().map_err(|_| bad_token())?;
    Ok((time, name.to_owned()))
}

fn limit(limit: Option<i64>, mut constraints: Constraints) -> Result<usize, Fault> {
    constraints.range("limit", limit, 1, PAGE_MAX.into());
    constraints.met()?;
    let limit = limit.and_then(|it| usize::try_from(it).ok());
    Ok(limit.unwrap_or_else(|| PAGE_MAX.into()))
}
