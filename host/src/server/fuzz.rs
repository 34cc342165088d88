//! Fuzz check of HTTP/1 connections: whatever bytes come, in whatever pieces, the connection serves the requests
//! that a strict reader finds in them, answers each once, and ends.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::lingering::Lingering;
use super::slots::Connections;
use super::{Config, connection};
use crate::api::HttpResponse;

mod strict;

/// Bytes of an input. Heads have a bound of hyper's own beyond.
const BYTES_MAX: usize = 32 << 10;
/// Pieces of the slowest client.
const PIECES_MAX: usize = 512;
/// Longer than every wait of a connection.
const ENDS_WITHIN: Duration = Duration::from_secs(600);

/// Request as it was understood.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    method: Method,
    uri: Uri,
    /// The values of one name are in order; names have none among each other.
    headers: HeaderMap,
    /// None where the body does not end, or not as it should.
    body: Option<Bytes>,
}

/// Requests and statuses of a connection.
#[derive(Debug)]
struct Outcome {
    seen: Vec<Seen>,
    statuses: Vec<u16>,
}

/// Checks the bytes of one connection.
pub fn check(input: &[u8]) {
    // HTTP/2 begins so.
    if input.len() > BYTES_MAX || input.starts_with(b"PRI ") {
        return;
    }
    let expected = strict::read(input);
    for piece_bytes in [input.len(), input.len().div_ceil(PIECES_MAX)] {
        let Outcome { seen, statuses } = outcome(input, piece_bytes);
        assert_eq!(seen, expected.seen, "served, and found by a strict reader");
        let complete = seen.iter().take_while(|it| it.body.is_some()).count();
        let (served, refused) = statuses.split_at(complete.min(statuses.len()));
        let is_served = served.len() == complete && served.iter().all(|it| *it == 200);
        assert!(is_served, "{statuses:?}");
        let is_refused = |it: &u16| (400..500).contains(it);
        assert!(
            refused.len() <= 1 && refused.iter().all(is_refused),
            "{statuses:?}"
        );
        assert!(
            !expected.is_refused || !refused.is_empty(),
            "it is closed without a word"
        );
    }
}

/// Sends bytes in pieces, and closes the client's side when all is answered.
fn outcome(input: &[u8], piece_bytes: usize) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without sockets");
    runtime.block_on(async {
        let config = Config {
            connections_max: 1,
            per_address_max: 1,
            ..Config::default()
        };
        let connections = Arc::new(Connections::new(&config));
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let place = connections
            .admit(peer, &config)
            .await
            .expect("it is the first");
        let (client, server) = tokio::io::duplex(BYTES_MAX);
        let (mut said, mut saying) = tokio::io::split(client);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let answer = {
            let seen = Arc::clone(&seen);
            move |request| answer(Arc::clone(&seen), request)
        };
        let stop = CancellationToken::new();
        let serving = connection::serve(server, &config, answer, place, stop);
        let sending = async {
            for piece in input.chunks(piece_bytes.max(1)) {
                if saying.write_all(piece).await.is_err() {
                    return;
                }
                // Under paused time, this ends when there is nothing else to do.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let _ = saying.shutdown().await;
        };
        let mut answers = Vec::new();
        let reading = async {
            let _ = said.read_to_end(&mut answers).await;
        };
        let all = async { tokio::join!(serving, sending, reading) };
        let ended = tokio::time::timeout(ENDS_WITHIN, all).await;
        ended.expect("the connection ends");
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Outcome {
            seen,
            statuses: statuses(&answers),
        }
    })
}

async fn answer(seen: Arc<Mutex<Vec<Seen>>>, request: http::Request<Lingering>) -> HttpResponse {
    let (parts, body) = request.into_parts();
    let request = Seen {
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        body: None,
    };
    let at = {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push(request);
        seen.len() - 1
    };
    let body = body.collect().await.ok();
    let mut reply = HttpResponse::default();
    match body {
        Some(body) => {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen[at].body = Some(body.to_bytes());
        }
        None => *reply.status_mut() = StatusCode::BAD_REQUEST,
    }
    reply
}

/// The final statuses of a connection's answers.
fn statuses(mut answers: &[u8]) -> Vec<u16> {
    let mut statuses = Vec::new();
    while !answers.is_empty() {
        let end = answers
            .windows(4)
            .position(|it| it == b"\r\n\r\n")
            .expect("an answer has a head");
        let head = std::str::from_utf8(&answers[..end]).expect("the head is text");
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok());
        let status: u16 = status.expect("the answer has a status");
        let length = head
            .lines()
            .filter_map(|it| it.strip_prefix("content-length: "))
            .next();
        let length: usize = length.map_or(0, |it| it.parse().expect("a length is a number"));
        answers = &answers[(end + 4 + length).min(answers.len())..];
        if status >= 200 {
            statuses.push(status);
        }
    }
    statuses
}
