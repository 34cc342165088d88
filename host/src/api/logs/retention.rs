//! PutRetentionPolicy and DeleteRetentionPolicy.

use serde::Deserialize;
use serde_json::Value;

use super::Fault;
use super::constraint::Constraints;
use super::operation::{Backend, Operation};
use super::target::Group;
use crate::names::Home;

/// AWS's values of `retentionInDays`.
const DAYS: [u16; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
];

#[derive(Debug)]
pub(super) struct PutRetentionPolicy {
    days: u16,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PutRequest {
    log_group_name: Option<String>,
    retention_in_days: Option<i64>,
}

impl Operation for PutRetentionPolicy {
    const NAME: &'static str = "PutRetentionPolicy";
    type Request = PutRequest;
    type Target = Group;
    type Answer = Value;

    fn parse(request: PutRequest, _home: &Home) -> Result<(Group, Self), Fault> {
        let group = Group::required(request.log_group_name)?;
        let mut constraints = Constraints::default();
        let days = constraints.days("retentionInDays", request.retention_in_days, &DAYS);
        constraints.met()?;
        Ok((group, Self { days }))
    }

    fn answer(self, group: &Group, backend: &Backend) -> Result<Value, Fault> {
        backend.logs.set_retention(group.name(), Some(self.days))?;
        Ok(Value::Null)
    }
}

#[derive(Debug)]
pub(super) struct DeleteRetentionPolicy;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeleteRequest {
    log_group_name: Option<String>,
}

impl Operation for DeleteRetentionPolicy {
    const NAME: &'static str = "DeleteRetentionPolicy";
    type Request = DeleteRequest;
    type Target = Group;
    type Answer = Value;

    fn parse(request: DeleteRequest, _home: &Home) -> Result<(Group, Self), Fault> {
        Group::required(request.log_group_name).map(|group| (group, Self))
    }

    fn answer(self, group: &Group, backend: &Backend) -> Result<Value, Fault> {
        backend.logs.set_retention(group.name(), None)?;
        Ok(Value::Null)
    }
}
