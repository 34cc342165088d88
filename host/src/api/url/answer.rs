//! Response of a function URL, whole or streamed.

use http::Response;

use super::bad_gateway;
use crate::api::HttpResponse;
use crate::invoke::Running;
use crate::invoke::request::Outcome;
use crate::payload::Body;
use crate::sandbox::outlet::Head;
use crate::sandbox::{FunctionResponse, Trailers};

/// Response of an invocation. The log of a failed one has the reason.
pub(super) fn of(running: Running) -> HttpResponse {
    match running {
        Running::Finished(finished) => whole(finished.outcome).unwrap_or_else(bad_gateway),
        Running::Streaming(streaming) => match streaming.head {
            Head::Http(parts) => Response::from_parts(*parts, streaming.rest.into_body()),
            Head::Prelude(_) => unreachable!("an HTTP caller gets an HTTP head"),
        },
    }
}

fn whole(outcome: Outcome) -> Option<HttpResponse> {
    let Ok(FunctionResponse::Http(mut response)) = outcome else {
        return None;
    };
    let trailers = response.extensions_mut().remove::<Trailers>();
    Some(response.map(|bytes| match trailers {
        Some(Trailers(trailers)) => Body::with_trailers(bytes, trailers),
        None => bytes.into(),
    }))
}
