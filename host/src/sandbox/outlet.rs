//! Where a response goes that is streamed: its beginning and then its bytes, through a channel that holds few.
//! A guest that writes faster than its reader reads waits; one whose reader is gone writes on, as in Lambda,
//! and what it writes is dropped.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::payload::Document;

/// Bytes of one frame.
const FRAME_BYTES_MAX: usize = 64 << 10;
/// Frames that wait for a reader. This bounds what a slow one costs: 512 KiB.
const FRAMES_MAX: usize = 8;
/// Bytes of one response, as in AWS.
pub const STREAM_BYTES_MAX: u64 = 200 << 20;

/// Between the metadata and the body of a response, as in AWS.
pub use crate::payload::http::PRELUDE_END;

/// Head of a streamed response.
#[derive(Debug)]
pub enum Head {
    /// With the metadata that the function set, if it set any.
    Prelude(Option<Document>),
    /// With an HTTP response's status and headers.
    Http(Box<http::response::Parts>),
}

/// The writing end, which the guest has; cheap to clone.
#[derive(Clone)]
pub struct Outlet(Arc<Inner>);

struct Inner {
    // A std mutex: the sender is taken out or looked at, and nothing awaits inside.
    head: Mutex<Option<oneshot::Sender<Head>>>,
    frames: mpsc::Sender<Frame<Bytes>>,
    written: AtomicU64,
    clock: Clock,
    begun: OnceLock<Instant>,
}

/// The reading end.
#[derive(Debug)]
pub struct Intake {
    /// Comes when the response begins; not at all where the function ends before it.
    pub head: oneshot::Receiver<Head>,
    /// The frames, to the end of the response.
    pub frames: mpsc::Receiver<Frame<Bytes>>,
}

/// The response is larger than a response may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the response is larger than {STREAM_BYTES_MAX} bytes")]
pub struct TooLarge;

impl Outlet {
    /// Both ends. The clock tells when the response begins.
    pub fn new(clock: Clock) -> (Self, Intake) {
        let (head_sender, head) = oneshot::channel();
        let (frames_sender, frames) = mpsc::channel(FRAMES_MAX);
        let outlet = Self(Arc::new(Inner {
            head: Mutex::new(Some(head_sender)),
            frames: frames_sender,
            written: AtomicU64::new(0),
            clock,
            begun: OnceLock::new(),
        }));
        (outlet, Intake { head, frames })
    }

    /// True if the response has begun.
    pub fn has_begun(&self) -> bool {
        self.head().is_none()
    }

    /// Begins the response, if it has not begun.
    pub fn begin(&self, head: Head) {
        if let Some(sender) = self.head().take() {
            let _first = self.0.begun.set(self.0.clock.instant());
            // A reader that is gone changes nothing for the function.
            let _gone = sender.send(head);
        }
    }

    /// Writes bytes. Waits while the reader has enough to read.
    ///
    /// # Errors
    /// Where the response would be larger than it may be.
    pub async fn write(&self, mut bytes: Bytes) -> Result<(), TooLarge> {
        let written = self.written().saturating_add(bytes.len() as u64);
        if written > STREAM_BYTES_MAX {
            return Err(TooLarge);
        }
        self.0.written.store(written, Ordering::Relaxed);
        while !bytes.is_empty() {
            let frame = bytes.split_to(bytes.len().min(FRAME_BYTES_MAX));
            if self.0.frames.send(Frame::data(frame)).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Ends the response with these fields.
    pub async fn end(&self, trailers: HeaderMap) {
        let _gone = self.0.frames.send(Frame::trailers(trailers)).await;
    }

    /// The time at which the response began.
    pub fn begun(&self) -> Option<Instant> {
        self.0.begun.get().copied()
    }

    /// The bytes that were written so far.
    pub fn written(&self) -> u64 {
        self.0.written.load(Ordering::Relaxed)
    }

    /// Waits until the reader has taken everything, or is gone.
    pub async fn drained(&self) {
        let _gone = self.0.frames.reserve_many(FRAMES_MAX).await;
    }

    fn head(&self) -> MutexGuard<'_, Option<oneshot::Sender<Head>>> {
        self.0.head.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlet")
            .field("written", &self.written())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending<F: Future>(future: F) -> bool {
        futures_util::FutureExt::now_or_never(future).is_none()
    }

    #[tokio::test]
    async fn writer_waits_for_a_slow_reader() {
        let (outlet, mut intake) = Outlet::new(Clock::system());
        let frame = Bytes::from(vec![0; FRAME_BYTES_MAX]);
        for _ in 0..FRAMES_MAX {
            outlet.write(frame.clone()).await.unwrap();
        }
        assert!(pending(outlet.write(frame.clone())));
        assert!(intake.frames.recv().await.is_some());
        outlet.write(frame).await.unwrap();
        assert!(pending(outlet.drained()));
    }

    #[tokio::test]
    async fn writer_goes_on_without_a_reader() {
        let (outlet, intake) = Outlet::new(Clock::system());
        drop(intake);
        outlet.begin(Head::Prelude(None));
        for _ in 0..2 * FRAMES_MAX {
            outlet.write(Bytes::from_static(b"x")).await.unwrap();
        }
        outlet.drained().await;
        assert_eq!(outlet.written(), 2 * FRAMES_MAX as u64);
    }

    #[tokio::test]
    async fn response_over_its_size_is_refused() {
        let (outlet, intake) = Outlet::new(Clock::system());
        drop(intake);
        let mebibyte = Bytes::from(vec![0; 1 << 20]);
        for _ in 0..STREAM_BYTES_MAX >> 20 {
            outlet.write(mebibyte.clone()).await.unwrap();
        }
        assert_eq!(outlet.write(Bytes::from_static(b"x")).await, Err(TooLarge));
    }

    #[tokio::test]
    async fn drained_ends_when_all_is_taken() {
        let (outlet, mut intake) = Outlet::new(Clock::system());
        outlet.write(Bytes::from_static(b"x")).await.unwrap();
        assert!(pending(outlet.drained()));
        intake.frames.recv().await.unwrap();
        outlet.drained().await;
    }
}
