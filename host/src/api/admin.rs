//! Pages for operators: health, which anyone may ask for, and metrics.
//!
//! Metrics name functions. On a host with keys they are for callers that are allowed `lamina:GetMetrics` on `*`, and for
//! bearers of `metrics_token`, since Prometheus cannot sign. The address of a peer opens nothing: behind a proxy on the same
//! machine every client comes from a loopback address.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, header};
use subtle::ConstantTimeEq;

use super::access::Demand;
use super::facts::NoKeys;
use super::{Front, HttpResponse};
use crate::payload::Body;
use crate::telemetry::metrics::{Gauges, Metrics};

/// The paths of the pages.
pub(super) const HEALTH: &str = "/_lamina/health";
pub(super) const METRICS: &str = "/_lamina/metrics";

const ACTION: &str = "lamina:GetMetrics";

/// The host answers.
pub(super) fn health() -> HttpResponse {
    Response::new("ok\n".into())
}

/// A refusal of the metrics page.
pub(super) fn refused(text: String) -> HttpResponse {
    let mut reply = Response::new(Body::from(text + "\n"));
    *reply.status_mut() = StatusCode::FORBIDDEN;
    reply
}

impl Front {
    pub(super) fn serve_metrics(&self, parts: &Parts) -> HttpResponse {
        if let Err(text) = self.may_read_metrics(parts) {
            return refused(text);
        }
        let gauges = Gauges {
            queues: self.control.library().queues(),
            events: self.events.depths(),
            events_in_flight: self.events.in_flight().into(),
            ..self.invoker.gauges()
        };
        let mut reply = Response::new(Body::from(self.metrics.page(gauges)));
        let kind = HeaderValue::from_static(Metrics::CONTENT_TYPE);
        reply.headers_mut().insert(header::CONTENT_TYPE, kind);
        reply
    }

    fn may_read_metrics(&self, parts: &Parts) -> Result<(), String> {
        let Some(access) = self.access(parts) else {
            return Ok(());
        };
        if self.bears_token(parts) {
            return Ok(());
        }
        let refused = |error: super::rest::sigv4::Error| error.to_string();
        let signed = access.parse(parts, "lambda").map_err(refused)?;
        let caller = signed.check(&Bytes::new()).map_err(refused)?;
        let home = self.control.home();
        if caller.owns(&home.account) {
            return Ok(());
        }
        let demand = Demand::new(ACTION, "*");
        let context = self.context(&caller.principal, parts, None, &NoKeys);
        let permitted = self.permit(&caller, &demand, &context);
        permitted.map_err(|denied| denied.text)
    }

    fn bears_token(&self, parts: &Parts) -> bool {
        let given = parts.headers.get(header::AUTHORIZATION);
        let given = given.and_then(|it| it.as_bytes().strip_prefix(b"Bearer "));
        let (Some(given), Some(token)) = (given, &self.metrics_token) else {
            return false;
        };
        given.ct_eq(token.as_bytes()).into()
    }
}
