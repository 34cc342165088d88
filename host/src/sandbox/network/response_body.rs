//! Body of a response to a guest's request: with the timeout between its bytes, and the guest's permit until its end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use wasmtime_wasi_http::Error;

use super::exchange::Exchange;
use crate::clock::Clock;

/// Body of a response to a guest's request.
pub(super) struct ResponseBody {
    incoming: Incoming,
    between_bytes: Duration,
    clock: Clock,
    /// Set while the body waits for bytes.
    timer: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Released with the last byte.
    exchange: Option<Exchange>,
}

impl ResponseBody {
    pub(super) fn new(
        incoming: Incoming,
        between_bytes: Duration,
        clock: Clock,
        exchange: Exchange,
    ) -> Self {
        Self {
            incoming,
            between_bytes,
            clock,
            timer: None,
            exchange: Some(exchange),
        }
    }

    fn waits(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (clock, time) = (&self.clock, self.between_bytes);
        let timer = self.timer.get_or_insert_with(|| {
            let clock = clock.clone();
            Box::pin(async move { clock.sleep(time).await })
        });
        timer.as_mut().poll(cx)
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) else {
            ready!(self.waits(cx));
            self.exchange = None;
            return Poll::Ready(Some(Err(Error::ConnectionReadTimeout)));
        };
        self.timer = None;
        let frame = frame.map(|frame| frame.map_err(|error| of_hyper(&error)));
        if !matches!(frame, Some(Ok(_))) {
            self.exchange = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// Error of an exchange, in the terms of `wasi:http`.
pub(super) fn of_hyper(error: &hyper::Error) -> Error {
    if error.is_parse_too_large() {
        Error::HttpResponseHeaderSectionSize(None)
    } else if error.is_parse() {
        Error::HttpProtocolError
    } else if error.is_incomplete_message() {
        Error::HttpResponseIncomplete
    } else if error.is_timeout() {
        Error::HttpResponseTimeout
    } else {
        Error::ConnectionTerminated
    }
}
