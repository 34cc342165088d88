//! Refusal of a delivery. Its status tells the service whether a repetition could succeed: 429 and 503.

use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use crate::api::{HttpResponse, body, json as document};
use crate::events;
use crate::invoke::{self, resolve};
use crate::store;

/// Delay after which a service may deliver again.
const RETRY_SECONDS: u64 = 1;

/// A delivery that is refused.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) text: String,
}

impl Refused {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
        }
    }

    pub(super) fn malformed(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    pub(super) fn forbidden(text: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, text)
    }

    pub(super) fn unavailable(text: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, text)
    }

    pub(super) fn of_body(error: body::Error) -> Self {
        let status = match error {
            body::Error::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            body::Error::Ended => StatusCode::BAD_REQUEST,
            body::Error::Busy => StatusCode::TOO_MANY_REQUESTS,
        };
        Self::new(status, error.to_string())
    }

    pub(super) fn of_invoke(error: &invoke::Error) -> Self {
        error.log();
        let status = match error {
            invoke::Error::Resolve(resolve::Error::NotFound(_)) => StatusCode::NOT_FOUND,
            invoke::Error::Resolve(
                resolve::Error::TenantMissing | resolve::Error::TenantUnexpected,
            ) => StatusCode::BAD_REQUEST,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.to_string())
    }

    pub(super) fn of_event(error: &events::Error) -> Self {
        let events::Error::Store(cause) = error;
        tracing::error!(
            error = cause as &dyn std::error::Error,
            "an event could not be stored"
        );
        Self::unavailable(match cause {
            store::Error::Full => {
                "the event was not queued: the disk of the data directory is full"
            }
            _ => "the event was not queued: the store failed; see the host's log",
        })
    }

    pub(super) fn into_response(self) -> HttpResponse {
        let Self { status, text } = self;
        let mut response = document(status, json!({"message": text}).to_string());
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        if [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ]
        .contains(&status)
        {
            headers.insert(header::RETRY_AFTER, RETRY_SECONDS.into());
        }
        response
    }
}
