//! Wake-up of callers that wait for a permit. While nobody waits, a release costs one load.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Release of permits, as an event.
#[derive(Debug, Default)]
pub(in crate::invoke) struct Released {
    waiting: AtomicUsize,
    notify: Notify,
}

/// A caller that waits, until dropped.
#[derive(Debug)]
pub(in crate::invoke) struct Waiting<'a>(&'a Released);

impl Released {
    /// Counts a caller as waiting. It looks for a permit only afterwards, so that it misses no release.
    pub(in crate::invoke) fn join(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Waiting(self)
    }

    pub(in crate::invoke) fn wake_one(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.notify.notify_one();
        }
    }

    pub(in crate::invoke) fn wake_all(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.notify.notify_waiters();
        }
    }
}

impl Waiting<'_> {
    /// Completes at a release after this call.
    pub(in crate::invoke) fn released(&self) -> Notified<'_> {
        self.0.notify.notified()
    }

    /// Passes a wake on that this caller could not use.
    pub(in crate::invoke) fn pass_on(&self) {
        self.0.notify.notify_one();
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}
