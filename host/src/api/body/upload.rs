//! Streamed request body, within bounds of size and silence. It is read only on demand, so a slow function slows
//! its client down.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep};

use crate::payload::body::{Broken, Interruption};

/// Delay after which an elapsed timer had no waiter: a guest may look for data once, and work on.
const STALE: Duration = Duration::from_secs(1);

/// Time that a client is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// At once.
    pub(super) silence_max: Duration,
    /// In total.
    pub(super) time: Duration,
    /// Each byte received adds to the total as if bytes came this fast.
    pub(super) bytes_per_second_min: u32,
}

/// Request body on its way from a client to a function.
pub(super) struct Upload<B> {
    /// `None` after its end.
    body: Option<Pin<Box<B>>>,
    bytes_max: u64,
    received: u64,
    patience: Patience,
    /// Time waited for the client so far; a slow function does not count.
    waited: Duration,
    /// Start of the current wait.
    waiting_since: Option<Instant>,
    /// End of the current wait. Made with the body, because a guest may read on a thread without a runtime.
    timer: Pin<Box<Sleep>>,
    /// Released with the end of the body.
    share: Option<OwnedSemaphorePermit>,
}

impl<B> Upload<B> {
    pub(super) fn new(
        body: B,
        bytes_max: u64,
        patience: Patience,
        share: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self {
            body: Some(Box::pin(body)),
            bytes_max,
            received: 0,
            patience,
            waited: Duration::ZERO,
            waiting_since: None,
            timer: Box::pin(sleep(patience.silence_max)),
            share,
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        if self.waiting_since.is_none() || self.is_stale(now) {
            let Patience {
                silence_max,
                time,
                bytes_per_second_min,
            } = self.patience;
            let earned = Duration::from_secs(self.received) / bytes_per_second_min.max(1);
            let left = (time + earned).saturating_sub(self.waited);
            self.waiting_since = Some(now);
            self.timer.as_mut().reset(now + silence_max.min(left));
        }
        self.timer.as_mut().poll(cx)
    }

    fn is_stale(&self, now: Instant) -> bool {
        now > self.timer.deadline() + STALE
    }

    fn end_wait(&mut self) {
        let now = Instant::now();
        if let Some(since) = self.waiting_since.take()
            && !self.is_stale(now)
        {
            self.waited += now - since;
        }
    }

    fn count(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, Interruption> {
        self.received += frame.data_ref().map_or(0, Bytes::len) as u64;
        if self.received > self.bytes_max {
            return Err(Interruption::TooLarge(self.bytes_max));
        }
        Ok(frame)
    }
}

impl<B> http_body::Body for Upload<B>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: std::error::Error,
{
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        let frame = match body.as_mut().poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => Some(this.count(frame)),
            Poll::Ready(Some(Err(error))) => {
                tracing::debug!(%error, "a request body broke off");
                Some(Err(Interruption::Disconnected))
            }
            // Fewer bytes than declared.
            Poll::Ready(None) if body.size_hint().lower() > 0 => {
                Some(Err(Interruption::Disconnected))
            }
            Poll::Ready(None) => None,
            Poll::Pending => {
                ready!(this.poll_timer(cx));
                Some(Err(Interruption::Silent(this.patience.silence_max)))
            }
        };
        this.end_wait();
        if !matches!(frame, Some(Ok(_))) {
            this.body = None;
            this.share = None;
        }
        Poll::Ready(frame.map(|frame| frame.map_err(|error| Broken(Box::new(error)))))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::FutureExt;
    use http_body_util::{BodyExt, Full, StreamBody};

    use super::*;

    const SILENCE_MAX: Duration = Duration::from_secs(30);

    fn upload<B>(body: B) -> Upload<B> {
        let patience = Patience {
            silence_max: SILENCE_MAX,
            time: 2 * SILENCE_MAX,
            bytes_per_second_min: 64 << 10,
        };
        Upload::new(body, 4, patience, None)
    }

    async fn interruption<B>(body: &mut Upload<B>) -> Option<Interruption>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: std::error::Error,
    {
        let error = body.frame().await.unwrap().unwrap_err();
        assert!(body.frame().await.is_none());
        error.0.downcast_ref().copied()
    }

    #[tokio::test]
    async fn body_within_its_size_passes() {
        let body = upload(Full::new(Bytes::from("four")));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "four");
    }

    #[tokio::test]
    async fn body_over_its_size_is_interrupted() {
        let mut body = upload(Full::new(Bytes::from("fives")));
        let found = interruption(&mut body).await;
        assert_eq!(found, Some(Interruption::TooLarge(4)));
    }

    #[tokio::test]
    async fn body_of_disconnected_client_is_interrupted() {
        let frames = [Err::<Frame<Bytes>, _>(std::io::Error::other("reset"))];
        let mut body = upload(StreamBody::new(futures_util::stream::iter(frames)));
        let found = interruption(&mut body).await;
        assert_eq!(found, Some(Interruption::Disconnected));
    }

    #[tokio::test(start_paused = true)]
    async fn silent_client_is_interrupted_only_while_it_is_awaited() {
        let silent = futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>();
        let mut body = upload(StreamBody::new(silent));
        // The function does something else meanwhile.
        tokio::time::sleep(2 * SILENCE_MAX).await;
        let early = tokio::time::timeout(SILENCE_MAX / 2, body.frame()).await;
        assert!(early.is_err());
        let found = interruption(&mut body).await;
        assert_eq!(found, Some(Interruption::Silent(SILENCE_MAX)));
    }
    #[tokio::test(start_paused = true)]
    async fn look_without_a_wait_is_no_silence() {
        let silent = futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>();
        let mut body = upload(StreamBody::new(silent));
        assert!(body.frame().now_or_never().is_none());
        tokio::time::sleep(2 * SILENCE_MAX).await;
        let early = tokio::time::timeout(SILENCE_MAX / 2, body.frame()).await;
        assert!(early.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn trickled_body_is_interrupted_after_its_time() {
        let frames = futures_util::stream::unfold((), async |()| {
            tokio::time::sleep(SILENCE_MAX - Duration::from_secs(1)).await;
            Some((Ok::<_, Infallible>(Frame::data(Bytes::new())), ()))
        });
        let mut body = upload(StreamBody::new(Box::pin(frames)));
        for _ in 0..2 {
            assert!(body.frame().await.unwrap().is_ok());
        }
        let found = interruption(&mut body).await;
        assert_eq!(found, Some(Interruption::Silent(SILENCE_MAX)));
    }

    #[tokio::test]
    async fn body_shorter_than_declared_is_interrupted() {
        struct Short;
        impl http_body::Body for Short {
            type Data = Bytes;
            type Error = Infallible;

            fn poll_frame(
                self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
                Poll::Ready(None)
            }

            fn size_hint(&self) -> http_body::SizeHint {
                http_body::SizeHint::with_exact(4)
            }
        }
        let found = interruption(&mut upload(Short)).await;
        assert_eq!(found, Some(Interruption::Disconnected));
    }
}
