//! Accepts connections: a slot for each, then the head of a proxy and the TLS handshake, where there are any.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Request;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::lingering::Lingering;
use super::proxy_protocol::{self, Head};
use super::slots::{ConnectionSlot, Connections};
use super::{Config, Listener, connection, forwarded_for};
use crate::api::{self, HttpResponse, Proxy, Secure};

/// After a failed accept (no file descriptors left), so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// State that the listeners of a server share.
pub(super) struct Serving {
    pub(super) slots: Arc<Connections>,
    pub(super) config: Arc<Config>,
    pub(super) stop: CancellationToken,
    /// Open connections.
    pub(super) open: TaskTracker,
}

/// An accepted connection.
enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Ends of a connection, for its requests.
#[derive(Clone, Copy)]
struct Ends {
    peer: IpAddr,
    own: Option<SocketAddr>,
    is_proxy: bool,
    is_secure: bool,
}

impl Serving {
    /// Accepts connections for ever.
    pub(super) async fn accept<S, F>(&self, listener: Listener, answer: S)
    where
        S: Fn(Request<Lingering>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = HttpResponse> + Send + 'static,
    {
        loop {
            let accepted = async {
                let (stream, address) = listener.socket.accept().await?;
                let slot = self.slots.admit(address.ip(), &self.config).await;
                Ok::<_, io::Error>(slot.map(|slot| (stream, address, slot)))
            };
            match accepted.await {
                Ok(None) => tracing::debug!("an address has its share of connections"),
                Ok(Some((stream, address, slot))) => {
                    let (config, stop) = (Arc::clone(&self.config), self.stop.clone());
                    let (tls, answer) = (listener.tls.clone(), answer.clone());
                    self.open.spawn(async move {
                        let ends = Ends {
                            peer: address.ip(),
                            own: stream.local_addr().ok(),
                            is_proxy: slot.is_proxy,
                            is_secure: tls.is_some(),
                        };
                        let Some((wire, ends)) =
                            begun(stream, tls, ends, &slot, &config, &stop).await
                        else {
                            return;
                        };
                        let proxies = Arc::clone(&config);
                        let answer = move |mut request| {
                            ends.mark(&mut request, &proxies);
                            answer(request)
                        };
                        connection::serve(wire, &config, answer, slot, stop).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// A connection that is ready for HTTP; `None` if it does not get there in time.
async fn begun(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    ends: Ends,
    slot: &ConnectionSlot,
    config: &Config,
    stop: &CancellationToken,
) -> Option<(Wire, Ends)> {
    // Small replies must not wait for an acknowledgement; it can only fail on a dead socket.
    let _ = stream.set_nodelay(true);
    let has_head = config.proxy_protocol && ends.is_proxy;
    if !has_head && tls.is_none() {
        return Some((Wire::Plain(stream), ends));
    }
    let opening = opened(stream, tls, ends, has_head.then_some(config));
    tokio::select! {
        opened = tokio::time::timeout(config.head_time, opening) => match opened {
            Ok(Ok(opened)) => Some(opened),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a connection ended before its first request");
                None
            }
            Err(_) => None,
        },
        () = slot.evicted.cancelled() => None,
        () = stop.cancelled() => None,
    }
}

/// Reads the head of a proxy, where `config` asks for one, and does the handshake.
async fn opened(
    mut stream: TcpStream,
    tls: Option<TlsAcceptor>,
    mut ends: Ends,
    config: Option<&Config>,
) -> io::Result<(Wire, Ends)> {
    if let Some(config) = config {
        let head = proxy_protocol::head(&mut stream).await?;
        ends.name(head, config);
    }
    let wire = match tls {
        None => Wire::Plain(stream),
        Some(tls) => Wire::Tls(Box::new(tls.accept(stream).await?)),
    };
    Ok((wire, ends))
}

impl Ends {
    /// Takes the client's end from the head of a proxy. From here on the connection is the client's, which may be a
    /// proxy that forwards requests; a client without an address names no others.
    fn name(&mut self, head: Head, config: &Config) {
        match head {
            Head::Own => {}
            Head::Unknown => self.is_proxy = false,
            Head::Client(client) => {
                self.peer = client;
                self.is_proxy = config.trusted_proxies.iter().any(|it| it.has(client));
            }
        }
    }

    /// Marks a request with the ends of its connection.
    fn mark(self, request: &mut Request<Lingering>, config: &Config) {
        let mut peer = self.peer;
        if self.is_proxy {
            peer = forwarded_for::client(request.headers(), peer, &config.trusted_proxies);
            request.extensions_mut().insert(Proxy(self.peer));
        }
        let extensions = request.extensions_mut();
        let own = self.own;
        extensions.insert(api::Ends { peer, own });
        self.is_secure.then(|| extensions.insert(Secure));
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
