//! Bodies of requests as they arrive: complete, or with an error at their end. After an early response in HTTP/1 the
//! rest of the body is read and dropped: the client is still sending, and a reset connection would lose it the response.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Version, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::pulse::Pulse;

/// Bytes dropped of one body: the largest request, with a margin.
const DROPPED_BYTES_MAX: usize = 216 << 20;
/// Time in which the client must send them.
const DROPPED_TIME_MAX: Duration = Duration::from_secs(30);

/// Error of a request body.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The connection or the stream broke off.
    #[error(transparent)]
    Broken(#[from] hyper::Error),
    /// The body ended without an error before it was complete: hyper ends it so if the stream is reset with NO_ERROR.
    #[error("the body ended before it was complete")]
    Incomplete,
}

/// Request body that drains its rest in the background when dropped.
#[derive(Debug)]
pub(super) struct Lingering {
    /// `None` after its end.
    body: Option<Incoming>,
    is_http2: bool,
    /// `None` if the client is asked to stop sending in another way.
    pulse: Option<Arc<Pulse>>,
}

impl Lingering {
    /// Wraps the body of a request.
    pub(super) fn of(request: Request<Incoming>, pulse: &Arc<Pulse>) -> Request<Self> {
        // HTTP/2 resets the stream. Reading would send `100 Continue` to a client that waits for it.
        let is_http2 = request.version() == Version::HTTP_2;
        let is_sending = !is_http2 && !request.headers().contains_key(header::EXPECT);
        request.map(|body| Self {
            is_http2,
            pulse: (is_sending && !body.is_end_stream()).then(|| Arc::clone(pulse)),
            body: Some(body),
        })
    }
}

/// True for a body that has ended with all of its bytes. HTTP/1 has errors for the others.
fn is_complete(body: &Incoming, is_http2: bool) -> bool {
    body.size_hint().lower() == 0 && (!is_http2 || body.is_end_stream())
}

impl Body for Lingering {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let is_http2 = self.is_http2;
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = match ready!(Pin::new(&mut *body).poll_frame(cx)) {
            None if !is_complete(body, is_http2) => Some(Err(Error::Incomplete)),
            frame => frame.map(|frame| frame.map_err(Error::from)),
        };
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
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
        // Functions drop bodies too, and at shutdown on threads without a runtime.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        // A connection without a request in progress would be idle, and its bytes a flood.
        let begun = pulse.begin();
        runtime.spawn(async move {
            let dropped = timeout(DROPPED_TIME_MAX, drop_rest(body)).await;
            tracing::debug!(in_time = dropped.is_ok(), "the rest of a body was dropped");
            drop(begun);
        });
    }
}

/// Reads to the end, or to the limit; hyper closes the connection over an unread rest.
async fn drop_rest(mut body: Incoming) {
    let mut seen = 0;
    while let Some(Ok(frame)) = body.frame().await {
        seen += frame.data_ref().map_or(0, Bytes::len);
        if seen > DROPPED_BYTES_MAX {
            return;
        }
    }
}
