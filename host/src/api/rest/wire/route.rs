//! From a request's method and path to its operation.

use std::borrow::Cow;

use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;

include!(concat!(env!("OUT_DIR"), "/operations.rs"));

/// Bound on the segments of a path; no operation has as many.
const SEGMENTS_MAX: usize = 16;

/// Method and path of one operation.
struct Row {
    operation: Operation,
    method: Method,
    query: Option<(&'static str, &'static str)>,
    segments: &'static [Segment],
}

enum Segment {
    Word(&'static str),
    Label(&'static str),
}

/// An operation, and the labels of its path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Route {
    operation: Operation,
    labels: Vec<(&'static str, String)>,
}

/// Error of a request that leads to no operation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RouteError {
    /// No operation has this path.
    UnknownPath,
    /// Operations have this path, with other methods.
    WrongMethod {
        /// Theirs.
        allowed: Vec<Method>,
    },
    /// The path or the query is not UTF-8 when it is decoded.
    NotText,
}

impl Route {
    /// The operation.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// A label of the path, decoded. Empty where the operation has no such label.
    pub fn label(&self, name: &str) -> &str {
        let found = self.labels.iter().find(|(label, _)| *label == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }
}

/// Finds the operation of a request.
///
/// # Errors
/// Where there is none.
pub fn route(method: &Method, path: &str, query: Option<&str>) -> Result<Route, RouteError> {
    // Checked once: a value that is decoded below is never a stand-in for the one that was sent.
    if !is_text(path) || !query.is_none_or(is_text) {
        return Err(RouteError::NotText);
    }
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut given = [""; SEGMENTS_MAX];
    let mut count = 0;
    for (segment, place) in path.split('/').zip(&mut given) {
        (*place, count) = (segment, count + 1);
    }
    let given = &given[..count];
    let asks = |row: &Row| {
        row.query
            .is_none_or(|(name, value)| query_values(query, name) == [value])
    };
    let mut rows = ROUTES.iter();
    if let Some(row) = rows.find(|row| row.method == *method && row.fits(given) && asks(row)) {
        return Ok(Route {
            operation: row.operation,
            labels: row.labels(given),
        });
    }
    let mut allowed = Vec::new();
    for row in ROUTES.iter().filter(|row| row.fits(given)) {
        if row.method != *method && !allowed.contains(&row.method) {
            allowed.push(row.method.clone());
        }
    }
    if allowed.is_empty() {
        return Err(RouteError::UnknownPath);
    }
    Err(RouteError::WrongMethod { allowed })
}

/// The values that a query gives a name, decoded.
pub(in super::super) fn query_values(query: Option<&str>, name: &str) -> Vec<String> {
    let pairs = query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let text = |text: &str| decoded(&text.replace('+', " ")).into_owned();
    let found = pairs.filter(|(given, _)| text(given) == name);
    found.map(|(_, value)| text(value)).collect()
}

/// True if every part of a path or a query is UTF-8 when it is decoded.
fn is_text(encoded: &str) -> bool {
    let parts = encoded.split(['/', '&', '=']);
    parts
        .filter(|part| part.contains('%'))
        .all(|part| percent_decode_str(part).decode_utf8().is_ok())
}

/// The decoded text; the text as it is where [`route`] would have refused it.
fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text)
        .decode_utf8()
        .unwrap_or_else(|_| text.into())
}

impl Row {
    fn fits(&self, given: &[&str]) -> bool {
        let fits = |(segment, given): (&Segment, &&str)| match segment {
            Segment::Word(word) => word == given,
            // Signatures are made over the path without dot segments: with them it has no meaning here.
            Segment::Label(_) => !matches!(*given, "" | "." | ".."),
        };
        // The last segments differ most.
        self.segments.len() == given.len() && self.segments.iter().zip(given).rev().all(fits)
    }

    fn labels(&self, given: &[&str]) -> Vec<(&'static str, String)> {
        let pairs = self.segments.iter().zip(given);
        let labels = pairs.filter_map(|(segment, given)| match segment {
            Segment::Word(_) => None,
            Segment::Label(name) => Some((*name, decoded(given).into_owned())),
        });
        labels.collect()
    }
}
