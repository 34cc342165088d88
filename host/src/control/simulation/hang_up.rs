//! A client that leaves: a future that is dropped after a number of polls.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

pub struct HangUp<F> {
    work: Pin<Box<F>>,
    polls_left: usize,
}

impl<F: Future> HangUp<F> {
    pub fn new(work: F, polls: usize) -> Self {
        Self {
            work: Box::pin(work),
            polls_left: polls,
        }
    }
}

impl<F: Future> Future for HangUp<F> {
    /// `None` where the client left before the end.
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls_left == 0 {
            return Poll::Ready(None);
        }
        self.polls_left -= 1;
        self.work.as_mut().poll(cx).map(Some)
    }
}
