//! Where the work that is being polled runs: on a worker of the network's, which it must leave at a
//! tick, or on a thread where it only lets others go before it.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

#[derive(Clone, Copy, Eq, PartialEq)]
enum PollContext {
    /// Polled by a [`Scheduled`](super::Scheduled), which moves what asks to leave.
    Network { leaves: bool },
    /// On the scheduler's threads, or on whatever polls guests in tests.
    Apart,
}

thread_local! {
    static PLACE: Cell<PollContext> = const { Cell::new(PollContext::Apart) };
}

/// Polls work on a worker of the network's. The second value tells whether it asks to leave.
pub(super) fn on_network<T>(poll: impl FnOnce() -> Poll<T>) -> (Poll<T>, bool) {
    let before = PLACE.replace(PollContext::Network { leaves: false });
    let _restored = Restore(before);
    let polled = poll();
    let leaves = PLACE.get() == PollContext::Network { leaves: true };
    (polled, leaves)
}

/// Puts back what was before, also when the poll panics.
struct Restore(PollContext);

impl Drop for Restore {
    fn drop(&mut self) {
        PLACE.set(self.0);
    }
}

/// Lets others run: on a worker of the network's by leaving it, elsewhere by going to the end of the
/// queue.
pub(in crate::sandbox) fn give_way() -> GiveWay {
    GiveWay(false)
}

#[derive(Debug)]
pub(in crate::sandbox) struct GiveWay(bool);

impl Future for GiveWay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        match PLACE.get() {
            // Not woken: the move polls it there.
            PollContext::Network { .. } => PLACE.set(PollContext::Network { leaves: true }),
            PollContext::Apart => cx.waker().wake_by_ref(),
        }
        Poll::Pending
    }
}
