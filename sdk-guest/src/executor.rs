//! Minimal executor: polls one future on the only thread.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Runs a future to completion.
///
/// # Panics
///
/// If the future is pending and nothing can wake it, as with timers or sockets of an absent reactor.
/// Waiting would last until the invocation times out.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        // Single thread: only the future itself can have called the waker, during the poll.
        assert!(
            woken.take(),
            "the handler awaits something that nothing here can complete: \
             timers and sockets of an async runtime do not work in a component"
        );
    }
}

/// Set when the waker is called.
#[derive(Default)]
struct Woken(AtomicBool);

impl Woken {
    fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn woken_future_is_polled_again() {
        let mut left = 3;
        let output = block_on(std::future::poll_fn(|context| {
            if left == 0 {
                return Poll::Ready("done");
            }
            left -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        }));
        assert_eq!(output, "done");
    }

    #[test]
    #[should_panic(expected = "awaits something that nothing here can complete")]
    fn pending_future_without_wake_panics() {
        block_on(std::future::pending::<()>());
    }
}
