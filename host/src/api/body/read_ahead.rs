//! Read-ahead of a streamed HTTP/2 request body. h2 closes a connection with too many small unread DATA frames, and every
//! request on it: a function that reads late must not end those of others.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_util::task::AtomicWaker;
use http_body::Frame;
use http_body_util::BodyExt;
use tokio_util::task::AbortOnDropHandle;

/// Bytes read ahead. The window of the stream bounds those that h2 holds beyond.
const BYTES_MAX: usize = 64 << 10;
/// A frame below this size is small: it is copied to others, and read ahead further, because h2 counts it.
const SMALL_FRAME_BYTES_MAX: usize = 1 << 10;
/// Bytes read ahead of a client that sends small frames.
const SMALL_FRAMES_BYTES_MAX: usize = 1 << 20;
/// Bytes of one frame that small ones are copied to.
const MERGED_BYTES: usize = 16 << 10;

/// Body that a task reads ahead, until this is dropped.
pub(super) struct ReadAhead<E> {
    queue: Arc<Queue<E>>,
    _reading: AbortOnDropHandle<()>,
}

/// Frames between the task and the function.
struct Queue<E> {
    // std mutex: the sections move frames, and nothing awaits inside.
    state: Mutex<State<E>>,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

struct State<E> {
    frames: VecDeque<Frame<Bytes>>,
    /// Small frames after the last of `frames`.
    tail: BytesMut,
    /// Bytes of both.
    bytes: usize,
    /// True if the last frame was small.
    is_small: bool,
    /// End of the body, after all frames.
    end: Option<Result<(), E>>,
}

impl<E: Send + 'static> ReadAhead<E> {
    /// Begins to read. Call within a runtime.
    pub(super) fn of<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes, Error = E> + Send + 'static,
    {
        let queue = Arc::new(Queue {
            state: Mutex::new(State {
                frames: VecDeque::new(),
                tail: BytesMut::new(),
                bytes: 0,
                is_small: false,
                end: None,
            }),
            reader: AtomicWaker::new(),
            writer: AtomicWaker::new(),
        });
        let reading = tokio::spawn(read(body, Arc::clone(&queue)));
        Self {
            queue,
            _reading: AbortOnDropHandle::new(reading),
        }
    }
}

async fn read<B>(body: B, queue: Arc<Queue<B::Error>>)
where
    B: http_body::Body<Data = Bytes>,
{
    let mut body = pin!(body);
    loop {
        poll_fn(|cx| queue.poll_space(cx)).await;
        let frame = body.frame().await;
        let is_over = !matches!(frame, Some(Ok(_)));
        queue.push(frame);
        if is_over {
            return;
        }
    }
}

impl<E> Queue<E> {
    fn lock(&self) -> MutexGuard<'_, State<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll_space(&self, cx: &mut Context<'_>) -> Poll<()> {
        // Registered before the look, so that a frame taken in between wakes the task.
        self.writer.register(cx.waker());
        match self.lock().is_full() {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    }

    fn push(&self, frame: Option<Result<Frame<Bytes>, E>>) {
        let mut state = self.lock();
        match frame {
            Some(Ok(frame)) => state.push(frame),
            Some(Err(error)) => state.end = Some(Err(error)),
            None => state.end = Some(Ok(())),
        }
        drop(state);
        self.reader.wake();
    }

    fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        self.reader.register(cx.waker());
        let mut state = self.lock();
        if let Some(frame) = state.pop() {
            let is_full = state.is_full();
            drop(state);
            if !is_full {
                self.writer.wake();
            }
            return Poll::Ready(Some(Ok(frame)));
        }
        match &state.end {
            None => Poll::Pending,
            Some(Ok(())) => Poll::Ready(None),
            Some(Err(_)) => {
                let end = state.end.replace(Ok(()));
                Poll::Ready(end.and_then(Result::err).map(Err))
            }
        }
    }
}

impl<E> State<E> {
    fn is_full(&self) -> bool {
        let bytes_max = if self.is_small {
            SMALL_FRAMES_BYTES_MAX
        } else {
            BYTES_MAX
        };
        self.bytes >= bytes_max
    }

    fn push(&mut self, frame: Frame<Bytes>) {
        let length = frame.data_ref().map_or(0, Bytes::len);
        self.bytes += length;
        self.is_small = length < SMALL_FRAME_BYTES_MAX;
        match frame.into_data() {
            Ok(data) if self.is_small => {
                self.tail.extend_from_slice(&data);
                if self.tail.len() >= MERGED_BYTES {
                    self.flush();
                }
            }
            Ok(data) => {
                self.flush();
                self.frames.push_back(Frame::data(data));
            }
            Err(trailers) => {
                self.flush();
                self.frames.push_back(trailers);
            }
        }
    }

    fn pop(&mut self) -> Option<Frame<Bytes>> {
        if self.frames.is_empty() {
            self.flush();
        }
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.data_ref().map_or(0, Bytes::len);
        Some(frame)
    }

    fn flush(&mut self) {
        if !self.tail.is_empty() {
            let merged = self.tail.split().freeze();
            self.frames.push_back(Frame::data(merged));
        }
    }
}

impl<E> http_body::Body for ReadAhead<E> {
    type Data = Bytes;
    type Error = E;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        self.queue.poll_frame(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::stream;
    use http::{HeaderMap, HeaderValue};
    use http_body_util::StreamBody;

    use super::*;

    type Made = Result<Frame<Bytes>, &'static str>;

    /// Endless body of frames of one size, which counts them.
    fn frames(
        bytes: usize,
        made: &Arc<AtomicUsize>,
    ) -> impl http_body::Body<Data = Bytes, Error = &'static str> + Send + use<> {
        let made = Arc::clone(made);
        let frame = move || {
            made.fetch_add(1, Ordering::Relaxed);
            let frame: Made = Ok(Frame::data(vec![b'x'; bytes].into()));
            frame
        };
        StreamBody::new(stream::repeat_with(frame))
    }

    async fn read_until_full(bytes: usize) -> usize {
        let made = Arc::new(AtomicUsize::new(0));
        let body = ReadAhead::of(frames(bytes, &made));
        while !body.queue.lock().is_full() {
            tokio::task::yield_now().await;
        }
        tokio::task::yield_now().await;
        made.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn frames_are_read_ahead_up_to_a_bound() {
        assert_eq!(read_until_full(16 << 10).await, BYTES_MAX / (16 << 10));
        let small = SMALL_FRAMES_BYTES_MAX.div_ceil(10);
        assert_eq!(read_until_full(10).await, small);
    }

    #[tokio::test]
    async fn small_frames_are_merged_in_order() {
        let sizes = (0..5_000).map(|at| if at % 1_000 == 999 { 2_000 } else { at % 7 });
        let sent: Vec<Bytes> = sizes
            .map(|size| vec![u8::try_from(size % 251).unwrap(); size].into())
            .collect();
        let whole = sent.concat();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-end", HeaderValue::from_static("1"));
        let all = sent
            .into_iter()
            .map(Frame::data)
            .chain([Frame::trailers(trailers)]);
        let all: Vec<Made> = all.map(Ok).collect();
        let mut body = ReadAhead::of(StreamBody::new(stream::iter(all)));
        let (mut read, mut count) = (Vec::new(), 0);
        let end = loop {
            let frame = body.frame().await.unwrap().unwrap();
            match frame.into_data() {
                Ok(data) => read.extend_from_slice(&data),
                Err(frame) => break frame.into_trailers().unwrap(),
            }
            count += 1;
        };
        assert_eq!((read, end["x-end"].as_bytes()), (whole, &b"1"[..]));
        assert!(count < 20, "{count} frames");
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn error_comes_after_the_frames_before_it() {
        let sent: [Made; 2] = [Ok(Frame::data("half".into())), Err("reset")];
        let mut body = ReadAhead::of(StreamBody::new(stream::iter(sent)));
        let first = body.frame().await.unwrap().unwrap();
        assert_eq!(first.into_data().unwrap(), "half");
        assert_eq!(body.frame().await.unwrap().unwrap_err(), "reset");
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn dropped_body_is_no_longer_read() {
        let held = Arc::new(());
        let own = Arc::clone(&held);
        let silent = stream::poll_fn(move |_| {
            let _ = &own;
            Poll::<Option<Made>>::Pending
        });
        drop(ReadAhead::of(StreamBody::new(silent)));
        while Arc::strong_count(&held) > 1 {
            tokio::task::yield_now().await;
        }
    }
}
