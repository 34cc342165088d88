//! Faulty S3 servers: not S3, wrong, or silent; and hosts without one. Each ends in one clear error
//! in time, and nothing is created.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{Lamina, guest, zipped};
use crate::s3::{host_of, require_refused, try_create};

/// Behaviour of a server after the request.
#[derive(Clone)]
enum Behaviour {
    /// Sends this and closes.
    Says(Vec<u8>),
    /// Sends this and keeps the connection open.
    Waits(Vec<u8>),
    /// Sends the first, then the second forever.
    GoesOn(Vec<u8>, Vec<u8>),
}

/// Server with one behaviour for every request; it counts them.
struct Server {
    endpoint: String,
    asked: Arc<AtomicUsize>,
}

impl Server {
    async fn start(then: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(answer(stream, then.clone()));
            }
        });
        Self {
            endpoint: format!("http://{address}"),
            asked,
        }
    }

    async fn saying(text: &str) -> Self {
        Self::start(Behaviour::Says(text.as_bytes().to_vec())).await
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn answer(mut stream: TcpStream, then: Behaviour) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    // Write errors are expected: the host hangs up.
    match then {
        Behaviour::Says(bytes) => drop(stream.write_all(&bytes).await),
        Behaviour::Waits(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.read_u8().await;
        }
        Behaviour::GoesOn(first, more) => {
            let mut sent = stream.write_all(&first).await;
            while sent.is_ok() {
                sent = stream.write_all(&more).await;
            }
        }
    }
}

fn ok(length: u64) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nETag: \"e\"\r\n\r\n").into_bytes()
}

fn code() -> serde_json::Value {
    json!({"S3Bucket": "bucket", "S3Key": "key.zip"})
}

const NOT_S3: &str = "Error occurred while GetObject. The S3 endpoint of this host does not answer \
                      as S3 does. See the host's log.";
const UNREACHABLE: &str = "Error occurred while GetObject. The S3 endpoint of this host could not be \
                           reached. See the host's log.";
const TOO_LARGE: &str = "Zipped size must be smaller than 262144000 bytes";
const IS_LAMBDA: &str = "Error occurred while GetObject. The S3 endpoint of this host answers as AWS \
                         Lambda does; it may be the host's own address. Set endpoint under [s3] in \
                         lamina.toml, or AWS_ENDPOINT_URL_S3.";

#[tokio::test]
async fn unconfigured_s3_error_names_settings() {
    let host = Lamina::start();
    let expected = "This host has no S3 server to read packages from. Set endpoint, access_key_id \
                    and secret_access_key under [s3] in lamina.toml, or start the host with \
                    AWS_ENDPOINT_URL_S3, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; or use \
                    ZipFile.";
    require_refused(&host, code(), expected).await;
    host.create("f", &guest("echo"), json!({})).await;
    let path = "/2015-03-31/functions/f/code";
    let refused = host.lambda("PUT", path, &code()).await;
    assert_eq!(refused.error().1, expected);
}

#[tokio::test]
async fn code_needs_exactly_one_source() {
    let host = Lamina::start();
    let both = "Please do not provide other FunctionCode parameters when providing a ZipFile.";
    let half = "S3 Bucket and Key are required for uploading with S3 parameters.";
    let cases = [
        (json!({}), "Please provide a source for function code."),
        (
            json!({"ZipFile": "UEs=", "S3Bucket": "bucket", "S3Key": "k"}),
            both,
        ),
        (json!({"ZipFile": "UEs=", "S3ObjectVersion": "v"}), both),
        (json!({"S3Bucket": "bucket"}), half),
        (json!({"S3Key": "key"}), half),
        (json!({"S3ObjectVersion": "v"}), half),
        (
            json!({"S3Bucket": "bucket", "S3Key": "k", "S3ObjectStorageMode": "REFERENCE"}),
            "S3ObjectStorageMode REFERENCE is not supported by this host yet.",
        ),
    ];
    host.create("f", &guest("echo"), json!({})).await;
    for (code, expected) in cases {
        require_refused(&host, code.clone(), expected).await;
        let path = "/2015-03-31/functions/f/code";
        let refused = host.lambda("PUT", path, &code).await;
        assert_eq!(
            (refused.status.as_u16(), refused.error().1),
            (400, expected.into())
        );
    }
}

#[tokio::test]
async fn object_over_250_mib_is_refused_unread() {
    let announced = Server::start(Behaviour::Waits(ok(262_144_001))).await;
    let host = host_of(&announced.endpoint, "");
    // Only the head is sent: a host that read the body would time out instead.
    require_refused(&host, code(), TOO_LARGE).await;
    assert_eq!(announced.asked(), 1, "asking again does not help");

    // Without a length, a truncated object could not be detected.
    let endless = b"HTTP/1.1 200 OK\r\nETag: \"e\"\r\n\r\n".to_vec();
    let endless = Server::start(Behaviour::GoesOn(endless, vec![0; 65_536])).await;
    let host = host_of(&endless.endpoint, "");
    require_refused(&host, code(), NOT_S3).await;
    assert!(host.resident_kib() < 300_000, "{}", host.resident_kib());
}

#[tokio::test]
async fn package_of_250_mib_from_s3_is_accepted() {
    let largest = Server::start(Behaviour::GoesOn(ok(262_144_000), vec![0; 65_536])).await;
    let host = host_of(&largest.endpoint, "");
    let unzipped =
        "Could not unzip uploaded file. Please check your file, then try to upload again.";
    require_refused(&host, code(), unzipped).await;
    // The package went to disk, not to memory.
    assert!(host.peak_kib() < 300_000, "{}", host.peak_kib());
    let empty = Server::start(Behaviour::Waits(ok(0))).await;
    require_refused(&host_of(&empty.endpoint, ""), code(), unzipped).await;
}

#[tokio::test]
async fn response_of_non_s3_server_is_classified() {
    let page = "HTTP/1.1 404 Not Found\r\nContent-Length: 13\r\n\r\n<html></html>";
    let moved = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n";
    let lambda = "HTTP/1.1 404 Not Found\r\nx-amzn-ErrorType: X\r\nContent-Length: 2\r\n\r\n{}";
    let broken = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    for (text, expected, asked) in [
        ("nonsense\r\n\r\n", NOT_S3, 1),
        (page, NOT_S3, 1),
        (moved, NOT_S3, 1),
        (lambda, IS_LAMBDA, 1),
        (broken, NOT_S3, 3),
        ("", UNREACHABLE, 3),
    ] {
        let server = Server::saying(text).await;
        require_refused(&host_of(&server.endpoint, ""), code(), expected).await;
        assert_eq!(server.asked(), asked, "{text}");
    }
    require_refused(&host_of("http://127.0.0.1:9", ""), code(), UNREACHABLE).await;
}

#[tokio::test]
async fn s3_error_body_is_bounded() {
    let words = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
    let head = |status: &str, length: usize| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
    };
    let denied = Server::saying(&(head("403 Forbidden", words.len()) + words)).await;
    let expected = "Error occurred while GetObject. S3 Error Code: AccessDenied. S3 Error Message: \
                    Access Denied";
    require_refused(&host_of(&denied.endpoint, ""), code(), expected).await;
    assert_eq!(denied.asked(), 1);

    let busy =
        "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
    let busy = Server::saying(&(head("503 Slow Down", busy.len()) + busy)).await;
    let expected = "Error occurred while GetObject. S3 Error Code: SlowDown. S3 Error Message: \
                    Please reduce your request rate.";
    require_refused(&host_of(&busy.endpoint, ""), code(), expected).await;
    assert_eq!(busy.asked(), 3, "it may pass");

    let endless = b"HTTP/1.1 404 Not Found\r\n\r\n<Error><Code>".to_vec();
    let endless = Server::start(Behaviour::GoesOn(endless, vec![b'x'; 65_536])).await;
    let host = host_of(&endless.endpoint, "");
    require_refused(&host, code(), NOT_S3).await;
    assert!(host.resident_kib() < 300_000, "{}", host.resident_kib());
}

#[tokio::test]
async fn silent_s3_server_times_out_and_blocks_no_one() {
    let echo = guest("echo");
    let silent = Server::start(Behaviour::Waits(Vec::new())).await;
    let host = Arc::new(host_of(&silent.endpoint, "timeout_seconds = 6"));
    let waiting: Vec<_> = (0..6)
        .map(|n| {
            let host = host.clone();
            tokio::spawn(async move { try_create(&host, &format!("f{n}"), code()).await })
        })
        .collect();
    while silent.asked() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    host.create("echo", &echo, json!({})).await;
    assert_eq!(host.invoke("echo", &json!(1)).await.text(), "1");
    let none_is_done = waiting.iter().all(|one| !one.is_finished());
    assert!(none_is_done, "others go on while a package is fetched");
    assert_eq!(silent.asked(), 3, "one caller has no more turns");
    for one in waiting {
        let refused = one.await.expect("it ends");
        let expected = "Error occurred while GetObject. The S3 endpoint of this host did not send \
                        it within 6 s.";
        assert_eq!(refused.error().1, expected);
    }

    let mut half = ok(1_000);
    half.extend_from_slice(b"PK");
    let half = Server::start(Behaviour::Waits(half)).await;
    let host = host_of(&half.endpoint, "timeout_seconds = 1");
    let expected = "Error occurred while GetObject. The S3 endpoint of this host did not send it \
                    within 1 s.";
    require_refused(&host, code(), expected).await;
}

/// One caller, who may hold three turns and half of the 512 waiting steps.
#[tokio::test]
async fn deployment_beyond_queue_of_its_caller_is_throttled() {
    const WAITING: usize = 256;
    let silent = Server::start(Behaviour::Waits(Vec::new())).await;
    let host = Arc::new(host_of(&silent.endpoint, "timeout_seconds = 600"));
    let deploy = |number: usize| {
        let host = host.clone();
        tokio::spawn(async move { try_create(&host, &format!("f{number}"), code()).await })
    };
    let waiting: Vec<_> = (0..3 + WAITING).map(deploy).collect();
    let steps = |state: &str| format!("lamina_deployment_steps state={state},step=fetch");
    crate::metrics::reaches(&host, &steps("running"), 3.0).await;
    crate::metrics::reaches(&host, &steps("waiting"), WAITING as f64).await;
    let refused = try_create(&host, "more", code()).await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    let expected = ("TooManyRequestsException".into(), "Rate Exceeded.".into());
    assert_eq!(refused.error(), expected);
    assert_eq!(refused.json()["Reason"], "CallerRateLimitExceeded");
    assert!(!refused.header("retry-after").is_empty());
    // Callers that leave free the queue.
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    let freed = tokio::spawn(async move {
        while crate::metrics::sample(&host, &steps("waiting")).await > 0.0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let freed = tokio::time::timeout(Duration::from_secs(60), freed).await;
    freed.expect("the queue empties").expect("it ends");
}

/// Proxy to an address that is set later.
async fn proxy() -> (String, tokio::sync::watch::Sender<Option<SocketAddr>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
    let (tell, address_set) = tokio::sync::watch::channel(None::<SocketAddr>);
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            let address = address_set.borrow().expect("it was set");
            tokio::spawn(async move {
                let mut to = TcpStream::connect(address)
                    .await
                    .expect("the host is there");
                copy_bidirectional(&mut from, &mut to).await
            });
        }
    });
    (endpoint, tell)
}

#[tokio::test]
async fn endpoint_that_is_this_host_is_reported() {
    let (endpoint, tell) = proxy().await;
    let variables = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", "x"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
    ];
    let package = zipped(&guest("echo"));
    let host = Lamina::with_environment("", &variables);
    tell.send_replace(Some(host.address));
    require_refused(&host, code(), IS_LAMBDA).await;
    // With this bucket name, the request is an operation of the host itself.
    let own = json!({"S3Bucket": "2015-03-31", "S3Key": "functions/missing"});
    require_refused(&host, own, IS_LAMBDA).await;
    let made = host.try_create("f", &package, json!({})).await;
    assert_eq!(made.status, 201);
}
