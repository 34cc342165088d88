//! Requests of guests through `wasi:http`: checked, connected or sent over an idle connection, within the guest's
//! timeouts.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::GuestNetwork;
use super::exchange::{Exchange, RequestBody};
use super::guest_network::Own;
use super::names::Failed;
use super::response_body::{ResponseBody, of_hyper};
use crate::outbound::dial::{self, Origin, Sender};
use crate::sandbox::descriptors::Descriptor;

/// Timeout of look-up, TCP and TLS together, if the guest sets none.
const CONNECT_TIME_DEFAULT: Duration = Duration::from_secs(10);
/// Timeout of the response head and between bytes of the body, if the guest sets none, and at most. The timeout of
/// the invocation ends most requests before.
const READ_TIME_MAX: Duration = Duration::from_secs(1_800);

/// Timeouts of a request.
#[derive(Clone, Copy, Debug)]
struct Times {
    connect: Duration,
    first_byte: Duration,
    between_bytes: Duration,
}

impl Times {
    fn of(options: Option<RequestOptions>) -> Self {
        let options = options.unwrap_or_default();
        let read = |time: Option<Duration>| time.unwrap_or(READ_TIME_MAX).min(READ_TIME_MAX);
        Self {
            connect: read(options.connect_timeout.or(Some(CONNECT_TIME_DEFAULT))),
            first_byte: read(options.first_byte_timeout),
            between_bytes: read(options.between_bytes_timeout),
        }
    }
}

impl GuestNetwork {
    /// Sends a request of the guest.
    ///
    /// # Errors
    /// If the policy denies the server, or there is no response.
    pub(in crate::sandbox) async fn send(
        self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
    ) -> Result<Response<WasiBody>, Error> {
        let (own, times) = (&*self.0, Times::of(options));
        let target = request.uri().clone();
        let origin = Origin::of(&target).ok_or(Error::HttpRequestUriInvalid)?;
        if request.method() == Method::CONNECT {
            return Err(Error::HttpRequestMethodInvalid);
        }
        let permit = own.permit(times.connect).await?;
        let sent = own
            .exchange(request, &target, &origin, times, permit)
            .await?;
        let (response, exchange) = sent;
        let clock = own.host.clock.clone();
        Ok(response.map(|incoming| {
            ResponseBody::new(incoming, times.between_bytes, clock, exchange).boxed_unsync()
        }))
    }
}

impl Own {
    /// Permit for a request of the guest. Waits while it has as many as it may have.
    async fn permit(&self, time: Duration) -> Result<OwnedSemaphorePermit, Error> {
        let permit = Arc::clone(self.requests()).acquire_owned();
        let in_time = self.host.clock.timeout(time, permit).await;
        let permit = in_time.ok_or(Error::ConnectionLimitReached)?;
        Ok(permit.expect("the semaphore is never closed"))
    }

    async fn exchange(
        &self,
        request: Request<WasiBody>,
        target: &Uri,
        origin: &Origin,
        times: Times,
        permit: OwnedSemaphorePermit,
    ) -> Result<(Response<Incoming>, Exchange), Error> {
        let (connections, clock) = (self.connections(), &self.host.clock);
        let (permit, whole) = (Arc::new(permit), CancellationToken::new());
        let mut request = request.map(|body| RequestBody::new(body, &whole).boxed_unsync());
        loop {
            let (mut sender, stream, is_reused) = match connections.pool.take(origin) {
                Some((sender, stream)) => (sender, stream, true),
                None => {
                    let sender = self.connect(origin, times.connect).await?;
                    let stream = sender.begin();
                    (sender, stream, false)
                }
            };
            let exchange = Exchange::new(stream, &permit, &whole, clock);
            let sending = sender.send(request, target);
            let sent = clock.timeout(times.first_byte, sending).await;
            match sent.ok_or(Error::ConnectionReadTimeout)? {
                Ok(response) => {
                    connections.pool.keep(origin.clone(), sender);
                    return Ok((response, exchange));
                }
                // The server closed an idle connection; nothing of the request was sent.
                Err(mut error) => match error.take_message() {
                    Some(unsent) if is_reused => request = unsent,
                    _ => return Err(of_hyper(&error.into_error())),
                },
            }
        }
    }

    async fn connect(&self, origin: &Origin, time: Duration) -> Result<Sender<WasiBody>, Error> {
        // Boxed: handshakes have large futures, and most requests need none.
        let connecting = Box::pin(async {
            let addresses = self.resolve(&origin.host, Some(origin.port)).await;
            let addresses = addresses.map_err(of_lookup)?;
            let held = self.hold_connection().await?;
            let dialer = &self.host.dialer;
            let dialed = dialer.dial(origin, &addresses, time, held).await;
            dialed.map_err(|error| self.of_dial(origin, &error))
        });
        let in_time = self.host.clock.timeout(time, connecting).await;
        in_time.unwrap_or(Err(Error::ConnectionTimeout))
    }

    /// Counts a connection of the function, and its descriptor.
    async fn hold_connection(&self) -> Result<(OwnedSemaphorePermit, Descriptor), Error> {
        let permit = self.connections().permit().await;
        let descriptor = Descriptor::take(&self.host.descriptors);
        let descriptor = descriptor.map_err(|_| Error::ConnectionLimitReached)?;
        Ok((permit, descriptor))
    }

    fn of_dial(&self, origin: &Origin, error: &dial::Error) -> Error {
        let (host, port) = (&origin.host, origin.port);
        match error {
            dial::Error::Connect(error) => match error.kind() {
                ErrorKind::ConnectionRefused => Error::ConnectionRefused,
                ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
                    Error::DestinationIpUnroutable
                }
                _ => Error::DestinationUnavailable,
            },
            dial::Error::TimeUp => Error::ConnectionTimeout,
            dial::Error::NoCertificates => {
                self.note(&error.to_string());
                Error::TlsCertificateError
            }
            dial::Error::Certificate(problem) => {
                self.note(&format!(
                    "the certificate of {host}:{port} is not trusted: {problem}; certificate_authorities of \
                     lamina.toml adds authorities to those of the machine"
                ));
                Error::TlsCertificateError
            }
            dial::Error::Alert(code, text) => Error::TlsAlertReceived {
                alert_id: Some(*code),
                alert_message: Some(text.clone()),
            },
            dial::Error::Tls(problem) => {
                tracing::debug!(problem, %host, port, "a function's TLS handshake failed");
                Error::TlsProtocolError
            }
            dial::Error::Http(error) => of_hyper(error),
        }
    }
}

fn of_lookup(failed: Failed) -> Error {
    let dns = |rcode: &str| Error::DnsError {
        rcode: Some(rcode.to_owned()),
        info_code: None,
    };
    match failed {
        Failed::Malformed => Error::HttpRequestUriInvalid,
        Failed::Unknown => dns("NXDOMAIN"),
        Failed::Denied => Error::DestinationIpProhibited,
        Failed::Later => Error::DnsTimeout,
    }
}
