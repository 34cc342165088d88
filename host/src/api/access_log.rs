//! Access log: one event for each request, with the target `lamina::access`. Paths are logged without their query, which
//! may have secrets.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use http::request::Parts;
use http::{Method, header};

use super::{Ends, HttpResponse, host_of};
use crate::clock::Clock;
use crate::names::RequestId;

/// Start of an access key id in the header Authorization.
const CREDENTIAL: &str = "Credential=";
/// Longest host name or path in a line.
const SHOWN_BYTES_MAX: usize = 1_024;

/// A request that is logged when its response begins.
pub(super) struct Entry {
    method: Method,
    host: String,
    path: String,
    client: Option<IpAddr>,
    access_key_id: Option<String>,
    begun: Instant,
}

impl Entry {
    /// An entry, if anyone reads the log.
    pub(super) fn begin(parts: &Parts, clock: &Clock) -> Option<Box<Self>> {
        // Decided once for this line of code by the subscriber, so that a request without a log pays a comparison.
        if !tracing::enabled!(target: "lamina::access", tracing::Level::INFO) {
            return None;
        }
        // Boxed: the future of every request has room for it.
        Some(Box::new(Self {
            method: parts.method.clone(),
            host: shown(host_of(parts).unwrap_or_default()),
            path: shown(parts.uri.path()),
            client: parts.extensions.get::<Ends>().map(|ends| ends.peer),
            access_key_id: access_key_id(parts).map(shown),
            begun: clock.instant(),
        }))
    }

    /// Logs the request with its response, whose body may still be sent.
    pub(super) fn end(&self, reply: &HttpResponse, request_id: &RequestId, clock: &Clock) {
        let duration: Duration = clock.instant() - self.begun;
        tracing::info!(
            target: "lamina::access",
            client = self.client.map(tracing::field::display),
            access_key_id = self.access_key_id.as_deref(),
            method = %self.method,
            host = self.host.as_str(),
            path = self.path.as_str(),
            status = reply.status().as_u16(),
            duration_ms = duration.as_secs_f64() * 1_000.0,
            request_id = %request_id,
            "request"
        );
    }
}

/// Access key that a request claims. Its signature is good if the status is not 403.
fn access_key_id(parts: &Parts) -> Option<&str> {
    let value = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let rest = value.split_once(CREDENTIAL)?.1;
    rest.split('/').next()
}

fn shown(text: &str) -> String {
    text[..text.floor_char_boundary(SHOWN_BYTES_MAX)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_key_is_read_from_the_signature() {
        let parts = |value: &str| {
            let request = http::Request::builder().header("authorization", value);
            request.body(()).unwrap().into_parts().0
        };
        let signed =
            "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/lambda/aws4_request, Signature=x";
        assert_eq!(access_key_id(&parts(signed)), Some("AKID"));
        assert_eq!(access_key_id(&parts("Bearer x")), None);
    }
}
