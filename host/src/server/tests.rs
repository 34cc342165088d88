//! There is one place for a connection, and a bad client has it: a good one gets it in the end.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

use super::*;

const GOOD: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
const LARGE_BYTES: usize = 32 << 20;

struct Running {
    address: SocketAddr,
    _serving: AbortOnDropHandle<()>,
}

async fn running(ping_time: Duration) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let config = Config {
        connections_max: 1,
        head_time: Duration::from_millis(100),
        idle_time: Duration::from_millis(200),
        ping_time,
        parting_time: Duration::from_millis(50),
        ..Config::default()
    };
    let answer = async |request: http::Request<Incoming>| {
        match request.uri().path() {
            "/slow" => tokio::time::sleep(Duration::from_millis(1_000)).await,
            "/large" => return Reply::new(Full::from(vec![b'x'; LARGE_BYTES])),
            _ => {}
        }
        Reply::new(Full::from("answered"))
    };
    let serving = tokio::spawn(serve(listener, config, answer, std::future::pending()));
    Running {
        address,
        _serving: AbortOnDropHandle::new(serving),
    }
}

async fn open(running: &Running, said: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(said).await.unwrap();
    stream
}

/// What is said until the connection ends, by whatever side.
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
async fn who_asks_nothing_makes_room() {
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
async fn who_does_not_take_an_answer_makes_room() {
    let running = running(Duration::from_secs(60)).await;
    let bad = open(&running, b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    require_answer(&running).await;
    assert!(rest(bad).await.len() < LARGE_BYTES);
}

#[tokio::test]
async fn who_takes_an_answer_slowly_makes_room() {
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
async fn who_opens_no_window_makes_room() {
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
async fn a_silent_http2_client_is_asked_and_cut_off() {
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
async fn a_long_answer_is_waited_for() {
    let running = running(Duration::from_secs(60)).await;
    let slow = b"GET /slow HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let said = rest(open(&running, slow).await).await;
    assert!(said.ends_with(b"answered"), "{said:?}");
    let large = b"GET /large HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    assert!(rest(open(&running, large).await).await.len() > LARGE_BYTES);
}
