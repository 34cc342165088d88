//! The smallest executor that can run a handler: it polls one future on the one thread there is.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Runs a future to its end.
///
/// # Panics
///
/// If the future waits for something that nothing is left to bring about, such as a timer or a
/// socket of a reactor that does not run. Waiting on would last until the invocation times out.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        // With one thread, whoever could wake the future did so while it was polled.
        assert!(
            woken.take(),
            "the handler awaits something that nothing here can complete: \
             timers and sockets of an async runtime do not work in a component"
        );
    }
}

/// Whether the future asked to be polled again.
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
    fn a_future_is_polled_as_often_as_it_asks() {
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
    fn a_future_that_nobody_wakes_is_not_waited_for() {
        block_on(std::future::pending::<()>());
    }
}
