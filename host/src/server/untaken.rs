//! Unread responses. An HTTP/2 client may request many at once without opening a window, on a connection that is
//! active otherwise: only the owner of the bytes knows that they are unread. Large ones count towards the limit on
//! all unread responses, in HTTP/1 too.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::pulse::Begun;
use super::slots::Untaken;
use crate::api::HttpResponse;
use crate::payload::Body;
use crate::payload::body::Broken;

/// Minimum size that counts in HTTP/1. Smaller than the buffers of the connection itself.
pub(super) const LARGE_BYTES_MIN: usize = 16 << 10;

/// Response bytes, counted until dropped, which is after their write.
struct Held {
    bytes: Bytes,
    number: u64,
    untaken: Untaken,
}

/// Streamed response. Keeps its request in progress, since a function may pause for longer than a connection may be
/// idle; a client that stops reading is timed out all the same.
struct Streamed {
    body: Body,
    bytes_min: usize,
    untaken: Untaken,
    /// Number of the deadline for the client to read on, while it does not.
    awaited: Option<u64>,
    /// Failure of the body, kept for one poll: hyper drops what it has not flushed when a body fails, the head too.
    failed: Option<Broken>,
    _begun: Begun,
}

/// Counts pieces of a response of at least `bytes_min` until the client has read them.
pub(super) fn hold(
    untaken: Untaken,
    bytes_min: usize,
    begun: Begun,
    reply: HttpResponse,
) -> HttpResponse {
    reply.map(|body| match body.into_whole() {
        Ok(bytes) => held(&untaken, bytes_min, bytes).into(),
        Err(body) => Body::streamed(Streamed {
            body,
            bytes_min,
            awaited: Some(untaken.hold(0)),
            untaken,
            failed: None,
            _begun: begun,
        }),
    })
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.be_ready();
        if let Some(failure) = self.failed.take() {
            return Poll::Ready(Some(Err(failure)));
        }
        let frame = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => frame,
            Poll::Ready(Some(Err(failure))) => {
                self.failed = Some(failure);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            polled => return polled,
        };
        self.awaited = Some(self.untaken.hold(0));
        let frame = frame.map_data(|bytes| held(&self.untaken, self.bytes_min, bytes));
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Streamed {
    fn be_ready(&mut self) {
        if let Some(number) = self.awaited.take() {
            self.untaken.taken(number, 0);
        }
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        self.be_ready();
    }
}

fn held(untaken: &Untaken, bytes_min: usize, bytes: Bytes) -> Bytes {
    if bytes.len() < bytes_min {
        return bytes;
    }
    Bytes::from_owner(Held {
        number: untaken.hold(bytes.len()),
        bytes,
        untaken: untaken.clone(),
    })
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.untaken.taken(self.number, self.bytes.len());
    }
}
