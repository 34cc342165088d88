//! Whether a connection still does something: it is answered on, or its client takes what is written
//! to it, and not too slowly. A ping or a byte now and then is not enough.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::Config;

/// What a connection does.
#[derive(Debug)]
pub(super) struct Pulse {
    /// How far ahead of now the end may be at most.
    idle_time: Duration,
    bytes_per_second_min: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Requests whose answers are being made.
    requests: usize,
    /// Whether something waits for the client to take it.
    is_stalled: bool,
    /// All bytes that were written.
    written: u64,
    /// When the connection is over, unless it is answered on without anything waiting. Every byte
    /// that is written moves it by the time that a byte may take.
    until: Instant,
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
            state: Mutex::new(State {
                requests: 0,
                is_stalled: false,
                written: 0,
                until: Instant::now() + config.head_time,
            }),
        }
    }

    /// An answer is being made.
    pub(super) fn begin(self: &Arc<Self>) -> Begun {
        self.lock().requests += 1;
        Begun(Arc::clone(self))
    }

    /// When it is worth asking whether the connection is over.
    pub(super) fn wake(&self) -> Instant {
        let state = self.lock();
        if state.is_bound() {
            state.until
        } else {
            Instant::now() + self.idle_time
        }
    }

    /// Whether the connection is over.
    pub(super) fn is_over(&self) -> bool {
        let state = self.lock();
        state.is_bound() && state.until <= Instant::now()
    }

    /// Puts off the end.
    pub(super) fn allow(&self, time: Duration) {
        self.lock().until = Instant::now() + time;
    }

    /// How many bytes were written to the connection so far.
    pub(super) fn written(&self) -> u64 {
        self.lock().written
    }

    fn wrote(&self, bytes: usize) {
        let mut state = self.lock();
        state.written += bytes as u64;
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let time = Duration::from_secs(bytes.into()) / self.bytes_per_second_min;
        state.until = (state.until + time).min(Instant::now() + self.idle_time);
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
        Pin::new(&mut self.inner).poll_read(cx, buffer)
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
