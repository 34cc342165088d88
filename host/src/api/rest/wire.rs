//! AWS's wire shapes, generated from its service model by `build.rs`, and what is needed to use
//! them: routing, binding, checking, reading, writing. What the shapes mean, it does not know.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header};
use serde_json::{Map, Value};

use crate::payload::Body;

mod blob;
mod check;
mod document;
mod fault;
mod json;
mod route;
#[cfg(test)]
mod tests;

pub use check::{RUNTIMES, Rejection, open_runtimes};
pub(super) use document::text_member;
pub use fault::{ErrorShape, Fault};
pub use json::{Entries, EpochSeconds};
pub(super) use route::query_values;
pub use route::{Operation, Route, RouteError, route};

use crate::api::text_of;
use check::{Location, Shape};
use json::{FromJson, ToJson, members, put, take};

/// The requests and responses of the operations that are built. A request has every member, also
/// those that this host refuses or that are read elsewhere.
#[expect(dead_code, reason = "the shapes are whole, as the model has them")]
mod shapes {
    use super::{Bytes, Entries, EpochSeconds, FromJson, Input, Map, Output, ToJson, Value};
    use super::{members, put, take};

    include!(concat!(env!("OUT_DIR"), "/structs.rs"));
}

pub use shapes::*;

/// A request of an operation that is built.
#[expect(private_bounds, reason = "only generated shapes are requests")]
pub trait Input: FromJson {}

/// A response of an operation that is built.
#[expect(private_bounds, reason = "only generated shapes are responses")]
pub trait Output: ToJson {}

/// Reads a request: its members from wherever the model puts them, all of them checked.
///
/// # Errors
/// Where a member breaks a constraint of the model, or the body is not what it should be.
pub fn parse<T: Input>(
    route: &Route,
    query: Option<&str>,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<T, Rejection> {
    Ok(T::from_json(checked(route, query, headers, body)?))
}

/// Checks a request without making anything of it.
///
/// # Errors
/// As [`parse`].
pub fn verify(
    route: &Route,
    query: Option<&str>,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<(), Rejection> {
    checked(route, query, headers, body).map(drop)
}

/// The members that the model has in the body of an operation, before they are checked; nothing where it is
/// malformed.
pub(super) fn unchecked(operation: Operation, body: &Bytes) -> Map<String, Value> {
    document::read(operation.input(), body).unwrap_or_default()
}

fn checked(
    route: &Route,
    query: Option<&str>,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Value, Rejection> {
    let request = bind(route, query, headers, body)?;
    check::check(route.operation().input(), &request)?;
    Ok(request)
}

/// Writes the response of an operation that succeeded.
pub fn render<T: Output>(operation: Operation, output: T) -> Response<Body> {
    let body = output.to_json().unwrap_or_default().to_string();
    let mut response = Response::new(body.into());
    *response.status_mut() = operation.status();
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// All members of a request as one document.
fn bind(
    route: &Route,
    query: Option<&str>,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Value, Rejection> {
    let Shape::Structure(expected) = route.operation().input() else {
        return Ok(Value::Null);
    };
    let has_body = expected
        .iter()
        .any(|member| matches!(member.location, Location::Body));
    let mut bound = if has_body {
        document::read(route.operation().input(), body)?
    } else {
        Map::new()
    };
    for member in *expected {
        let given = match member.location {
            Location::Body | Location::Payload => continue,
            Location::Label(name) => vec![route.label(name).to_owned()],
            Location::Query(name) => route::query_values(query, name),
            Location::Header(name) => {
                let values = headers.get_all(name).iter();
                values.map(|value| text_of(value).into_owned()).collect()
            }
        };
        // Members of the path, query or headers are not taken from the body.
        bound.remove(member.name);
        if let Some(value) = member.shape.read_text(given)? {
            bound.insert(member.name.to_owned(), value);
        }
    }
    Ok(Value::Object(bound))
}
