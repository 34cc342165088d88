//! Streamed response: its head, and its bytes through a bounded channel. A guest that writes faster than its reader
//! reads waits; after the reader is gone it writes on, as in Lambda, and the bytes are dropped.

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
use crate::payload::http::{self as http_payload, head_of};

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

/// Protocol of the reader.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Protocol {
    /// Lambda's own: metadata precede the body.
    Lambda,
    /// HTTP: metadata become the status and the headers.
    Http,
}

/// The writing end, which the guest has; cheap to clone.
#[derive(Clone)]
pub struct Outlet(Arc<Inner>);

struct Inner {
    protocol: Protocol,
    // A std mutex: the sender is taken out or looked at, and nothing awaits inside.
    head: Mutex<Option<oneshot::Sender<Head>>>,
    /// Error of metadata that describe no HTTP response.
    malformed: OnceLock<http_payload::Error>,
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

/// The metadata describe no HTTP response.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the metadata describe no HTTP response")]
pub struct Malformed;

/// The response is larger than a response may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the response is larger than {STREAM_BYTES_MAX} bytes")]
pub struct TooLarge;

impl Outlet {
    /// Both ends. The clock times the beginning of the response.
    pub fn new(protocol: Protocol, clock: Clock) -> (Self, Intake) {
        let (head_sender, head) = oneshot::channel();
        let (frames_sender, frames) = mpsc::channel(FRAMES_MAX);
        let outlet = Self(Arc::new(Inner {
            protocol,
            head: Mutex::new(Some(head_sender)),
            malformed: OnceLock::new(),
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

    /// Begins the response, if it has not begun. Metadata that describe no HTTP response end it: nothing is sent.
    ///
    /// # Errors
    /// If the metadata are malformed.
    pub fn begin(&self, head: Head) -> Result<(), Malformed> {
        let Some(sender) = self.head().take() else {
            return Ok(());
        };
        let head = match (self.0.protocol, head) {
            (Protocol::Http, Head::Prelude(metadata)) => match head_of(metadata.as_ref()) {
                Ok(head) => Head::Http(Box::new(head.into_parts().0)),
                Err(error) => {
                    let _first = self.0.malformed.set(error);
                    return Err(Malformed);
                }
            },
            (_, head) => head,
        };
        let _first = self.0.begun.set(self.0.clock.instant());
        // A reader that is gone changes nothing for the function.
        let _gone = sender.send(head);
        Ok(())
    }

    /// Error of the metadata, if they describe no HTTP response.
    pub fn malformed(&self) -> Option<&http_payload::Error> {
        self.0.malformed.get()
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
        if self.malformed().is_some() {
            return Ok(());
        }
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

    /// Waits until the reader has taken everything, or is gone. A response that fits one frame is not waited for: like a
    /// whole one it is the connection's from now on.
    pub async fn drained(&self) {
        if self.written() <= FRAME_BYTES_MAX as u64 {
            return;
        }
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
        let (outlet, mut intake) = Outlet::new(Protocol::Lambda, Clock::system());
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
        let (outlet, intake) = Outlet::new(Protocol::Lambda, Clock::system());
        drop(intake);
        outlet.begin(Head::Prelude(None)).unwrap();
        for _ in 0..2 * FRAMES_MAX {
            outlet.write(Bytes::from_static(b"x")).await.unwrap();
        }
        outlet.drained().await;
        assert_eq!(outlet.written(), 2 * FRAMES_MAX as u64);
    }

    #[tokio::test]
    async fn response_over_its_size_is_refused() {
        let (outlet, intake) = Outlet::new(Protocol::Lambda, Clock::system());
        drop(intake);
        let mebibyte = Bytes::from(vec![0; 1 << 20]);
        for _ in 0..STREAM_BYTES_MAX >> 20 {
            outlet.write(mebibyte.clone()).await.unwrap();
        }
        assert_eq!(outlet.write(Bytes::from_static(b"x")).await, Err(TooLarge));
    }

    #[tokio::test]
    async fn metadata_without_http_response_end_the_response() {
        let (outlet, mut intake) = Outlet::new(Protocol::Http, Clock::system());
        let metadata = Document::parse(r#"{"statusCode": 99}"#.into()).unwrap();
        let begun = outlet.begin(Head::Prelude(Some(metadata)));
        assert_eq!(begun, Err(Malformed));
        assert!(outlet.malformed().is_some());
        // A function that ignores the error writes on.
        for _ in 0..2 * FRAMES_MAX {
            outlet.write(Bytes::from_static(b"x")).await.unwrap();
        }
        outlet.drained().await;
        assert!(intake.head.try_recv().is_err() && intake.frames.try_recv().is_err());
    }

    #[tokio::test]
    async fn drained_ends_when_all_is_taken() {
        let (outlet, mut intake) = Outlet::new(Protocol::Lambda, Clock::system());
        outlet.write(Bytes::from_static(b"x")).await.unwrap();
        outlet.drained().await;
        let frame = Bytes::from(vec![0; FRAME_BYTES_MAX]);
        outlet.write(frame).await.unwrap();
        assert!(pending(outlet.drained()));
        for _ in 0..2 {
            intake.frames.recv().await.unwrap();
        }
        outlet.drained().await;
    }
}
