//! DeleteLogGroup and DeleteLogStream.

use serde::Deserialize;
use serde_json::Value;

use super::Fault;
use super::operation::{Backend, Operation};
use super::target::{Group, Stream};
use crate::names::Home;

#[derive(Debug)]
pub(super) struct DeleteLogGroup;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupRequest {
    log_group_name: Option<String>,
}

impl Operation for DeleteLogGroup {
    const NAME: &'static str = "DeleteLogGroup";
    type Request = GroupRequest;
    type Target = Group;
    type Answer = Value;

    fn parse(request: GroupRequest, _home: &Home) -> Result<(Group, Self), Fault> {
        Group::required(request.log_group_name).map(|group| (group, Self))
    }

    fn answer(self, group: &Group, backend: &Backend) -> Result<Value, Fault> {
        backend.logs.delete_group(group.name())?;
        Ok(Value::Null)
    }
}

#[derive(Debug)]
pub(super) struct DeleteLogStream;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StreamRequest {
    log_group_name: Option<String>,
    log_stream_name: Option<String>,
}

impl Operation for DeleteLogStream {
    const NAME: &'static str = "DeleteLogStream";
    type Request = StreamRequest;
    type Target = Stream;
    type Answer = Value;

    fn parse(request: StreamRequest, _home: &Home) -> Result<(Stream, Self), Fault> {
        let group = Group::required(request.log_group_name)?;
        Stream::parse(group, request.log_stream_name).map(|stream| (stream, Self))
    }

    fn answer(self, stream: &Stream, backend: &Backend) -> Result<Value, Fault> {
        let group = stream.group.name();
        backend.logs.delete_stream(group, &stream.name)?;
        Ok(Value::Null)
    }
}
