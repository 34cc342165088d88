//! Results as responses, and back.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, SET_COOKIE};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::{Map, Value};

use super::{Error, body_of, cookies, encode, insert_fields, is_final, join};
use crate::payload::{Document, json};

/// The response that a function URL makes of a function's result: the one that the function describes, if
/// it names a status; else the result itself, as it is also where it is not JSON.
///
/// # Errors
/// Where the function describes a response that cannot be sent. It is never sent as it is: there may be
/// cookies in it.
pub fn response_of(result: &Bytes) -> Result<Response<Bytes>, Error> {
    if let Some(response) = preceded(result) {
        return response;
    }
    let document = match Document::parse(result.clone()) {
        Ok(document) => document,
        Err(json::Invalid::Malformed(_)) if !may_describe(result) => {
            return Ok(plain(result.clone()));
        }
        Err(error) => return Err(error.into()),
    };
    let root = document.root();
    if let Some(status) = root.member("statusCode") {
        return described(root, status);
    }
    Ok(match root.text() {
        Some(text) => plain(text.decode()?.into_owned()),
        None => plain(compact(result)),
    })
}

/// Between the metadata of a streamed response and its body, as in AWS.
pub const PRELUDE_END: [u8; 8] = [0; 8];

/// The response of a function that streams, where it set metadata and its caller gets it whole.
fn preceded(result: &Bytes) -> Option<Result<Response<Bytes>, Error>> {
    // JSON has no such byte.
    let end = result.iter().position(|byte| *byte == 0)?;
    let body = result.slice(end..);
    let body = body.slice_ref(body.strip_prefix(&PRELUDE_END)?);
    let metadata = Document::parse(result.slice(..end)).ok()?;
    metadata.root().members()?;
    Some(head_of(Some(&metadata)).map(|head| head.map(|()| body)))
}

/// The status and headers of a response that is streamed, from the metadata that its function set.
///
/// # Errors
/// Where they are not what a response can have.
pub fn head_of(metadata: Option<&Document>) -> Result<Response<()>, Error> {
    let mut response = Response::new(());
    if let Some(metadata) = metadata.map(Document::root) {
        if let Some(status) = metadata.member("statusCode") {
            let status = status_of(status).ok_or(NO_STATUS)?;
            *response.status_mut() = status;
        }
        set_headers(&mut response, metadata);
    }
    let bytes = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().entry(CONTENT_TYPE).or_insert(bytes);
    Ok(response)
}

const NO_STATUS: Error = Error::Member("statusCode is none of 200 to 599");

/// Sets the headers and cookies that a function describes.
fn set_headers<T>(response: &mut Response<T>, said: json::Value<'_>) {
    let headers = response.headers_mut();
    let fields = said.member("headers").and_then(|it| it.members());
    insert_fields(headers, fields);
    for cookie in cookies(said.member("cookies")) {
        headers.append(SET_COOKIE, cookie);
    }
}

/// True if an unparsable result looks like a response object.
fn may_describe(result: &[u8]) -> bool {
    const STATUS: &[u8] = b"\"statusCode\"";
    let is_object = result.trim_ascii_start().starts_with(b"{");
    is_object && result.windows(STATUS.len()).any(|part| part == STATUS)
}

fn described(said: json::Value<'_>, status: json::Value<'_>) -> Result<Response<Bytes>, Error> {
    let status = status_of(status).ok_or(NO_STATUS)?;
    let is_base64 = said.member("isBase64Encoded").and_then(|it| it.as_bool());
    let mut response = Response::new(body_of(said.member("body"), is_base64 == Some(true))?);
    *response.status_mut() = status;
    set_headers(&mut response, said);
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().entry(CONTENT_TYPE).or_insert(json);
    Ok(response)
}

/// A number, or a text that is one.
fn status_of(status: json::Value<'_>) -> Option<StatusCode> {
    let digits = match status.text() {
        Some(text) => text.decode().ok()?,
        None => status.raw().into(),
    };
    let status = StatusCode::from_u16(digits.parse().ok()?).ok()?;
    is_final(status).then_some(status)
}

/// A JSON document without the spaces between its parts, which AWS does not pass on.
fn compact(document: &Bytes) -> Bytes {
    let (mut in_text, mut is_escaped) = (false, false);
    let is_part = |byte: &u8| {
        let is_kept = in_text || !byte.is_ascii_whitespace();
        if *byte == b'"' && !is_escaped {
            in_text = !in_text;
        }
        is_escaped = *byte == b'\\' && !is_escaped;
        is_kept
    };
    document.iter().copied().filter(is_part).collect()
}

/// The result that describes a response.
pub fn result_of(response: &Response<Bytes>) -> Bytes {
    let mut result = description(response.status(), response.headers());
    let (body, is_base64) = encode(response.body(), response.headers());
    result.insert("body".into(), body.into());
    result.insert("isBase64Encoded".into(), is_base64.into());
    Value::Object(result).to_string().into()
}

/// The metadata that precedes the body of a response in a stream.
pub fn metadata_of(parts: &Parts) -> String {
    Value::Object(description(parts.status, &parts.headers)).to_string()
}

fn description(status: StatusCode, fields: &HeaderMap) -> Map<String, Value> {
    let mut headers = Map::new();
    let mut cookies = Vec::new();
    for (name, value) in fields {
        let value = String::from_utf8_lossy(value.as_bytes());
        if name == SET_COOKIE {
            cookies.push(Value::from(value));
        } else {
            join(&mut headers, name.as_str(), &value);
        }
    }
    let mut result = Map::new();
    result.insert("statusCode".into(), status.as_u16().into());
    result.insert("headers".into(), headers.into());
    if !cookies.is_empty() {
        result.insert("cookies".into(), cookies.into());
    }
    result
}

fn plain(body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
