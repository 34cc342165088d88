//! `Invoke` and `InvokeAsync`: the hot path. Its few members are read directly; the model's checks run only where one
//! of them is not what it should be.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::call::resource::{Invoked, Whole};
use super::call::{Call, Permitted};
use super::wire::{ErrorShape, Fault, Operation};
use super::{error, no_content};
use crate::api::{Front, HttpResponse, TRACE_ID, json};
use crate::invoke::{Finished, Invoke, Mode, Target};
use crate::payload::{Document, Event};

mod stream;

const INVOCATION_TYPE: HeaderName = HeaderName::from_static("x-amz-invocation-type");
const LOG_TYPE: HeaderName = HeaderName::from_static("x-amz-log-type");
const CLIENT_CONTEXT: HeaderName = HeaderName::from_static("x-amz-client-context");
const TENANT_ID: HeaderName = HeaderName::from_static("x-amz-tenant-id");
const EXECUTED_VERSION: HeaderName = HeaderName::from_static("x-amz-executed-version");

/// A client context is at most this long in base64, as in AWS.
const CLIENT_CONTEXT_CHARS_MAX: usize = 3_583;
/// A tenant's id is at most this long, as in AWS.
const TENANT_ID_CHARS_MAX: usize = 256;

impl Front {
    pub(super) async fn invoke(
        &self,
        call: &Permitted<'_, Invoked>,
    ) -> Result<HttpResponse, Fault> {
        let invoke = invocation(call)?;
        let (mode, wants_tail) = (invoke.mode, invoke.log_tail);
        if mode == Mode::Event {
            return Box::pin(self.accept_event(invoke)).await;
        }
        let home = self.control.home();
        let finished = self.invoker.invoke(invoke).await;
        let finished = finished.map_err(|error| error::of_invoke(error, home))?;
        Ok(match mode {
            Mode::DryRun => no_content(),
            Mode::RequestResponse | Mode::Event => answer(finished, wants_tail),
        })
    }

    /// The deprecated operation for events: no qualifier, no context.
    pub(super) async fn invoke_async(
        &self,
        call: &Permitted<'_, Whole>,
    ) -> Result<HttpResponse, Fault> {
        let Whole(name) = call.resource();
        let target = Target {
            name: name.clone(),
            qualifier: None,
        };
        let event = Event::Json(call.at_length(|| document(call.body().clone()))?);
        let mut invoke = Invoke::new(call.request_id(), target, event);
        invoke.trace_id = trace_id(call.headers());
        self.accept_event(invoke).await
    }

    /// Stores an event that can be invoked now.
    async fn accept_event(&self, invoke: Invoke) -> Result<HttpResponse, Fault> {
        let home = self.control.home();
        let resolved = self.invoker.resolve(invoke).await;
        let resolved = resolved.map_err(|error| error::of_invoke(error, home))?;
        let accepted = self.events.accept(resolved).await;
        accepted.map_err(|error| error::of_event(&error))?;
        let mut reply = HttpResponse::default();
        *reply.status_mut() = StatusCode::ACCEPTED;
        Ok(reply)
    }
}

/// True for the headers of an Invoke whose event is queued.
pub(super) fn is_event(headers: &HeaderMap) -> bool {
    headers.get(INVOCATION_TYPE).is_some_and(|it| it == "Event")
}

fn invocation(call: &Permitted<'_, Invoked>) -> Result<Invoke, Fault> {
    let headers = call.headers();
    let mode = match word(headers, INVOCATION_TYPE) {
        None | Some("RequestResponse") => Mode::RequestResponse,
        Some("DryRun") => Mode::DryRun,
        Some("Event") if call.operation() == Operation::Invoke => Mode::Event,
        Some(_) => return Err(violation(call)),
    };
    let log_tail = match word(headers, LOG_TYPE) {
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
    invoke.trace_id = trace_id(headers);
    invoke.tenant_id = match headers.get(TENANT_ID).map(tenant_id) {
        None => None,
        Some(Some(tenant_id)) => Some(tenant_id),
        Some(None) => return Err(violation(call)),
    };
    Ok(invoke)
}

/// The trace of a request. One that cannot be passed on traces nothing.
fn trace_id(headers: &HeaderMap) -> Option<String> {
    let trace_id = headers.get(TRACE_ID).and_then(|it| it.to_str().ok());
    trace_id.map(str::to_owned)
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

fn answer(finished: Finished, wants_tail: bool) -> HttpResponse {
    let (body, failed) = match finished.outcome {
        Ok(reply) => (reply.into_bytes(), false),
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
fn document(body: Bytes) -> Result<Document, Fault> {
    if body.is_empty() {
        return Ok(Document::default());
    }
    Document::parse(body).map_err(|problem| {
        let text = format!(
            "Could not parse request body into json: Could not parse payload into json: {problem}"
        );
        Fault::new(ErrorShape::InvalidRequestContentException, text)
    })
}

/// The client context, decoded: a JSON object, as AWS requires.
fn client_context(headers: &HeaderMap) -> Result<Option<String>, Fault> {
    let Some(encoded) = headers.get(CLIENT_CONTEXT) else {
        return Ok(None);
    };
    let refused = |text: &str| Fault::new(ErrorShape::InvalidRequestContentException, text);
    if encoded.len() > CLIENT_CONTEXT_CHARS_MAX {
        let text =
            format!("The client context is longer than {CLIENT_CONTEXT_CHARS_MAX} characters.");
        return Err(refused(&text));
    }
    let context = json_object(encoded.as_bytes());
    let text = "Client context must be a valid Base64-encoded JSON object.";
    context.map(Some).ok_or_else(|| refused(text))
}

/// The text of a JSON object in base64.
fn json_object(encoded: &[u8]) -> Option<String> {
    let document = Document::parse(STANDARD.decode(encoded).ok()?.into()).ok()?;
    let is_object = document.root().members().is_some();
    is_object.then(|| document.as_str().to_owned())
}

/// A tenant's id as the model allows it: `^[a-zA-Z0-9\._:\/=+\-@ ]+$`, of 1 to 256 characters. Tenants do
/// not share environments, so no two ids may be taken for one.
fn tenant_id(value: &HeaderValue) -> Option<String> {
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._:/=+-@ ".contains(byte);
    let text = value.to_str().ok()?;
    let fits = (1..=TENANT_ID_CHARS_MAX).contains(&text.len());
    (fits && text.as_bytes().iter().all(is_allowed)).then(|| text.to_owned())
}

/// Enum value of a header. Unknown values are refused, so a non-ASCII value may read as empty.
fn word(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers
        .get(name)
        .map(|value| value.to_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenant_id_outside_the_model_is_refused() {
        let longest = "t".repeat(TENANT_ID_CHARS_MAX);
        for taken in ["a", "Acme.1_:/=+-@ x", &longest] {
            let value = HeaderValue::from_str(taken).unwrap();
            assert_eq!(tenant_id(&value).as_deref(), Some(taken));
        }
        let too_long = "t".repeat(TENANT_ID_CHARS_MAX + 1);
        for refused in ["", "m\u{fc}ller", "a,b", "a\tb", &too_long] {
            let value = HeaderValue::from_bytes(refused.as_bytes()).unwrap();
            assert_eq!(tenant_id(&value), None, "{refused}");
        }
    }

    #[test]
    fn client_context_that_is_no_object_is_refused() {
        let encoded = |text: &str| STANDARD.encode(text);
        for (given, taken) in [
            (encoded(r#"{"custom":{"cut":"\ud83d"}}"#), true),
            (encoded("[1]"), false),
            (encoded(r#""text""#), false),
            (encoded("hello"), false),
            ("{}".into(), false),
            (String::new(), false),
        ] {
            assert_eq!(json_object(given.as_bytes()).is_some(), taken, "{given}");
        }
    }
}
