//! Request bodies of function URLs, read by functions while clients send them.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::harness::{Lamina, guest};
use crate::response_streams::{free_again, logged, reserve_one};
use crate::urls::url_of;

/// Body of unknown length, fed by a test.
struct Fed(mpsc::Receiver<Bytes>);

impl Body for Fed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = self.0.poll_recv(cx);
        bytes.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

#[derive(Clone, Copy, Debug)]
pub enum Protocol {
    Http1,
    Http2,
}

async fn started(name: &str, invoke_mode: &str) -> (Lamina, String) {
    let host = Lamina::start();
    host.create("f", &guest(name), json!({"Timeout": 300}))
        .await;
    let domain = url_of(&host, "f", json!({"InvokeMode": invoke_mode})).await;
    (host, domain)
}

pub async fn respond(
    protocol: Protocol,
    host: &Lamina,
    domain: &str,
    path: &str,
    body: mpsc::Receiver<Bytes>,
) -> Response<Incoming> {
    let mut client = Client::builder(TokioExecutor::new());
    client.http2_only(matches!(protocol, Protocol::Http2));
    let request = Request::post(format!("{}{path}", host.endpoint())).header("host", domain);
    let request = request.body(Fed(body)).expect("well-formed");
    let response = client.build_http().request(request);
    response.await.expect("the host answers")
}

/// Sends as many mebibytes.
async fn upload(
    protocol: Protocol,
    host: &Lamina,
    domain: &str,
    path: &str,
    mebibytes: usize,
) -> Response<Incoming> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let mebibyte = Bytes::from(vec![b'x'; 1 << 20]);
        for _ in 0..mebibytes {
            if sender.send(mebibyte.clone()).await.is_err() {
                return;
            }
        }
    });
    respond(protocol, host, domain, path, receiver).await
}

async fn whole(response: Response<Incoming>) -> Bytes {
    let body = response.into_body().collect().await;
    body.expect("it is whole").to_bytes()
}

#[tokio::test]
async fn http_component_reads_request_while_it_is_sent() {
    let (host, domain) = started("http-manners", "RESPONSE_STREAM").await;
    reserve_one(&host).await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let (sender, receiver) = mpsc::channel(1);
        sender.send("one".into()).await.expect("it is read");
        let mut response = respond(protocol, &host, &domain, "/echo", receiver).await;
        let first = response.body_mut().frame().await.expect("a frame");
        let first = first.expect("it arrives").into_data().ok();
        assert_eq!(first.as_deref(), Some(&b"one"[..]), "{protocol:?}");
        // An upload in progress holds its permit.
        assert_eq!(host.invoke("f", &json!({})).await.status, 429);
        sender.send("two".into()).await.expect("it is read");
        drop(sender);
        assert_eq!(whole(response).await, "two");
        free_again(&host).await;
    }
}

#[tokio::test]
async fn large_request_takes_little_memory_of_host() {
    let (host, domain) = started("http-manners", "RESPONSE_STREAM").await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let response = upload(protocol, &host, &domain, "/read", 2).await;
        assert_eq!(whole(response).await, (2 << 20).to_string());
    }
    let before = host.peak_kib();
    // The second one does not read for a while.
    for (protocol, path) in [
        (Protocol::Http1, "/read"),
        (Protocol::Http1, "/read-late"),
        (Protocol::Http2, "/read-late"),
    ] {
        let response = upload(protocol, &host, &domain, path, 64).await;
        assert_eq!(whole(response).await, (64 << 20).to_string());
        let grown = host.peak_kib() - before;
        assert!(
            grown < 40 << 10,
            "{grown} KiB more after {protocol:?} {path}"
        );
    }
}

#[tokio::test]
async fn request_left_unread_is_answered() {
    let (host, domain) = started("http-manners", "RESPONSE_STREAM").await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let response = upload(protocol, &host, &domain, "/nothing", 20).await;
        assert_eq!(response.status(), 204, "{protocol:?}");
    }
}

#[tokio::test]
async fn function_reads_error_after_client_disconnects() {
    let (host, domain) = started("http-manners", "RESPONSE_STREAM").await;
    reserve_one(&host).await;
    let mut client = TcpStream::connect(host.address).await.expect("it listens");
    let request = format!(
        "POST /begin-and-read HTTP/1.1\r\nhost: {domain}\r\n\
         transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"
    );
    let sent = client.write_all(request.as_bytes()).await;
    sent.expect("the host reads");
    let mut received = Vec::new();
    while !received.ends_with(b"begun\r\n") {
        let read = client.read_buf(&mut received).await;
        assert_ne!(read.expect("the host answers"), 0);
    }
    drop(client);
    free_again(&host).await;
    assert_eq!(
        logged(&host, "read 4 ErrorCode::ConnectionTerminated").await,
        1
    );
}

#[tokio::test]
async fn stalled_upload_keeps_environment() {
    let (host, domain) = started("http-manners", "RESPONSE_STREAM").await;
    let path = "/2015-03-31/functions/f/configuration";
    let short = host.lambda("PUT", path, &json!({"Timeout": 4})).await;
    assert_eq!(short.status, 200, "{}", short.text());
    host.settled("f").await;
    let (_stalled, receiver) = mpsc::channel(1);
    let response = respond(Protocol::Http1, &host, &domain, "/read", receiver).await;
    assert_eq!(response.status(), 200);
    assert_eq!(whole(response).await, "0 ErrorCode::ConnectionReadTimeout");
    // The second request of the same instance.
    let response = upload(Protocol::Http1, &host, &domain, "/", 0).await;
    assert_eq!(whole(response).await, "2");
}

#[tokio::test]
async fn request_over_200_mib_is_refused_or_interrupted() {
    let (host, domain) = started("http-manners", "RESPONSE_STREAM").await;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let (_sender, receiver) = mpsc::channel(1);
    let request = Request::post(format!("{}/read", host.endpoint()))
        .header("host", &domain)
        .header("content-length", (201_u64 << 20).to_string())
        .body(Fed(receiver));
    let response = client.request(request.expect("well-formed")).await;
    assert_eq!(response.expect("the host answers").status(), 413);
    let response = upload(Protocol::Http2, &host, &domain, "/read", 201).await;
    let status = response.status();
    let text = String::from_utf8_lossy(&whole(response).await).into_owned();
    assert!(text.contains("HttpRequestBodySize"), "{status} {text}");
}

#[tokio::test]
async fn function_of_events_gets_request_whole() {
    for invoke_mode in ["BUFFERED", "RESPONSE_STREAM"] {
        let (host, domain) = started("streaming", invoke_mode).await;
        let wish = json!({"chunks": ["x".repeat(200 << 10)]}).to_string();
        let (sender, receiver) = mpsc::channel(2);
        let (head, tail) = wish.split_at(wish.len() / 2);
        for part in [head.to_owned(), tail.to_owned()] {
            sender.send(part.into()).await.expect("it is kept");
        }
        drop(sender);
        let client = Client::builder(TokioExecutor::new()).build_http();
        let request = Request::post(host.endpoint())
            .header("host", &domain)
            .header("content-type", "application/json");
        let request = request.body(Fed(receiver)).expect("well-formed");
        let response = client.request(request).await.expect("the host answers");
        assert_eq!(response.status(), 200);
        assert_eq!(whole(response).await.len(), 200 << 10);
        let response = upload(Protocol::Http1, &host, &domain, "/", 7).await;
        assert_eq!(response.status(), 413);
    }
}

#[tokio::test]
async fn small_unread_frames_leave_the_connection_open() {
    let (host, domain) = started("http-manners", "RESPONSE_STREAM").await;
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        for _ in 0..30_000 {
            if sender.send("0123456789".into()).await.is_err() {
                return;
            }
        }
    });
    let response = respond(Protocol::Http2, &host, &domain, "/read-late", receiver).await;
    assert_eq!(whole(response).await, "300000");
}
