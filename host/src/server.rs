//! Connections: accepted within limits, drained on shutdown. `connection` has the timeouts of one
//! connection, `api` the meaning of requests.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rustix::process::{Resource, getrlimit};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::api::{Front, HttpResponse};
use crate::config::Network;

mod accept;
mod connection;
mod forwarded_for;
#[cfg(test)]
pub mod fuzz;
mod lingering;
mod proxy_protocol;
mod pulse;
mod slots;
mod strict;
#[cfg(test)]
mod tests;
mod tls;
mod untaken;

use accept::Serving;
use lingering::Lingering;
use slots::Connections;
pub use tls::{Certificates, Error as TlsError};

/// Limits of connections.
#[derive(Clone, Debug)]
pub struct Config {
    /// Open at once. Beyond it new ones wait in the kernel's queue.
    pub connections_max: usize,
    /// Open at once of one address. Beyond it the address's least active one is closed.
    pub per_address_max: usize,
    /// Addresses that may have any number: clients of many addresses come through them.
    pub trusted_proxies: Vec<Network>,
    /// True if connections of trusted proxies begin with a head of the PROXY protocol.
    pub proxy_protocol: bool,
    /// Time to send a complete request head, also the first one, and for a TLS handshake.
    pub head_time: Duration,
    /// Idle timeout of a connection, and time for a client to read written bytes.
    pub idle_time: Duration,
    /// Minimum average rate at which a client must read responses.
    pub bytes_per_second_min: u32,
    /// Bytes of all unread responses. Over it, the connection without progress for the longest is closed.
    pub untaken_bytes_max: u64,
    /// Interval of HTTP/2 pings to a silent client, and time for its acknowledgement.
    pub ping_time: Duration,
    /// HTTP/2 streams open at once on one connection.
    pub streams_max: u32,
    /// Time for a client to close a connection when asked to.
    pub parting_time: Duration,
    /// Maximum wait for requests in progress at shutdown. A function may run for 30 minutes, but a
    /// stop must stop the host.
    pub drain_time: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let connections_max = 10_000.min(descriptors() / 2);
        Self {
            connections_max,
            per_address_max: connections_max / 4,
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            head_time: Duration::from_secs(30),
            idle_time: Duration::from_secs(60),
            bytes_per_second_min: 16 << 10,
            untaken_bytes_max: 128 << 20,
            ping_time: Duration::from_secs(20),
            streams_max: 200,
            parting_time: Duration::from_secs(10),
            drain_time: Duration::from_secs(30),
        }
    }
}

/// Descriptor limit of this process; functions and the store need a share.
fn descriptors() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    limit
        .and_then(|limit| limit.try_into().ok())
        .unwrap_or(usize::MAX)
}

/// Listeners and what answers on them.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    tls: Option<(TcpListener, Certificates)>,
    front: Arc<Front>,
    config: Config,
}

/// A listener, with certificates if it speaks TLS.
struct Listener {
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl Server {
    /// Server on a bound socket.
    pub fn on(listener: TcpListener, front: Arc<Front>, config: Config) -> Self {
        Self {
            listener,
            tls: None,
            front,
            config,
        }
    }

    /// Binds an address for TLS too. Returns the address that is bound.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub async fn bind_tls(
        &mut self,
        listen: SocketAddr,
        certificates: Certificates,
    ) -> std::io::Result<SocketAddr> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        self.tls = Some((listener, certificates));
        Ok(address)
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
        let Self {
            listener,
            tls,
            front,
            config,
        } = self;
        let answer = move |request: http::Request<Lingering>| {
            let front = Arc::clone(&front);
            async move { front.handle(request).await }
        };
        let mut listeners = vec![Listener {
            socket: listener,
            tls: None,
        }];
        let mut refreshing = None;
        if let Some((socket, certificates)) = tls {
            let tls = Some(certificates.acceptor());
            listeners.push(Listener { socket, tls });
            let refreshed = tokio::spawn(refresh(certificates));
            refreshing = Some(AbortOnDropHandle::new(refreshed));
        }
        serve(listeners, config, answer, shutdown).await;
        drop(refreshing);
    }
}

/// Reads changed certificates.
async fn refresh(certificates: Certificates) {
    loop {
        tokio::time::sleep(tls::CHECK_INTERVAL).await;
        let certificates = certificates.clone();
        let refreshed = tokio::task::spawn_blocking(move || certificates.refresh()).await;
        if let Err(error) = refreshed {
            tracing::error!(%error, "the certificates could not be checked");
        }
    }
}

async fn serve<S, F>(
    listeners: Vec<Listener>,
    config: Config,
    answer: S,
    shutdown: impl Future<Output = ()>,
) where
    S: Fn(http::Request<Lingering>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = HttpResponse> + Send + 'static,
{
    let serving = Serving {
        slots: Arc::new(Connections::new(&config)),
        config: Arc::new(config),
        stop: CancellationToken::new(),
        open: TaskTracker::new(),
    };
    {
        let listeners = listeners.into_iter();
        let accepting = listeners.map(|listener| serving.accept(listener, answer.clone()));
        let mut accepting: FuturesUnordered<_> = accepting.collect();
        tokio::select! {
            () = shutdown => {}
            // Listeners accept for ever.
            _ = accepting.next() => {}
        }
    }
    serving.stop.cancel();
    serving.open.close();
    let drained = tokio::time::timeout(serving.config.drain_time, serving.open.wait()).await;
    if drained.is_err() {
        tracing::warn!("requests were still under way when the time to finish them was up");
    }
}
