//! `Invoke`: the hot path. Its few members are read directly; the model's checks run only where one
//! of them is not what it should be.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::call::resource::Invoked;
use super::call::{Call, Permitted};
use super::wire::{ErrorShape, Fault};
use super::{error, no_content};
use crate::api::{Front, Reply, TRACE_ID, json};
use crate::invoke::{Finished, Invoke, Mode};
use crate::sandbox::{self, Event};

mod unreadable;

const INVOCATION_TYPE: HeaderName = HeaderName::from_static("x-amz-invocation-type");
const LOG_TYPE: HeaderName = HeaderName::from_static("x-amz-log-type");
const CLIENT_CONTEXT: HeaderName = HeaderName::from_static("x-amz-client-context");
const TENANT_ID: HeaderName = HeaderName::from_static("x-amz-tenant-id");
const EXECUTED_VERSION: HeaderName = HeaderName::from_static("x-amz-executed-version");

/// A client context is at most this long in base64, as in AWS.
const CLIENT_CONTEXT_CHARS_MAX: usize = 3_583;

impl Front {
    pub(super) async fn invoke(&self, call: &Permitted<'_, Invoked>) -> Result<Reply, Fault> {
        let invoke = invocation(call)?;
        let (mode, wants_tail) = (invoke.mode, invoke.log_tail);
        let home = self.control.home();
        let finished = self.invoker.invoke(invoke).await;
        let finished = finished.map_err(|error| error::of_invoke(error, home))?;
        match mode {
            Mode::DryRun => Ok(no_content()),
            Mode::RequestResponse => Ok(answer(finished, wants_tail)),
        }
    }
}

fn invocation(call: &Permitted<'_, Invoked>) -> Result<Invoke, Fault> {
    let headers = call.headers();
    let mode = match text(headers, INVOCATION_TYPE) {
        None | Some("RequestResponse") => Mode::RequestResponse,
        Some("DryRun") => Mode::DryRun,
        Some("Event") => return Err(no_events_yet()),
        Some(_) => return Err(violation(call)),
    };
    let log_tail = match text(headers, LOG_TYPE) {
        None | Some("None") => false,
        Some("Tail") => true,
        Some(_) => return Err(violation(call)),
    };
    let event = Event::Json(call.at_length(|| document(call.body().clone()))?);
    let Invoked(target) = call.resource();
    let mut invoke = Invoke::new(call.request_id(), target.clone(), event);
    invoke.mode = mode;
    invoke.log_tail = log_tail;
    invoke.client_context = client_context(headers)?;
    invoke.trace_id = text(headers, TRACE_ID).map(str::to_owned);
    invoke.tenant_id = text(headers, TENANT_ID).map(str::to_owned);
    Ok(invoke)
}

/// The constraint of the model that a request is known to break.
fn violation(call: &Call) -> Fault {
    let unmodelled = || {
        Fault::new(
            ErrorShape::InvalidParameterValueException,
            "A header of the request has a value that Invoke does not know.",
        )
    };
    call.violation().unwrap_or_else(unmodelled)
}

fn no_events_yet() -> Fault {
    Fault::new(
        ErrorShape::NotImplementedException,
        "This host does not offer Invoke with InvocationType Event yet.",
    )
}

fn answer(finished: Finished, wants_tail: bool) -> Reply {
    let (body, failed) = match finished.outcome {
        Ok(sandbox::Reply::Json(body)) => (body, false),
        Ok(sandbox::Reply::Http(response)) => (response.into_body(), false),
        Err(failure) => (failure.document(), true),
    };
    let mut reply = json(StatusCode::OK, body);
    let headers = reply.headers_mut();
    let version = HeaderValue::from_str(&finished.executed_version);
    headers.insert(EXECUTED_VERSION, version.expect("a version is ASCII"));
    if failed {
        headers.insert(
            "x-amz-function-error",
            HeaderValue::from_static("Unhandled"),
        );
    }
    if let Some(tail) = finished.log_tail.filter(|_| wants_tail) {
        let tail = HeaderValue::from_str(&STANDARD.encode(tail));
        headers.insert("x-amz-log-result", tail.expect("base64 is ASCII"));
    }
    reply
}

/// The event: the body if it is a JSON document, `{}` if there is none.
fn document(body: Bytes) -> Result<Bytes, Fault> {
    if body.is_empty() {
        return Ok(Bytes::from_static(b"{}"));
    }
    let problem = match std::str::from_utf8(&body) {
        Ok(text) => serde_json::from_str::<serde::de::IgnoredAny>(text)
            .err()
            .map(|it| it.to_string()),
        Err(error) => Some(format!("invalid UTF-8 after byte {}", error.valid_up_to())),
    };
    let Some(problem) = problem else {
        return Ok(body);
    };
    let problem = unreadable::reason(&body).unwrap_or(problem);
    let text = format!(
        "Could not parse request body into json: Could not parse payload into json: {problem}"
    );
    Err(Fault::new(ErrorShape::InvalidRequestContentException, text))
}

fn client_context(headers: &HeaderMap) -> Result<Option<String>, Fault> {
    let Some(encoded) = headers.get(CLIENT_CONTEXT) else {
        return Ok(None);
    };
    let invalid = |problem: &str| {
        let text = format!("The client context is not valid: {problem}");
        Fault::new(ErrorShape::InvalidRequestContentException, text)
    };
    if encoded.len() > CLIENT_CONTEXT_CHARS_MAX {
        return Err(invalid("it is longer than 3583 characters"));
    }
    let bytes = STANDARD
        .decode(encoded.as_bytes())
        .map_err(|_| invalid("it is not base64"))?;
    let text = String::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8"))?;
    let parsed = serde_json::from_str::<serde::de::IgnoredAny>(&text);
    parsed
        .map(|_| Some(text))
        .map_err(|_| invalid("it is not JSON"))
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}
