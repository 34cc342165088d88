//! Activity of a connection: a request is in progress, or the client reads written bytes fast
//! enough. Pings and trickled bytes do not count. HTTP/2 responses without a flow-control window
//! are never written;
//! `untaken` tracks those.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Config;
use super::strict::Strict;

/// Bytes that a client may send without a request: the longest request head, and some thousand
/// frames that respond to the host's own.
const UNASKED_BYTES_MAX: u64 = 1 << 20;

/// Bytes that a client must read to have made progress.
const PROGRESS_BYTES: u64 = 16 << 10;

/// Activity of a connection.
#[derive(Debug)]
pub(super) struct Pulse {
    /// Maximum distance of the deadline from now.
    idle_time: Duration,
    /// Time for the rest of a request head.
    head_time: Duration,
    bytes_per_second_min: u32,
    state: Mutex<State>,
    /// Notified of a deadline that is earlier than those before.
    hurried: Notify,
}

#[derive(Debug)]
struct State {
    /// Requests in progress.
    requests: usize,
    /// Start of the last request, or of the connection.
    begun: Instant,
    /// Bytes received since without a request in progress.
    unasked: u64,
    /// Deadline for the rest of a request head that came in part.
    head_until: Option<Instant>,
    /// True while written bytes wait for the client.
    is_stalled: bool,
    /// Bytes written in total.
    written: u64,
    /// Time of the last progress of the client, and the bytes written by then.
    progressed: (Instant, u64),
    /// Unread responses by number.
    untaken: BTreeMap<u64, Due>,
    /// Bytes of unread responses.
    untaken_bytes: u64,
    /// Responses numbered so far.
    numbered: u64,
    /// Deadline, in force unless a request is in progress and no write is stalled. Each written
    /// byte extends it by the time that a byte may take.
    until: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Due {
    /// Deadline for reading a response, if it is the only one.
    at: Instant,
    /// Bytes written when the response was queued. Bytes written since for other responses extend
    /// the deadline.
    written_before: u64,
}

/// A request in progress, until dropped.
#[derive(Debug)]
pub(super) struct Begun(Arc<Pulse>);

impl Pulse {
    /// Activity of a new connection, which awaits its first request.
    pub(super) fn new(config: &Config) -> Self {
        Self {
            idle_time: config.idle_time,
            head_time: config.head_time,
            bytes_per_second_min: config.bytes_per_second_min.max(1),
            hurried: Notify::new(),
            state: Mutex::new(State {
                requests: 0,
                begun: Instant::now(),
                unasked: 0,
                head_until: None,
                is_stalled: false,
                written: 0,
                progressed: (Instant::now(), 0),
                untaken: BTreeMap::new(),
                untaken_bytes: 0,
                numbered: 0,
                until: Instant::now() + config.head_time,
            }),
        }
    }

    /// Starts a request.
    pub(super) fn begin(self: &Arc<Self>) -> Begun {
        let mut state = self.lock();
        state.requests += 1;
        state.begun = Instant::now();
        state.unasked = 0;
        state.head_until = None;
        drop(state);
        Begun(Arc::clone(self))
    }

    /// Waits until it is time to check for the end.
    pub(super) async fn due(&self) {
        tokio::select! {
            () = tokio::time::sleep_until(self.wake()) => {}
            () = self.hurried.notified() => {}
        }
    }

    fn wake(&self) -> Instant {
        let end = self.end(&self.lock());
        // The deadline of a response may be later than that of what follows it.
        let latest = Instant::now() + self.idle_time;
        end.map_or(latest, |end| end.min(latest))
    }

    /// True if the connection must close.
    pub(super) fn is_over(&self) -> bool {
        let end = self.end(&self.lock());
        end.is_some_and(|end| end <= Instant::now())
    }

    /// Start of idleness; `None` while a request is in progress or a response is unread.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = self.lock();
        let is_idle = state.requests == 0 && !state.is_stalled && state.untaken.is_empty();
        is_idle.then_some(state.begun)
    }

    /// Counts bytes that came, `in_head` if they ended within a request head. Fails when the client sent more of
    /// them without a request than it may: pings, settings and other HTTP/2 frames.
    fn came(&self, bytes: usize, in_head: bool) -> io::Result<()> {
        let mut state = self.lock();
        if state.requests > 0 {
            return Ok(());
        }
        if in_head && state.head_until.is_none() {
            state.head_until = Some(Instant::now() + self.head_time);
            self.hurried.notify_one();
        }
        state.unasked += bytes as u64;
        match state.unasked > UNASKED_BYTES_MAX {
            true => Err(io::Error::other(
                "the client sends frames without a request",
            )),
            false => Ok(()),
        }
    }

    /// Extends the deadline.
    pub(super) fn allow(&self, time: Duration) {
        let mut state = self.lock();
        state.until = Instant::now() + time;
        state.head_until = None;
        drop(state);
        self.forgive();
    }

    /// Drops the deadlines of unread responses.
    pub(super) fn forgive(&self) {
        self.lock().untaken.clear();
    }

    /// Registers an unread response; returns its number.
    pub(super) fn hold(&self, bytes: usize) -> u64 {
        let mut state = self.lock();
        let due = Due {
            at: Instant::now() + self.idle_time + self.time(bytes as u64),
            written_before: state.written,
        };
        if state.untaken_bytes == 0 {
            state.progressed = (Instant::now(), state.written);
        }
        state.untaken_bytes += bytes as u64;
        state.numbered += 1;
        let number = state.numbered;
        state.untaken.insert(number, due);
        number
    }

    /// Marks a response of this length as read.
    pub(super) fn taken(&self, number: u64, bytes: usize) {
        let mut state = self.lock();
        state.untaken_bytes -= bytes as u64;
        state.untaken.remove(&number);
    }

    /// Bytes of unread responses, and the time of the client's last progress. `None` without unread ones.
    pub(super) fn untaken(&self) -> Option<(u64, Instant)> {
        let state = self.lock();
        let bytes = state.untaken_bytes;
        (bytes > 0).then_some((bytes, state.progressed.0))
    }

    /// Deadline in force, if any.
    fn end(&self, state: &State) -> Option<Instant> {
        let due = |due: &Due| due.at + self.time(state.written - due.written_before);
        let dues = state.untaken.values().map(due);
        let bound = state.is_bound().then_some(state.until);
        dues.chain(bound).chain(state.head_until).min()
    }

    /// Time allowed for reading this many bytes.
    fn time(&self, bytes: u64) -> Duration {
        Duration::from_secs(bytes) / self.bytes_per_second_min
    }

    fn wrote(&self, bytes: usize) {
        let mut state = self.lock();
        state.written += bytes as u64;
        // Response heads and ping acknowledgements are no progress.
        if state.written - state.progressed.1 >= PROGRESS_BYTES {
            state.progressed = (Instant::now(), state.written);
        }
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

/// Stream that reports received bytes and progress of writes.
#[derive(Debug)]
pub(super) struct Watched<T> {
    inner: Strict<T>,
    pulse: Arc<Pulse>,
}

impl<T> Watched<T> {
    pub(super) fn new(inner: Strict<T>, pulse: Arc<Pulse>) -> Self {
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
        let came = buffer.filled().len() - before;
        if came > 0 {
            self.pulse.came(came, self.inner.is_in_head())?;
        }
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

    /// Writers flush when nothing is left to write.
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
