//! CloudWatch Logs API: signature, parsing, authorization and execution of operations on function
//! logs.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use serde_json::Value;

use super::access::{Caller, Demand};
use super::body::{self, Body};
use super::facts::NoKeys;
use super::{Front, HttpResponse, json};
use crate::names::RequestId;
use crate::telemetry::log;

mod constraint;
mod delete;
mod demand;
mod describe;
mod events;
#[cfg(test)]
pub mod fuzz;
mod operation;
mod pattern;
mod retention;
mod target;
#[cfg(test)]
mod tests;

use demand::{Demanded, Permitted};
use operation::Backend;

/// Limit of a request. The longest requests are filters with a hundred stream names.
const REQUEST_BYTES_MAX: usize = 64 << 10;
/// Content type of requests and responses.
const JSON: &str = "application/x-amz-json-1.1";

/// An error of this API.
#[derive(Debug)]
struct Fault {
    status: StatusCode,
    name: &'static str,
    message: String,
}

impl Fault {
    fn new(name: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            name,
            message: message.into(),
        }
    }

    fn invalid(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterException", message)
    }

    fn no_group() -> Self {
        let message = "The specified log group does not exist.";
        Self::new("ResourceNotFoundException", message)
    }

    fn no_stream() -> Self {
        let message = "The specified log stream does not exist.";
        Self::new("ResourceNotFoundException", message)
    }

    fn into_reply(self) -> HttpResponse {
        let document = serde_json::json!({"__type": self.name, "message": self.message});
        let mut reply = json(self.status, document.to_string());
        let json = HeaderValue::from_static(JSON);
        reply.headers_mut().insert(header::CONTENT_TYPE, json);
        reply
    }
}

impl From<log::Error> for Fault {
    fn from(error: log::Error) -> Self {
        match error {
            log::Error::NoGroup => Self::no_group(),
            log::Error::NoStream => Self::no_stream(),
            log::Error::Disk(ref source) => {
                tracing::error!(error = %source, "a log group was not changed");
                Self {
                    status: StatusCode::INTERNAL_SERVER_ERROR,
                    ..Self::new("ServiceUnavailableException", error.to_string())
                }
            }
        }
    }
}

/// AccessDenied response of a check before the request is parsed.
pub(super) fn refused(text: String) -> HttpResponse {
    let fault = Fault {
        status: StatusCode::FORBIDDEN,
        name: "AccessDeniedException",
        message: text,
    };
    fault.into_reply()
}

impl Front {
    pub(super) async fn serve_logs<B>(
        &self,
        target: &str,
        request_id: RequestId,
        parts: &Parts,
        body: B,
    ) -> HttpResponse
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let answered = self.answer_logs(target, parts, body).await;
        let mut reply = answered.unwrap_or_else(Fault::into_reply);
        let json = HeaderValue::from_static(JSON);
        reply.headers_mut().insert(header::CONTENT_TYPE, json);
        tracing::debug!(%request_id, target, "log operation answered");
        reply
    }

    async fn answer_logs<B>(
        &self,
        target: &str,
        parts: &Parts,
        body: B,
    ) -> Result<HttpResponse, Fault>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let refused = |error: super::rest::sigv4::Error| Fault {
            status: StatusCode::FORBIDDEN,
            name: "UnrecognizedClientException",
            message: error.to_string(),
        };
        let signed = self.access(parts).map(|it| it.parse(parts, "logs"));
        let signed = signed.transpose().map_err(refused)?;
        let body = {
            let (bodies, from) = self.bodies_of(parts, signed.as_ref());
            bodies.read(body, REQUEST_BYTES_MAX, &from).await
        };
        let Body {
            bytes: body, room, ..
        } = body.map_err(of_body)?;
        let caller = signed.map(|signed| signed.check(&body)).transpose();
        let caller = caller.map_err(refused)?;
        let operation = target.strip_prefix("Logs_20140328.").unwrap_or(target);
        let demanded = Demanded::parse(operation, &body, self.control.home())?;
        let permitted = self.authorize_logs(demanded, caller.as_deref(), parts)?;
        let backend = Backend {
            logs: self.logs.clone(),
            home: self.control.home().clone(),
        };
        // Events evicted from memory are read from disk.
        let document = tokio::task::spawn_blocking(move || permitted.answer(&backend))
            .await
            .map_err(|_| Fault {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                name: "InternalFailure",
                message: "The logs could not be read.".to_owned(),
            })??;
        drop(room);
        let text = match document {
            Value::Null => String::new(),
            document => document.to_string(),
        };
        Ok(json(StatusCode::OK, text))
    }

    /// Authorizes one request. Log groups have no resource-based policies, so the identity-based
    /// policy decides.
    fn authorize_logs(
        &self,
        demanded: Demanded,
        caller: Option<&Caller>,
        parts: &Parts,
    ) -> Result<Permitted, Fault> {
        let home = self.control.home();
        // A host without keys has no callers and allows everything.
        let Some(caller) = caller.filter(|it| !it.owns(&home.account)) else {
            return demanded.permitted_by(|_, _| Ok(()));
        };
        let context = self.context(&caller.principal, parts, None, &NoKeys);
        demanded.permitted_by(|action, resource| {
            let demand = Demand::new(action, resource);
            self.permit(caller, &demand, &context)
                .map_err(|denied| Fault::new("AccessDeniedException", denied.text))
        })
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
