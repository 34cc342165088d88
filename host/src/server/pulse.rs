//! Whether a connection still does something: it is answered on, or its client takes what is written
//! to it, and not too slowly. A ping or a byte now and then is not enough. What a client of HTTP/2 has
//! asked for and opens no window for is not written at all: `untaken` tells of it.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use tokio_util::sync::CancellationToken;

use super::Config;

/// Bytes that a client may send and ask for nothing: the longest head of a request, and some thousand frames
/// that answer the host's own.
const UNASKED_BYTES_MAX: u64 = 1 << 20;

/// What a connection does.
#[derive(Debug)]
pub(super) struct Pulse {
    /// How far ahead of now the end may be at most.
    idle_time: Duration,
    bytes_per_second_min: u32,
    flooded: CancellationToken,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Requests whose answers are being made.
    requests: usize,
    /// When the last request began, or the connection.
    begun: Instant,
    /// Bytes that came since while no answer was made.
    unasked: u64,
    /// Whether something waits for the client to take it.
    is_stalled: bool,
    /// All bytes that were written.
    written: u64,
    /// Answers that are not taken yet, each by its number.
    untaken: BTreeMap<u64, Due>,
    /// How many there have been.
    numbered: u64,
    /// When the connection is over, unless it is answered on without anything waiting. Every byte
    /// that is written moves it by the time that a byte may take.
    until: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Due {
    /// By when an answer must be taken, if it is the only one.
    at: Instant,
    /// What had been written to the connection when it came. What is written since to take others
    /// puts it off.
    written_before: u64,
}

/// A request whose answer is being made, as long as this is kept.
#[derive(Debug)]
pub(super) struct Begun(Arc<Pulse>);

impl Pulse {
    /// Of a connection that was just opened: its first request is awaited.
    pub(super) fn new(config: &Config) -> Self {
        Self {
            idle_time: config.idle_time,
            bytes_per_second_min: config.bytes_per_second_min.max(1),
            flooded: CancellationToken::new(),
            state: Mutex::new(State {
                requests: 0,
                begun: Instant::now(),
                unasked: 0,
                is_stalled: false,
                written: 0,
                untaken: BTreeMap::new(),
                numbered: 0,
                until: Instant::now() + config.head_time,
            }),
        }
    }

    /// An answer is being made.
    pub(super) fn begin(self: &Arc<Self>) -> Begun {
        let mut state = self.lock();
        state.requests += 1;
        state.begun = Instant::now();
        state.unasked = 0;
        drop(state);
        Begun(Arc::clone(self))
    }

    /// When it is worth asking whether the connection is over.
    pub(super) fn wake(&self) -> Instant {
        let end = self.end(&self.lock());
        // An answer may have longer than what comes after it.
        let latest = Instant::now() + self.idle_time;
        end.map_or(latest, |end| end.min(latest))
    }

    /// Whether the connection is over.
    pub(super) fn is_over(&self) -> bool {
        let end = self.end(&self.lock());
        end.is_some_and(|end| end <= Instant::now())
    }

    /// Since when nothing was asked for, unless an answer is made or is not taken yet.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = self.lock();
        let is_idle = state.requests == 0 && !state.is_stalled && state.untaken.is_empty();
        is_idle.then_some(state.begun)
    }

    /// Ready when more bytes came than it takes to ask for something: pings, settings, and what else
    /// HTTP/2 has that needs no answer of a function.
    pub(super) async fn flooded(&self) {
        self.flooded.cancelled().await;
    }

    fn came(&self, bytes: usize) {
        let mut state = self.lock();
        if state.requests > 0 {
            return;
        }
        state.unasked += bytes as u64;
        if state.unasked > UNASKED_BYTES_MAX {
            self.flooded.cancel();
        }
    }

    /// Puts off the end.
    pub(super) fn allow(&self, time: Duration) {
        self.lock().until = Instant::now() + time;
        self.forgive();
    }

    /// Asks for none of the answers any more that were not taken.
    pub(super) fn forgive(&self) {
        self.lock().untaken.clear();
    }

    /// Counts an answer of this length as not taken, and gives it a number.
    pub(super) fn hold(&self, bytes: usize) -> u64 {
        let mut state = self.lock();
        let due = Due {
            at: Instant::now() + self.idle_time + self.time(bytes as u64),
            written_before: state.written,
        };
        state.numbered += 1;
        let number = state.numbered;
        state.untaken.insert(number, due);
        number
    }

    /// The answer of this number is taken.
    pub(super) fn taken(&self, number: u64) {
        self.lock().untaken.remove(&number);
    }

    /// When the connection is over, if it is bound to an end.
    fn end(&self, state: &State) -> Option<Instant> {
        let due = |due: &Due| due.at + self.time(state.written - due.written_before);
        let dues = state.untaken.values().map(due);
        dues.chain(state.is_bound().then_some(state.until)).min()
    }

    /// What so many bytes may take.
    fn time(&self, bytes: u64) -> Duration {
        Duration::from_secs(bytes) / self.bytes_per_second_min
    }

    fn wrote(&self, bytes: usize) {
        let mut state = self.lock();
        state.written += bytes as u64;
        state.until = (state.until + self.time(bytes as u64)).min(Instant::now() + self.idle_time);
    }

    fn stall(&self) {
        let mut state = self.lock();
        if !state.is_bound() {
            state.until = Instant::now() + self.idle_time;
        }
        state.is_stalled = true;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_bound(&self) -> bool {
        self.requests == 0 || self.is_stalled
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if !state.is_bound() {
            state.until = Instant::now() + self.0.idle_time;
        }
        state.requests -= 1;
    }
}

/// A stream that tells what becomes of what is written to it.
#[derive(Debug)]
pub(super) struct Watched<T> {
    inner: T,
    pulse: Arc<Pulse>,
}

impl<T> Watched<T> {
    pub(super) fn new(inner: T, pulse: Arc<Pulse>) -> Self {
        Self { inner, pulse }
    }

    fn tell(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Ready(Ok(bytes)) => self.pulse.wrote(*bytes),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.pulse.stall(),
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buffer);
        self.pulse.came(buffer.filled().len() - before);
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.tell(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.tell(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    /// Who writes here flushes when nothing is left to write.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        if flushed.is_ready() {
            self.pulse.lock().is_stalled = false;
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
