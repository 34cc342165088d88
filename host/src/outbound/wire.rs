//! Stream of a connection to a server. It holds the permits of the connection until the socket is closed, and ends
//! when the connection is cancelled.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Stream of a connection, with the permits of the connection.
pub(super) struct Wire<T, H> {
    /// Dropped before the permits: fields are dropped in order.
    stream: T,
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    is_cancelled: bool,
    _held: H,
}

impl<T, H> Wire<T, H> {
    pub(super) fn new(stream: T, cancel: CancellationToken, held: H) -> Self {
        Self {
            stream,
            cancelled: Box::pin(cancel.cancelled_owned()),
            is_cancelled: false,
            _held: held,
        }
    }

    /// Fails once the connection is cancelled.
    fn live(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.is_cancelled || self.cancelled.as_mut().poll(cx).is_ready() {
            self.is_cancelled = true;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}

impl<T: AsyncRead + Unpin, H: Unpin> AsyncRead for Wire<T, H> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.live(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin, H: Unpin> AsyncWrite for Wire<T, H> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.live(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.live(cx)?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.live(cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.live(cx)?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn cancelled_stream_fails_and_releases_permits_when_dropped() {
        let (own, mut server) = tokio::io::duplex(8);
        let (cancel, held) = (CancellationToken::new(), Arc::new(()));
        let mut wire = Wire::new(own, cancel.clone(), Arc::clone(&held));
        let reading = tokio::spawn(async move {
            let read = wire.read_u8().await;
            (wire, read.map_err(|error| error.kind()))
        });
        tokio::task::yield_now().await;
        cancel.cancel();
        let (wire, read) = reading.await.unwrap();
        assert_eq!(read, Err(io::ErrorKind::ConnectionAborted));
        assert_eq!(Arc::strong_count(&held), 2);
        drop(wire);
        assert_eq!(Arc::strong_count(&held), 1);
        assert_eq!(server.read(&mut [0; 1]).await.unwrap(), 0);
    }
}
