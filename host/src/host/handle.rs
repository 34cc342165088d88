//! Handle of a function: raw invocations. `service` has its HTTP side.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;

use super::service::Readiness;
use super::{Core, Error, FunctionError};
use crate::invoke::request::Outcome;
use crate::invoke::{Blame, Finished, Invoke, Target};
use crate::names::RequestId;
use crate::payload::decision::Decision;
use crate::payload::{Document, Event};
use crate::sandbox::{Failure, FunctionResponse};

/// A function of a host; cheap to clone. Calls go to the function that has its name now, so a handle outlives updates of
/// its function, also deletion and creation. After its host was dropped, calls fail with [`Error::Ended`].
///
/// It is a [`tower::Service`] too, whose requests reach the function as those of a function URL.
#[derive(Debug)]
pub struct FunctionHandle {
    pub(super) core: Weak<Core>,
    pub(super) target: Target,
    pub(super) readiness: Readiness,
}

/// Options of an invocation.
///
/// ```
/// let options = lamina::InvokeOptions::default().log_tail().deadline(std::time::Duration::from_millis(200));
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct InvokeOptions {
    /// Returns the end of the function's log.
    pub log_tail: bool,
    /// Client context: a JSON document.
    pub client_context: Option<String>,
    /// Tenant, for functions with tenant isolation.
    pub tenant_id: Option<String>,
    /// X-Ray tracing header: `Root=...;Parent=...;Sampled=...`.
    pub trace_id: Option<String>,
    /// Time limit of the invocation, within the function's own. Starting an environment does not count.
    pub deadline: Option<Duration>,
}

/// Response of a function.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InvokeResponse {
    /// Result of the function: a JSON document.
    pub payload: Bytes,
    /// Version that ran: a number or `$LATEST`.
    pub executed_version: Arc<str>,
    /// End of the function's log, if requested.
    pub log_tail: Option<Bytes>,
    /// Duration of the invocation.
    pub duration: Duration,
}

impl InvokeOptions {
    /// Requests the end of the function's log.
    #[must_use]
    pub fn log_tail(mut self) -> Self {
        self.log_tail = true;
        self
    }

    /// Sets the client context, a JSON document.
    #[must_use]
    pub fn client_context(mut self, json: impl Into<String>) -> Self {
        self.client_context = Some(json.into());
        self
    }

    /// Sets the tenant.
    #[must_use]
    pub fn tenant_id(mut self, id: impl Into<String>) -> Self {
        self.tenant_id = Some(id.into());
        self
    }

    /// Sets the tracing header.
    #[must_use]
    pub fn trace_id(mut self, id: impl Into<String>) -> Self {
        self.trace_id = Some(id.into());
        self
    }

    /// Sets a time limit within the function's own.
    #[must_use]
    pub fn deadline(mut self, time: Duration) -> Self {
        self.deadline = Some(time);
        self
    }
}

impl FunctionHandle {
    /// Invokes the function with a JSON document. The invocation goes on if this future is dropped.
    ///
    /// # Errors
    /// If the function failed, does not exist or is throttled, or the event or an option is malformed.
    pub async fn invoke(
        &self,
        event: impl Into<Bytes>,
        options: InvokeOptions,
    ) -> Result<InvokeResponse, Error> {
        let core = self.core()?;
        let event = document(event.into(), "event")?;
        let id = RequestId::random(&core.clock);
        let mut invoke = Invoke::new(id, self.target.clone(), Event::Json(event));
        if let Some(context) = &options.client_context {
            document(context.clone().into(), "client context")?;
        }
        invoke.log_tail = options.log_tail;
        invoke.client_context = options.client_context;
        invoke.tenant_id = options.tenant_id;
        invoke.trace_id = options.trace_id;
        invoke.time_max = options.deadline;
        let finished = core.invoker.invoke(invoke).await?;
        let (outcome, end) = End::of(finished, options.log_tail);
        match outcome {
            Ok(response) => Ok(end.returned(response)),
            Err(failure) => Err(end.failed(failure)),
        }
    }

    /// Starts environments ahead of invocations, until the function has `count` idle ones. They are evicted like others
    /// after the idle timeout, so a host that keeps none has none. Returns the number of idle environments.
    ///
    /// # Errors
    /// If the function does not exist, isolates tenants or fails to start, or the host is full. Environments of a function
    /// with tenant isolation belong to one tenant each, and start with its first invocation.
    pub async fn prewarm(&self, count: usize) -> Result<usize, Error> {
        let prewarmed = self.core()?.invoker.prewarm(&self.target, count).await?;
        prewarmed.map_err(|(failure, executed_version)| {
            let end = End {
                executed_version,
                log_tail: None,
                duration: Duration::ZERO,
            };
            end.failed(failure)
        })
    }

    /// Runs the function on the head of a request, to decide what a proxy does with the request.
    ///
    /// The function is any that can be behind a function URL: a `wasi:http` component, or a handler of HTTP events. It gets
    /// the request without its body, and decides by its response:
    ///
    /// | response | decision |
    /// |---|---|
    /// | `lamina-decision: continue` | [`Continue`](Decision::Continue) |
    /// | and `lamina-set-NAME: VALUE` | [`Modify`](Decision::Modify): the request header NAME |
    /// | and `lamina-remove: NAME, NAME` | `Modify`: without these headers |
    /// | and `lamina-path: /PATH?QUERY` | `Modify`: another path and query |
    /// | and `lamina-host: HOST:PORT` | `Modify`: the host to forward to |
    /// | any without a header `lamina-...` | [`Respond`](Decision::Respond): this response is for the client |
    ///
    /// A convention of HTTP needs no more than a language's `wasi:http` bindings, and a decision can be tried with curl; a
    /// WIT interface of its own would need bindings, an adapter and an SDK for each language, and say no more. Nothing
    /// passes by mistake: a response without `lamina-decision`, a malformed one and a failed function never continue.
    ///
    /// ```no_run
    /// # async fn example(filter: lamina::FunctionHandle) -> Result<(), Box<dyn std::error::Error>> {
    /// use lamina::Decision;
    ///
    /// let request = http::Request::get("/old/page").header("authorization", "Bearer ...");
    /// let (mut head, ()) = request.body(())?.into_parts();
    /// if let Decision::Modify(changes) = filter.decide(&head).await? {
    ///     changes.apply(&mut head);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the function failed, does not exist or is throttled, or its decision is malformed.
    pub async fn decide(&self, head: &Parts) -> Result<Decision, Error> {
        let core = self.core()?;
        let id = RequestId::random(&core.clock);
        let finished = core.front.decide(&self.target, id, head).await?;
        let (outcome, end) = End::of(finished, false);
        outcome
            .and_then(decided)
            .map_err(|failure| end.failed(failure))
    }

    pub(super) fn core(&self) -> Result<Arc<Core>, Error> {
        let core = self.core.upgrade().filter(|core| !core.is_draining());
        core.ok_or(Error::Ended)
    }
}

fn document(text: Bytes, what: &str) -> Result<Document, Error> {
    Document::parse(text)
        .map_err(|error| Error::Invalid(format!("the {what} is not JSON: {error}")))
}

/// End of an invocation, beside its outcome.
struct End {
    executed_version: Arc<str>,
    log_tail: Option<Bytes>,
    duration: Duration,
}

impl End {
    fn of(finished: Finished, wants_tail: bool) -> (Outcome, Self) {
        let end = Self {
            executed_version: finished.executed_version,
            log_tail: finished.log_tail.filter(|_| wants_tail),
            duration: finished.usage.duration,
        };
        (finished.outcome, end)
    }

    fn returned(self, response: FunctionResponse) -> InvokeResponse {
        InvokeResponse {
            payload: response.into_bytes(),
            executed_version: self.executed_version,
            log_tail: self.log_tail,
            duration: self.duration,
        }
    }

    fn failed(self, failure: Failure) -> Error {
        Error::Function(Box::new(FunctionError {
            kind: failure.cause.into(),
            blame: Blame::of(&failure),
            payload: failure.document(),
            error_type: failure.error_type,
            message: failure.message,
            executed_version: self.executed_version,
            log_tail: self.log_tail,
            duration: self.duration,
        }))
    }
}

/// Decision that a function's response is.
fn decided(response: FunctionResponse) -> Result<Decision, Failure> {
    match response {
        FunctionResponse::Http(response) => Decision::of(response.map(Into::into))
            .map_err(|malformed| Failure::response_error(malformed.to_string())),
        // The pipeline makes an HTTP response of every result, for an HTTP request.
        FunctionResponse::Json(_) | FunctionResponse::Streamed(_) => {
            let problem = "The function's response is no decision.";
            Err(Failure::response_error(problem.into()))
        }
    }
}

impl Clone for FunctionHandle {
    /// The permit that `poll_ready` reserved stays with the original.
    fn clone(&self) -> Self {
        Self {
            core: Weak::clone(&self.core),
            target: self.target.clone(),
            readiness: Readiness::default(),
        }
    }
}
