//! Connections of functions to servers, to addresses that were checked before: TCP, TLS where the scheme is `https`,
//! and HTTP/2 or HTTP/1.1 as the server chooses.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Request, Response, Uri, header};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::host_name::Host;
use super::link::{Link, Stream};
use super::tls::Trust;
use super::wire::Wire;
use crate::clock::Clock;

/// Bytes of a response head, and of what a connection reads ahead.
const BUFFER_BYTES_MAX: usize = 64 << 10;
const HEAD_BYTES_MAX: u32 = 64 << 10;
/// Bytes that a server may send before the function reads them: of one HTTP/2 stream, and of one connection.
const STREAM_WINDOW_BYTES: u32 = 128 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
/// Requests under way on one HTTP/2 connection: their unread bytes fit into the window of the connection.
pub(super) const STREAMS_MAX: usize = (CONNECTION_WINDOW_BYTES / STREAM_WINDOW_BYTES) as usize;
/// Bytes of one HTTP/2 stream that wait for the server to take them; hyper's default is 1 MiB.
pub const SEND_BUFFER_BYTES_MAX: usize = 64 << 10;
/// Time for a server's TCP connection; the rest is for the other addresses of its name.
const ATTEMPT_TIME_MIN: Duration = Duration::from_secs(2);
/// Interval of pings to a silent HTTP/2 server, and time for their acknowledgement.
const PING_TIME: Duration = Duration::from_secs(20);
/// ALPN identifiers, most wanted first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Scheme, host and port of a server.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Origin {
    /// True for `https`.
    pub is_encrypted: bool,
    /// Name or address.
    pub host: Host,
    /// Port, the scheme's own by default.
    pub port: u16,
}

/// Failure to connect.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No address accepted the connection; the error of the last one.
    #[error("{0}")]
    Connect(io::Error),
    /// Timeout.
    #[error("the connection was not established in time")]
    TimeUp,
    /// Neither the machine nor the configuration has certificate authorities.
    #[error("this machine has no certificates of authorities (ca-certificates)")]
    NoCertificates,
    /// Untrusted certificate.
    #[error("{0}")]
    Certificate(String),
    /// TLS alert of the server, with its code.
    #[error("the server sent the TLS alert {1}")]
    Alert(u8, String),
    /// Other TLS failure.
    #[error("{0}")]
    Tls(String),
    /// The server does not speak HTTP.
    #[error("{0}")]
    Http(#[from] hyper::Error),
}

/// Makes connections; cheap to clone.
#[derive(Clone, Debug)]
pub struct Dialer {
    trust: Trust,
    /// Built on first use; see [`Trust`].
    tls: Arc<OnceLock<TlsConfig>>,
    clock: Clock,
}

#[derive(Clone, Debug)]
struct TlsConfig(Arc<rustls::ClientConfig>);

/// Sending half of a connection.
#[derive(Debug)]
pub struct Sender<B> {
    pub(super) protocol: Protocol<B>,
    pub(super) link: Arc<Link>,
}

/// Sending half in the protocol of a connection.
#[derive(Debug)]
pub(super) enum Protocol<B> {
    /// One request at a time.
    Http1(http1::SendRequest<B>),
    /// Concurrent requests.
    Http2(http2::SendRequest<B>),
}

impl Origin {
    /// Origin of an absolute URI; `None` with another scheme than `http` and `https`, without a well-formed host, or
    /// with credentials.
    pub fn of(uri: &Uri) -> Option<Self> {
        let is_encrypted = match uri.scheme()? {
            it if *it == Scheme::HTTPS => true,
            it if *it == Scheme::HTTP => false,
            _ => return None,
        };
        let authority = uri.authority()?;
        let host = authority.host();
        let host = host
            .strip_prefix('[')
            .and_then(|it| it.strip_suffix(']'))
            .unwrap_or(host);
        if authority.as_str().contains('@') {
            return None;
        }
        Some(Self {
            is_encrypted,
            host: host.parse().ok()?,
            port: port(authority, if is_encrypted { 443 } else { 80 })?,
        })
    }
}

fn port(authority: &Authority, default: u16) -> Option<u16> {
    match authority.port() {
        Some(port) => Some(port.as_u16()),
        // `host:` has no port, and `host:99999` none that fits.
        None => {
            let ends = authority.as_str().rsplit_once(':').map(|(_, end)| end);
            let is_default = ends.is_none_or(|end| end.is_empty() || end.ends_with(']'));
            is_default.then_some(default)
        }
    }
}

impl Dialer {
    pub fn new(trust: Trust, clock: Clock) -> Self {
        Self {
            trust,
            tls: Arc::default(),
            clock,
        }
    }

    /// Connects to one of these addresses, tried in order, within `time`. `held` is dropped when the socket is
    /// closed.
    ///
    /// # Errors
    /// If none accepts the connection, or the server fails the handshake.
    pub async fn dial<B>(
        &self,
        origin: &Origin,
        addresses: &[IpAddr],
        time: Duration,
        held: impl Send + Unpin + 'static,
    ) -> Result<Sender<B>, Error>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let dialing = async {
            let stream = self.tcp(addresses, origin.port, time).await?;
            // Requests must not wait for acknowledgements; it can only fail on a dead socket.
            let _ = stream.set_nodelay(true);
            if !origin.is_encrypted {
                return http1(stream, held).await;
            }
            let tls = self.tls().await?;
            let stream = TlsConnector::from(tls.0)
                .connect(server_name(&origin.host)?, stream)
                .await;
            let stream = stream.map_err(of_tls)?;
            match stream.get_ref().1.alpn_protocol() {
                Some(b"h2") => http2(stream, held).await,
                _ => http1(stream, held).await,
            }
        };
        self.clock
            .timeout(time, dialing)
            .await
            .unwrap_or(Err(Error::TimeUp))
    }

    async fn tcp(
        &self,
        addresses: &[IpAddr],
        port: u16,
        time: Duration,
    ) -> Result<TcpStream, Error> {
        let mut last = Error::Connect(io::ErrorKind::AddrNotAvailable.into());
        let count = u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
        let time = (time / count).max(ATTEMPT_TIME_MIN.min(time));
        for address in addresses {
            let connecting = TcpStream::connect(SocketAddr::new(*address, port));
            match self.clock.timeout(time, connecting).await {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => last = Error::Connect(error),
                None => last = Error::TimeUp,
            }
        }
        Err(last)
    }

    async fn tls(&self) -> Result<TlsConfig, Error> {
        if let Some(tls) = self.tls.get() {
            return Ok(tls.clone());
        }
        if self.trust.roots().await.map_err(Error::Connect)?.is_empty() {
            return Err(Error::NoCertificates);
        }
        let config = self
            .trust
            .client_config(&PROTOCOLS)
            .await
            .map_err(Error::Connect)?;
        Ok(self.tls.get_or_init(|| TlsConfig(Arc::new(config))).clone())
    }
}

/// Name in the certificate of a server.
fn server_name(host: &Host) -> Result<ServerName<'static>, Error> {
    match host {
        Host::Address(address) => Ok(ServerName::from(*address)),
        Host::Name(name) => ServerName::try_from(name.as_str().to_owned())
            .map_err(|error| Error::Tls(error.to_string())),
    }
}

/// Runs a connection until it ends.
fn drive(connection: impl Future<Output = hyper::Result<()>> + Send + 'static) {
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a function's connection ended early");
        }
    });
}

async fn http1<T, B>(stream: T, held: impl Send + Unpin + 'static) -> Result<Sender<B>, Error>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(BUFFER_BYTES_MAX);
    let link = Arc::new(Link::default());
    let stream = Wire::new(stream, link.cancel.clone(), held);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
    drive(connection);
    Ok(Sender {
        protocol: Protocol::Http1(sender),
        link,
    })
}

pub(super) async fn http2<T, B>(
    stream: T,
    held: impl Send + Unpin + 'static,
) -> Result<Sender<B>, Error>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_TIME)
        .keep_alive_timeout(PING_TIME)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES_MAX)
        .max_header_list_size(HEAD_BYTES_MAX);
    let link = Arc::new(Link::default());
    let stream = Wire::new(stream, link.cancel.clone(), held);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
    drive(connection);
    Ok(Sender {
        protocol: Protocol::Http2(sender),
        link,
    })
}

impl<B> Sender<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    /// Sends a request for the absolute URI `target`.
    ///
    /// # Errors
    /// If there is no response. The error has the request, if nothing of it was sent.
    pub async fn send(
        &mut self,
        mut request: Request<B>,
        target: &Uri,
    ) -> Result<Response<Incoming>, TrySendError<Request<B>>> {
        match &mut self.protocol {
            Protocol::Http1(sender) => {
                *request.uri_mut() = origin_form(target);
                let host = target
                    .authority()
                    .map(Authority::as_str)
                    .unwrap_or_default();
                if let Ok(host) = HeaderValue::from_str(host) {
                    request.headers_mut().insert(header::HOST, host);
                }
                sender.try_send_request(request).await
            }
            Protocol::Http2(sender) => {
                *request.uri_mut() = target.clone();
                request.headers_mut().remove(header::HOST);
                sender.try_send_request(request).await
            }
        }
    }

    /// Counts a request, until the end of its response.
    pub fn begin(&self) -> Stream {
        self.link.begin()
    }

    /// True for an HTTP/2 connection that has as many requests under way as it may have. More could find the window
    /// of the connection full of bytes that other requests do not read.
    pub(super) fn is_full(&self) -> bool {
        let is_shared = matches!(self.protocol, Protocol::Http2(_));
        is_shared && self.link.streams() >= STREAMS_MAX
    }

    /// True for a connection that takes a request now.
    pub(super) fn is_ready(&self) -> bool {
        if self.link.is_left() {
            return false;
        }
        match &self.protocol {
            Protocol::Http1(sender) => sender.is_ready(),
            Protocol::Http2(sender) => sender.is_ready(),
        }
    }

    /// Waits for the end of the response under way. False for a connection that closes with it.
    pub(super) async fn frees(&mut self) -> bool {
        match &mut self.protocol {
            Protocol::Http1(sender) => sender.ready().await.is_ok(),
            Protocol::Http2(sender) => sender.ready().await.is_ok(),
        }
    }
}

/// Path and query, as HTTP/1.1 sends them to a server.
fn origin_form(target: &Uri) -> Uri {
    let path = target.path_and_query().cloned();
    let path = path.unwrap_or_else(|| http::uri::PathAndQuery::from_static("/"));
    Uri::from(path)
}

fn of_tls(error: io::Error) -> Error {
    let tls = error
        .get_ref()
        .and_then(|it| it.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(problem)) => Error::Certificate(problem.to_string()),
        Some(rustls::Error::AlertReceived(alert)) => {
            Error::Alert(u8::from(*alert), format!("{alert:?}"))
        }
        _ => Error::Tls(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_has_host_and_port_of_uri() {
        for (uri, expected) in [
            ("http://a.example/x", Some((false, "a.example", 80))),
            ("https://A.Example:8443/", Some((true, "a.example", 8_443))),
            ("https://a.example:/", Some((true, "a.example", 443))),
            ("http://[::1]:81/", Some((false, "::1", 81))),
            ("http://[::1]/", Some((false, "::1", 80))),
            ("http://127.0.0.1/", Some((false, "127.0.0.1", 80))),
            ("http://user@a.example/", None),
            ("http://a!b.example/", None),
            ("http://a.example:99999/", None),
            ("ftp://a.example/", None),
            ("/x", None),
        ] {
            let found = uri.parse().ok().and_then(|uri: Uri| Origin::of(&uri));
            let expected = expected.map(|(is_encrypted, host, port)| Origin {
                is_encrypted,
                host: host.parse().unwrap(),
                port,
            });
            assert_eq!(found, expected, "{uri}");
        }
    }
}
