//! HTTP as events of payload version 2.0, in all four directions: request to event and result to
//! response for functions that take events, event to request and response to result for components
//! that take HTTP. Pure: no sockets, no engine.

use std::net::IpAddr;
use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{self, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use serde_json::{Map, Value};

use super::{Body, json};
use crate::clock::Timestamp;

mod event;
mod result;
#[cfg(test)]
mod tests;

pub use event::request_of;
pub use result::{PRELUDE_END, head_of, metadata_of, response_of, result_of};

/// An HTTP request on its way to a function, with what an event tells of it besides.
#[derive(Debug)]
pub struct HttpEvent {
    /// The request. Its `host` header names the host, also where the client spoke HTTP/2.
    pub request: Request<Bytes>,
    /// Id of the function URL, where the host name does not have it.
    pub url_id: Option<String>,
    /// Streamed body, in place of the request's own. The mutex is never locked: it makes the event `Sync`, which
    /// futures that borrow it must have to move between threads.
    pub streamed: Option<Mutex<Body>>,
    /// The client's address.
    pub source_ip: IpAddr,
    /// The caller, if it signed.
    pub iam: Option<Iam>,
    /// When the request came.
    pub time: Timestamp,
}

/// The caller of a function URL that signed.
#[derive(Clone, Debug)]
pub struct Iam {
    /// The id of its access key.
    pub access_key: String,
    /// Its account.
    pub account_id: String,
    /// IAM's own id of it.
    pub id: String,
    /// Its ARN.
    pub user_arn: String,
}

/// Error of a document that does not describe a request or a response.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no document that the host takes.
    #[error("it is not JSON that can be read: {0}")]
    Json(#[from] json::Invalid),
    /// The body has half of an emoji.
    #[error("the body cannot be written in UTF-8: {0}")]
    Unpaired(#[from] json::Unpaired),
    /// A member has another type or value than it may have.
    #[error("{0}")]
    Member(&'static str),
}

/// True for a status that ends a response (not 1xx), and that HTTP defines.
pub fn is_final(status: StatusCode) -> bool {
    (200..600).contains(&status.as_u16())
}

/// Fields that speak of the connection.
pub static CONNECTION_FIELDS: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Sets the fields of an object. Those of the connection are the host's own; one that HTTP does not allow is
/// left out, as AWS leaves it out.
fn insert_fields(headers: &mut HeaderMap, fields: Option<json::Members<'_>>) {
    for (name, value) in fields.into_iter().flatten() {
        let Ok(name) = name.decode() else { continue };
        let value = match value.text() {
            Some(text) => text.decode(),
            None => Ok(value.raw().into()),
        };
        let value = value.ok().and_then(|it| HeaderValue::from_str(&it).ok());
        let (Ok(name), Some(value)) = (name.parse::<HeaderName>(), value) else {
            continue;
        };
        if !CONNECTION_FIELDS.contains(&name) {
            headers.insert(name, value);
        }
    }
}

/// The text values of a list that HTTP allows in a header.
fn cookies(list: Option<json::Value<'_>>) -> impl Iterator<Item = HeaderValue> {
    let cookies = list.and_then(json::Value::elements).into_iter().flatten();
    cookies.filter_map(|cookie| HeaderValue::from_str(&cookie.text()?.decode().ok()?).ok())
}

/// The body of an event or a result.
fn body_of(body: Option<json::Value<'_>>, is_base64: bool) -> Result<Bytes, Error> {
    let Some(body) = body.filter(|body| !body.is_null()) else {
        return Ok(Bytes::new());
    };
    let text = body.text().ok_or(Error::Member("the body is not a text"))?;
    let text = text.decode()?;
    if is_base64 {
        let bytes = STANDARD.decode(text.as_bytes());
        return Ok(bytes
            .map_err(|_| Error::Member("the body is not base64"))?
            .into());
    }
    Ok(text.into_owned().into())
}

/// A body as a JSON string: as it is where its type says that it is text, else in base64.
fn encode(body: &Bytes, headers: &HeaderMap) -> (String, bool) {
    match std::str::from_utf8(body) {
        Ok(text) if body.is_empty() || is_text(headers) => (text.to_owned(), false),
        _ => (STANDARD.encode(body), true),
    }
}

/// AWS's rule. Forms are not text there.
fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let kind = kind.and_then(|kind| kind.split(|byte| *byte == b';').next());
    let kind = kind.unwrap_or_default().trim_ascii().to_ascii_lowercase();
    if kind.starts_with(b"text/") {
        return true;
    }
    let Some(kind) = kind.strip_prefix(b"application/") else {
        return false;
    };
    let is_text = [&b"json"[..], b"javascript", b"xml"].contains(&kind);
    is_text || kind.ends_with(b"+json") || kind.ends_with(b"+xml")
}

/// Repeated fields are one field, joined by commas.
fn join(fields: &mut Map<String, Value>, name: &str, value: &str) {
    match fields.get_mut(name) {
        Some(Value::String(present)) => {
            present.push(',');
            present.push_str(value);
        }
        _ => drop(fields.insert(name.to_owned(), value.into())),
    }
}
