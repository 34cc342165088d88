//! `wasi:http/handler` components of WASI 0.3 behind a function URL and on Invoke.

use std::process::Command;

use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::harness::{ApiResponse, Lamina, guest, log_of};
use crate::http_server::HttpServer;
use crate::request_streams::{Protocol, respond};
use crate::response_streams::{free_again, reserve_one};
use crate::urls::{get, url_of};

async fn started(settings: &str, more: Value, invoke_mode: &str) -> (Lamina, String) {
    let host = Lamina::with(settings, "settle_millis = 20");
    let mut all = json!({"Timeout": 20, "MemorySize": 128});
    for (name, value) in more.as_object().into_iter().flatten() {
        all[name] = value.clone();
    }
    host.create("f", &guest("http-service"), all).await;
    let domain = url_of(&host, "f", json!({"InvokeMode": invoke_mode})).await;
    (host, domain)
}

async fn at(host: &Lamina, domain: &str, path: &str) -> ApiResponse {
    get(host, domain, path, &[]).await
}

async fn invoked(host: &Lamina, path: &str) -> ApiResponse {
    let event = json!({"rawPath": path, "requestContext": {"http": {"method": "GET"}}});
    host.invoke("f", &event).await
}

async fn text(response: Response<Incoming>) -> String {
    let body = response.into_body().collect().await.expect("it is whole");
    String::from_utf8_lossy(&body.to_bytes()).into_owned()
}

/// Output of curl for a path of the function URL.
fn curl(host: &Lamina, domain: &str, path: &str, more: &[&str]) -> String {
    let run = Command::new("curl")
        .args(["-s", "-H", &format!("host: {domain}")])
        .args(more)
        .arg(host.endpoint() + path)
        .output();
    String::from_utf8_lossy(&run.expect("curl runs").stdout).into_owned()
}

#[tokio::test]
async fn component_answers_url_and_invoke() {
    let variables = json!({"Environment": {"Variables": {"NAME": "value"}}});
    let (host, domain) = started("", variables, "BUFFERED").await;
    for count in 1..=2 {
        assert_eq!(at(&host, &domain, "/").await.text(), count.to_string());
    }
    let result = invoked(&host, "/").await.json();
    // Without a content type, a body is not known to be text.
    assert_eq!(
        (&result["statusCode"], &result["body"]),
        (&json!(200), &json!("Mw=="))
    );
    for (path, expected) in [
        ("/file", "kept"),
        ("/variable", "value"),
        ("/wait", "waited"),
    ] {
        assert_eq!(at(&host, &domain, path).await.text(), expected, "{path}");
    }
    let uri = get(&host, &domain, "/uri", &[("x-own", "v")]).await.text();
    assert_eq!(uri, format!("http {domain} v"));
    let printed = invoked(&host, "/print").await;
    assert!(log_of(&printed).contains("printed to 0.2"));
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    let (host, domain) = started("", json!({"Timeout": 300}), "RESPONSE_STREAM").await;
    reserve_one(&host).await;
    for (protocol, path) in [
        (Protocol::Http1, "/copy"),
        (Protocol::Http2, "/copy"),
        (Protocol::Http1, "/pass"),
    ] {
        let (sender, receiver) = mpsc::channel(1);
        sender.send("one".into()).await.expect("it is read");
        let mut response = respond(protocol, &host, &domain, path, receiver).await;
        let first = response.body_mut().frame().await.expect("a frame");
        let first = first.expect("it arrives").into_data().ok();
        assert_eq!(first.as_deref(), Some(&b"one"[..]), "{protocol:?} {path}");
        assert_eq!(host.invoke("f", &json!({})).await.status, 429);
        sender.send("two".into()).await.expect("it is read");
        drop(sender);
        assert_eq!(text(response).await, "two");
        free_again(&host).await;
    }
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        for _ in 0..64 {
            let piece = Bytes::from(vec![b'x'; 1 << 20]);
            if sender.send(piece).await.is_err() {
                return;
            }
        }
    });
    let before = host.peak_kib();
    let response = respond(Protocol::Http1, &host, &domain, "/copy", receiver).await;
    assert_eq!(text(response).await.len(), 64 << 20);
    let grown = host.peak_kib() - before;
    assert!(grown < 40 << 10, "{grown} KiB more");
}

#[tokio::test]
async fn curl_gets_trailers_and_heads() {
    let (host, domain) = started("", json!({}), "RESPONSE_STREAM").await;
    let all = curl(&host, &domain, "/trailers", &["-i", "-H", "te: trailers"]);
    assert!(
        all.contains("body") && all.ends_with("x-end: 1\r\n"),
        "{all}"
    );
    let head = curl(&host, &domain, "/head", &["-I"]);
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let copied = curl(&host, &domain, "/copy", &["-d", "sent by curl"]);
    assert_eq!(copied, "sent by curl");
    let over_2 = curl(
        &host,
        &domain,
        "/copy",
        &["--http2-prior-knowledge", "-d", "by 2"],
    );
    assert_eq!(over_2, "by 2");
}

#[tokio::test]
async fn component_that_ends_is_bad_gateway_at_once() {
    let (host, domain) = started("", json!({"Timeout": 300}), "BUFFERED").await;
    for (path, kind) in [
        ("/trap", "Runtime.ExitError"),
        ("/trap-late", "Runtime.ExitError"),
        ("/fail", "Function.ResponseError"),
        ("/short", "Function.ResponseError"),
    ] {
        assert_eq!(at(&host, &domain, path).await.status, 502, "{path}");
        let answer = invoked(&host, path).await;
        assert_eq!(answer.json()["errorType"], kind, "{path} {}", answer.text());
    }
    // Nobody is left who could write the rest.
    assert_eq!(at(&host, &domain, "/forget").await.text(), "begun");
    assert_eq!(at(&host, &domain, "/").await.status, 200);
}

#[tokio::test]
async fn time_limit_ends_component() {
    let (host, domain) = started("", json!({"Timeout": 1}), "BUFFERED").await;
    for path in ["/loop", "/sleep"] {
        assert_eq!(at(&host, &domain, path).await.status, 502, "{path}");
        let answer = invoked(&host, path).await.json();
        let message = answer["errorMessage"].as_str().unwrap_or_default();
        assert!(message.contains("Task timed out"), "{path} {answer}");
    }
    assert_eq!(at(&host, &domain, "/").await.text(), "1");
}

#[tokio::test]
async fn tasks_are_frozen_after_the_response() {
    let (host, domain) = started("", json!({"Timeout": 300}), "BUFFERED").await;
    assert_eq!(at(&host, &domain, "/background").await.text(), "answered");
    // The same instance.
    assert_eq!(at(&host, &domain, "/").await.text(), "2");
}

#[tokio::test]
async fn component_sends_requests_under_the_egress_policy() {
    let server = HttpServer::start().await;
    let (ip, port) = (server.address.ip(), server.address.port());
    let rule = format!("[[egress_rules]]\naction = \"allow\"\nto = \"{ip}\"\nports = [{port}]\n");
    let (host, domain) = started(&rule, json!({}), "BUFFERED").await;
    let allowed = server.address.to_string();
    let answer = get(&host, &domain, "/fetch", &[("x-server", &allowed)]).await;
    assert!(answer.text().starts_with("200 {"), "{}", answer.text());
    let denied = get(&host, &domain, "/fetch", &[("x-server", "127.0.0.1:1")]).await;
    assert_eq!(denied.text(), "ErrorCode::DestinationIpProhibited");
}

#[tokio::test]
async fn requests_over_memory_of_function_are_refused() {
    let server = HttpServer::start().await;
    let (ip, port) = (server.address.ip(), server.address.port());
    let rule = format!("[[egress_rules]]\naction = \"allow\"\nto = \"{ip}\"\nports = [{port}]\n");
    let (host, domain) = started(&rule, json!({}), "BUFFERED").await;
    assert_eq!(at(&host, &domain, "/").await.text(), "1");
    let before = host.peak_kib();
    let server = server.address.to_string();
    let answer = get(&host, &domain, "/flood", &[("x-server", &server)]).await;
    let refused = answer.text().trim_end_matches(" refused").parse::<u32>();
    let refused = refused.unwrap_or_else(|_| panic!("{}", answer.text()));
    assert!((200..900).contains(&refused), "{refused} of 1,000");
    let grown = host.peak_kib() - before;
    assert!(grown < 128 << 10, "{grown} KiB more");
    // Requests that it left open end with the environment.
    assert_eq!(at(&host, &domain, "/").await.text(), "1");
}

#[tokio::test]
async fn function_reads_error_of_stalled_upload() {
    let (host, domain) = started("", json!({"Timeout": 4}), "RESPONSE_STREAM").await;
    let (_stalled, receiver) = mpsc::channel(1);
    let response = respond(Protocol::Http1, &host, &domain, "/read", receiver).await;
    assert_eq!(text(response).await, "0 ErrorCode::ConnectionReadTimeout");
    assert_eq!(at(&host, &domain, "/").await.text(), "2");
}

#[tokio::test]
async fn leaked_streams_replace_environment() {
    let (host, domain) = started("", json!({}), "BUFFERED").await;
    let mut environments = 0;
    for _ in 0..20 {
        let answer = at(&host, &domain, "/leak-streams").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        environments += u32::from(answer.text() == "1");
    }
    assert!((2..20).contains(&environments), "{environments}");
    // More handles than an environment may have.
    let refused = invoked(&host, "/leak-all").await.json();
    assert_eq!(refused["errorType"], "Runtime.ExitError", "{refused}");
    assert_eq!(at(&host, &domain, "/").await.text(), "1");
}

#[tokio::test]
async fn leaked_request_bodies_are_bounded() {
    let (host, domain) = started("", json!({}), "RESPONSE_STREAM").await;
    let leak = async || {
        let (sender, receiver) = mpsc::channel(1);
        let body = Bytes::from(vec![b'x'; 256 << 10]);
        sender.send(body).await.expect("it is read");
        drop(sender);
        text(respond(Protocol::Http1, &host, &domain, "/leak-body", receiver).await).await
    };
    assert_eq!(leak().await, "1 1");
    let before = host.peak_kib();
    let mut environments = 0;
    for _ in 0..400 {
        let answer = leak().await;
        assert!(answer.ends_with(" 1"), "{answer}");
        environments += u32::from(answer == "1 1");
    }
    assert!(environments > 0);
    let grown = host.peak_kib() - before;
    assert!(grown < 30 << 10, "{grown} KiB more");
}
