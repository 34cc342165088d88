//! Request values for policy conditions, read from the body before validation; malformed values are
//! refused by the model's checks afterwards.

use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::Head;
use crate::api::rest::invokes;
use crate::api::rest::wire::{Operation, unchecked};
use crate::api::{at_length, facts};
use crate::names::LayerVersionArn;

/// Members of a request's body, parsed on first use.
pub(super) struct Members<'a> {
    head: &'a Head,
    /// None before the body is read.
    body: Option<&'a Bytes>,
    values: OnceLock<Map<String, Value>>,
}

/// Condition keys of a request: its members, and the functions of its event source mapping.
pub(super) struct ConditionKeys<'a> {
    pub(super) members: &'a Members<'a>,
    /// None where they cannot be known.
    pub(super) function_arns: Option<Vec<String>>,
}

impl<'a> Members<'a> {
    pub(super) fn new(head: &'a Head, body: Option<&'a Bytes>) -> Self {
        Self {
            head,
            body,
            values: OnceLock::new(),
        }
    }

    /// A text or the texts of a list, at this place in the body.
    pub(super) fn texts(&self, path: &[&str]) -> Vec<String> {
        let mut value = self.member(path[0]);
        for name in &path[1..] {
            value = &value[name];
        }
        let text = |value: &Value| value.as_str().map(str::to_owned);
        match value {
            Value::Array(items) => items.iter().filter_map(text).collect(),
            value => text(value).into_iter().collect(),
        }
    }

    /// The ARNs of layers as this host writes them: `:01` is version 1 too.
    pub(super) fn layers(&self) -> Vec<String> {
        let written =
            |text: String| LayerVersionArn::parse(&text).map_or(text, |it| it.to_string());
        self.texts(&["Layers"]).into_iter().map(written).collect()
    }

    /// The tags that the request brings.
    pub(super) fn tags(&self) -> Vec<(String, Option<String>)> {
        let tags = self.member("Tags").as_object().into_iter().flatten();
        let pair = |(key, value): (&String, &Value)| {
            let value = value.as_str().unwrap_or_default().to_owned();
            (key.clone(), Some(value))
        };
        tags.map(pair).collect()
    }

    /// A member of the body. A member that the operation does not have says nothing.
    fn member(&self, name: &str) -> &Value {
        let members = self.values.get_or_init(|| {
            let Some(body) = self.body else {
                return Map::new();
            };
            let read = || unchecked(self.head.operation(), body);
            at_length(&self.head.parts, body.len(), read)
        });
        members.get(name).unwrap_or(&Value::Null)
    }

    fn auth_type(&self) -> Option<Vec<String>> {
        match self.head.operation() {
            Operation::CreateFunctionUrlConfig => Some(self.texts(&["AuthType"])),
            Operation::AddPermission => Some(self.texts(&["FunctionUrlAuthType"])),
            // The record has the value if the request does not.
            Operation::UpdateFunctionUrlConfig => {
                let given = self.texts(&["AuthType"]);
                (!given.is_empty()).then_some(given)
            }
            Operation::GetFunctionUrlConfig
            | Operation::DeleteFunctionUrlConfig
            | Operation::ListFunctionUrlConfigs => None,
            _ => Some(Vec::new()),
        }
    }
}

impl facts::ContextKeys for ConditionKeys<'_> {
    fn values(&self, key: &str) -> Option<Vec<String>> {
        let members = self.members;
        let operation = members.head.operation();
        Some(match key {
            "lambda:functionarn" => return self.function_arns.clone(),
            "lambda:invokedviafunctionurl" if invokes(operation) => vec!["false".to_owned()],
            "lambda:invokedviafunctionurl"
            | "lambda:eventsourcetoken"
            | "lambda:sourcefunctionarn" => Vec::new(),
            // The rest is in the body.
            _ if members.body.is_none() => return None,
            "lambda:functionurlauthtype" => return members.auth_type(),
            "lambda:principal" if operation == Operation::AddPermission => {
                members.texts(&["Principal"])
            }
            "lambda:layer" => members.layers(),
            "lambda:codesigningconfigarn" => members.texts(&["CodeSigningConfigArn"]),
            "lambda:subnetids" => members.texts(&["VpcConfig", "SubnetIds"]),
            "lambda:securitygroupids" => members.texts(&["VpcConfig", "SecurityGroupIds"]),
            // AWS alone knows the network of a subnet.
            "lambda:vpcids" if !members.member("VpcConfig").is_null() => return None,
            "lambda:vpcids" | "lambda:principal" => Vec::new(),
            _ => return None,
        })
    }

    fn tags(&self) -> Option<Vec<(String, Option<String>)>> {
        let head = self.members.head;
        let taken = match head.operation() {
            Operation::UntagResource => head.query_all("tagKeys"),
            _ if self.members.body.is_none() => return None,
            _ => Vec::new(),
        };
        let taken = taken.into_iter().map(|key| (key, None));
        Some(self.members.tags().into_iter().chain(taken).collect())
    }
}
