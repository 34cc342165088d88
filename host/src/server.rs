//! Connections: accepted within limits, given timers, drained at the end. What a request means is
//! `api`'s business.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::api::{Front, Peer};

/// Connections open at once. Beyond it new ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 10_000;

/// A client that does not finish its request's head within this time is cut off.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a stop waits for requests that are under way: a function may run for 15 minutes, but
/// whoever stops a host means to have it stopped.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// After a failed accept (no file descriptors left), so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// HTTP/2 streams open at once on one connection.
const STREAMS_MAX: u32 = 200;

/// A listener and what answers on it.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    front: Arc<Front>,
}

impl Server {
    /// Binds an address.
    ///
    /// # Errors
    /// Where the address cannot be bound.
    pub async fn bind(listen: SocketAddr, front: Arc<Front>) -> std::io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind(listen).await?,
            front,
        })
    }

    /// The address that is bound: the port, where 0 was asked for.
    ///
    /// # Errors
    /// Where the operating system does not say.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `shutdown` is ready, then finishes the requests that are under way.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let graceful = GracefulShutdown::new();
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let accepted = async {
                let place = Arc::clone(&connections).acquire_owned().await;
                (
                    place.expect("the semaphore is never closed"),
                    self.listener.accept().await,
                )
            };
            tokio::select! {
                () = &mut shutdown => break,
                (place, accepted) = accepted => match accepted {
                    Ok((stream, address)) => {
                        let (peer, front) = (Peer(address.ip()), Arc::clone(&self.front));
                        let connection = connection(stream, peer, front, &graceful);
                        tokio::spawn(async move {
                            connection.await;
                            drop(place);
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(self.listener);
        if tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown())
            .await
            .is_err()
        {
            tracing::warn!("requests were still under way when the time to finish them was up");
        }
    }
}

fn connection(
    stream: TcpStream,
    peer: Peer,
    front: Arc<Front>,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + use<> {
    // Small replies must not wait for an acknowledgement; it can only fail on a dead socket.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        let front = Arc::clone(&front);
        request.extensions_mut().insert(peer);
        async move { Ok::<_, Infallible>(front.handle(request).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX);
    let serving = builder
        .serve_connection(TokioIo::new(stream), service)
        .into_owned();
    let serving = graceful.watch(serving);
    async move {
        if let Err(error) = serving.await {
            // Clients come and go; it is their affair.
            tracing::debug!(error = %error, "a connection ended early");
        }
    }
}
