//! The body of a request that may be answered before it has come. In HTTP/1 the rest of such a body is read and
//! dropped, or the client, which is still sending, would meet a broken pipe before it reads the answer. It is
//! what others call a lingering close.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Version, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::pulse::Pulse;

/// Bytes that are dropped of one body: the largest request, and some more.
const DROPPED_BYTES_MAX: usize = 80 << 20;
/// Time that a client is given to send them.
const DROPPED_TIME_MAX: Duration = Duration::from_secs(30);

/// A body that reads and drops its rest when it is no longer wanted.
#[derive(Debug)]
pub(super) struct Lingering {
    /// None once it has ended.
    body: Option<Incoming>,
    /// None where the client learns by other means that no more is wanted.
    pulse: Option<Arc<Pulse>>,
}

impl Lingering {
    /// The request with such a body.
    pub(super) fn of(request: Request<Incoming>, pulse: &Arc<Pulse>) -> Request<Self> {
        // HTTP/2 resets the stream. A client that expects to be asked for its body is not asked.
        let is_sending =
            request.version() != Version::HTTP_2 && !request.headers().contains_key(header::EXPECT);
        request.map(|body| Self {
            pulse: (is_sending && !body.is_end_stream()).then(|| Arc::clone(pulse)),
            body: Some(body),
        })
    }
}

impl Body for Lingering {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(cx);
        if let Poll::Ready(None | Some(Err(_))) = polled {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let hint = self.body.as_ref().map(Body::size_hint);
        hint.unwrap_or_else(|| SizeHint::with_exact(0))
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let (Some(body), Some(pulse)) = (self.body.take(), self.pulse.take()) else {
            return;
        };
        if body.is_end_stream() {
            return;
        }
        // The connection is not idle meanwhile, and what comes is no flood.
        let begun = pulse.begin();
        tokio::spawn(async move {
            let dropped = timeout(DROPPED_TIME_MAX, drop_rest(body)).await;
            tracing::debug!(in_time = dropped.is_ok(), "the rest of a body was dropped");
            drop(begun);
        });
    }
}

/// Ends when the body does, or is too long; what is left of it then ends its connection.
async fn drop_rest(mut body: Incoming) {
    let mut seen = 0;
    while let Some(Ok(frame)) = body.frame().await {
        seen += frame.data_ref().map_or(0, Bytes::len);
        if seen > DROPPED_BYTES_MAX {
            return;
        }
    }
}
