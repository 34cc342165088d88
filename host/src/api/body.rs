//! Bodies of requests, read whole or streamed: within bounds of size and time, and of the memory that all of them hold
//! together.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

use aws_lc_rs::digest::{self, Digest};
use bytes::Bytes;
use futures_util::poll;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use crate::payload;
use crate::units::ACCOUNT_CONCURRENCY_DEFAULT;

mod read_ahead;
mod upload;

use read_ahead::ReadAhead;
use upload::{Patience, Upload};

/// A body of this size or less is small: it never waits for a large one.
const SMALL_BYTES_MAX: usize = 64 << 10;
/// A body of this size or less counts for no sender: a sender that would fill the pool with them needs more
/// connections than one may have.
const TINY_BYTES_MAX: usize = 4 << 10;
/// Memory of all small bodies of one kind together.
const SMALL_BODIES_BYTES_MAX: usize = 16 << 20;
/// Senders that are remembered before those that hold nothing are forgotten.
const SENDERS_KEPT: usize = 1_024;

/// Bounds of the bodies of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Memory of all large ones together.
    pub(crate) bytes_max: usize,
    /// Memory of all small ones together.
    pub(crate) small_bytes_max: usize,
    /// Longest wait for memory that other bodies hold.
    pub(crate) wait_max: Duration,
    /// Longest pause between two bytes.
    pub(crate) silence_max: Duration,
    /// Time to receive a body of any size.
    pub(crate) time: Duration,
    /// Received bytes extend the time as if they came at this rate.
    pub(crate) bytes_per_second_min: u32,
    /// Streamed bodies at once, of which one sender may have half: each holds a permit of the account.
    pub(crate) streams_max: usize,
}

impl Config {
    /// The usual times, and as many bytes.
    pub(crate) fn of(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            small_bytes_max: SMALL_BODIES_BYTES_MAX,
            wait_max: Duration::from_secs(10),
            silence_max: Duration::from_secs(30),
            time: Duration::from_secs(60),
            bytes_per_second_min: 64 << 10,
            streams_max: ACCOUNT_CONCURRENCY_DEFAULT as usize,
        }
    }
}

/// The memory of bodies of one kind. Bodies whose senders have proven who they are have another than those
/// of senders that have not.
#[derive(Debug)]
pub(crate) struct Bodies {
    config: Config,
    small: Pool,
    large: Pool,
    /// Streamed bodies, by number.
    streams: Pool,
}

/// The sender of a body, as far as it is known. No sender holds more than half of a pool.
#[derive(Clone, Debug, Eq, PartialEq, Hash)]
pub(crate) enum Sender {
    /// A key whose signature is good.
    Key(Arc<str>),
    /// An address, of a client that may say to be anyone.
    Peer(IpAddr),
    /// This process, a trusted proxy, or the only user of a host without keys.
    Unshared,
}

/// Bounds of a streamed body, and its sender.
#[derive(Clone, Debug)]
pub(crate) struct Streaming {
    pub(crate) sender: Sender,
    pub(crate) bytes_max: u64,
    /// Longest wait for the client at once.
    pub(crate) silence_max: Duration,
    /// True for HTTP/2, where unread frames hold up other requests.
    pub(crate) is_read_ahead: bool,
}

/// Where a body comes from.
#[derive(Clone, Debug)]
pub(crate) struct From {
    pub(crate) sender: Sender,
    /// True if a signature covers the digest of the body.
    pub(crate) is_signed: bool,
}

impl From {
    /// A body of this process, or of the user of a host without keys.
    pub(crate) const UNSHARED: Self = Self {
        sender: Sender::Unshared,
        is_signed: false,
    };
}

/// Bytes or bodies that are shared between senders, in order of arrival.
#[derive(Debug)]
struct Pool {
    all: Arc<Semaphore>,
    size: usize,
    /// Remaining share of each sender. Locked briefly, and never across an await.
    shares: Mutex<HashMap<Sender, Weak<Semaphore>>>,
}

/// A body, and the memory that it takes as long as this is kept.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    pub(crate) room: Room,
    /// The SHA-256 of the bytes, made as they came, where a signature covers it.
    pub(crate) digest: Option<Digest>,
}

/// Parts of the pools.
#[derive(Debug, Default)]
pub(crate) struct Room {
    small: Taken,
    large: Taken,
}

/// A part of a pool, and of its sender's share.
#[derive(Debug, Default)]
struct Taken {
    all: Option<OwnedSemaphorePermit>,
    share: Option<OwnedSemaphorePermit>,
}

/// Error of a request body that could not be read.
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
            small: Pool::new(config.small_bytes_max),
            large: Pool::new(config.bytes_max),
            streams: Pool::new(config.streams_max),
            config,
        }
    }

    /// Streamed body. It takes no memory of the pools: one frame is held at a time, or what is read ahead. The waits for
    /// the client are bounded together like the time of a whole body.
    ///
    /// # Errors
    /// If its declared length is too large, or its sender has too many streamed bodies.
    pub(crate) fn stream<B>(&self, body: B, streaming: Streaming) -> Result<payload::Body, Error>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let bytes_max = streaming.bytes_max;
        if body.size_hint().lower() > bytes_max {
            let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
            return Err(Error::TooLarge(bytes_max));
        }
        let patience = Patience {
            silence_max: self.config.silence_max.min(streaming.silence_max),
            time: self.config.time,
            bytes_per_second_min: self.config.bytes_per_second_min,
        };
        let share = match &streaming.sender {
            Sender::Unshared => None,
            sender => Some(self.streams.share(sender).try_acquire_owned()),
        };
        let share = share.transpose().map_err(|_| Error::Busy)?;
        Ok(if streaming.is_read_ahead {
            let body = ReadAhead::of(body);
            payload::Body::streamed(Upload::new(body, bytes_max, patience, share))
        } else {
            payload::Body::streamed(Upload::new(body, bytes_max, patience, share))
        })
    }

    /// The whole body, up to `bytes_max` bytes. After an error the rest is left unread.
    pub(crate) async fn read<B>(
        &self,
        body: B,
        bytes_max: usize,
        from: &From,
    ) -> Result<Body, Error>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let mut body = pin!(body);
        let (mut start, mut seen) = (None, 0);
        let mut kept = Kept::default();
        // One frame is hashed in less time than a switch to another thread takes.
        let mut hash = from
            .is_signed
            .then(|| digest::Context::new(&digest::SHA256));
        while let Some(data) = self.piece(body.as_mut(), &mut start, seen).await? {
            seen += data.len();
            if seen > bytes_max {
                return Err(Error::TooLarge(bytes_max));
            }
            if let Some(hash) = &mut hash {
                hash.update(&data);
            }
            let to_come = to_come(&*body).min(bytes_max - seen);
            kept = self.keep(kept, data, to_come, &from.sender).await?;
        }
        Ok(kept.whole(hash.map(digest::Context::finish)))
    }

    /// SHA-256 of a body that is dropped while it is read.
    pub(crate) async fn digest<B>(&self, body: B, bytes_max: usize) -> Result<Digest, Error>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let mut body = pin!(body);
        let (mut start, mut seen) = (None, 0);
        let mut hash = digest::Context::new(&digest::SHA256);
        while let Some(data) = self.piece(body.as_mut(), &mut start, seen).await? {
            seen += data.len();
            if seen > bytes_max {
                return Err(Error::TooLarge(bytes_max));
            }
            hash.update(&data);
        }
        Ok(hash.finish())
    }

    /// The next piece of a body after `seen` bytes; `None` at its end. Its time starts with the first wait: most
    /// bodies come with their head, and need no clock and no timer.
    async fn piece<B>(
        &self,
        mut body: Pin<&mut B>,
        start: &mut Option<Instant>,
        seen: usize,
    ) -> Result<Option<Bytes>, Error>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        loop {
            if body.is_end_stream() {
                return Ok(None);
            }
            let mut frame = body.frame();
            let frame = match poll!(&mut frame) {
                Poll::Ready(frame) => Ok(frame),
                Poll::Pending => {
                    let start = *start.get_or_insert_with(Instant::now);
                    // Boxed, as below: waits are seldom, and would make the future of every request larger.
                    Box::pin(timeout_at(self.deadline(start, seen), frame)).await
                }
            };
            match frame {
                Ok(None) => return Ok(None),
                Ok(Some(Err(_))) | Err(_) => return Err(Error::Ended),
                // Trailers are not data.
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => return Ok(Some(data)),
                    Err(_) => continue,
                },
            }
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
    async fn keep(
        &self,
        mut kept: Kept,
        data: Bytes,
        to_come: usize,
        sender: &Sender,
    ) -> Result<Kept, Error> {
        if kept.is_empty() && to_come == 0 {
            self.hold(&mut kept.room, data.len(), sender).await?;
            kept.first = data;
            return Ok(kept);
        }
        let first = std::mem::take(&mut kept.first);
        for piece in [first, data] {
            let needed = kept.buffer.len() + piece.len();
            if needed > kept.buffer.capacity() {
                // Not all at once: memory is for what has come, not for what was promised.
                let wanted =
                    needed.max((2 * kept.buffer.len()).min(needed.saturating_add(to_come)));
                self.hold(&mut kept.room, wanted, sender).await?;
                kept.buffer.reserve_exact(wanted - kept.buffer.len());
            }
            kept.buffer.extend_from_slice(&piece);
        }
        Ok(kept)
    }

    /// Takes what a room still needs to be one of so many bytes. A body that is no longer small gives back
    /// its part of the pool of small ones.
    async fn hold(&self, room: &mut Room, bytes: usize, sender: &Sender) -> Result<(), Error> {
        let is_small = bytes <= SMALL_BYTES_MAX.min(self.config.small_bytes_max);
        let (pool, taken) = match is_small {
            true => (&self.small, &mut room.small),
            false => (&self.large, &mut room.large),
        };
        let more = bytes.saturating_sub(taken.bytes());
        let more = match pool.take_now(more) {
            Some(more) => more,
            None => {
                let more = pool.take(more, sender);
                let more = Box::pin(timeout(self.config.wait_max, more)).await;
                more.map_err(|_| Error::Busy)??
            }
        };
        taken.add(more);
        if !is_small {
            room.small = Taken::default();
        }
        Ok(())
    }
}

impl Pool {
    fn new(size: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(size)),
            size,
            shares: Mutex::default(),
        }
    }

    /// Takes first of the sender's share, so that one that holds too much waits for itself alone.
    async fn take(&self, bytes: usize, sender: &Sender) -> Result<Taken, Error> {
        let is_shared = bytes > TINY_BYTES_MAX && *sender != Sender::Unshared;
        let share = is_shared.then(|| self.share(sender));
        let bytes = u32::try_from(bytes).map_err(|_| Error::Busy)?;
        let closed = "the semaphore is never closed";
        let share = match share {
            Some(share) => Some(share.acquire_many_owned(bytes).await.expect(closed)),
            None => None,
        };
        let all = Arc::clone(&self.all).acquire_many_owned(bytes).await;
        Ok(Taken {
            all: Some(all.expect(closed)),
            share,
        })
    }

    /// Memory of a tiny body, if there is some without waiting.
    fn take_now(&self, bytes: usize) -> Option<Taken> {
        if bytes > TINY_BYTES_MAX {
            return None;
        }
        let all = Arc::clone(&self.all).try_acquire_many_owned(u32::try_from(bytes).ok()?);
        Some(Taken {
            all: Some(all.ok()?),
            share: None,
        })
    }

    fn share(&self, sender: &Sender) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(sender).and_then(Weak::upgrade) {
            return share;
        }
        if shares.len() >= SENDERS_KEPT {
            shares.retain(|_, share| share.strong_count() > 0);
        }
        let share = Arc::new(Semaphore::new((self.size / 2).max(1)));
        shares.insert(sender.clone(), Arc::downgrade(&share));
        share
    }
}

/// True unless the head declares a small body.
pub(crate) fn may_be_large(body: &impl http_body::Body) -> bool {
    to_come(body) > SMALL_BYTES_MAX
}

/// Upper bound on the bytes of a body that are still to be read.
fn to_come(body: &impl http_body::Body) -> usize {
    match body.size_hint().exact() {
        Some(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX),
        None if body.is_end_stream() => 0,
        None => usize::MAX,
    }
}

impl Taken {
    fn add(&mut self, more: Self) {
        merge(&mut self.all, more.all);
        merge(&mut self.share, more.share);
    }

    fn bytes(&self) -> usize {
        self.all
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits)
    }
}

fn merge(held: &mut Option<OwnedSemaphorePermit>, more: Option<OwnedSemaphorePermit>) {
    match (held.as_mut(), more) {
        (Some(held), Some(more)) => held.merge(more),
        (None, more) => *held = more,
        (Some(_), None) => {}
    }
}

/// Received part of a body: one frame, or several in one buffer.
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

    fn whole(self, digest: Option<Digest>) -> Body {
        let bytes = if self.buffer.is_empty() {
            self.first
        } else {
            self.buffer.into()
        };
        Body {
            bytes,
            room: self.room,
            digest,
        }
    }
}

#[cfg(test)]
mod tests;
