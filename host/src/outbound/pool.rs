//! Idle connections of one function to servers: kept for reuse by its environments, few and not for long.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::Body;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::dial::{Origin, Protocol, Sender};
use super::link::Stream;
use crate::clock::Clock;

/// Time before an idle connection is closed.
pub const IDLE_TIME: Duration = Duration::from_secs(30);
/// Idle connections of one function, HTTP/2 connections in use included.
pub const IDLE_MAX: usize = 16;

/// Idle connections; cheap to clone.
#[derive(Debug)]
pub struct Pool<B>(Arc<Shared<B>>);

#[derive(Debug)]
struct Shared<B> {
    // std mutex: the sections scan a short list, and nothing awaits inside.
    idle: Mutex<List<B>>,
    /// Idle connections of all functions.
    permits: Arc<Semaphore>,
    clock: Clock,
}

#[derive(Debug)]
struct List<B> {
    /// Longest idle first.
    idle: Vec<Idle<B>>,
    /// True while a task closes connections whose time is up.
    is_swept: bool,
}

#[derive(Debug)]
struct Idle<B> {
    origin: Origin,
    sender: Sender<B>,
    until: Instant,
    _permit: OwnedSemaphorePermit,
}

impl<B> Clone for Pool<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B> Pool<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    /// An empty pool. `permits` bounds the idle connections of all pools.
    pub fn new(permits: Arc<Semaphore>, clock: Clock) -> Self {
        Self(Arc::new(Shared {
            idle: Mutex::new(List {
                idle: Vec::new(),
                is_swept: false,
            }),
            permits,
            clock,
        }))
    }

    /// A connection to this server. The one used last has the best chance to be still open.
    pub fn take(&self, origin: &Origin) -> Option<(Sender<B>, Stream)> {
        let now = self.0.clock.instant();
        let mut list = self.0.lock();
        list.idle
            .retain(|it| it.until > now && it.sender.is_ready());
        let fits = |it: &Idle<B>| it.origin == *origin && !it.sender.is_full();
        let at = list.idle.iter().rposition(fits)?;
        // Counted under the lock, so that concurrent requests do not take the last stream both.
        let stream = list.idle[at].sender.begin();
        let kept = &mut list.idle[at];
        if let Protocol::Http2(sender) = &kept.sender.protocol {
            kept.until = now + IDLE_TIME;
            let protocol = Protocol::Http2(sender.clone());
            let link = Arc::clone(&kept.sender.link);
            return Some((Sender { protocol, link }, stream));
        }
        Some((list.idle.remove(at).sender, stream))
    }

    /// Keeps a connection for reuse: at once with HTTP/2, which takes concurrent requests; with HTTP/1.1 once the
    /// response under way is read.
    pub fn keep(&self, origin: Origin, mut sender: Sender<B>) {
        if let Protocol::Http2(_) = &sender.protocol {
            return self.put(origin, sender);
        }
        let pool = self.clone();
        tokio::spawn(async move {
            if sender.frees().await {
                pool.put(origin, sender);
            }
        });
    }

    /// True while an owner of the pool beside the caller is left.
    pub fn is_used(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// True if both are the same pool.
    #[cfg(test)]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Closes all idle connections.
    pub fn clear(&self) {
        let idle = std::mem::take(&mut self.0.lock().idle);
        drop(idle);
    }

    fn put(&self, origin: Origin, sender: Sender<B>) {
        let until = self.0.clock.instant() + IDLE_TIME;
        let mut list = self.0.lock();
        let is_shared = matches!(sender.protocol, Protocol::Http2(_));
        let is_enough = |it: &Idle<B>| {
            let is_same = Arc::ptr_eq(&it.sender.link, &sender.link);
            it.origin == origin && (is_same || (it.sender.is_ready() && !it.sender.is_full()))
        };
        if is_shared && list.idle.iter().any(is_enough) {
            // Concurrent first requests made a connection each; one that is not full is enough from now on.
            return;
        }
        if list.idle.len() == IDLE_MAX {
            list.idle.remove(0);
        }
        let Ok(permit) = Arc::clone(&self.0.permits).try_acquire_owned() else {
            return;
        };
        list.idle.push(Idle {
            origin,
            sender,
            until,
            _permit: permit,
        });
        if !std::mem::replace(&mut list.is_swept, true) {
            tokio::spawn(sweep(Arc::downgrade(&self.0), self.0.clock.clone()));
        }
    }
}

impl<B> Shared<B> {
    fn lock(&self) -> MutexGuard<'_, List<B>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes connections whose time is up. True if some are left.
    fn expire(&self) -> bool {
        let now = self.clock.instant();
        let mut list = self.lock();
        list.idle.retain(|it| it.until > now);
        list.is_swept = !list.idle.is_empty();
        list.is_swept
    }
}

/// Closes idle connections of a function that makes no more requests.
async fn sweep<B: Send + 'static>(pool: Weak<Shared<B>>, clock: Clock) {
    loop {
        clock.sleep(IDLE_TIME).await;
        if !pool.upgrade().is_some_and(|pool| pool.expire()) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Empty;
    use hyper::client::conn::http1;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, DuplexStream};

    use super::super::dial::{STREAMS_MAX, http2};
    use super::*;
    use crate::clock::Simulated;

    type TestPool = Pool<Empty<Bytes>>;

    fn origin(number: usize) -> Origin {
        Origin {
            is_encrypted: false,
            host: format!("h{number}.example").parse().unwrap(),
            port: 80,
        }
    }

    /// A connection, and its server's end.
    async fn connection() -> (Sender<Empty<Bytes>>, DuplexStream) {
        let (own, server) = tokio::io::duplex(1 << 10);
        let (mut sender, connection) = http1::handshake(TokioIo::new(own)).await.unwrap();
        tokio::spawn(connection);
        sender.ready().await.unwrap();
        let sender = Sender {
            protocol: Protocol::Http1(sender),
            link: Arc::default(),
        };
        (sender, server)
    }

    fn pool(permits: &Arc<Semaphore>) -> TestPool {
        Pool::new(Arc::clone(permits), Simulated::clock(1))
    }

    #[tokio::test(start_paused = true)]
    async fn idle_connection_is_reused_and_closed_after_its_time() {
        let permits = Arc::new(Semaphore::new(1));
        let pool = pool(&permits);
        let (sender, mut server) = connection().await;
        pool.put(origin(1), sender);
        assert!(pool.take(&origin(2)).is_none(), "another server");
        let (sender, _) = pool.take(&origin(1)).unwrap();
        assert!(
            pool.take(&origin(1)).is_none(),
            "it takes one request at a time"
        );
        pool.put(origin(1), sender);
        // The end of the connection, which the clock reaches when nothing else is to do.
        assert_eq!(server.read(&mut [0; 1]).await.unwrap(), 0);
        assert_eq!(permits.available_permits(), 1);
        assert!(pool.take(&origin(1)).is_none());
    }

    #[tokio::test]
    async fn http2_connection_takes_as_many_requests_as_fit_into_its_window() {
        let permits = Arc::new(Semaphore::new(IDLE_MAX));
        let pool = pool(&permits);
        let mut servers = Vec::new();
        for _ in 0..2 {
            let (own, server) = tokio::io::duplex(1 << 16);
            servers.push(server);
            let sender = http2(own, ()).await.unwrap();
            let first = sender.begin();
            pool.keep(origin(1), sender);
            let mut streams = vec![first];
            while let Some((_, stream)) = pool.take(&origin(1)) {
                streams.push(stream);
            }
            assert_eq!(streams.len(), STREAMS_MAX);
            streams.pop();
            assert!(pool.take(&origin(1)).is_some(), "one stream has ended");
            streams[0].leave();
            assert!(
                pool.take(&origin(1)).is_none(),
                "no more on this connection"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn idle_connections_are_bounded_per_function_and_in_total() {
        let permits = Arc::new(Semaphore::new(IDLE_MAX + 1));
        let (first, second) = (pool(&permits), pool(&permits));
        let mut servers = Vec::new();
        for number in 0..=IDLE_MAX {
            let (sender, server) = connection().await;
            first.put(origin(number), sender);
            servers.push(server);
        }
        assert!(
            first.take(&origin(0)).is_none(),
            "the one idle for longest made way"
        );
        for number in 0..2 {
            let (sender, server) = connection().await;
            second.put(origin(number), sender);
            servers.push(server);
        }
        assert!(second.take(&origin(0)).is_some() && second.take(&origin(1)).is_none());
        first.clear();
        assert_eq!(permits.available_permits(), IDLE_MAX + 1);
    }
}
