//! EventBridge Scheduler API: schedules of functions, and groups of schedules. Requests are recognized by the scope of
//! their signature, or by their path.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::access::{Caller, Demand};
use super::body::{self, Body};
use super::facts::NoKeys;
use super::{Front, HttpResponse, json as document, text_of};
use crate::control::schedule::Error;
use crate::store;

mod operation;
mod shape;
#[cfg(test)]
mod tests;

use operation::Operation;

/// Name in signatures.
const SERVICE: &str = "scheduler";
/// Limit of a request: an input of 256 KiB, and what is around it.
const REQUEST_BYTES_MAX: usize = 512 << 10;

const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// An error of this API.
#[derive(Debug, PartialEq)]
struct Fault {
    status: StatusCode,
    name: &'static str,
    message: String,
}

impl Fault {
    fn invalid(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            name: "ValidationException",
            message: message.into(),
        }
    }

    fn into_response(self) -> HttpResponse {
        let body = serde_json::json!({"Message": self.message});
        let mut response = document(self.status, body.to_string());
        let name = HeaderValue::from_static(self.name);
        response.headers_mut().insert(ERROR_TYPE, name);
        response
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let (status, name) = match error {
            Error::NotFound(..) => (StatusCode::NOT_FOUND, "ResourceNotFoundException"),
            Error::Exists(..) => (StatusCode::CONFLICT, "ConflictException"),
            Error::Invalid(_) => (StatusCode::BAD_REQUEST, "ValidationException"),
            Error::Store(cause) => {
                tracing::error!(
                    error = &cause as &dyn std::error::Error,
                    "a schedule was not read or changed"
                );
                let is_full = matches!(cause, store::Error::Full);
                let message = match is_full {
                    true => message,
                    false => "The store failed. See the host's log.".into(),
                };
                return Self {
                    status: StatusCode::INTERNAL_SERVER_ERROR,
                    name: "InternalServerException",
                    message,
                };
            }
        };
        Self {
            status,
            name,
            message,
        }
    }
}

/// True for a request to this API.
pub(super) fn is_for(parts: &Parts) -> bool {
    let path = parts.uri.path();
    // Paths of Lambda's API begin with its versions. Decided first, for the sake of invocations.
    if path.starts_with("/20") {
        return false;
    }
    let is_below = |root: &str| {
        let rest = path.strip_prefix(root);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if is_below("/schedules") || is_below("/schedule-groups") {
        return true;
    }
    let authorization = parts.headers.get(header::AUTHORIZATION).map(text_of);
    authorization.is_some_and(|it| it.contains("/scheduler/aws4_request"))
}

/// Refusal of a request before it is parsed.
pub(super) fn refused(text: String) -> HttpResponse {
    let fault = Fault {
        status: StatusCode::FORBIDDEN,
        name: "AccessDeniedException",
        message: text,
    };
    fault.into_response()
}

impl Front {
    pub(super) async fn serve_scheduler<B>(&self, parts: &Parts, body: B) -> HttpResponse
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let answered = self.answer_scheduler(parts, body).await;
        answered.unwrap_or_else(Fault::into_response)
    }

    async fn answer_scheduler<B>(&self, parts: &Parts, body: B) -> Result<HttpResponse, Fault>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let unsigned = |error: super::rest::sigv4::Error| Fault {
            status: StatusCode::FORBIDDEN,
            name: "AccessDeniedException",
            message: error.to_string(),
        };
        let signed = self.access(parts).map(|it| it.parse(parts, SERVICE));
        let signed = signed.transpose().map_err(unsigned)?;
        let read = {
            let (bodies, from) = self.bodies_of(parts, signed.as_ref());
            bodies.read(body, REQUEST_BYTES_MAX, &from).await
        };
        let Body {
            bytes: body, room, ..
        } = read.map_err(of_body)?;
        let caller = signed.map(|signed| signed.check(&body)).transpose();
        let caller = caller.map_err(unsigned)?;
        let operation = Operation::parse(parts, &body)?;
        self.authorize_scheduler(&operation, caller.as_deref(), parts)?;
        let answer = operation.run(&self.control).await?;
        drop(room);
        Ok(document(StatusCode::OK, answer.to_string()))
    }

    /// Schedules have no resource-based policies: the identity-based policy decides.
    fn authorize_scheduler(
        &self,
        operation: &Operation,
        caller: Option<&Caller>,
        parts: &Parts,
    ) -> Result<(), Fault> {
        let home = self.control.home();
        // A host without keys has no callers and allows everything.
        let Some(caller) = caller.filter(|it| !it.owns(&home.account)) else {
            return Ok(());
        };
        let (action, resource) = operation.demanded(home);
        let context = self.context(&caller.principal, parts, None, &NoKeys);
        let permitted = self.permit(caller, &Demand::new(action, resource), &context);
        permitted.map_err(|denied| Fault {
            status: StatusCode::FORBIDDEN,
            name: "AccessDeniedException",
            message: denied.text,
        })
    }
}

/// Error of a body.
fn of_body(error: body::Error) -> Fault {
    match error {
        body::Error::Busy => Fault {
            status: StatusCode::TOO_MANY_REQUESTS,
            name: "ThrottlingException",
            message: "Rate exceeded".to_owned(),
        },
        body::Error::TooLarge(_) | body::Error::Ended => Fault::invalid(error.to_string()),
    }
}
