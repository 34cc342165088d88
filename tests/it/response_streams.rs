//! Responses that come as functions write them: through function URLs and through InvokeWithResponseStream.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Lamina, guest};
use crate::metrics::sample;
use crate::urls::url_of;

/// A host with a function that streams, and a URL that does.
async fn started(limits: &str) -> (Lamina, String) {
    let host = Lamina::configured(limits);
    host.create("f", &guest("streaming"), json!({"Timeout": 30}))
        .await;
    let domain = url_of(&host, "f", json!({"InvokeMode": "RESPONSE_STREAM"})).await;
    (host, domain)
}

/// A response whose body is still to be read, on a connection of its own.
async fn open(host: &Lamina, domain: &str, wish: &Value) -> http::Response<Incoming> {
    open_at(host, domain, "/", &wish.to_string()).await
}

async fn open_at(host: &Lamina, domain: &str, path: &str, body: &str) -> http::Response<Incoming> {
    open_on(&client(false), host, domain, path, body).await
}

type HttpClient = Client<HttpConnector, Full<Bytes>>;

fn client(http2: bool) -> HttpClient {
    let mut client = Client::builder(TokioExecutor::new());
    client.http2_only(http2);
    client.build_http()
}

async fn open_on(
    client: &HttpClient,
    host: &Lamina,
    domain: &str,
    path: &str,
    body: &str,
) -> http::Response<Incoming> {
    let request = Request::post(format!("{}{path}", host.endpoint()))
        .header("host", domain)
        .header("content-type", "application/json")
        // An HTTP/1.1 client that does not say so gets no trailers.
        .header("te", "trailers")
        .body(Full::<Bytes>::from(body.to_owned()));
    let response = client.request(request.expect("well-formed")).await;
    response.expect("the host answers")
}

/// Next data. The end of an HTTP/2 stream may be an empty frame.
async fn frame(response: &mut http::Response<Incoming>) -> Option<Bytes> {
    loop {
        let frame = response.body_mut().frame().await?;
        let data = frame.expect("it is whole").into_data().ok()?;
        if !data.is_empty() {
            return Some(data);
        }
    }
}

async fn invoke_stream(host: &Lamina, wish: &Value) -> Vec<(String, Bytes)> {
    let path = "/2021-11-15/functions/f/response-streaming-invocations";
    let tail = [("x-amz-log-type", "Tail")];
    let answer = host.send("POST", path, &tail, wish.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        answer.header("content-type"),
        "application/vnd.amazon.eventstream"
    );
    assert_eq!(answer.header("x-amz-executed-version"), "$LATEST");
    events(&answer.body)
}

/// The type and the payload of each message.
fn events(mut bytes: &[u8]) -> Vec<(String, Bytes)> {
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().expect("four bytes")) as usize;
    let mut events = Vec::new();
    while !bytes.is_empty() {
        let (message, rest) = bytes.split_at(number(&bytes[..4]));
        let headers = number(&message[4..8]);
        let (mut fields, payload) = message[12..message.len() - 4].split_at(headers);
        let mut kind = String::new();
        while !fields.is_empty() {
            let (name, after) = fields[1..].split_at(fields[0].into());
            let length = u16::from_be_bytes([after[1], after[2]]).into();
            let (value, after) = after[3..].split_at(length);
            if name == b":event-type" {
                kind = String::from_utf8_lossy(value).into_owned();
            }
            fields = after;
        }
        events.push((kind, Bytes::copy_from_slice(payload)));
        bytes = rest;
    }
    events
}

/// Waits until the permit of a function with a reserve of one is free.
pub async fn free_again(host: &Lamina) {
    for _ in 0..1_000 {
        if host.invoke("f", &json!({"chunks": []})).await.status == 200 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the permit is not given back");
}

/// Number of log events with this text.
pub async fn logged(host: &Lamina, text: &str) -> usize {
    let pattern = format!("\"{text}\"");
    let filter = json!({"logGroupName": "/aws/lambda/f", "filterPattern": pattern});
    let headers = [("x-amz-target", "Logs_20140328.FilterLogEvents")];
    let found = host.send("POST", "/", &headers, filter.to_string()).await;
    let found = found.json();
    found["events"].as_array().map_or(0, Vec::len)
}

pub async fn reserve_one(host: &Lamina) {
    reserve_one_of(host, "f").await;
}

pub async fn reserve_one_of(host: &Lamina, name: &str) {
    let path = format!("/2017-10-31/functions/{name}/concurrency");
    let one = json!({"ReservedConcurrentExecutions": 1});
    assert_eq!(host.lambda("PUT", &path, &one).await.status, 200);
}

#[tokio::test]
async fn url_streams_while_the_function_writes() {
    let (host, domain) = started("").await;
    reserve_one(&host).await;
    let metadata = json!({"statusCode": 201, "headers": {"x-own": "1"}, "cookies": ["a=1", "b=2"]});
    let wish = json!({"metadata": metadata, "chunks": ["one", "two"], "pause_ms": 1_500});
    let mut response = open(&host, &domain, &wish).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["x-own"]),
        (201, &"1".parse().expect("a value"))
    );
    assert_eq!(response.headers().get_all("set-cookie").iter().count(), 2);
    assert_eq!(frame(&mut response).await.as_deref(), Some(&b"one"[..]));
    // The function still runs.
    assert_eq!(host.invoke("f", &json!({})).await.status, 429);
    assert_eq!(frame(&mut response).await.as_deref(), Some(&b"two"[..]));
    assert_eq!(frame(&mut response).await, None);
    free_again(&host).await;
}

#[tokio::test]
async fn function_whose_client_is_gone_runs_to_its_end() {
    let (host, domain) = started("").await;
    reserve_one(&host).await;
    let wish = json!({"chunks": ["one", "two", "three"], "pause_ms": 300, "log": "all is written"});
    let mut response = open(&host, &domain, &wish).await;
    assert!(frame(&mut response).await.is_some());
    drop(response);
    free_again(&host).await;
    assert_eq!(logged(&host, "all is written").await, 1);
}

#[tokio::test]
async fn slow_reader_costs_the_host_a_bounded_amount_of_memory() {
    let (host, domain) = started("").await;
    let mebibyte = "x".repeat(1 << 20);
    let wish = |repeat: u32| json!({"chunks": [mebibyte], "repeat": repeat});
    open(&host, &domain, &wish(1))
        .await
        .collect()
        .await
        .expect("it is whole");
    let before = host.resident_kib();
    let mut response = open(&host, &domain, &wish(100)).await;
    let mut size = frame(&mut response).await.map_or(0, |frame| frame.len());
    for _ in 0..50 {
        host.health().await;
    }
    let grown = host.resident_kib().saturating_sub(before);
    assert!(grown < 40 << 10, "{grown} KiB more");
    while let Some(frame) = frame(&mut response).await {
        size += frame.len();
    }
    assert_eq!(size, 100 << 20);
}

#[tokio::test]
async fn streams_share_an_http2_connection() {
    let (host, domain) = started("").await;
    let client = client(true);
    let wish = |word: &str| json!({"chunks": [word, word], "pause_ms": 1_500}).to_string();
    let mut first = open_on(&client, &host, &domain, "/", &wish("one")).await;
    let mut second = open_on(&client, &host, &domain, "/", &wish("two")).await;
    assert_eq!(first.version(), http::Version::HTTP_2);
    for _ in 0..2 {
        assert_eq!(frame(&mut first).await.as_deref(), Some(&b"one"[..]));
        assert_eq!(frame(&mut second).await.as_deref(), Some(&b"two"[..]));
    }
    assert_eq!(frame(&mut first).await, None);
    // A reset stream is a client that is gone; the other goes on.
    let mut third = open_on(&client, &host, &domain, "/", &wish("three")).await;
    assert!(frame(&mut third).await.is_some());
    drop(third);
    assert_eq!(frame(&mut second).await, None);
    let slow = json!({"chunks": ["x".repeat(1 << 20)], "repeat": 4}).to_string();
    let unread = open_on(&client, &host, &domain, "/", &slow).await;
    let beside = open_on(&client, &host, &domain, "/", &wish("four")).await;
    let beside = beside.into_body().collect().await;
    assert_eq!(beside.expect("it is whole").to_bytes(), "fourfour");
    let unread = unread.into_body().collect().await;
    assert_eq!(unread.expect("it is whole").to_bytes().len(), 4 << 20);
}

#[tokio::test]
async fn trailers_follow_body_of_http_component() {
    let host = Lamina::start();
    host.create("f", &guest("http-manners"), json!({})).await;
    host.create("g", &guest("http-manners"), json!({})).await;
    for (name, invoke_mode) in [("f", "RESPONSE_STREAM"), ("g", "BUFFERED")] {
        let domain = url_of(&host, name, json!({"InvokeMode": invoke_mode})).await;
        for http2 in [false, true] {
            let response = open_on(&client(http2), &host, &domain, "/trailers", "").await;
            let headers = format!("{:?}", response.headers());
            let body = response.into_body().collect().await.expect("it is whole");
            let trailers = body.trailers().and_then(|it| it.get("x-checksum"));
            let expected = http::HeaderValue::from_static("abc");
            assert_eq!(trailers, Some(&expected), "{invoke_mode} {http2} {headers}");
            assert_eq!(body.to_bytes(), "whole");
        }
    }
}

#[tokio::test]
async fn stream_in_progress_is_finished_after_sigterm() {
    for http2 in [false, true] {
        let (mut host, domain) = started("").await;
        let wish = json!({"chunks": ["one", "two", "three"], "pause_ms": 700}).to_string();
        let client = client(http2);
        let mut response = open_on(&client, &host, &domain, "/", &wish).await;
        assert_eq!(frame(&mut response).await.as_deref(), Some(&b"one"[..]));
        host.signal(Signal::TERM);
        let rest = response.into_body().collect().await;
        assert_eq!(rest.expect("it is whole").to_bytes(), "twothree");
        let ended = tokio::task::spawn_blocking(move || host.ended()).await;
        assert!(ended.expect("it ends").success(), "{http2}");
    }
}

#[tokio::test]
async fn response_over_200_mib_is_cut_off() {
    let (host, domain) = started("").await;
    let wish = json!({"chunks": ["x".repeat(1 << 20)], "repeat": 201});
    let mut response = open(&host, &domain, &wish).await;
    let mut size = 0;
    let error = loop {
        match response.body_mut().frame().await {
            Some(Ok(frame)) => size += frame.data_ref().map_or(0, Bytes::len),
            Some(Err(error)) => break Some(error),
            None => break None,
        }
    };
    assert!(error.is_some(), "it ended well after {size} bytes");
    assert_eq!(size, 200 << 20);
}

#[tokio::test]
async fn metadata_without_http_status_are_a_bad_gateway() {
    let host = Lamina::start();
    host.create("f", &guest("streaming"), json!({})).await;
    let metadata = json!({"statusCode": 99});
    let url = json!({"AuthType": "NONE", "InvokeMode": "BUFFERED"});
    let path = "/2021-10-31/functions/f/url";
    let domain = host.lambda("POST", path, &url).await.url_domain();
    let errors = "lamina_function_errors_total function=f,kind=environment";
    for (invoke_mode, chunks) in [
        ("BUFFERED", json!(["x"])),
        ("RESPONSE_STREAM", json!(["x"])),
        ("RESPONSE_STREAM", json!([])),
    ] {
        let url = json!({"InvokeMode": invoke_mode});
        assert_eq!(host.lambda("PUT", path, &url).await.status, 200);
        let before = sample(&host, errors).await;
        let wish = json!({"metadata": metadata, "chunks": chunks});
        let response = open(&host, &domain, &wish).await;
        assert_eq!(response.status(), 502, "{invoke_mode}");
        assert_eq!(sample(&host, errors).await, before + 1.0, "{invoke_mode}");
    }
    let reason = "statusCode is none of 200 to 599";
    assert_eq!(logged(&host, reason).await, 3);
    // InvokeWithResponseStream passes metadata on unread.
    let wish = json!({"metadata": metadata, "chunks": ["x"]});
    let events = invoke_stream(&host, &wish).await;
    assert_eq!(events[0].1, "{\"statusCode\":99}\0\0\0\0\0\0\0\0");
}

#[tokio::test]
async fn failure_in_the_middle_breaks_the_stream_of_a_url() {
    let (host, domain) = started("").await;
    let wish = json!({"chunks": ["half"], "fail": "no more"});
    let response = open(&host, &domain, &wish).await;
    assert_eq!(response.status(), 200);
    assert!(
        response.into_body().collect().await.is_err(),
        "it is not whole"
    );
}

#[tokio::test]
async fn failure_before_the_first_byte_is_a_bad_gateway() {
    let (host, domain) = started("").await;
    let response = open(&host, &domain, &json!({"fail": "at once"})).await;
    assert_eq!(response.status(), 502);
}

#[tokio::test]
async fn buffered_url_sends_the_metadata_as_status_and_headers() {
    let host = Lamina::start();
    host.create("f", &guest("streaming"), json!({})).await;
    let domain = url_of(&host, "f", json!({})).await;
    let wish =
        json!({"metadata": {"statusCode": 418, "headers": {"x-own": "1"}}, "chunks": ["te", "xt"]});
    let response = open(&host, &domain, &wish).await;
    assert_eq!(response.status(), 418);
    assert_eq!(response.headers()["x-own"], "1");
    let body = response.into_body().collect().await.expect("it is whole");
    assert_eq!(body.to_bytes(), "text");
}

#[tokio::test]
async fn event_stream_has_chunks_and_their_end() {
    let (host, _) = started("").await;
    let wish = json!({"metadata": {"statusCode": 200}, "chunks": ["one", "two"]});
    let events = invoke_stream(&host, &wish).await;
    let kinds: Vec<_> = events.iter().map(|(kind, _)| kind.as_str()).collect();
    let (last, chunks) = kinds.split_last().expect("some");
    assert_eq!(*last, "InvokeComplete");
    assert!(
        chunks.iter().all(|kind| *kind == "PayloadChunk"),
        "{kinds:?}"
    );
    let payload: Vec<u8> = events[..chunks.len()]
        .iter()
        .flat_map(|(_, it)| it.to_vec())
        .collect();
    assert_eq!(payload, b"{\"statusCode\":200}\0\0\0\0\0\0\0\0onetwo");
    let complete: Value = serde_json::from_slice(&events[chunks.len()].1).expect("JSON");
    assert!(complete.get("ErrorCode").is_none());
    let tail = STANDARD.decode(complete["LogResult"].as_str().expect("a log"));
    let tail = String::from_utf8(tail.expect("base64")).expect("UTF-8");
    assert!(tail.contains("REPORT RequestId:"), "{tail}");
}

#[tokio::test]
async fn report_says_what_was_streamed() {
    let (host, _) = started("").await;
    for wish in [
        json!({"chunks": ["one", "two"]}),
        json!({"chunks": ["onetwo"], "fail": "no more"}),
    ] {
        let events = invoke_stream(&host, &wish).await;
        let (_, payload) = events.last().expect("some");
        let complete: Value = serde_json::from_slice(payload).expect("JSON");
        let tail = STANDARD.decode(complete["LogResult"].as_str().expect("a log"));
        let tail = String::from_utf8(tail.expect("base64")).expect("UTF-8");
        assert!(tail.contains("\tStreamed: 6 B\t"), "{tail}");
        assert!(tail.contains("\tResponse Latency: "), "{tail}");
    }
}

#[tokio::test]
async fn http_component_streams_through_a_url() {
    let host = Lamina::start();
    host.create("f", &guest("http-manners"), json!({"Timeout": 30}))
        .await;
    reserve_one(&host).await;
    let domain = url_of(&host, "f", json!({"InvokeMode": "RESPONSE_STREAM"})).await;
    let mut response = open_at(&host, &domain, "/slowly", "").await;
    let head = (response.status().as_u16(), &response.headers()["x-own"]);
    assert_eq!(head, (201, &"1".parse().expect("a value")));
    assert_eq!(frame(&mut response).await.as_deref(), Some(&b"one"[..]));
    // The function still runs.
    assert_eq!(host.invoke("f", &json!({})).await.status, 429);
    assert_eq!(frame(&mut response).await.as_deref(), Some(&b"two"[..]));
    assert_eq!(frame(&mut response).await, None);
    free_again(&host).await;
    // Where the function ends before its head is taken, there is a status to say so.
    for (path, is_right) in [("/panic", false), ("/exit", false), ("/open-body", true)] {
        let response = open_at(&host, &domain, path, "").await;
        let is_success = response.status() == 200;
        let is_whole = response.into_body().collect().await.is_ok();
        assert_eq!(is_success && is_whole, is_right, "{path}");
        free_again(&host).await;
    }
    for path in ["/trap", "/silent", "/informational"] {
        let response = open_at(&host, &domain, path, "").await;
        assert_eq!(response.status(), 502, "{path}");
        free_again(&host).await;
    }
}

#[tokio::test]
async fn event_stream_of_an_http_component_begins_with_its_metadata() {
    let host = Lamina::start();
    host.create("f", &guest("http-manners"), json!({"Timeout": 30}))
        .await;
    let event = json!({"rawPath": "/slowly", "requestContext": {"http": {"method": "GET"}}});
    let events = invoke_stream(&host, &event).await;
    let (last, chunks) = events.split_last().expect("some");
    assert_eq!(last.0, "InvokeComplete");
    let payload: Vec<u8> = chunks.iter().flat_map(|(_, it)| it.to_vec()).collect();
    let end = payload.iter().position(|byte| *byte == 0).expect("an end");
    let metadata: Value = serde_json::from_slice(&payload[..end]).expect("JSON");
    let expected = json!({"statusCode": 201, "headers": {"x-own": "1"}, "cookies": ["a=1"]});
    assert_eq!(metadata, expected);
    assert_eq!(&payload[end..], b"\0\0\0\0\0\0\0\0onetwo");
}

#[tokio::test]
async fn event_stream_ends_with_the_failure() {
    let (host, _) = started("").await;
    for chunks in [json!(["half"]), json!([])] {
        let events = invoke_stream(&host, &json!({"chunks": chunks, "fail": "no more"})).await;
        let (kind, payload) = events.last().expect("some");
        assert_eq!(kind, "InvokeComplete");
        let complete: Value = serde_json::from_slice(payload).expect("JSON");
        assert_eq!(complete["ErrorCode"], "Asked");
        let details = complete["ErrorDetails"].as_str().expect("a text");
        assert!(details.contains("no more"), "{details}");
    }
}

#[tokio::test]
async fn function_that_does_not_stream_is_one_chunk() {
    let (host, _) = started("").await;
    host.create("echo", &guest("echo"), json!({})).await;
    let path = "/2021-11-15/functions/echo/response-streaming-invocations";
    let answer = host.send("POST", path, &[], "{\"a\":1}").await;
    let events = events(&answer.body);
    assert_eq!(events[0], ("PayloadChunk".into(), Bytes::from("{\"a\":1}")));
    assert_eq!(events[1], ("InvokeComplete".into(), Bytes::from("{}")));
}
