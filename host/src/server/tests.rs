//! There is one place for a connection, and a bad client has it: a good one gets it in the end.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use super::*;

const GOOD: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
const LARGE_BYTES: usize = 32 << 20;

struct Running {
    address: SocketAddr,
    /// Notified of each request that begins.
    begun: Arc<Notify>,
    _serving: AbortOnDropHandle<()>,
}

async fn running(ping_time: Duration) -> Running {
    running_with(Config {
        connections_max: 1,
        per_address_max: 1,
        head_time: Duration::from_millis(100),
        idle_time: Duration::from_millis(200),
        ping_time,
        parting_time: Duration::from_millis(50),
        ..Config::default()
    })
    .await
}

async fn running_with(config: Config) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let begun = Arc::new(Notify::new());
    let begins = Arc::clone(&begun);
    let answer = move |request: http::Request<Lingering>| {
        begins.notify_one();
        answer(request)
    };
    let listeners = vec![Listener {
        socket: listener,
        tls: None,
    }];
    let serving = tokio::spawn(serve(listeners, config, answer, std::future::pending()));
    Running {
        address,
        begun,
        _serving: AbortOnDropHandle::new(serving),
    }
}

/// A server with one slot for both its listeners; returns the address of the one with TLS too.
async fn running_with_tls(config: Config) -> (Running, SocketAddr) {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/certificates/server");
    let certificate = crate::config::TlsCertificate {
        certificate: format!("{dir}.pem").into(),
        key: format!("{dir}.key").into(),
    };
    let certificates = Certificates::open(&[certificate]).unwrap();
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tls = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addresses = [&plain, &tls].map(|it| it.local_addr().unwrap());
    let listeners = vec![
        Listener {
            socket: plain,
            tls: None,
        },
        Listener {
            socket: tls,
            tls: Some(certificates.acceptor()),
        },
    ];
    let serving = tokio::spawn(serve(listeners, config, answer, std::future::pending()));
    let running = Running {
        address: addresses[0],
        begun: Arc::default(),
        _serving: AbortOnDropHandle::new(serving),
    };
    (running, addresses[1])
}

#[tokio::test]
async fn client_without_handshake_is_disconnected() {
    let config = || Config {
        connections_max: 1,
        per_address_max: 1,
        head_time: Duration::from_millis(100),
        idle_time: Duration::from_secs(600),
        ..Config::default()
    };
    let (running, tls) = running_with_tls(config()).await;
    for said in [&b""[..], b"\x16\x03\x01\x02"] {
        let mut silent = TcpStream::connect(tls).await.unwrap();
        silent.write_all(said).await.unwrap();
        require_answer(&running).await;
        drop(silent);
    }
    let proxies = vec![Network::try_from("127.0.0.1".to_owned()).unwrap()];
    let running = running_with(Config {
        trusted_proxies: proxies,
        proxy_protocol: true,
        ..config()
    })
    .await;
    for said in [&b""[..], b"PROXY TCP4 192.0.2.1 "] {
        let silent = open(&running, said).await;
        let good = [b"PROXY UNKNOWN\r\n", GOOD].concat();
        let said = rest(open(&running, &good).await).await;
        assert!(said.ends_with(b"answered"), "{said:?}");
        drop(silent);
    }
}

async fn received(body: Lingering) -> HttpResponse {
    if body.collect().await.is_ok() {
        return HttpResponse::new("answered".into());
    }
    let mut refused = HttpResponse::default();
    *refused.status_mut() = http::StatusCode::BAD_REQUEST;
    refused
}

async fn answer(request: http::Request<Lingering>) -> HttpResponse {
    match request.uri().path() {
        "/slow" => tokio::time::sleep(Duration::from_millis(1_000)).await,
        "/body" => return received(request.into_body()).await,
        "/stream" => {
            let frame = || Ok(http_body::Frame::data(Bytes::from(vec![b'x'; 1 << 16])));
            let frames = futures_util::stream::repeat_with(frame);
            let body = http_body_util::StreamBody::new(frames);
            return HttpResponse::new(crate::payload::Body::streamed(body));
        }
        "/large" => return HttpResponse::new(Bytes::from(vec![b'x'; LARGE_BYTES]).into()),
        _ => {}
    }
    HttpResponse::new("answered".into())
}

async fn open(running: &Running, said: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(said).await.unwrap();
    stream
}

/// Bytes received until either side closes the connection.
async fn rest(mut stream: TcpStream) -> Bytes {
    let mut said = Vec::new();
    let reading = stream.read_to_end(&mut said);
    let _ = tokio::time::timeout(Duration::from_secs(20), reading)
        .await
        .expect("the connection ends");
    said.into()
}

async fn require_answer(running: &Running) {
    let said = rest(open(running, GOOD).await).await;
    assert!(said.ends_with(b"answered"), "{said:?}");
}

#[tokio::test]
async fn silent_client_is_disconnected() {
    let running = running(Duration::from_secs(60)).await;
    // An empty SETTINGS frame is all that an HTTP/2 client must say.
    let http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let cases: [&[u8]; 6] = [
        b"",
        b"G",
        b"PRI * HTTP/2.0\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n",
        http2,
    ];
    for said in cases {
        let bad = open(&running, said).await;
        require_answer(&running).await;
        drop(bad);
    }
}

#[tokio::test]
async fn pings_do_not_keep_a_connection() {
    let running = running(Duration::from_secs(60)).await;
    let mut bad = open(
        &running,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    )
    .await;
    let pinging = async {
        while bad
            .write_all(b"\0\0\x08\x06\0\0\0\0\0pingping")
            .await
            .is_ok()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = require_answer(&running) => {}
        () = pinging => require_answer(&running).await,
    }
}

#[tokio::test]
async fn client_not_reading_is_disconnected() {
    let running = running(Duration::from_secs(60)).await;
    let bad = open(&running, b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    require_answer(&running).await;
    assert!(rest(bad).await.len() < LARGE_BYTES);
}

#[tokio::test]
async fn client_reading_slowly_is_disconnected() {
    let running = running(Duration::from_secs(60)).await;
    let mut bad = open(&running, b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let mut buffer = [0; 100];
    let dripping = async {
        while bad.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = require_answer(&running) => {}
        () = dripping => require_answer(&running).await,
    }
}

#[tokio::test]
async fn client_without_window_is_disconnected() {
    let running = running(Duration::from_secs(60)).await;
    // SETTINGS with a window of no bytes for every stream.
    let mut bad = open(
        &running,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0",
    )
    .await;
    let asking = async {
        for stream in (1_u32..).step_by(2) {
            let head = [
                b"\0\0\x03\x01\x05",
                &stream.to_be_bytes()[..],
                b"\x82\x86\x84",
            ];
            if bad.write_all(&head.concat()).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    };
    tokio::select! {
        () = require_answer(&running) => {}
        () = asking => require_answer(&running).await,
    }
}

#[tokio::test]
async fn silent_http2_client_is_pinged_and_closed() {
    let running = running(Duration::from_millis(50)).await;
    let slow = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\
        \0\0\x09\x01\x05\0\0\0\x01\x82\x86\x04\x05/slow";
    // It waits for its answer and says nothing to the pings.
    let said = rest(open(&running, slow).await).await;
    let answered = said.windows(8).any(|window| window == b"answered");
    assert!(!answered, "{said:?}");
    require_answer(&running).await;
}

#[tokio::test]
async fn long_response_is_sent_whole() {
    let running = running(Duration::from_secs(60)).await;
    let slow = b"GET /slow HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let said = rest(open(&running, slow).await).await;
    assert!(said.ends_with(b"answered"), "{said:?}");
    let large = b"GET /large HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    assert!(rest(open(&running, large).await).await.len() > LARGE_BYTES);
}

const KEPT: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Reads one answer, and keeps the connection.
async fn answered(stream: &mut TcpStream) {
    let mut said = Vec::new();
    while !said.ends_with(b"answered") {
        let mut piece = [0; 1_024];
        let count = stream.read(&mut piece).await.unwrap();
        assert_ne!(count, 0, "{said:?}");
        said.extend_from_slice(&piece[..count]);
    }
}

#[tokio::test]
async fn head_left_in_part_ends_kept_connection() {
    let running = running_with(Config {
        head_time: Duration::from_millis(100),
        parting_time: Duration::from_millis(50),
        idle_time: Duration::from_secs(600),
        ..Config::default()
    })
    .await;
    for part in [&b"G"[..], b"\r", b"GET / HTTP/1.1\r\nhost: loc"] {
        let mut kept = open(&running, KEPT).await;
        answered(&mut kept).await;
        kept.write_all(part).await.unwrap();
        assert_eq!(rest(kept).await, "", "{part:?}");
    }
}

#[tokio::test]
async fn head_in_two_parts_is_answered() {
    let running = running(Duration::from_secs(60)).await;
    let (first, second) = GOOD.split_at(20);
    let mut stream = open(&running, first).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    stream.write_all(second).await.unwrap();
    let said = rest(stream).await;
    assert!(said.ends_with(b"answered"), "{said:?}");
}

#[tokio::test]
async fn address_with_its_share_loses_its_least_active_connection() {
    let running = running_with(Config {
        connections_max: 100,
        per_address_max: 2,
        ..Config::default()
    })
    .await;
    let mut oldest = open(&running, KEPT).await;
    answered(&mut oldest).await;
    let mut other = open(&running, KEPT).await;
    answered(&mut other).await;
    // The first one asks again, so the other is the least active.
    oldest.write_all(KEPT).await.unwrap();
    answered(&mut oldest).await;
    let mut new = open(&running, KEPT).await;
    answered(&mut new).await;
    assert_eq!(rest(other).await, "", "it was closed");
    for stream in [&mut oldest, &mut new] {
        stream.write_all(KEPT).await.unwrap();
        answered(stream).await;
    }
}

#[tokio::test]
async fn address_that_is_answered_on_all_its_connections_gets_no_more() {
    let running = running_with(Config {
        connections_max: 100,
        per_address_max: 1,
        ..Config::default()
    })
    .await;
    let slow = b"GET /slow HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let busy = open(&running, slow).await;
    running.begun.notified().await;
    let mut refused = TcpStream::connect(running.address).await.unwrap();
    let mut said = Vec::new();
    let _ = refused.read_to_end(&mut said).await;
    assert_eq!(said, b"");
    assert!(rest(busy).await.ends_with(b"answered"));
}

#[tokio::test]
async fn trusted_proxy_has_any_number_of_connections() {
    let running = running_with(Config {
        connections_max: 100,
        per_address_max: 1,
        trusted_proxies: vec![Network::try_from("127.0.0.0/8".to_owned()).unwrap()],
        ..Config::default()
    })
    .await;
    let mut first = open(&running, KEPT).await;
    answered(&mut first).await;
    let mut second = open(&running, KEPT).await;
    answered(&mut second).await;
    first.write_all(KEPT).await.unwrap();
    answered(&mut first).await;
}

/// Heads, and what follows them, that a proxy and this host could part differently.
const AMBIGUOUS: [&str; 27] = [
    // Line ends and white space.
    "POST /body HTTP/1.1\nhost: a\r\n\r\n",
    "POST /body HTTP/1.1\r\nhost: a\n\r\n",
    "POST /body HTTP/1.1\r\nhost: a\r\n\n",
    "POST /body HTTP/1.1\r\nhost: a\rx: b\r\n\r\n",
    "POST /body HTTP/1.1\r\nhost: a\r\n b\r\n\r\n",
    "POST /body HTTP/1.1\r\nhost: a\r\n\tb\r\n\r\n",
    "POST /body HTTP/1.1\r\n host: a\r\n\r\n",
    "POST /body HTTP/1.1\r\nhost : a\r\n\r\n",
    "POST /body HTTP/1.1\r\nhost: a\r\nx: \0\r\n\r\n",
    "POST /body HTTP/1.1\r\nhost: a\r\nx\r\n\r\n",
    // Lengths.
    "POST /body HTTP/1.1\r\ncontent-length: 0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /body HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 0\r\n\r\n0\r\n\r\n",
    "POST /body HTTP/1.1\r\ncontent-length: 0\r\ncontent-length: 0\r\n\r\n",
    "POST /body HTTP/1.1\r\ncontent-length: 0\r\ncontent-length: 5\r\n\r\n",
    "POST /body HTTP/1.1\r\ncontent-length: 0, 0\r\n\r\n",
    "POST /body HTTP/1.1\r\ncontent-length: +0\r\n\r\n",
    "POST /body HTTP/1.1\r\ncontent-length:\r\n\r\n",
    // Encodings.
    "POST /body HTTP/1.1\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "POST /body HTTP/1.1\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /body HTTP/1.1\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "POST /body HTTP/1.1\r\ntransfer-encoding: identity\r\n\r\n",
    "POST /body HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    // Chunks.
    "POST /body HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0x0\r\n\r\n",
    "POST /body HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\n\r\n",
    "POST /body HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0;a\nb\r\n\r\n",
    "POST /body HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\naa\r\n0\r\n\r\n",
    "POST /body HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n00000000000000000\r\n\r\n",
];

#[tokio::test]
async fn ambiguous_request_ends_its_connection() {
    let running = running_with(Config::default()).await;
    for ambiguous in AMBIGUOUS {
        let sent = [ambiguous.as_bytes(), GOOD].concat();
        let said = rest(open(&running, &sent).await).await;
        assert!(said.starts_with(b"HTTP/1.1 400"), "{ambiguous:?}: {said:?}");
        let text = String::from_utf8_lossy(&said);
        assert!(!text.contains("answered"), "{ambiguous:?}: {text}");
    }
    for plain in [
        "POST /body HTTP/1.1\r\nhost: a\r\ntransfer-encoding: Chunked\r\n\r\n1;a=b\r\nx\r\n0\r\nx: y\r\n\r\n",
        "\r\nPOST /body HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n\n\n",
    ] {
        let sent = [plain.as_bytes(), GOOD].concat();
        let said = rest(open(&running, &sent).await).await;
        let text = String::from_utf8_lossy(&said);
        assert_eq!(text.matches("answered").count(), 2, "{plain:?}: {text}");
    }
}

#[tokio::test]
async fn flood_of_frames_that_ask_for_nothing_is_closed() {
    let running = running_with(Config {
        idle_time: Duration::from_secs(600),
        ..Config::default()
    })
    .await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for frame in [
        &b"\0\0\x08\x06\0\0\0\0\0pingping"[..],
        b"\0\0\0\x04\0\0\0\0\0",
    ] {
        let (mut said, mut saying) = open(&running, preface).await.into_split();
        let frames = frame.repeat(4_096);
        let flooding = async { while saying.write_all(&frames).await.is_ok() {} };
        let reading = async {
            let mut dropped = vec![0; 1 << 16];
            while said.read(&mut dropped).await.is_ok_and(|count| count > 0) {}
        };
        let closed = async { tokio::join!(flooding, reading) };
        let closed = tokio::time::timeout(Duration::from_secs(60), closed).await;
        closed.expect("the connection is closed");
    }
}

/// Sends a preface and then these bytes again and again, until the host closes the connection.
async fn flooded(running: &Running, begin: &[u8], next: impl Fn(u32) -> Vec<u8>) {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let (mut said, mut saying) = open(running, &[preface, begin].concat()).await.into_split();
    let flooding = async {
        for number in 0.. {
            if saying.write_all(&next(number)).await.is_err() {
                return;
            }
        }
    };
    let reading = async {
        let mut dropped = vec![0; 1 << 16];
        while said.read(&mut dropped).await.is_ok_and(|count| count > 0) {}
    };
    let closed = async { tokio::join!(flooding, reading) };
    let closed = tokio::time::timeout(Duration::from_secs(60), closed).await;
    closed.expect("the connection is closed");
}

#[tokio::test]
async fn http2_client_that_resets_its_streams_is_closed() {
    let running = running_with(Config::default()).await;
    flooded(&running, b"", |number| {
        let stream = (2 * number + 1).to_be_bytes();
        let head = [b"\0\0\x03\x01\x05", &stream[..], b"\x82\x86\x84"].concat();
        [&head[..], b"\0\0\x04\x03\0", &stream[..], b"\0\0\0\x08"].concat()
    })
    .await;
    require_answer(&running).await;
}

#[tokio::test]
async fn http2_head_without_end_is_closed() {
    let running = running_with(Config::default()).await;
    // HEADERS without END_HEADERS, then CONTINUATION frames with a new field each.
    let begin = b"\0\0\x03\x01\x01\0\0\0\x01\x82\x86\x84";
    flooded(&running, begin, |number| {
        let field = format!("\0\x08x{number:07}\x01v");
        let size = u8::try_from(field.len()).unwrap();
        [&[0, 0, size, 9, 0, 0, 0, 0, 1], field.as_bytes()].concat()
    })
    .await;
    require_answer(&running).await;
}

#[tokio::test]
async fn http2_connection_with_invalid_window_updates_is_closed() {
    let running = running_with(Config::default()).await;
    let update = |size: u32| [b"\0\0\x04\x08\0\0\0\0\0", &size.to_be_bytes()[..]].concat();
    // A window beyond 2^31 - 1 bytes, and one of no bytes.
    for size in [0x7fff_ffff, 0] {
        flooded(&running, b"", |_| update(size)).await;
    }
    require_answer(&running).await;
}

#[tokio::test]
async fn early_response_keeps_the_connection() {
    let running = running_with(Config::default()).await;
    let length = 8 << 20;
    let head = format!("POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n");
    let mut stream = open(&running, head.as_bytes()).await;
    answered(&mut stream).await;
    stream.write_all(&vec![b'x'; length]).await.unwrap();
    stream.write_all(GOOD).await.unwrap();
    let said = rest(stream).await;
    assert!(said.ends_with(b"answered"), "{said:?}");
}

/// A host with room for one large response that is not taken.
async fn with_room_for_one() -> Running {
    running_with(Config {
        untaken_bytes_max: LARGE_BYTES as u64 * 3 / 2,
        idle_time: Duration::from_secs(600),
        ..Config::default()
    })
    .await
}

const GOOD_LARGE: &[u8] = b"GET /large HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn response_without_reader_is_cut_off_at_the_bound() {
    let running = with_room_for_one().await;
    let mut stalled = open(&running, GOOD_LARGE).await;
    stalled.read_exact(&mut [0; 1]).await.unwrap();
    // The stalled one holds most of the bound, and this one would hold more than the rest.
    assert!(rest(open(&running, GOOD_LARGE).await).await.len() > LARGE_BYTES);
    assert!(rest(stalled).await.len() < LARGE_BYTES);
}

#[tokio::test]
async fn http2_client_without_window_is_closed_at_the_bound() {
    let running = with_room_for_one().await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0";
    let mut stalled = open(&running, preface).await;
    for stream in [1_u32, 3, 5] {
        // GET of a path that is not indexed.
        let head = [
            b"\0\0\x0a\x01\x05",
            &stream.to_be_bytes()[..],
            b"\x82\x86\x04\x06/large",
        ];
        let _closed = stalled.write_all(&head.concat()).await;
    }
    rest(stalled).await;
    require_answer(&running).await;
}

#[tokio::test]
async fn client_that_stops_reading_a_stream_is_disconnected() {
    let running = running(Duration::from_secs(60)).await;
    let stalled = open(&running, b"GET /stream HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    require_answer(&running).await;
    drop(stalled);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0\
        \0\0\x0b\x01\x05\0\0\0\x01\x82\x86\x04\x07/stream";
    let stalled = open(&running, preface).await;
    require_answer(&running).await;
    rest(stalled).await;
}

/// An HTTP/2 frame of stream 1.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
}

/// Outcomes of a request body whose first four bytes are followed by this frame.
async fn outcome_of_body(length: Option<u8>, end: &[u8]) -> Result<Bytes, String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (outcomes, mut outcome) = tokio::sync::mpsc::unbounded_channel();
    let answer = move |request: http::Request<Lingering>| {
        // In a task, because a reset ends the answer.
        let outcomes = outcomes.clone();
        tokio::spawn(async move {
            let body = request.into_body().collect().await;
            let body = body.map(http_body_util::Collected::to_bytes);
            outcomes
                .send(body.map_err(|error| error.to_string()))
                .unwrap();
        });
        std::future::pending()
    };
    let listeners = vec![Listener {
        socket: listener,
        tls: None,
    }];
    let serving = serve(listeners, Config::default(), answer, std::future::pending());
    let _serving = AbortOnDropHandle::new(tokio::spawn(serving));
    // POST, http, /, and the authority.
    let mut head = b"\x83\x86\x84\x41\x01a".to_vec();
    if let Some(length) = length {
        head.extend([0x0f, 0x0d, 1, length]);
    }
    let sent = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        &*frame(1, 4, &head),
        &frame(0, 0, b"four"),
        end,
    ];
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&sent.concat()).await.unwrap();
    outcome.recv().await.unwrap()
}

#[tokio::test]
async fn http2_body_that_is_reset_is_incomplete() {
    let reset = |code: u8| frame(3, 0, &[0, 0, 0, code]);
    let end = frame(0, 1, b"");
    let trailers = frame(1, 5, b"\x00\x01x\x01y");
    for end in [&end, &trailers] {
        assert_eq!(outcome_of_body(None, end).await.unwrap(), "four");
    }
    assert_eq!(outcome_of_body(Some(b'4'), &end).await.unwrap(), "four");
    for (length, end) in [
        (None, reset(0)),
        (Some(b'8'), reset(0)),
        (Some(b'4'), reset(0)),
    ] {
        let error = outcome_of_body(length, &end).await.unwrap_err();
        assert!(error.contains("before it was complete"), "{error}");
    }
    assert!(outcome_of_body(None, &reset(8)).await.is_err());
    assert!(outcome_of_body(Some(b'8'), &end).await.is_err());
}
