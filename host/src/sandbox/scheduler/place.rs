//! Where the work that is being polled runs: on a worker of the network's, which it must leave at a
//! tick, or on a thread where it only lets others go before it.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

#[derive(Clone, Copy, Eq, PartialEq)]
enum Place {
    /// Polled by a [`Scheduled`](super::Scheduled), which moves what asks to leave.
    Network { leaves: bool },
    /// On the scheduler's threads, or on whatever polls guests in tests.
    Apart,
}

thread_local! {
    static PLACE: Cell<Place> = const { Cell::new(Place::Apart) };
}

/// Polls work on a worker of the network's. The second value tells whether it asks to leave.
pub(super) fn on_network<T>(poll: impl FnOnce() -> Poll<T>) -> (Poll<T>, bool) {
    let before = PLACE.replace(Place::Network { leaves: false });
    let _restored = Restore(before);
    let polled = poll();
    let leaves = PLACE.get() == Place::Network { leaves: true };
    (polled, leaves)
}

/// Puts back what was before, also when the poll panics.
struct Restore(Place);

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
            Place::Network { .. } => PLACE.set(Place::Network { leaves: true }),
            Place::Apart => cx.waker().wake_by_ref(),
        }
        Poll::Pending
    }
}
