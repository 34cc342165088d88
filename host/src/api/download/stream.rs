//! Streamed download of a package, read from disk as the client reads.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::library::Stored;
use crate::payload::body::Broken;

/// Bytes read at once, the memory cost of an unread download.
const PART_BYTES: usize = 64 << 10;

/// Body of a download. Guards the package from collection.
#[derive(Debug)]
pub(super) struct Package {
    stored: Stored,
    taken: u64,
    reading: Option<JoinHandle<std::io::Result<Bytes>>>,
}

impl Package {
    pub(super) fn new(stored: Stored) -> Self {
        Self {
            stored,
            taken: 0,
            reading: None,
        }
    }

    fn left(&self) -> u64 {
        self.stored.size_bytes().saturating_sub(self.taken)
    }
}

impl Body for Package {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.is_end_stream() {
            return Poll::Ready(None);
        }
        let mut reading = match self.reading.take() {
            Some(reading) => reading,
            None => {
                let (stored, taken) = (self.stored.clone(), self.taken);
                spawn_blocking(move || stored.read_at(taken, PART_BYTES))
            }
        };
        let Poll::Ready(read) = Pin::new(&mut reading).poll(cx) else {
            self.reading = Some(reading);
            return Poll::Pending;
        };
        Poll::Ready(Some(match read {
            Ok(Ok(part)) => {
                self.taken += part.len() as u64;
                Ok(Frame::data(part))
            }
            Ok(Err(error)) => Err(Broken(error.into())),
            Err(error) => Err(Broken(error.into())),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left())
    }
}
