//! Standard streams of a guest. Writes never block: log and response are bounded; excess is dropped
//! and reported, or ends the call.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError};

use crate::telemetry::log::{EnvironmentLog, Stream};
use crate::units::PAYLOAD_BYTES_MAX;

/// Limit of one write.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// Standard output or error, to the log.
#[derive(Clone)]
pub(super) struct Output(pub(super) Arc<EnvironmentLog>, pub(super) Stream);

/// Standard input with an event.
pub(super) struct Input(pub(super) Bytes);

/// Standard output captured as a response.
#[derive(Clone, Default)]
pub(super) struct Captured(Arc<Mutex<BytesMut>>);

impl Captured {
    /// Captured bytes; one more than allowed if the limit was exceeded.
    pub(super) fn take(&self) -> Bytes {
        // std mutex: the sections copy bytes, no await inside.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *kept).freeze()
    }

    fn keep(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = (PAYLOAD_BYTES_MAX + 1).saturating_sub(kept.len());
        kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

/// Sink of written bytes.
trait Destination: Clone + Send + Sync + 'static {
    fn accept(&self, bytes: &[u8]);
}

impl Destination for Output {
    fn accept(&self, bytes: &[u8]) {
        self.0.output(self.1, bytes);
    }
}

impl Destination for Captured {
    fn accept(&self, bytes: &[u8]) {
        self.keep(bytes);
    }
}

/// Stream that is always ready.
struct Writer<D>(D);

#[async_trait::async_trait]
impl<D: Destination> Pollable for Writer<D> {
    async fn ready(&mut self) {}
}

impl<D: Destination> OutputStream for Writer<D> {
    fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        self.0.accept(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    fn check_write(&mut self) -> Result<usize, StreamError> {
        Ok(WRITE_BYTES_MAX)
    }
}

impl<D: Destination + Unpin> AsyncWrite for Writer<D> {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.0.accept(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Writer(self.clone()))
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Writer(self.clone()))
    }
}

impl IsTerminal for Captured {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Captured {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Writer(self.clone()))
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Writer(self.clone()))
    }
}

impl IsTerminal for Input {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for Input {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(std::io::Cursor::new(self.0.clone()))
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(MemoryInputPipe::new(self.0.clone()))
    }
}
