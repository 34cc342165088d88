//! The model's constraints, and AWS's own words for breaking them. All violations of a request are
//! reported together.

use std::fmt::Write;
use std::sync::OnceLock;

use fancy_regex::Regex;
use serde_json::Value;

use super::blob;
use super::fault::{ErrorShape, Fault};
use super::route::Operation;

mod message;

pub(super) use message::ItemMessage;
pub use message::open_runtimes;
use message::{all_constraints, below, broken, constraints, quoted};

#[expect(clippy::too_many_lines, reason = "a table of all operations")]
mod tables {
    use super::{ItemMessage, Location, Member, Operation, Pattern, Shape};

    include!(concat!(env!("OUT_DIR"), "/constraints.rs"));
}

pub use tables::RUNTIMES;

/// Violations that are reported; AWS has a bound, too.
const VIOLATIONS_MAX: usize = 20;
/// Bound on the depth of a request, whatever its shape.
const DEPTH_MAX: usize = 64;

/// The constraints of a shape.
pub(super) enum Shape {
    Structure(&'static [Member]),
    String {
        min: Option<i64>,
        max: Option<i64>,
        pattern: Option<Pattern>,
        values: &'static [&'static str],
    },
    Integer {
        /// It has 64 bits, not 32.
        is_long: bool,
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
        message: ItemMessage,
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

/// Error of a request that cannot be read.
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
        /// The expected type.
        expected: &'static str,
    },
    /// The body has more values than any request needs.
    #[error("The request has more than {0} values.")]
    TooMany(usize),
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
    /// The expected type.
    pub constraint: String,
}

impl From<Rejection> for Fault {
    fn from(rejection: Rejection) -> Self {
        let shape = match &rejection {
            Rejection::NotJson(_) | Rejection::NotAnObject => {
                ErrorShape::InvalidRequestContentException
            }
            Rejection::Type { .. } | Rejection::TooMany(_) => ErrorShape::SerializationException,
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
            (
                Shape::List {
                    member, message, ..
                },
                Value::Array(items),
            ) => {
                self.all(shape, value, &path);
                if self.any_broken(member, items, &path)? {
                    let constraint = message.of(member);
                    self.violated(quoted(shape, value), path, constraint);
                }
            }
            (Shape::Map { .. }, Value::Object(entries)) => {
                self.all(shape, value, &path);
                self.entries(shape, entries, value, &path)?;
            }
            _ => match mistyped(shape, value) {
                Some(expected) => return Err(Rejection::Type { path, expected }),
                None => self.all(shape, value, &path),
            },
        }
        self.depth -= 1;
        Ok(())
    }

    /// True if a plain item violates a constraint. Plain items are reported together, with all their
    /// constraints; others are reported one by one.
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
        shape: &Shape,
        entries: &serde_json::Map<String, Value>,
        map: &Value,
        path: &str,
    ) -> Result<(), Rejection> {
        let Shape::Map {
            key, value: inner, ..
        } = shape
        else {
            return Ok(());
        };
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
        // A key cannot be null, and AWS does not say so.
        let keys_and_values = [
            (bad_key, "keys", constraints(key).join(", ")),
            (bad_value, "value", all_constraints(inner)),
        ];
        for (_, what, constraints) in keys_and_values.into_iter().filter(|(bad, ..)| *bad) {
            let constraint = format!("Map {what} must satisfy constraint: [{constraints}]");
            self.violated(quoted(shape, map), path.to_owned(), constraint);
        }
        Ok(())
    }

    /// Reports every constraint that the value violates as a whole.
    fn all(&mut self, shape: &Shape, value: &Value, path: &str) {
        for constraint in broken(shape, value) {
            self.violated(quoted(shape, value), path.to_owned(), constraint);
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

/// The expected type of a value of the wrong type.
fn mistyped(shape: &Shape, value: &Value) -> Option<&'static str> {
    let (fits, expected) = match shape {
        Shape::Structure(_) | Shape::Map { .. } => (value.is_object(), "an object"),
        Shape::List { .. } => (value.is_array(), "a list"),
        Shape::String { .. } => (value.is_string(), "a string"),
        Shape::Integer { is_long, min, max } => match value.as_i64() {
            None => (false, "a whole number"),
            // If the model has a bound, AWS reports the bound.
            Some(number) if !is_long => {
                let over = max.is_none() && number > i32::MAX.into();
                let under = min.is_none() && number < i32::MIN.into();
                (!over && !under, "a whole number of 32 bits")
            }
            Some(_) => (true, "a whole number"),
        },
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
