//! The response of a function URL to what its function did, whole or as it is written.

use http::Response;

use super::bad_gateway;
use crate::api::HttpResponse;
use crate::invoke::request::Outcome;
use crate::invoke::running::Streaming;
use crate::invoke::{Running, Target};
use crate::names::RequestId;
use crate::payload::http::{Error, head_of, response_of};
use crate::sandbox;
use crate::sandbox::outlet::Head;

/// The response of an invocation that answers.
pub(super) fn of(running: Running, target: &Target, request_id: RequestId) -> HttpResponse {
    let response = match running {
        Running::Finished(finished) => whole(finished.outcome),
        Running::Streaming(streaming) => streamed(streaming),
    };
    response.unwrap_or_else(|problem| {
        let (function, id) = (target.name.as_str(), request_id.as_str());
        let problem = &problem as &dyn std::error::Error;
        tracing::warn!(function, id, problem, "a response could not be sent");
        bad_gateway()
    })
}

fn whole(outcome: Outcome) -> Result<HttpResponse, Error> {
    match outcome {
        Ok(sandbox::FunctionResponse::Http(response)) => Ok(response.map(Into::into)),
        Ok(reply) => Ok(response_of(&reply.into_bytes())?.map(Into::into)),
        // Its log has the reason.
        Err(_) => Ok(bad_gateway()),
    }
}

/// Where the head cannot be sent, the function runs to its end without a reader.
fn streamed(streaming: Streaming) -> Result<HttpResponse, Error> {
    let head = match streaming.head {
        Head::Http(parts) => Response::from_parts(*parts, ()),
        Head::Prelude(metadata) => head_of(metadata.as_ref())?,
    };
    Ok(head.map(|()| streaming.rest.into_body()))
}
