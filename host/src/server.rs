//! Connections: accepted within limits, drained on shutdown. `connection` has the timeouts of one
//! connection, `api` the meaning of requests.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{Front, HttpResponse, Own, Peer, Proxy};
use crate::config::Network;

mod connection;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod lingering;
mod pulse;
mod slots;
mod strict;
#[cfg(test)]
mod tests;
mod untaken;

use lingering::Lingering;
use slots::Connections;

/// After a failed accept (no file descriptors left), so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Limits of connections.
#[derive(Clone, Debug)]
pub struct Config {
    /// Open at once. Beyond it new ones wait in the kernel's queue.
    pub connections_max: usize,
    /// Open at once of one address. Beyond it the address's least active one is closed.
    pub per_address_max: usize,
    /// Addresses that may have any number: clients of many addresses come through them.
    pub trusted_proxies: Vec<Network>,
    /// Time to send a complete request head, also the first one.
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
    /// Maximum wait for requests in progress at shutdown. A function may run for 15 minutes, but a
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

/// A listener and what answers on it.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    front: Arc<Front>,
    config: Config,
}

impl Server {
    /// Binds an address.
    ///
    /// # Errors
    /// Where the address cannot be bound.
    pub async fn bind(
        listen: SocketAddr,
        front: Arc<Front>,
        config: Config,
    ) -> std::io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind(listen).await?,
            front,
            config,
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
        let Self {
            listener,
            front,
            config,
        } = self;
        let answer = move |request: http::Request<Lingering>| {
            let front = Arc::clone(&front);
            async move { front.handle(request).await }
        };
        serve(listener, config, answer, shutdown).await;
    }
}

async fn serve<S, F>(
    listener: TcpListener,
    config: Config,
    answer: S,
    shutdown: impl Future<Output = ()>,
) where
    S: Fn(http::Request<Lingering>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = HttpResponse> + Send + 'static,
{
    let places = Arc::new(Connections::new(&config));
    let (config, stop, open) = (
        Arc::new(config),
        CancellationToken::new(),
        TaskTracker::new(),
    );
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = async {
            let (stream, address) = listener.accept().await?;
            let place = places.admit(address.ip(), &config).await;
            Ok::<_, std::io::Error>(place.map(|place| (stream, address, place)))
        };
        tokio::select! {
            () = &mut shutdown => break,
            accepted = accepted => match accepted {
                Ok(None) => tracing::debug!("an address has its share of connections"),
                Ok(Some((stream, address, place))) => {
                    let (peer, own) = (Peer(address.ip()), stream.local_addr().ok().map(Own));
                    let answer = answer.clone();
                    let is_proxy = place.is_proxy;
                    let answer = move |mut request: http::Request<Lingering>| {
                        request.extensions_mut().insert(peer);
                        is_proxy.then(|| request.extensions_mut().insert(Proxy));
                        own.map(|own| request.extensions_mut().insert(own));
                        answer(request)
                    };
                    let (config, stop) = (Arc::clone(&config), stop.clone());
                    // Small replies must not wait for an acknowledgement; it can only fail on a dead socket.
                    let _ = stream.set_nodelay(true);
                    open.spawn(async move {
                        connection::serve(stream, &config, answer, place, stop).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    stop.cancel();
    open.close();
    let drained = tokio::time::timeout(config.drain_time, open.wait()).await;
    if drained.is_err() {
        tracing::warn!("requests were still under way when the time to finish them was up");
    }
}
