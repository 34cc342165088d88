//! State of a connection that its requests share: how many are under way, and the end of the connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio_util::sync::CancellationToken;

/// State of a connection.
#[derive(Debug, Default)]
pub struct Link {
    /// Closes the connection, with all that is under way on it.
    pub(super) cancel: CancellationToken,
    /// True for a connection that takes no more requests.
    is_left: AtomicBool,
    streams: AtomicUsize,
}

/// A request on a connection, until its response is read.
#[derive(Debug)]
pub struct Stream(Arc<Link>);

impl Link {
    /// Counts a request.
    pub fn begin(self: &Arc<Self>) -> Stream {
        self.streams.fetch_add(1, Ordering::Relaxed);
        Stream(Arc::clone(self))
    }

    /// True once the connection is to be closed.
    #[cfg(test)]
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    pub(super) fn streams(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }

    pub(super) fn is_left(&self) -> bool {
        self.is_left.load(Ordering::Relaxed)
    }
}

impl Stream {
    /// Keeps further requests off the connection.
    pub fn leave(&self) {
        self.0.is_left.store(true, Ordering::Relaxed);
    }

    /// Closes the connection, with all that is under way on it.
    pub fn cancel(&self) {
        self.0.cancel.cancel();
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}
