//! DescribeLogGroups and DescribeLogStreams: lists of log groups and of the streams of a group.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Fault;
use super::constraint::Constraints;
use super::operation::{Backend, Operation};
use super::target::{AllGroups, Group, group_arn};
use crate::names::Home;

/// AWS's default and bound for the groups or streams on a page.
const PAGE_MAX: u8 = 50;

#[derive(Debug)]
pub(super) struct DescribeLogGroups {
    prefix: String,
    limit: usize,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupsRequest {
    log_group_name_prefix: Option<String>,
    limit: Option<i64>,
}

impl Operation for DescribeLogGroups {
    const NAME: &'static str = "DescribeLogGroups";
    type Request = GroupsRequest;
    // AWS judges the list as a whole, whatever prefix narrows it.
    type Target = AllGroups;

    fn parse(request: GroupsRequest, _home: &Home) -> Result<(AllGroups, Self), Fault> {
        let operation = Self {
            limit: limit(request.limit, Constraints::default())?,
            prefix: request.log_group_name_prefix.unwrap_or_default(),
        };
        Ok((AllGroups, operation))
    }

    fn answer(self, AllGroups: &AllGroups, backend: &Backend) -> Result<Value, Fault> {
        let mut groups = backend.logs.groups(&self.prefix);
        groups.truncate(self.limit);
        let shown = groups.iter().map(|group| {
            let arn = group_arn(&backend.home, &group.name);
            json!({
                "logGroupName": group.name,
                "storedBytes": group.stored_bytes,
                "arn": format!("{arn}:*"),
                "logGroupArn": arn,
            })
        });
        Ok(json!({"logGroups": shown.collect::<Vec<_>>()}))
    }
}

#[derive(Debug)]
pub(super) struct DescribeLogStreams {
    prefix: String,
    by_time: bool,
    descending: bool,
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
    limit: Option<i64>,
}

impl Operation for DescribeLogStreams {
    const NAME: &'static str = "DescribeLogStreams";
    type Request = StreamsRequest;
    type Target = Group;

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
            limit,
        };
        Ok((group, operation))
    }

    fn answer(self, group: &Group, backend: &Backend) -> Result<Value, Fault> {
        let streams = backend.logs.streams(group.name());
        let mut streams = streams.ok_or_else(Fault::no_group)?;
        streams.retain(|stream| stream.name.starts_with(&self.prefix));
        if self.by_time {
            streams.sort_by_key(|stream| stream.last);
        }
        if self.descending {
            streams.reverse();
        }
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
            })
        });
        Ok(json!({"logStreams": shown.collect::<Vec<_>>()}))
    }
}

fn limit(limit: Option<i64>, mut constraints: Constraints) -> Result<usize, Fault> {
    constraints.range("limit", limit, 1, PAGE_MAX.into());
    constraints.met()?;
    let limit = limit.and_then(|it| usize::try_from(it).ok());
    Ok(limit.unwrap_or_else(|| PAGE_MAX.into()))
}
