//! A request of a guest under way: its permit and its stream, until the response is read and the request is sent. A
//! server that takes no more of a request after its response has its connection closed.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::{CancellationToken, DropGuard};
use wasmtime_wasi_http::{Error, WasiBody};

use crate::clock::Clock;
use crate::outbound::link::Stream;

/// Time for the rest of a request after the end of its response.
const REST_TIME_MAX: Duration = Duration::from_secs(10);

/// Body of a request, whose drop marks the request as sent.
pub(super) struct RequestBody {
    body: WasiBody,
    _sent: DropGuard,
}

/// A request under way, and its end when dropped.
pub(super) struct Exchange {
    held: Option<(Stream, Arc<OwnedSemaphorePermit>)>,
    /// Cancelled when the request body is dropped.
    sent: CancellationToken,
    clock: Clock,
    /// Guests are dropped by threads without a runtime, too.
    runtime: Handle,
}

impl RequestBody {
    pub(super) fn new(body: WasiBody, sent: &CancellationToken) -> Self {
        let _sent = sent.clone().drop_guard();
        Self { body, _sent }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Exchange {
    pub(super) fn new(
        stream: Stream,
        permit: &Arc<OwnedSemaphorePermit>,
        sent: &CancellationToken,
        clock: &Clock,
    ) -> Self {
        Self {
            held: Some((stream, Arc::clone(permit))),
            sent: sent.clone(),
            clock: clock.clone(),
            runtime: Handle::current(),
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let held = self.held.take().filter(|_| !self.sent.is_cancelled());
        let Some((stream, permit)) = held else {
            return;
        };
        stream.leave();
        let (sent, clock) = (self.sent.clone(), self.clock.clone());
        self.runtime.spawn(async move {
            let rest = clock.timeout(REST_TIME_MAX, sent.cancelled()).await;
            if rest.is_none() {
                stream.cancel();
            }
            drop(permit);
        });
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Empty};
    use tokio::sync::Semaphore;

    use super::*;
    use crate::clock::Simulated;
    use crate::outbound::link::Link;

    #[tokio::test(start_paused = true)]
    async fn connection_is_closed_if_request_is_not_sent_after_response() {
        for is_sent in [true, false] {
            let (permits, link) = (Arc::new(Semaphore::new(1)), Arc::new(Link::default()));
            let permit = Arc::new(Arc::clone(&permits).try_acquire_owned().unwrap());
            let (sent, clock) = (CancellationToken::new(), Simulated::clock(1));
            let body = Empty::new().map_err(|never| match never {});
            let mut body = Some(RequestBody::new(body.boxed_unsync(), &sent));
            let exchange = Exchange::new(link.begin(), &permit, &sent, &clock);
            drop((permit, exchange));
            assert_eq!(
                permits.available_permits(),
                0,
                "the request is not sent yet"
            );
            if is_sent {
                body = None;
            }
            // Paused time passes when all tasks wait.
            let _permit = permits.acquire().await.unwrap();
            assert_eq!(link.is_cancelled(), !is_sent);
            drop(body);
        }
    }

    #[tokio::test]
    async fn sent_request_ends_with_its_response() {
        let (permits, link) = (Arc::new(Semaphore::new(1)), Arc::new(Link::default()));
        let permit = Arc::new(Arc::clone(&permits).try_acquire_owned().unwrap());
        let sent = CancellationToken::new();
        sent.cancel();
        let exchange = Exchange::new(link.begin(), &permit, &sent, &Clock::system());
        drop((permit, exchange));
        assert_eq!(permits.available_permits(), 1);
    }
}
