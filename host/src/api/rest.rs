//! The AWS Lambda API: one dispatch over the closed set of operations. Each resource has a file that
//! parses its requests, asks `control`, and shapes the answers.

use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode};

use super::{Front, Reply, read_body};
use crate::names::RequestId;
use crate::units::{EVENT_BYTES_MAX, REQUEST_BYTES_MAX};

mod alias;
mod behaviour;
mod code_signing;
mod concurrency;
mod destination;
mod error;
mod event_invoke;
mod event_source;
mod function;
mod function_url;
mod invoke;
mod layer;
mod origin;
pub mod sigv4;
mod target;
mod version;
pub mod wire;

use wire::{ErrorShape, Fault, Operation, Route, RouteError};

/// A request whose operation is known and whose caller is accepted.
struct Call {
    route: Route,
    parts: Parts,
    body: Bytes,
    request_id: RequestId,
}

impl Call {
    fn render(&self, output: impl wire::Output) -> Reply {
        wire::render(self.route.operation(), output)
    }

    fn parse<T: wire::Input>(&self) -> Result<T, Fault> {
        let query = self.parts.uri.query();
        Ok(wire::parse(
            &self.route,
            query,
            &self.parts.headers,
            &self.body,
        )?)
    }
}

impl Front {
    pub(super) async fn serve_rest<B>(&self, request_id: RequestId, parts: Parts, body: B) -> Reply
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let answered = match self.accept(request_id, parts, body).await {
            Ok(call) => self.dispatch(call).await,
            Err(fault) => Err(fault),
        };
        answered.unwrap_or_else(|fault| fault.into_response(&request_id))
    }

    /// Refuses, in this order: what is no operation, who may not call it, what is too large.
    async fn accept<B>(&self, request_id: RequestId, parts: Parts, body: B) -> Result<Call, Fault>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let route = wire::route(&parts.method, parts.uri.path(), parts.uri.query())
            .map_err(|error| unroutable(&parts.method, parts.uri.path(), &error))?;
        let claim = match &self.verifier {
            Some(verifier) => Some(verifier.parse(&parts, "lambda").map_err(refused)?),
            None => None,
        };
        let (name, bytes_max) = match route.operation() {
            // AWS calls it by the name of its permission here.
            Operation::Invoke => ("InvokeFunction", EVENT_BYTES_MAX),
            other => (other.name(), REQUEST_BYTES_MAX),
        };
        let body = read_body(body, bytes_max)
            .await
            .map_err(|it| error::of_body(&it, name))?;
        if let Some(claim) = claim {
            claim.check(&body).map_err(refused)?;
        }
        Ok(Call {
            route,
            parts,
            body,
            request_id,
        })
    }

    /// Every operation that is built is answered by the method of its name.
    async fn dispatch(&self, call: Call) -> Result<Reply, Fault> {
        let call = &call;
        include!(concat!(env!("OUT_DIR"), "/dispatch.rs"))
    }
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
        RouteError::WrongMethod { allowed } => {
            let allowed: Vec<&str> = allowed.iter().map(Method::as_str).collect();
            let allowed = allowed.join(", ");
            let text = format!("{method} is not allowed at {path}. Allowed: {allowed}.");
            Fault::new(ErrorShape::MethodNotAllowedException, text)
        }
    }
}

fn refused(error: sigv4::Error) -> Fault {
    Fault::new(error.shape(), error.to_string())
}

/// An answer without a body.
fn no_content() -> Reply {
    let mut reply = Reply::default();
    *reply.status_mut() = StatusCode::NO_CONTENT;
    reply
}
