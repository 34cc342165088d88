//! Bodies that the host gives to a guest of WASI 0.3. Their streams belong to the engine, out of the host's sight, so what
//! a guest leaves in them counts where it is made.

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use wasmtime_wasi_http::{Error, WasiBody};

/// Counts of one guest's bodies; cheap to clone.
#[derive(Clone, Default)]
pub(in crate::sandbox) struct HostBodies(Arc<Counts>);

#[derive(Default)]
struct Counts {
    untaken_bytes: AtomicU64,
    requests: AtomicU32,
    polls: AtomicU32,
}

impl HostBodies {
    /// Bytes of frames that the guest has not taken out of its streams.
    pub(in crate::sandbox) fn untaken_bytes(&self) -> u64 {
        self.0.untaken_bytes.load(Ordering::Relaxed)
    }

    /// Requests of the guest, until their response bodies are dropped.
    pub(super) fn requests(&self) -> u32 {
        self.0.requests.load(Ordering::Relaxed)
    }

    /// Number of polls of all bodies. It changes if a body of a response is one of the host's, passed on.
    pub(in crate::sandbox) fn polls(&self) -> u32 {
        self.0.polls.load(Ordering::Relaxed)
    }

    /// Counts a request of the guest.
    pub(super) fn begin(&self) -> UnderWay {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        UnderWay(self.clone())
    }

    /// Body of a request to the guest, for the time of its call.
    pub(in crate::sandbox) fn lend<B: Body>(&self, body: B) -> Lent<B> {
        Lent {
            body: Arc::new(Mutex::new(Some(body))),
            bodies: self.clone(),
        }
    }

    /// Body of a response to a request of the guest.
    pub(super) fn fetched(&self, body: WasiBody, request: UnderWay) -> Fetched {
        Fetched {
            body,
            bodies: self.clone(),
            _request: request,
        }
    }

    fn polled(&self) {
        self.0.polls.fetch_add(1, Ordering::Relaxed);
    }

    fn counted(&self, frame: Frame<Bytes>) -> Frame<Bytes> {
        frame.map_data(|bytes| {
            let count = bytes.len() as u64;
            self.0.untaken_bytes.fetch_add(count, Ordering::Relaxed);
            Bytes::from_owner(Untaken {
                bytes,
                bodies: self.clone(),
            })
        })
    }
}

/// A request of a guest under way.
pub(super) struct UnderWay(HostBodies);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Bytes of a frame, counted until they are dropped.
struct Untaken {
    bytes: Bytes,
    bodies: HostBodies,
}

impl AsRef<[u8]> for Untaken {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Untaken {
    fn drop(&mut self) {
        let count = self.bytes.len() as u64;
        let counts = &self.bodies.0;
        counts.untaken_bytes.fetch_sub(count, Ordering::Relaxed);
    }
}

/// Request body that a guest may read until the end of its call, wherever it has left the stream.
pub(in crate::sandbox) struct Lent<B> {
    // std mutex: one owner polls the body, and the other takes it when nobody does.
    body: Arc<Mutex<Option<B>>>,
    bodies: HostBodies,
}

impl<B> Lent<B> {
    /// The same body, for the one who takes it back.
    pub(in crate::sandbox) fn share(&self) -> Self {
        Self {
            body: Arc::clone(&self.body),
            bodies: self.bodies.clone(),
        }
    }

    pub(in crate::sandbox) fn take_back(&self) {
        let body = self.lock().take();
        // Dropped without the lock.
        drop(body);
    }

    fn lock(&self) -> MutexGuard<'_, Option<B>> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B> Body for Lent<B>
where
    B: Body<Data = Bytes, Error = Error> + Unpin,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.bodies.polled();
        let mut body = self.lock();
        let Some(body) = &mut *body else {
            return Poll::Ready(Some(Err(Error::ConnectionTerminated)));
        };
        let frame = Pin::new(body).poll_frame(cx);
        frame.map(|frame| frame.map(|it| it.map(|frame| self.bodies.counted(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.lock().as_ref().is_some_and(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let hint = self.lock().as_ref().map(Body::size_hint);
        hint.unwrap_or_default()
    }
}

/// Response body that a guest has asked another server for.
pub(super) struct Fetched {
    body: WasiBody,
    bodies: HostBodies,
    _request: UnderWay,
}

impl Body for Fetched {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.bodies.polled();
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};

    use super::*;

    fn lent(bodies: &HostBodies) -> Lent<impl Body<Data = Bytes, Error = Error> + use<>> {
        bodies.lend(Full::new(Bytes::from_static(b"four")).map_err(|never| match never {}))
    }

    #[tokio::test]
    async fn frame_counts_until_its_last_part_is_dropped() {
        let bodies = HostBodies::default();
        let frame = lent(&bodies).frame().await.unwrap().unwrap();
        let mut bytes = frame.into_data().unwrap();
        let rest = bytes.split_off(1);
        drop(bytes);
        assert_eq!((&rest[..], bodies.untaken_bytes()), (&b"our"[..], 4));
        drop(rest);
        assert_eq!(bodies.untaken_bytes(), 0);
    }

    #[tokio::test]
    async fn body_taken_back_is_an_error() {
        let bodies = HostBodies::default();
        let mut body = lent(&bodies);
        body.share().take_back();
        let error = body.frame().await.unwrap().unwrap_err();
        assert!(matches!(error, Error::ConnectionTerminated));
        assert_eq!(bodies.polls(), 1);
    }

    #[test]
    fn request_counts_until_its_response_is_dropped() {
        let bodies = HostBodies::default();
        let request = bodies.begin();
        let body = Full::default().map_err(|never| match never {});
        let response = bodies.fetched(body.boxed_unsync(), request);
        assert_eq!(bodies.requests(), 1);
        drop(response);
        assert_eq!(bodies.requests(), 0);
    }
}
