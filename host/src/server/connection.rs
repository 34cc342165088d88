//! The life of one connection: what comes over it is answered, and it ends when its client is gone,
//! has nothing to ask or does not take its answers, or when the host stops.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use http::Version;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::Config;
use super::lingering::Lingering;
use super::pulse::Watched;
use super::slots::ConnectionSlot;
use super::strict::Strict;
use super::untaken;
use crate::api::HttpResponse;

/// Unread bytes of one HTTP/2 request body.
const STREAM_WINDOW_BYTES: u32 = 128 << 10;
/// Unread bytes of all request bodies of an HTTP/2 connection: of 32 streams.
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// Serves a connection until it ends; after `stop`, only requests in progress.
pub(super) async fn serve<T, S, F>(
    stream: T,
    config: &Config,
    answer: S,
    slot: ConnectionSlot,
    stop: CancellationToken,
) where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Fn(http::Request<Lingering>) -> F + Send + 'static,
    F: Future<Output = HttpResponse> + Send + 'static,
{
    let pulse = Arc::clone(&slot.pulse);
    let stream = TokioIo::new(Watched::new(Strict::new(stream), Arc::clone(&pulse)));
    let service = service_fn({
        let (pulse, untaken) = (Arc::clone(&pulse), slot.untaken());
        move |request: http::Request<Incoming>| {
            // A small response in HTTP/1 is written, or it stalls the connection, which the pulse feels.
            let held_bytes_min = match request.version() {
                Version::HTTP_2 => 1,
                _ => untaken::LARGE_BYTES_MIN,
            };
            let untaken = untaken.clone();
            let begun = pulse.begin();
            let answering = answer(Lingering::of(request, &pulse));
            // No async block: it would keep the future twice, where it captures it and where it awaits it.
            answering.map(move |reply| {
                Ok::<_, Infallible>(untaken::hold(untaken, held_bytes_min, begun, reply))
            })
        }
    });
    let builder = builder(config);
    let mut serving = pin!(builder.serve_connection(stream, service));
    let mut is_ending = false;
    // Polled only when one of its futures wakes it: the connection itself is polled several times a request.
    let mut alarms = FuturesUnordered::new();
    loop {
        alarms.push(alarm(&slot, &stop, is_ending));
        let alarm = tokio::select! {
            biased;
            ended = serving.as_mut() => {
                if let Err(error) = ended {
                    // Disconnects are normal.
                    tracing::debug!(error = %error, "a connection ended early");
                }
                return;
            }
            Some(alarm) = alarms.next() => alarm,
        };
        match alarm {
            Alarm::Evicted => {
                tracing::debug!("a connection was closed to make room for another");
                return;
            }
            Alarm::Stop => {
                is_ending = true;
                // A client asked to close gets time for it, whatever it has not read.
                pulse.forgive();
                serving.as_mut().graceful_shutdown();
            }
            Alarm::Due if !pulse.is_over() => {}
            Alarm::Due if is_ending => {
                tracing::debug!("a connection was cut off");
                return;
            }
            Alarm::Due => {
                is_ending = true;
                pulse.allow(config.parting_time);
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Reason to look at a connection apart from its traffic.
enum Alarm {
    Evicted,
    Stop,
    Due,
}

async fn alarm(slot: &ConnectionSlot, stop: &CancellationToken, is_ending: bool) -> Alarm {
    tokio::select! {
        () = slot.evicted.cancelled() => Alarm::Evicted,
        () = stop.cancelled(), if !is_ending => Alarm::Stop,
        () = slot.pulse.due() => Alarm::Due,
    }
}

fn builder(config: &Config) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // The pulse has the times of a connection: hyper would start and cancel a timer for each request.
        .header_read_timeout(None);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(config.ping_time)
        .keep_alive_timeout(config.ping_time)
        // A function that reads late holds up its own stream only, not the uploads beside it.
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(config.streams_max);
    builder
}
