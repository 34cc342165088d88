//! Streamed request body, within bounds of size and silence. It is read only on demand, so a slow function slows
//! its client down.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use tokio::time::{Instant, Sleep, sleep};

use crate::payload::body::{Broken, Interruption};

/// Request body on its way from a client to a function.
pub(super) struct Upload<B> {
    /// `None` after its end.
    body: Option<Pin<Box<B>>>,
    bytes_max: u64,
    received: u64,
    silence_max: Duration,
    /// Timer of the client's silence. Made with the body, because a guest may read on a thread without a runtime.
    silence: Pin<Box<Sleep>>,
    /// True while the reader waits for the client; only then does silence count.
    is_waiting: bool,
}

impl<B> Upload<B> {
    pub(super) fn new(body: B, bytes_max: u64, silence_max: Duration) -> Self {
        Self {
            body: Some(Box::pin(body)),
            bytes_max,
            received: 0,
            silence_max,
            silence: Box::pin(sleep(silence_max)),
            is_waiting: false,
        }
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_waiting {
            self.is_waiting = true;
            let end = Instant::now() + self.silence_max;
            self.silence.as_mut().reset(end);
        }
        self.silence.as_mut().poll(cx)
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
            Poll::Ready(None) => None,
            Poll::Pending => {
                ready!(this.poll_silence(cx));
                Some(Err(Interruption::Silent(this.silence_max)))
            }
        };
        this.is_waiting = false;
        if !matches!(frame, Some(Ok(_))) {
            this.body = None;
        }
        Poll::Ready(frame.map(|frame| frame.map_err(|error| Broken(Box::new(error)))))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::{BodyExt, Full, StreamBody};

    use super::*;

    const SILENCE_MAX: Duration = Duration::from_secs(30);

    fn upload<B>(body: B) -> Upload<B> {
        Upload::new(body, 4, SILENCE_MAX)
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
}
