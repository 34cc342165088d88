//! The AWS Lambda API: one dispatch over the closed set of operations. Each resource has a file that
//! parses its requests, asks `control`, and shapes the answers.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode};

use super::body::{self, Body, Room};
use super::{Front, HttpResponse};
use crate::names::RequestId;
use crate::units::{
    ASYNC_EVENT_BYTES_MAX, EVENT_BYTES_MAX, INVOKE_ASYNC_BYTES_MAX, REQUEST_BYTES_MAX,
};

mod alias;
mod behaviour;
mod call;
mod code_signing;
mod concurrency;
mod destination;
#[cfg(test)]
mod disconnect;
mod error;
mod event_invoke;
mod event_source;
mod function;
mod function_url;
mod invoke;
mod layer;
mod origin;
mod permission;
pub mod sigv4;
mod tags;
mod version;
pub mod wire;

use call::{Call, Head, resource};
use wire::{ErrorShape, Fault, Operation, RouteError};

impl Front {
    pub(super) async fn serve_rest<B>(
        &self,
        request_id: RequestId,
        parts: Parts,
        body: B,
    ) -> HttpResponse
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let answered = match self.accept(request_id, parts, body).await {
            Ok((call, room)) => {
                let answered = self.dispatch(call).await;
                drop(room);
                answered
            }
            Err(fault) => Err(fault),
        };
        answered.unwrap_or_else(|fault| fault.into_response(&request_id))
    }

    /// Refuses, in this order: paths of no operation, unknown callers, callers that may not do it whatever the
    /// body is, bodies that are too large.
    async fn accept<B>(
        &self,
        request_id: RequestId,
        parts: Parts,
        body: B,
    ) -> Result<(Call, Option<Room>), Fault>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let route = wire::route(&parts.method, parts.uri.path(), parts.uri.query())
            .map_err(|error| unroutable(&parts.method, parts.uri.path(), &error))?;
        let signed = match self.access(&parts) {
            Some(access) => Some(access.parse(&parts, "lambda").map_err(unsigned)?),
            None => None,
        };
        let operation = route.operation();
        let is_queued = operation == Operation::Invoke && invoke::is_event(&parts.headers);
        let runs = invokes(operation) && !is_queued;
        let (name, bytes_max) = match operation {
            Operation::InvokeAsync => ("InvokeAsync", INVOKE_ASYNC_BYTES_MAX),
            // AWS calls it by the name of its permission here.
            _ if is_queued => ("InvokeFunction", ASYNC_EVENT_BYTES_MAX),
            _ if runs => ("InvokeFunction", EVENT_BYTES_MAX),
            other => (other.name(), REQUEST_BYTES_MAX),
        };
        let unread = |error: body::Error| error::of_body(&error, name);
        let claimed = signed.as_ref().map(|it| Arc::clone(it.claimed()));
        let head = Head::new(claimed, route, parts, request_id);
        let (bodies, from) = self.bodies_of(head.parts(), signed.as_ref());
        if let Some(signed) = signed.as_ref().filter(|_| body::may_be_large(&body))
            && let Err(refusal) = Box::pin(self.refuse_early(&head)).await
        {
            // An unchecked signature is checked first: a refusal would tell strangers what the caller may do.
            if signed.proven().is_none() {
                let reading = bodies.digest(body, bytes_max);
                let digest = Box::pin(reading).await.map_err(unread)?;
                signed.check_digest(&digest).map_err(unsigned)?;
            }
            return Err(refusal);
        }
        let body = bodies.read(body, bytes_max, &from).await;
        let Body {
            bytes: body,
            room,
            digest,
        } = body.map_err(unread)?;
        let caller = match (signed, digest) {
            (Some(signed), Some(digest)) => Some(signed.check_digest(&digest).map_err(unsigned)?),
            (Some(signed), None) => Some(signed.check(&body).map_err(unsigned)?),
            (None, _) => None,
        };
        // Admission limits the number of events that run, and nothing that of events to be stored.
        let room = Some(room).filter(|_| !runs);
        Ok((Call::new(caller, head, body), room))
    }

    /// Refuses a request that no body could make permitted.
    async fn refuse_early(&self, head: &Head) -> Result<(), Fault> {
        include!(concat!(env!("OUT_DIR"), "/foresee.rs"))
    }

    /// Every operation that is built is answered by the method of its name, which gets the proof that its
    /// caller may use the resource that it names.
    async fn dispatch(&self, call: Call) -> Result<HttpResponse, Fault> {
        let call = &call;
        include!(concat!(env!("OUT_DIR"), "/dispatch.rs"))
    }
}

/// True for operations that invoke a function with the body as event.
fn invokes(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::Invoke | Operation::InvokeAsync | Operation::InvokeWithResponseStream
    )
}

fn unbuilt(operation: Operation) -> Fault {
    let text = format!("This host does not offer {} yet.", operation.name());
    Fault::new(ErrorShape::NotImplementedException, text)
}

fn unroutable(method: &Method, path: &str, error: &RouteError) -> Fault {
    match error {
        RouteError::UnknownPath => {
            let text = format!("There is no operation at {path}.");
            Fault::new(ErrorShape::UnknownOperationException, text)
        }
        RouteError::NotText => Fault::new(
            ErrorShape::SerializationException,
            "The path or the query is not UTF-8 when it is decoded.",
        ),
        RouteError::WrongMethod { allowed } => {
            let allowed: Vec<&str> = allowed.iter().map(Method::as_str).collect();
            let allowed = allowed.join(", ");
            let text = format!("{method} is not allowed at {path}. Allowed: {allowed}.");
            Fault::new(ErrorShape::MethodNotAllowedException, text)
        }
    }
}

/// AccessDenied response before the operation is known.
pub(super) fn refused(text: String, request_id: &RequestId) -> HttpResponse {
    Fault::new(ErrorShape::AccessDeniedException, text).into_response(request_id)
}

/// The refusal of a signature.
pub(super) fn unsigned(error: sigv4::Error) -> Fault {
    Fault::new(error.shape(), error.to_string())
}

/// An answer without a body.
fn no_content() -> HttpResponse {
    let mut reply = HttpResponse::default();
    *reply.status_mut() = StatusCode::NO_CONTENT;
    reply
}
