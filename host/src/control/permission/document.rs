//! Policy documents as JSON: validation, and access to statements.

use serde_json::{Value, json};

use super::PermissionError as Error;
use crate::policy::{self, Policy};

/// Statements of a policy; a single statement is wrapped in an array.
pub(super) fn statements(document: &mut Value) -> &mut Vec<Value> {
    let statements = &mut document["Statement"];
    if !statements.is_array() {
        *statements = Value::Array(vec![statements.take()]);
    }
    statements.as_array_mut().expect("it was made one")
}

/// Policy without statements.
pub(super) fn empty() -> Value {
    json!({"Version": "2012-10-17", "Id": "default", "Statement": []})
}

/// Validates a document.
pub(super) fn checked(document: Value) -> Result<Value, Error> {
    let bytes = document.to_string().len();
    if bytes > policy::BYTES_MAX {
        return Err(Error::TooLong {
            bytes,
            bytes_max: policy::BYTES_MAX,
        });
    }
    let policy = Policy::resource(&document).map_err(|error| not_a_policy(&error.to_string()))?;
    match policy.unknown_operators().next() {
        Some(name) => Err(not_a_policy(&format!(
            "there is no condition operator {name:?}"
        ))),
        None => Ok(document),
    }
}

pub(super) fn not_a_policy(problem: &str) -> Error {
    Error::NotAPolicy(problem.to_owned())
}
