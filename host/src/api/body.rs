//! Bodies of requests, read whole: within bounds of size, of time, and of what all of them hold
//! together.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

/// What is read of a body that is not wanted, for the client to see its answer.
const DROPPED_BYTES_MAX: usize = 80 << 20;

/// What bodies may take of the host.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// All of them together.
    pub(crate) bytes_max: usize,
    /// How long a body waits for others to make room.
    pub(crate) wait_max: Duration,
    /// A client that sends nothing for so long is given up.
    pub(crate) silence_max: Duration,
    /// What any body may take to come.
    pub(crate) time: Duration,
    /// What comes of it adds to its time as if it came this fast.
    pub(crate) bytes_per_second_min: u32,
}

impl Config {
    /// The usual times, and as many bytes.
    pub(crate) fn of(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            wait_max: Duration::from_secs(10),
            silence_max: Duration::from_secs(30),
            time: Duration::from_secs(60),
            bytes_per_second_min: 64 << 10,
        }
    }
}

/// Room for bodies.
#[derive(Debug)]
pub(crate) struct Bodies {
    config: Config,
    room: Arc<Semaphore>,
}

/// A body, and the room that it takes as long as this is kept.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    pub(crate) room: Room,
}

/// A part of the room.
#[derive(Debug, Default)]
pub(crate) struct Room(Option<OwnedSemaphorePermit>);

/// Why a request's body is not there.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Error {
    /// It is larger than this API takes.
    #[error("the request's body is larger than {0} bytes")]
    TooLarge(usize),
    /// The client stopped sending it, or took too long.
    #[error("the request's body ended early")]
    Ended,
    /// Other bodies take all the room there is.
    #[error("too many large requests at once")]
    Busy,
}

impl Bodies {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            room: Arc::new(Semaphore::new(config.bytes_max)),
            config,
        }
    }

    /// The whole body, if it is no larger than `bytes_max`. Of one that cannot be had the rest is read
    /// and dropped, or the client would not see the answer for the broken pipe.
    pub(crate) async fn read<B>(&self, body: B, bytes_max: usize) -> Result<Body, Error>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let mut body = pin!(body);
        let (start, mut seen) = (Instant::now(), 0);
        let mut kept = Ok(Kept::default());
        loop {
            let frame = timeout_at(self.deadline(start, seen), body.frame()).await;
            let frame = match frame {
                Ok(None) => return kept.map(Kept::whole),
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(_))) | Err(_) => return Err(kept.err().unwrap_or(Error::Ended)),
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            seen += data.len();
            kept = match kept {
                Ok(_) if seen > bytes_max => Err(Error::TooLarge(bytes_max)),
                Ok(kept) => {
                    let to_come = to_come(&*body).min(bytes_max - seen);
                    self.keep(kept, data, to_come).await
                }
                Err(error) if seen > DROPPED_BYTES_MAX => return Err(error),
                Err(error) => Err(error),
            };
        }
    }

    fn deadline(&self, start: Instant, seen: usize) -> Instant {
        let seen = u32::try_from(seen).unwrap_or(u32::MAX);
        let earned = Duration::from_secs(seen.into()) / self.config.bytes_per_second_min;
        let end = start + self.config.time + earned;
        end.min(Instant::now() + self.config.silence_max)
    }

    /// A body that comes in one piece is kept as it is; pieces are copied together, since each would
    /// keep more alive than itself.
    async fn keep(&self, mut kept: Kept, data: Bytes, to_come: usize) -> Result<Kept, Error> {
        if kept.is_empty() && to_come == 0 {
            kept.room.add(self.room(data.len()).await?);
            kept.first = data;
            return Ok(kept);
        }
        let first = std::mem::take(&mut kept.first);
        for piece in [first, data] {
            let needed = kept.buffer.len() + piece.len();
            if needed > kept.buffer.capacity() {
                // Not all at once: room is for what has come, not for what was promised.
                let wanted =
                    needed.max((2 * kept.buffer.len()).min(needed.saturating_add(to_come)));
                let held = kept.room.bytes();
                kept.room.add(self.room(wanted.saturating_sub(held)).await?);
                kept.buffer.reserve_exact(wanted - kept.buffer.len());
            }
            kept.buffer.extend_from_slice(&piece);
        }
        Ok(kept)
    }

    async fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Error> {
        let bytes = u32::try_from(bytes).map_err(|_| Error::Busy)?;
        let room = Arc::clone(&self.room).acquire_many_owned(bytes);
        match timeout(self.config.wait_max, room).await {
            Ok(room) => Ok(room.expect("the semaphore is never closed")),
            Err(_) => Err(Error::Busy),
        }
    }
}

/// What may be still to come of a body.
fn to_come(body: &impl http_body::Body) -> usize {
    match body.size_hint().exact() {
        Some(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX),
        None if body.is_end_stream() => 0,
        None => usize::MAX,
    }
}

impl Room {
    fn add(&mut self, more: OwnedSemaphorePermit) {
        match &mut self.0 {
            Some(room) => room.merge(more),
            None => self.0 = Some(more),
        }
    }

    fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }
}

/// What is there of a body: one piece, or some in one buffer.
#[derive(Debug, Default)]
struct Kept {
    first: Bytes,
    buffer: Vec<u8>,
    room: Room,
}

impl Kept {
    fn is_empty(&self) -> bool {
        self.first.is_empty() && self.buffer.is_empty()
    }

    fn whole(self) -> Body {
        let bytes = if self.buffer.is_empty() {
            self.first
        } else {
            self.buffer.into()
        };
        Body {
            bytes,
            room: self.room,
        }
    }
}

#[cfg(test)]
mod tests;
