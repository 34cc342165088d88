//! A future that outlives its caller: dropped before its end, it goes on as a task of its own. It
//! costs one allocation, and a task only where the caller has really gone.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pub(super) struct Detached<T: Send + 'static> {
    work: Option<Work<T>>,
}

/// Runs `work` to its end, whether or not the result is awaited. Nothing runs before the first poll.
pub(super) fn detached<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Detached<T> {
    Detached {
        work: Some(Box::pin(work)),
    }
}

impl<T: Send + 'static> Future for Detached<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let work = self
            .work
            .as_mut()
            .expect("a finished future is not polled again");
        let done = std::task::ready!(work.as_mut().poll(cx));
        self.work = None;
        Poll::Ready(done)
    }
}

impl<T: Send + 'static> Drop for Detached<T> {
    fn drop(&mut self) {
        let Some(work) = self.work.take() else { return };
        // Without a runtime the process is coming down, and the work with it.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move { drop(work.await) });
        }
    }
}
