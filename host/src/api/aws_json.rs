//! AWS's JSON protocol, version 1.1: a header names the operation, and errors are documents.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};

use super::access::Caller;
use super::body::{self, Body};
use super::{Front, HttpResponse, json};

/// Content type of requests and responses.
const JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.1");

/// An error of an API.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) status: StatusCode,
    pub(super) name: &'static str,
    pub(super) message: String,
}

/// A request whose signature is right.
pub(super) struct JsonCall {
    pub(super) body: Body,
    /// `None` on a host without keys.
    pub(super) caller: Option<Arc<Caller>>,
}

impl Fault {
    pub(super) fn new(name: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            name,
            message: message.into(),
        }
    }

    /// Failure of the host.
    pub(super) fn of_host(name: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            ..Self::new(name, message)
        }
    }

    /// AccessDenied response of a check before the request is parsed.
    pub(super) fn denied(message: String) -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            ..Self::new("AccessDeniedException", message)
        }
    }

    pub(super) fn into_reply(self) -> HttpResponse {
        let document = serde_json::json!({"__type": self.name, "message": self.message});
        reply(self.status, document.to_string())
    }
}

/// A response.
pub(super) fn reply(status: StatusCode, text: String) -> HttpResponse {
    let mut reply = json(status, text);
    reply.headers_mut().insert(header::CONTENT_TYPE, JSON);
    reply
}

impl Front {
    /// Reads a request to a service, and checks its signature.
    pub(super) async fn json_call<B>(
        &self,
        service: &str,
        bytes_max: usize,
        parts: &Parts,
        body: B,
    ) -> Result<JsonCall, Fault>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let refused = |error: super::rest::sigv4::Error| Fault {
            status: StatusCode::FORBIDDEN,
            ..Fault::new("UnrecognizedClientException", error.to_string())
        };
        let signed = self.access(parts).map(|it| it.parse(parts, service));
        let signed = signed.transpose().map_err(refused)?;
        let body = {
            let (bodies, from) = self.bodies_of(parts, signed.as_ref());
            bodies.read(body, bytes_max, &from).await
        };
        let body = body.map_err(of_body)?;
        let caller = signed.map(|signed| signed.check(&body.bytes)).transpose();
        let caller = caller.map_err(refused)?;
        Ok(JsonCall { body, caller })
    }
}

fn of_body(error: body::Error) -> Fault {
    match error {
        body::Error::Busy => Fault::new("ThrottlingException", "Rate exceeded"),
        body::Error::TooLarge(_) | body::Error::Ended => {
            Fault::new("SerializationException", error.to_string())
        }
    }
}
