//! Context in which work is polled: on a network worker, which it must leave at a tick, or on a
//! scheduler thread, where it yields to others.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

#[derive(Clone, Copy, Eq, PartialEq)]
enum PollContext {
    /// Polled by [`Scheduled`](super::Scheduled), which moves work that asks to leave.
    Network { leaves: bool },
    /// On a scheduler thread, or in a test.
    Apart,
}

thread_local! {
    static CONTEXT: Cell<PollContext> = const { Cell::new(PollContext::Apart) };
}

/// Polls work on a network worker. The second value is true if it asks to leave.
pub(in crate::sandbox) fn on_network<T>(poll: impl FnOnce() -> Poll<T>) -> (Poll<T>, bool) {
    let before = CONTEXT.replace(PollContext::Network { leaves: false });
    let _restored = Restore(before);
    let polled = poll();
    let leaves = CONTEXT.get() == PollContext::Network { leaves: true };
    (polled, leaves)
}

/// Restores the previous context, also after a panic.
struct Restore(PollContext);

impl Drop for Restore {
    fn drop(&mut self) {
        CONTEXT.set(self.0);
    }
}

/// Yields: leaves a network worker, or goes to the end of the queue on a scheduler thread.
pub(in crate::sandbox) fn yield_now() -> YieldNow {
    YieldNow(false)
}

/// Leaves a network worker, and does nothing elsewhere. For work that no tick can interrupt, such as filling a large
/// memory.
pub async fn leave_network() {
    if CONTEXT.get() != PollContext::Apart {
        yield_now().await;
    }
}

#[derive(Debug)]
pub(in crate::sandbox) struct YieldNow(bool);

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        match CONTEXT.get() {
            // No wake-up needed: the move polls it.
            PollContext::Network { .. } => CONTEXT.set(PollContext::Network { leaves: true }),
            PollContext::Apart => cx.waker().wake_by_ref(),
        }
        Poll::Pending
    }
}
