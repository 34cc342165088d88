//! HTTP/2 connection of a host that drains: the host sends GOAWAY, and serves it to the end of its last request.

use rustix::process::Signal;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Lamina, guest};
use crate::urls::url_of;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEAD_BYTES: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PAYLOAD: &[u8; 8] = b"are you?";

/// Client that writes and reads frames.
struct Client(TcpStream);

struct Frame {
    kind: u8,
    flags: u8,
    payload: Vec<u8>,
}

impl Client {
    async fn connect(host: &Lamina) -> Self {
        let mut client = Self(TcpStream::connect(host.address).await.expect("it listens"));
        let sent = client.0.write_all(PREFACE).await;
        sent.expect("the host reads");
        client.send(SETTINGS, 0, 0, &[]).await;
        client
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("it is short");
        let length = length.to_be_bytes();
        let frame = [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat();
        self.0.write_all(&frame).await.expect("the host reads");
    }

    /// Head of a POST to this path, whose body follows.
    async fn post(&mut self, domain: &str, path: &str) {
        let text = |it: &str| {
            let length = u8::try_from(it.len()).expect("it is short");
            [&[length], it.as_bytes()].concat()
        };
        // HPACK: `:method: POST` and `:scheme: http` of the static table, `:path` and `:authority` with their values.
        let fields = [vec![0x83, 0x86, 0x04], text(path), vec![0x01], text(domain)];
        self.send(HEADERS, END_HEADERS, 1, &fields.concat()).await;
    }

    /// The next frame, if the host has not closed the connection. Pings and settings are acknowledged.
    async fn frame(&mut self) -> Option<Frame> {
        let mut head = [0; HEAD_BYTES];
        self.0.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        match kind {
            SETTINGS if flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]).await,
            PING if flags & ACK == 0 => self.send(PING, ACK, 0, &payload).await,
            _ => {}
        }
        Some(Frame {
            kind,
            flags,
            payload,
        })
    }

    /// Reads until a frame fulfils a condition.
    async fn until(&mut self, is_wanted: impl Fn(&Frame) -> bool) -> Frame {
        loop {
            let frame = self.frame().await.expect("the connection is open");
            if is_wanted(&frame) {
                return frame;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ping_during_drain_is_answered_and_request_ends_whole() {
    let mut host = Lamina::start();
    host.create("f", &guest("http-manners"), json!({"Timeout": 60}))
        .await;
    let domain = url_of(&host, "f", json!({"InvokeMode": "RESPONSE_STREAM"})).await;
    let mut client = Client::connect(&host).await;
    client.post(&domain, "/echo").await;
    client.send(DATA, 0, 1, b"one").await;
    client
        .until(|it| it.kind == DATA && it.payload == b"one")
        .await;
    host.signal(Signal::TERM);
    client.until(|it| it.kind == GOAWAY).await;
    client.send(PING, 0, 0, PAYLOAD).await;
    client
        .until(|it| it.kind == PING && it.flags & ACK != 0 && it.payload == PAYLOAD)
        .await;
    client.send(DATA, END_STREAM, 1, b"two").await;
    client
        .until(|it| it.kind == DATA && it.payload == b"two")
        .await;
    while client.frame().await.is_some() {}
    assert!(host.ended().success());
}
