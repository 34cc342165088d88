//! Constraints of a value in AWS's words, and the quotation of the value that violates them. `check` walks the
//! request.

use std::fmt::{self, Write};

use serde_json::Value;

use super::{Pattern, RUNTIMES, Shape};
use crate::api::rest::wire::blob;
use crate::library::runtime;

/// Characters of a value that are quoted in a validation error.
const QUOTED_CHARS_MAX: usize = 4_096;

/// Form in which AWS reports the items of a list.
#[derive(Clone, Copy)]
pub(in super::super) enum ItemMessage {
    /// With all constraints of the items.
    Whole,
    /// All constraints but "must not be null".
    NullUnsaid,
    /// As if the list were the item, with the creatable runtimes as values.
    AsOne,
}

impl ItemMessage {
    pub(super) fn of(self, member: &Shape) -> String {
        let text = match self {
            Self::AsOne => return one_of(&open_runtimes()),
            Self::Whole => all_constraints(member),
            Self::NullUnsaid => constraints(member).join(", "),
        };
        format!("Member must satisfy constraint: [{text}]")
    }
}

/// The runtimes that AWS lists: those that take new functions.
pub fn open_runtimes() -> Vec<&'static str> {
    let all = RUNTIMES.iter().copied();
    all.filter(|name| !runtime::is_ended(name)).collect()
}

/// Constraints that a value of the right type violates, in AWS's wording.
pub(super) fn broken(shape: &Shape, value: &Value) -> Vec<String> {
    match (shape, value) {
        (
            Shape::String {
                min,
                max,
                pattern,
                values,
            },
            Value::String(text),
        ) => {
            let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
            let mut broken = bounds("have length", *min, *max, Some(length));
            if let Some(pattern) = pattern.as_ref().filter(|pattern| !pattern.matches(text)) {
                broken.push(matching(pattern));
            }
            if !values.is_empty() && !values.contains(&text.as_str()) {
                broken.push(one_of(values));
            }
            broken
        }
        (Shape::Integer { min, max, .. }, value) => {
            bounds("have value", *min, *max, value.as_i64())
        }
        (Shape::Double { min, max }, value) => bounds("have value", *min, *max, value.as_f64()),
        (Shape::List { min, max, .. }, Value::Array(items)) => {
            bounds("have length", *min, *max, i64::try_from(items.len()).ok())
        }
        (Shape::Map { min, max, .. }, Value::Object(entries)) => {
            bounds("have length", *min, *max, i64::try_from(entries.len()).ok())
        }
        (Shape::Blob { max }, Value::String(text)) => {
            let bytes = blob::bytes(text).and_then(|bytes| bytes.try_into().ok());
            bounds("have length", None, *max, bytes)
        }
        _ => Vec::new(),
    }
}

/// All constraints of a scalar member, including null.
pub(super) fn all_constraints(shape: &Shape) -> String {
    let mut all = constraints(shape);
    all.push("Member must not be null".into());
    all.join(", ")
}

/// All constraints of a scalar shape.
pub(super) fn constraints(shape: &Shape) -> Vec<String> {
    match shape {
        Shape::String {
            min,
            max,
            pattern,
            values,
        } => {
            let mut all = bounds("have length", *min, *max, None);
            all.extend(pattern.as_ref().map(matching));
            all.extend((!values.is_empty()).then(|| one_of(values)));
            all
        }
        Shape::Integer { min, max, .. } => bounds("have value", *min, *max, None),
        Shape::Double { min, max } => bounds("have value", *min, *max, None),
        _ => Vec::new(),
    }
}

/// Limits that a number violates; without a number, all limits.
fn bounds<T: PartialOrd + fmt::Debug + Copy>(
    what: &str,
    min: Option<T>,
    max: Option<T>,
    number: Option<T>,
) -> Vec<String> {
    let over = max.filter(|max| number.is_none_or(|number| number > *max));
    let under = min.filter(|min| number.is_none_or(|number| number < *min));
    let over = over.map(|max| format!("Member must {what} less than or equal to {max:?}"));
    let under = under.map(|min| format!("Member must {what} greater than or equal to {min:?}"));
    over.into_iter().chain(under).collect()
}

fn matching(pattern: &Pattern) -> String {
    format!(
        "Member must satisfy regular expression pattern: {}",
        pattern.text
    )
}

fn one_of(values: &[&str]) -> String {
    format!(
        "Member must satisfy enum value set: [{}]",
        values.join(", ")
    )
}

pub(super) fn below(path: &str, name: &str) -> String {
    let mut camel = if path.is_empty() {
        String::new()
    } else {
        format!("{path}.")
    };
    let mut letters = name.chars();
    camel.extend(letters.next().map(|first| first.to_ascii_lowercase()));
    camel.extend(letters);
    camel
}

/// Value as AWS quotes it: strings bare, numbers, lists and maps as Java prints them.
pub(super) fn quoted(shape: &Shape, value: &Value) -> String {
    let mut text = String::from("'");
    plain(Some(shape), value, &mut text);
    if let Some((cut, _)) = text.char_indices().nth(QUOTED_CHARS_MAX) {
        text.truncate(cut);
    }
    text.push('\'');
    text
}

fn plain(shape: Option<&Shape>, value: &Value, text: &mut String) {
    let inner = match shape {
        Some(Shape::List { member, .. }) => Some(*member),
        Some(Shape::Map { value, .. }) => Some(*value),
        _ => None,
    };
    match value {
        Value::String(string) => text.push_str(string),
        Value::Number(number) if matches!(shape, Some(Shape::Double { .. })) => {
            // A whole number has a fraction there: 2.0.
            let number = number.as_f64().unwrap_or_default();
            let _ = write!(text, "{number:?}");
        }
        Value::Array(items) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                text.push_str(if at == 0 { "" } else { ", " });
                plain(inner, item, text);
            }
            text.push(']');
        }
        Value::Object(entries) => {
            text.push('{');
            for (at, (name, value)) in entries.iter().enumerate() {
                text.push_str(if at == 0 { "" } else { ", " });
                text.push_str(name);
                text.push('=');
                plain(inner, value, text);
            }
            text.push('}');
        }
        other => drop(write!(text, "{other}")),
    }
}
