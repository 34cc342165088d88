//! CloudWatch Logs API: signature, parsing, authorization and execution of operations on function
//! logs.

use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;

use super::access::{Caller, Demand};
use super::aws_json::{Fault, JsonCall, reply};
use super::body::Body;
use super::facts::NoKeys;
use super::{Front, HttpResponse};
use crate::names::RequestId;
use crate::telemetry::log;

mod constraint;
mod delete;
mod demand;
mod describe;
mod events;
#[cfg(test)]
pub mod fuzz;
mod insights;
mod operation;
mod pattern;
mod queries;
mod retention;
mod target;
#[cfg(test)]
mod tests;

use demand::{Demanded, Permitted};
use operation::Backend;
pub(super) use queries::Queries;

/// Limit of a request. The longest requests are filters with a hundred stream names.
const REQUEST_BYTES_MAX: usize = 64 << 10;

impl Fault {
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
}

impl From<log::Error> for Fault {
    fn from(error: log::Error) -> Self {
        match error {
            log::Error::NoGroup => Self::no_group(),
            log::Error::NoStream => Self::no_stream(),
            log::Error::Disk(ref source) => {
                tracing::error!(error = %source, "a log group was not changed");
                Self::of_host("ServiceUnavailableException", error.to_string())
            }
        }
    }
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
        let reply = answered.unwrap_or_else(Fault::into_reply);
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
        let read = self.json_call("logs", REQUEST_BYTES_MAX, parts, body);
        let JsonCall { body, caller } = read.await?;
        let Body {
            bytes: body, room, ..
        } = body;
        let operation = target.strip_prefix("Logs_20140328.").unwrap_or(target);
        let demanded = Demanded::parse(operation, &body, self.control.home())?;
        let backend = Backend {
            logs: self.logs.clone(),
            home: self.control.home().clone(),
            queries: self.queries.clone(),
            key: caller.as_ref().and_then(|it| it.access_key_id.clone()),
            clock: self.clock.clone(),
        };
        let permitted = self.authorize_logs(demanded, &backend, caller.as_deref(), parts)?;
        // Events evicted from memory are read from disk, and queries are parsed.
        let document = tokio::task::spawn_blocking(move || permitted.answer(&backend))
            .await
            .map_err(|_| Fault::of_host("InternalFailure", "The logs could not be read."))??;
        drop(room);
        Ok(reply(StatusCode::OK, document.0))
    }

    /// Authorizes one request. Log groups have no resource-based policies, so the identity-based
    /// policy decides.
    fn authorize_logs(
        &self,
        demanded: Demanded,
        backend: &Backend,
        caller: Option<&Caller>,
        parts: &Parts,
    ) -> Result<Permitted, Fault> {
        let home = self.control.home();
        // A host without keys has no callers and allows everything.
        let Some(caller) = caller.filter(|it| !it.owns(&home.account)) else {
            return demanded.permitted_by(backend, |_, _| Ok(()));
        };
        let context = self.context(&caller.principal, parts, None, &NoKeys);
        demanded.permitted_by(backend, |action, resource| {
            let demand = Demand::new(action, resource);
            self.permit(caller, &demand, &context)
                .map_err(|denied| Fault::new("AccessDeniedException", denied.text))
        })
    }
}
