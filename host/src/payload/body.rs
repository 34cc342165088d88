//! Body of a request or a response, whole or streamed.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use http_body_util::StreamBody;

/// Error of a streamed body that ended early.
#[derive(Debug, thiserror::Error)]
#[error("the body ended early: {0}")]
pub struct Broken(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Cause of a request body that ended early.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Interruption {
    /// Client disconnected or reset the stream.
    #[error("the client disconnected")]
    Disconnected,
    /// Client sent nothing for this long while the function waited.
    #[error("the client sent nothing for {} s", .0.as_secs())]
    Silent(Duration),
    /// Body larger than this many bytes.
    #[error("the request is larger than {0} bytes")]
    TooLarge(u64),
}

type Stream = Pin<Box<dyn http_body::Body<Data = Bytes, Error = Broken> + Send>>;

/// A body. A whole one costs no allocation and is ready at once.
#[derive(Default)]
pub struct Body(Kind);

enum Kind {
    /// `None` after it was read.
    Whole(Option<Bytes>),
    Streamed(Stream),
}

impl Default for Kind {
    fn default() -> Self {
        Self::Whole(None)
    }
}

impl Body {
    /// Body that arrives frame by frame.
    pub fn streamed(
        body: impl http_body::Body<Data = Bytes, Error = Broken> + Send + 'static,
    ) -> Self {
        Self(Kind::Streamed(Box::pin(body)))
    }

    /// Whole body followed by trailers. Its length is not declared, because HTTP/1.1 sends trailers only in chunks.
    pub fn with_trailers(bytes: Bytes, trailers: HeaderMap) -> Self {
        let frames = [Frame::data(bytes), Frame::trailers(trailers)];
        let frames = futures_util::stream::iter(frames.map(Ok));
        Self::streamed(StreamBody::new(frames))
    }

    /// Bytes of a whole body.
    ///
    /// # Errors
    /// The body itself if it is streamed.
    pub fn into_whole(self) -> Result<Bytes, Self> {
        match self.0 {
            Kind::Whole(bytes) => Ok(bytes.unwrap_or_default()),
            Kind::Streamed(_) => Err(self),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(Kind::Whole(Some(bytes).filter(|bytes| !bytes.is_empty())))
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut self.0 {
            Kind::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Streamed(stream) => stream.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_none(),
            Kind::Streamed(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Kind::Streamed(stream) => stream.size_hint(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Whole(bytes) => f.debug_tuple("Whole").field(bytes).finish(),
            Kind::Streamed(_) => f.write_str("Streamed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn whole_body_is_one_frame_and_then_ended() {
        let mut body = Body::from("text");
        assert_eq!(body.size_hint().exact(), Some(4));
        assert!(!body.is_end_stream());
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "text");
        assert!(body.is_end_stream() && body.frame().await.is_none());
        assert_eq!(Body::from("text").into_whole().unwrap(), "text");
    }

    #[tokio::test]
    async fn empty_body_has_no_frame() {
        for mut body in [Body::default(), Body::from("")] {
            assert!(body.is_end_stream());
            assert_eq!(body.size_hint().exact(), Some(0));
            assert!(body.frame().await.is_none());
        }
    }

    #[tokio::test]
    async fn streamed_body_is_not_whole_and_may_break() {
        let frames = [
            Ok(Frame::data(Bytes::from("half"))),
            Err(Broken("gone".into())),
        ];
        let stream = StreamBody::new(futures_util::stream::iter(frames));
        let mut body = Body::streamed(stream).into_whole().unwrap_err();
        assert_eq!(body.size_hint().exact(), None);
        assert!(body.frame().await.unwrap().is_ok());
        assert!(body.frame().await.unwrap().is_err());
    }
}
