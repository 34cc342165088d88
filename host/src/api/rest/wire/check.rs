//! The model's constraints, and AWS's own words for breaking them. All violations of a request are
//! told at once.

use std::fmt::{self, Write};
use std::sync::OnceLock;

use fancy_regex::Regex;
use serde_json::Value;

use super::blob;
use super::fault::{ErrorShape, Fault};
use super::route::Operation;

#[expect(clippy::too_many_lines, reason = "a table of all operations")]
mod tables {
    use super::{Location, Member, Operation, Pattern, Shape};

    include!(concat!(env!("OUT_DIR"), "/constraints.rs"));
}

pub use tables::RUNTIMES;

/// Violations that are told; AWS stops at some number too.
const VIOLATIONS_MAX: usize = 20;
/// Of a value, what is quoted back.
const QUOTED_CHARS_MAX: usize = 4_096;
/// How deep a request may be nested, whatever the model says of it.
const DEPTH_MAX: usize = 64;

/// What the model says of a shape.
pub(super) enum Shape {
    Structure(&'static [Member]),
    String {
        min: Option<i64>,
        max: Option<i64>,
        pattern: Option<Pattern>,
        values: &'static [&'static str],
    },
    Integer {
        min: Option<i64>,
        max: Option<i64>,
    },
    Double {
        min: Option<f64>,
        max: Option<f64>,
    },
    Boolean,
    Timestamp,
    Blob {
        max: Option<i64>,
    },
    List {
        min: Option<i64>,
        max: Option<i64>,
        member: &'static Shape,
        as_one: bool,
    },
    Map {
        min: Option<i64>,
        max: Option<i64>,
        key: &'static Shape,
        value: &'static Shape,
    },
}

/// A member of a structure.
pub(super) struct Member {
    pub(super) name: &'static str,
    pub(super) shape: &'static Shape,
    pub(super) required: bool,
    pub(super) location: Location,
}

/// Where in a request a member is.
pub(super) enum Location {
    Body,
    Payload,
    Label(&'static str),
    Query(&'static str),
    Header(&'static str),
}

/// A regular expression, compiled when it is first needed. The whole of a value must match.
pub(super) struct Pattern {
    text: &'static str,
    compiled: OnceLock<Regex>,
}

/// Why a request cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Rejection {
    /// The body is not JSON.
    #[error("Could not parse request body into json: {0}")]
    NotJson(String),
    /// The body is JSON and not an object.
    #[error("Could not parse request body into json: an object is expected")]
    NotAnObject,
    /// A member has a value of another type than the model's.
    #[error("The value at '{path}' is not {expected}.")]
    Type {
        /// Where.
        path: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Members break constraints.
    #[error("{}", text(.0))]
    Violations(Vec<Violation>),
}

/// One broken constraint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    /// The value as AWS quotes it.
    pub value: String,
    /// Where it is.
    pub path: String,
    /// What it should have been.
    pub constraint: String,
}

impl From<Rejection> for Fault {
    fn from(rejection: Rejection) -> Self {
        let shape = match &rejection {
            Rejection::NotJson(_) | Rejection::NotAnObject => {
                ErrorShape::InvalidRequestContentException
            }
            Rejection::Type { .. } => ErrorShape::SerializationException,
            Rejection::Violations(_) => ErrorShape::ValidationException,
        };
        Self::new(shape, rejection.to_string())
    }
}

fn text(violations: &[Violation]) -> String {
    let plural = if violations.len() == 1 {
        "error"
    } else {
        "errors"
    };
    let mut text = format!("{} validation {plural} detected: ", violations.len());
    for (
        at,
        Violation {
            value,
            path,
            constraint,
        },
    ) in violations.iter().enumerate()
    {
        let separator = if at == 0 { "" } else { "; " };
        let _ = write!(
            text,
            "{separator}Value {value} at '{path}' failed to satisfy constraint: {constraint}"
        );
    }
    text
}

impl Pattern {
    pub(super) const fn new(text: &'static str) -> Self {
        Self {
            text,
            compiled: OnceLock::new(),
        }
    }

    pub(super) fn matches(&self, value: &str) -> bool {
        let compile =
            || Regex::new(&format!("^(?:{})$", self.text)).expect("a test compiles every pattern");
        self.compiled
            .get_or_init(compile)
            .is_match(value)
            .unwrap_or(false)
    }
}

impl Shape {
    /// A value that came as text: in the path, the query or a header.
    pub(super) fn read_text(&self, given: Vec<String>) -> Result<Option<Value>, Rejection> {
        if let Self::List { .. } = self {
            return Ok((!given.is_empty()).then(|| given.into()));
        }
        let Some(text) = given.into_iter().next() else {
            return Ok(None);
        };
        Ok(Some(match self {
            Self::Integer { .. } => text.parse::<i64>().map_or(Value::String(text), Value::from),
            Self::Boolean => text
                .parse::<bool>()
                .map_or(Value::String(text), Value::from),
            _ => Value::String(text),
        }))
    }
}

/// Checks a request against its shape.
pub(super) fn check(shape: &Shape, request: &Value) -> Result<(), Rejection> {
    let mut walk = Walk {
        violations: Vec::new(),
        depth: 0,
    };
    walk.value(shape, request, String::new())?;
    if walk.violations.is_empty() {
        Ok(())
    } else {
        Err(Rejection::Violations(walk.violations))
    }
}

struct Walk {
    violations: Vec<Violation>,
    depth: usize,
}

impl Walk {
    fn value(&mut self, shape: &Shape, value: &Value, path: String) -> Result<(), Rejection> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Rejection::Type {
                path,
                expected: "nested so deep",
            });
        }
        match (shape, value) {
            (Shape::Structure(members), Value::Object(given)) => {
                for member in *members {
                    let path = below(&path, member.name);
                    match given.get(member.name).filter(|value| !value.is_null()) {
                        Some(value) => self.value(member.shape, value, path)?,
                        None if member.required => {
                            self.violated("null".into(), path, "Member must not be null".into());
                        }
                        None => {}
                    }
                }
            }
            (Shape::List { member, as_one, .. }, Value::Array(items)) => {
                self.all(broken(shape, value), value, &path);
                if self.any_broken(member, items, &path)? {
                    let constraint = if *as_one {
                        constraints(member).join(", ")
                    } else {
                        format!("Member must satisfy constraint: [{}]", asked(member))
                    };
                    self.violated(quoted(value), path, constraint);
                }
            }
            (
                Shape::Map {
                    key, value: inner, ..
                },
                Value::Object(entries),
            ) => {
                self.all(broken(shape, value), value, &path);
                self.entries(key, inner, entries, value, &path)?;
            }
            _ => match mistyped(shape, value) {
                Some(expected) => return Err(Rejection::Type { path, expected }),
                None => self.all(broken(shape, value), value, &path),
            },
        }
        self.depth -= 1;
        Ok(())
    }

    /// Whether a plain item breaks a constraint: these are told of together, with all that is asked
    /// of them. Others tell of themselves.
    fn any_broken(
        &mut self,
        member: &Shape,
        items: &[Value],
        path: &str,
    ) -> Result<bool, Rejection> {
        let mut any_broken = false;
        for (at, item) in items.iter().enumerate() {
            match member {
                Shape::Structure(_) | Shape::List { .. } | Shape::Map { .. } => {
                    self.value(member, item, format!("{path}.{}.member", at + 1))?;
                }
                _ if item.is_null() => any_broken = true,
                _ => {
                    if let Some(expected) = mistyped(member, item) {
                        return Err(Rejection::Type {
                            path: path.to_owned(),
                            expected,
                        });
                    }
                    any_broken |= !broken(member, item).is_empty();
                }
            }
        }
        Ok(any_broken)
    }

    fn entries(
        &mut self,
        key: &Shape,
        inner: &Shape,
        entries: &serde_json::Map<String, Value>,
        map: &Value,
        path: &str,
    ) -> Result<(), Rejection> {
        let (mut bad_key, mut bad_value) = (false, false);
        for (name, value) in entries {
            bad_key |= !broken(key, &Value::String(name.clone())).is_empty();
            match inner {
                Shape::Structure(_) | Shape::List { .. } | Shape::Map { .. } => {
                    self.value(inner, value, format!("{path}.{name}.member"))?;
                }
                _ if value.is_null() => bad_value = true,
                _ => {
                    if let Some(expected) = mistyped(inner, value) {
                        return Err(Rejection::Type {
                            path: format!("{path}.{name}"),
                            expected,
                        });
                    }
                    bad_value |= !broken(inner, value).is_empty();
                }
            }
        }
        for (bad, what, shape) in [(bad_key, "keys", key), (bad_value, "value", inner)] {
            if bad {
                let constraint = format!("Map {what} must satisfy constraint: [{}]", asked(shape));
                self.violated(quoted(map), path.to_owned(), constraint);
            }
        }
        Ok(())
    }

    fn all(&mut self, constraints: Vec<String>, value: &Value, path: &str) {
        for constraint in constraints {
            self.violated(quoted(value), path.to_owned(), constraint);
        }
    }

    fn violated(&mut self, value: String, path: String, constraint: String) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(Violation {
                value,
                path,
                constraint,
            });
        }
    }
}

/// What a value should have been, where it has the wrong type.
fn mistyped(shape: &Shape, value: &Value) -> Option<&'static str> {
    let (fits, expected) = match shape {
        Shape::Structure(_) | Shape::Map { .. } => (value.is_object(), "an object"),
        Shape::List { .. } => (value.is_array(), "a list"),
        Shape::String { .. } => (value.is_string(), "a string"),
        Shape::Integer { .. } => (value.is_i64(), "a whole number"),
        Shape::Double { .. } | Shape::Timestamp => (value.is_number(), "a number"),
        Shape::Boolean => (value.is_boolean(), "true or false"),
        Shape::Blob { .. } => {
            let text = value.as_str();
            (
                text.is_some_and(|text| blob::bytes(text).is_some()),
                "base64",
            )
        }
    };
    (!fits).then_some(expected)
}

/// The constraints that a value of the right type breaks, in AWS's words.
fn broken(shape: &Shape, value: &Value) -> Vec<String> {
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
        (Shape::Integer { min, max }, value) => bounds("have value", *min, *max, value.as_i64()),
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

/// Everything that is asked of a plain member, broken or not.
fn asked(shape: &Shape) -> String {
    let mut asked = constraints(shape);
    asked.push("Member must not be null".into());
    asked.join(", ")
}

/// The constraints of a plain shape, broken or not.
fn constraints(shape: &Shape) -> Vec<String> {
    match shape {
        Shape::String {
            min,
            max,
            pattern,
            values,
        } => {
            let mut asked = bounds("have length", *min, *max, None);
            asked.extend(pattern.as_ref().map(matching));
            asked.extend((!values.is_empty()).then(|| one_of(values)));
            asked
        }
        Shape::Integer { min, max } => bounds("have value", *min, *max, None),
        Shape::Double { min, max } => bounds("have value", *min, *max, None),
        _ => Vec::new(),
    }
}

/// The bounds that a number breaks; without a number, all there are.
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

fn below(path: &str, name: &str) -> String {
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

/// A value as AWS quotes it: strings bare, lists and maps as Java prints them.
fn quoted(value: &Value) -> String {
    let mut text = String::from("'");
    plain(value, &mut text);
    if let Some((cut, _)) = text.char_indices().nth(QUOTED_CHARS_MAX) {
        text.truncate(cut);
    }
    text.push('\'');
    text
}

fn plain(value: &Value, text: &mut String) {
    match value {
        Value::String(string) => text.push_str(string),
        Value::Array(items) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                text.push_str(if at == 0 { "" } else { ", " });
                plain(item, text);
            }
            text.push(']');
        }
        Value::Object(entries) => {
            text.push('{');
            for (at, (name, value)) in entries.iter().enumerate() {
                text.push_str(if at == 0 { "" } else { ", " });
                text.push_str(name);
                text.push('=');
                plain(value, text);
            }
            text.push('}');
        }
        other => drop(write!(text, "{other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_of_the_model_compiles() {
        fn visit(shape: &Shape, seen: &mut Vec<*const Shape>) -> usize {
            if seen.contains(&std::ptr::from_ref(shape)) {
                return 0;
            }
            seen.push(std::ptr::from_ref(shape));
            match shape {
                Shape::Structure(members) => members.iter().map(|it| visit(it.shape, seen)).sum(),
                Shape::List { member, .. } => visit(member, seen),
                Shape::Map { key, value, .. } => visit(key, seen) + visit(value, seen),
                Shape::String {
                    pattern: Some(pattern),
                    ..
                } => {
                    pattern.matches("");
                    1
                }
                _ => 0,
            }
        }
        let mut seen = Vec::new();
        let patterns: usize = Operation::ALL
            .iter()
            .map(|operation| visit(operation.input(), &mut seen))
            .sum();
        assert!(patterns > 40, "{patterns}");
    }
}
