//! What a request of the Lambda API asks for, read from its body before it is checked: only conditions
//! look at it here, and what they miss the model's checks refuse afterwards.

use std::sync::OnceLock;

use serde_json::Value;

use super::invokes;
use crate::api::facts::Asked;
use crate::api::rest::Call;
use crate::api::rest::wire::Operation;
use crate::names::Home;

/// The request, its body read when it is first asked for.
pub(super) struct AskedOfLambda<'a> {
    call: &'a Call,
    home: &'a Home,
    body: OnceLock<Value>,
}

impl<'a> AskedOfLambda<'a> {
    pub(super) fn new(call: &'a Call, home: &'a Home) -> Self {
        Self {
            call,
            home,
            body: OnceLock::new(),
        }
    }

    /// A member of the body that is a text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.texts(&[name]).into_iter().next()
    }

    /// A text or the texts of a list, at this place in the body.
    pub(super) fn texts(&self, path: &[&str]) -> Vec<String> {
        let mut value = self.body();
        for name in path {
            value = &value[name];
        }
        let text = |value: &Value| value.as_str().map(str::to_owned);
        match value {
            Value::Array(items) => items.iter().filter_map(text).collect(),
            value => text(value).into_iter().collect(),
        }
    }

    /// The tags that the request brings.
    pub(super) fn brought_tags(&self) -> Vec<(String, Option<String>)> {
        let tags = self.body()["Tags"].as_object().into_iter().flatten();
        let pair = |(key, value): (&String, &Value)| {
            (
                key.clone(),
                Some(value.as_str().unwrap_or_default().to_owned()),
            )
        };
        tags.map(pair).collect()
    }

    fn body(&self) -> &Value {
        self.body.get_or_init(|| {
            // What a function is given are no members of the request.
            if invokes(self.call.route.operation()) {
                return Value::Null;
            }
            serde_json::from_slice(&self.call.body).unwrap_or_default()
        })
    }

    /// The function that an event source mapping is for.
    fn function_arn(&self) -> Option<Vec<String>> {
        let operation = self.call.route.operation();
        let name = match operation {
            Operation::CreateEventSourceMapping => self.text("FunctionName"),
            Operation::ListEventSourceMappings => self.call.query("FunctionName"),
            // They name the mapping, and its record alone knows the function.
            Operation::GetEventSourceMapping
            | Operation::UpdateEventSourceMapping
            | Operation::DeleteEventSourceMapping => return None,
            _ => None,
        };
        let arn = |name: String| match name.starts_with("arn:") {
            true => name,
            false => {
                let Home { region, account } = self.home;
                let bare = name
                    .rsplit_once("function:")
                    .map_or(&*name, |(_, bare)| bare);
                format!("arn:aws:lambda:{region}:{account}:function:{bare}")
            }
        };
        Some(name.map(arn).into_iter().collect())
    }

    fn auth_type(&self) -> Option<Vec<String>> {
        match self.call.route.operation() {
            Operation::CreateFunctionUrlConfig => Some(self.texts(&["AuthType"])),
            Operation::AddPermission => Some(self.texts(&["FunctionUrlAuthType"])),
            // The record knows it, not the request.
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

impl Asked for AskedOfLambda<'_> {
    fn values(&self, key: &str) -> Option<Vec<String>> {
        let operation = self.call.route.operation();
        Some(match key {
            "lambda:functionarn" => return self.function_arn(),
            "lambda:functionurlauthtype" => return self.auth_type(),
            "lambda:invokedviafunctionurl" if invokes(operation) => vec!["false".to_owned()],
            "lambda:principal" if operation == Operation::AddPermission => {
                self.texts(&["Principal"])
            }
            "lambda:layer" => self.texts(&["Layers"]),
            "lambda:codesigningconfigarn" => self.texts(&["CodeSigningConfigArn"]),
            "lambda:subnetids" => self.texts(&["VpcConfig", "SubnetIds"]),
            "lambda:securitygroupids" => self.texts(&["VpcConfig", "SecurityGroupIds"]),
            // Which network a subnet is of, AWS knows.
            "lambda:vpcids" if !self.body()["VpcConfig"].is_null() => return None,
            "lambda:vpcids"
            | "lambda:principal"
            | "lambda:invokedviafunctionurl"
            | "lambda:eventsourcetoken"
            | "lambda:sourcefunctionarn" => Vec::new(),
            _ => return None,
        })
    }

    fn tags(&self) -> Vec<(String, Option<String>)> {
        let taken = self.call.query_all("tagKeys").into_iter();
        let taken = taken.map(|key| (key, None));
        self.brought_tags().into_iter().chain(taken).collect()
    }
}
