//! Memory of unread responses and downloads.

use std::collections::BTreeMap;
use std::convert::Infallible;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::harness::{Lamina, guest, zipped};
use crate::layers::publish;

const PACKAGE_BYTES: usize = 40 << 20;
const DOWNLOADS: usize = 60;
/// Growth of the host's memory with all of them.
const GROWTH_KIB_MAX: u64 = 100_000;
/// Connections with unread responses, the responses on each, and the size of each.
const CONNECTIONS: usize = 12;
const RESPONSES: usize = 10;
const RESPONSE_BYTES: usize = 6_000_000;
/// Growth of the host's memory with all of them. Its bound on unread responses is 128 MiB; what guests, their logs
/// and responses on their way take comes on top. All of them together are 720 MB.
const RESPONSES_KIB_MAX: u64 = 320_000;

/// A host with a large layer, its package, and the path of its download link.
async fn with_package() -> (Lamina, Vec<u8>, String) {
    let host = Lamina::start();
    // Bytes that are not all alike, so that parts in a wrong order would be seen.
    let content: Vec<u8> = (0..PACKAGE_BYTES / 4)
        .flat_map(|number| u32::try_from(number).expect("it is small").to_le_bytes())
        .collect();
    let package = zipped(&content);
    let made = publish(&host, "l", &package, json!({})).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let link = made.json()["Content"]["Location"]
        .as_str()
        .expect("a link")
        .trim_start_matches(&host.endpoint())
        .to_owned();
    (host, package, link)
}

/// An HTTP/2 connection whose client opens hardly any window.
async fn unreading<B>(host: &Lamina) -> (http2::SendRequest<B>, JoinHandle<hyper::Result<()>>)
where
    B: hyper::body::Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
{
    let stream = TcpStream::connect(host.address).await.expect("it listens");
    let (send, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(1_024)
        .handshake(TokioIo::new(stream))
        .await
        .expect("HTTP/2");
    (send, tokio::spawn(connection))
}

#[tokio::test]
async fn unread_responses_take_bounded_memory() {
    let host = Lamina::start();
    host.create("f", &guest("hostile"), json!({"Timeout": 60}))
        .await;
    let event = json!({"do": "return", "bytes": RESPONSE_BYTES});
    let whole = host.invoke("f", &event).await;
    assert!(whole.body.len() >= RESPONSE_BYTES, "{}", whole.status);
    let (before, mut unread, mut connections) = (host.peak_kib(), Vec::new(), Vec::new());
    for _ in 0..CONNECTIONS {
        let (mut send, connection) = unreading(&host).await;
        for _ in 0..RESPONSES {
            let uri = host.endpoint() + "/2015-03-31/functions/f/invocations";
            let request = Request::post(uri).body(Full::<Bytes>::from(event.to_string()));
            send.ready().await.expect("the connection is open");
            let response = send.send_request(request.expect("it is well-formed")).await;
            let response = response.expect("it answers");
            assert_eq!(response.status(), 200);
            unread.push(response.into_body());
        }
        connections.push((send, connection));
    }
    host.health().await;
    let grown = host.peak_kib().saturating_sub(before);
    assert!(grown < RESPONSES_KIB_MAX, "{grown} KiB");
    // The connections without progress for the longest were closed.
    assert!(connections[0].1.is_finished() && !connections[CONNECTIONS - 1].1.is_finished());
}

#[tokio::test]
async fn unread_downloads_take_little_memory() {
    let (host, package, link) = with_package().await;
    let whole = host.send("GET", &link, &[], "").await;
    assert!(whole.body == package, "the package is another");
    let before = host.resident_kib();
    let mut unread = Vec::new();
    for _ in 0..DOWNLOADS {
        let mut stream = TcpStream::connect(host.address).await.expect("it listens");
        let request = format!("GET {link} HTTP/1.1\r\nhost: {}\r\n\r\n", host.address);
        let sent = stream.write_all(request.as_bytes()).await;
        sent.expect("it is taken");
        stream
            .read_exact(&mut [0; 1_024])
            .await
            .expect("it answers");
        unread.push(stream);
    }
    host.health().await;
    let grown = host.resident_kib().saturating_sub(before);
    assert!(grown < GROWTH_KIB_MAX, "{grown} KiB");
}

#[tokio::test]
async fn unread_downloads_over_one_connection_take_little_memory() {
    let (host, package, link) = with_package().await;
    let before = host.resident_kib();
    let (mut send, connection) = unreading(&host).await;
    let mut unread = BTreeMap::new();
    for number in 0..DOWNLOADS {
        let uri = host.endpoint() + &link;
        let request = Request::get(uri).body(Empty::<Bytes>::new());
        send.ready().await.expect("the connection is open");
        let response = send.send_request(request.expect("it is well-formed")).await;
        let response = response.expect("it answers");
        assert_eq!(response.status(), 200);
        unread.insert(number, response.into_body());
    }
    host.health().await;
    let grown = host.resident_kib().saturating_sub(before);
    assert!(grown < GROWTH_KIB_MAX, "{grown} KiB");
    let first = unread.remove(&0).expect("it is there");
    let first = first.collect().await.expect("it is whole").to_bytes();
    assert!(first == package, "the package is another");
    connection.abort();
}

#[tokio::test]
async fn package_being_downloaded_is_not_collected() {
    let (host, package, link) = with_package().await;
    let mut stream = TcpStream::connect(host.address).await.expect("it listens");
    let request = format!(
        "GET {link} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
        host.address
    );
    stream
        .write_all(request.as_bytes())
        .await
        .expect("it is taken");
    stream
        .read_exact(&mut [0; 1_024])
        .await
        .expect("it answers");
    let path = "/2018-10-31/layers/l/versions/1";
    let deleted = host.lambda("DELETE", path, &Value::Null).await;
    assert_eq!(deleted.status, 204, "{}", deleted.text());
    // A package that is not held is collected: of that one the files are gone first.
    let other = publish(&host, "other", &zipped(b"other"), json!({})).await;
    assert_eq!(other.status, 201);
    let path = "/2018-10-31/layers/other/versions/1";
    assert_eq!(host.lambda("DELETE", path, &Value::Null).await.status, 204);
    crate::collection::require_packages(&host, 1).await;
    let mut taken = Vec::new();
    stream.read_to_end(&mut taken).await.expect("it ends");
    assert!(taken.ends_with(&package[package.len() - 1_024..]));
    assert!(taken.len() + 1_024 > package.len());
}
