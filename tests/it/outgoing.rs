//! Outgoing `wasi:http` of functions: HTTP, HTTPS, pooled connections, timeouts and the egress policy.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Lamina, example, guest, log_of};
use crate::http_server::{HttpServer, certificate};
use crate::urls::url_of;
use crate::windowless::Windowless;

/// Rule that allows functions to reach a test server.
fn allowed(address: SocketAddr) -> String {
    let (ip, port) = (address.ip(), address.port());
    format!("[[egress_rules]]\naction = \"allow\"\nto = \"{ip}\"\nports = [{port}]\n")
}

fn trusting(settings: &str) -> String {
    let authority = certificate("ca.pem");
    let authority = authority.display();
    format!("certificate_authorities = [\"{authority}\"]\n{settings}")
}

async fn host(settings: &str) -> Lamina {
    let host = Lamina::with(settings, "settle_millis = 20");
    host.create("f", &guest("fetch"), json!({"Timeout": 30}))
        .await;
    host
}

/// Responses to requests of a function.
async fn fetched(host: &Lamina, requests: Value) -> Vec<Value> {
    let answer = host.invoke("f", &json!({ "requests": requests })).await;
    let answers = answer.json();
    let list = answers.as_array().cloned();
    list.unwrap_or_else(|| panic!("{}: {}", answer.text(), log_of(&answer)))
}

async fn error_of(host: &Lamina, request: Value) -> String {
    let answers = fetched(host, json!([request])).await;
    answers[0]["error"].as_str().unwrap_or("none").to_owned()
}

fn described(answer: &Value) -> Value {
    let body = answer["body"].as_str().unwrap_or_default();
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
}

#[tokio::test]
async fn request_reaches_server() {
    let server = HttpServer::start().await;
    let host = host(&allowed(server.address)).await;
    let url = format!("http://{}/a%20b?x=1", server.address);
    let requests = json!([
        {"url": url, "headers": {"x-own": "v"}},
        {"url": url, "method": "POST", "body": "x".repeat(100_000)},
        {"url": url, "method": "HEAD"},
        {"url": format!("http://{}/big", server.address)},
    ]);
    let answers = fetched(&host, requests).await;
    let get = described(&answers[0]);
    assert_eq!(answers[0]["status"], 200);
    assert_eq!(answers[0]["headers"]["x-answered"], "1");
    let expected = json!({
        "method": "GET", "target": "/a%20b?x=1", "host": server.address.to_string(), "own": "v",
        "bytes": 0, "version": "HTTP/1.1",
    });
    assert_eq!(get, expected);
    let post = described(&answers[1]);
    assert_eq!(
        (&post["method"], &post["bytes"]),
        (&json!("POST"), &json!(100_000))
    );
    assert_eq!(
        (&answers[2]["status"], &answers[2]["size"]),
        (&json!(200), &json!(0))
    );
    assert_eq!(answers[3]["size"], 1 << 20);
    assert_eq!(
        error_of(&host, json!({"url": url, "method": "CONNECT"})).await,
        "ErrorCode::HttpRequestMethodInvalid"
    );
}

#[tokio::test]
async fn server_chooses_http_version_by_alpn() {
    for (protocols, version) in [
        (&["h2", "http/1.1"][..], "HTTP/2.0"),
        (&["http/1.1"], "HTTP/1.1"),
        (&[], "HTTP/1.1"),
    ] {
        let server = HttpServer::with_tls(protocols).await;
        let host = host(&trusting(&allowed(server.address))).await;
        let url = format!("https://localhost:{}/x", server.port());
        // The name leads to 127.0.0.1, which the rule allows.
        let answers = fetched(&host, json!([{"url": url}])).await;
        let get = described(&answers[0]);
        assert_eq!(get["version"], version);
        assert_eq!(get["host"], format!("localhost:{}", server.port()));
        let body = "x".repeat(300_000);
        let post = json!({"url": url, "method": "POST", "body": body});
        let answers = fetched(&host, json!([post])).await;
        assert_eq!(described(&answers[0])["bytes"], 300_000);
        assert_eq!(
            server.connections(),
            1,
            "{version}: the connection is reused"
        );
    }
}

#[tokio::test]
async fn untrusted_certificate_is_refused_and_named_in_the_log() {
    let server = HttpServer::with_tls(&[]).await;
    let host = host(&allowed(server.address)).await;
    let url = format!("https://127.0.0.1:{}/", server.port());
    let answer = host.invoke("f", &json!({"requests": [{"url": url}]})).await;
    assert_eq!(answer.json()[0]["error"], "ErrorCode::TlsCertificateError");
    let log = log_of(&answer);
    assert!(
        log.contains("is not trusted") && log.contains("certificate_authorities"),
        "{log}"
    );
}

#[tokio::test]
async fn environments_of_function_share_connections() {
    let server = HttpServer::with_tls(&["h2"]).await;
    let host = host(&trusting(&allowed(server.address))).await;
    let url = format!("https://127.0.0.1:{}/", server.port());
    let request = json!([{ "url": url }]);
    fetched(&host, request.clone()).await;
    let slow = json!([{"url": url}, {"url": format!("{url}stalled"), "between_bytes_ms": 300}]);
    let many = (0..4).map(|_| fetched(&host, slow.clone()));
    futures_util::future::join_all(many).await;
    fetched(&host, request).await;
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn timeouts_of_request_are_kept() {
    let server = HttpServer::start().await;
    let deaf = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let deaf = deaf.local_addr().expect("it is bound");
    let host = host(&[allowed(server.address), allowed(deaf)].concat()).await;
    let requests = json!([
        {"url": format!("https://{deaf}/"), "connect_ms": 200},
        {"url": format!("http://{}/silent", server.address), "first_byte_ms": 200},
        {"url": format!("http://{}/stalled", server.address), "between_bytes_ms": 200},
    ]);
    let answers = fetched(&host, requests).await;
    assert_eq!(answers[0]["error"], "ErrorCode::ConnectionTimeout");
    assert_eq!(answers[1]["error"], "ErrorCode::ConnectionReadTimeout");
    assert_eq!(answers[2]["body"], "begun");
    assert_eq!(
        answers[2]["broken"],
        "Some(ErrorCode::ConnectionReadTimeout)"
    );
}

#[tokio::test]
async fn denied_address_is_one_line_in_the_log() {
    let server = HttpServer::start().await;
    let host = host("").await;
    let port = server.port();
    for (url, named) in [
        (
            format!("http://127.0.0.1:{port}/"),
            format!("127.0.0.1:{port} was denied"),
        ),
        (
            format!("http://localhost:{port}/"),
            format!("127.0.0.1:{port} (localhost) was denied"),
        ),
        (
            format!("http://[::1]:{port}/"),
            format!("[::1]:{port} was denied"),
        ),
        (
            format!("http://[::ffff:127.0.0.1]:{port}/"),
            format!("127.0.0.1:{port}"),
        ),
        (
            "http://169.254.169.254/latest".to_owned(),
            "169.254.169.254:80 was denied".to_owned(),
        ),
    ] {
        let answer = host
            .invoke("f", &json!({"requests": [{ "url": url }]}))
            .await;
        let error = &answer.json()[0]["error"];
        assert_eq!(error, "ErrorCode::DestinationIpProhibited", "{url}");
        let log = log_of(&answer);
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("denied")).collect();
        assert_eq!(lines.len(), 1, "{log}");
        for part in [&named, "egress = \"public\"", "[[egress_rules]]"] {
            assert!(lines[0].contains(part), "{log}");
        }
    }
    assert_eq!(server.connections(), 0);
    // The same for sockets.
    host.create("s", &guest("hostile"), json!({})).await;
    let event = json!({"do": "connect", "address": server.address.to_string()});
    let answer = host.invoke("s", &event).await;
    assert_eq!(answer.json()["errorType"], "PermissionDenied");
    let log = log_of(&answer);
    assert!(
        log.contains(&format!("{} was denied", server.address)),
        "{log}"
    );
}

#[tokio::test]
async fn rules_apply_to_their_functions() {
    let server = HttpServer::start().await;
    let url = format!("http://{}/", server.address);
    let rule = allowed(server.address);
    let settings = format!("egress = \"deny\"\n{rule}functions = [\"f\"]\n");
    let host = host(&settings).await;
    host.create("g", &guest("fetch"), json!({})).await;
    assert_eq!(error_of(&host, json!({"url": url})).await, "none");
    let event = json!({"requests": [{"url": url}, {"url": "http://a.example/"}]});
    let answer = host.invoke("g", &event).await;
    for number in 0..2 {
        let error = &answer.json()[number]["error"];
        assert_eq!(error, "ErrorCode::DestinationIpProhibited", "{number}");
    }
    let log = log_of(&answer);
    assert!(
        log.contains("a.example was denied by egress = \"deny\""),
        "{log}"
    );
}

#[tokio::test]
async fn component_of_wstd_forwards_bodies_as_they_come() {
    let server = HttpServer::with_tls(&["h2"]).await;
    let settings = trusting(&allowed(server.address));
    let host = Lamina::with(&settings, "settle_millis = 20");
    let origin = format!("https://127.0.0.1:{}", server.port());
    let environment = json!({"Variables": {"ORIGIN": origin}});
    let more = json!({"Timeout": 30, "Environment": environment});
    host.create("proxy", &example("proxy"), more).await;
    let domain = url_of(&host, "proxy", json!({"InvokeMode": "RESPONSE_STREAM"})).await;
    let headers = [("host", domain.as_str()), ("x-own", "v")];
    let body = vec![b'x'; 1 << 20];
    let answer = host.send("POST", "/a?b=1", &headers, body).await;
    let seen = answer.json();
    assert_eq!(answer.header("x-answered"), "1", "{}", answer.text());
    let expected = [
        &seen["method"],
        &seen["target"],
        &seen["own"],
        &seen["bytes"],
    ];
    assert_eq!(
        expected,
        [
            &json!("POST"),
            &json!("/a?b=1"),
            &json!("v"),
            &json!(1 << 20)
        ]
    );
    let big = host.send("GET", "/big", &headers, "").await;
    assert_eq!((big.status.as_u16(), big.body.len()), (200, 1 << 20));
    // The origin stops in its body: the first part is here all the same.
    let mut stream = TcpStream::connect(host.address).await.expect("it answers");
    let request = format!("GET /stalled HTTP/1.1\r\nhost: {domain}\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("it reads");
    let mut received = Vec::new();
    while !String::from_utf8_lossy(&received).contains("begun") {
        let read = stream.read_buf(&mut received).await.expect("it answers");
        assert!(read > 0, "{}", String::from_utf8_lossy(&received));
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn leaked_responses_replace_environment_before_requests_fail() {
    let server = HttpServer::start().await;
    let host = host(&allowed(server.address)).await;
    let url = format!("http://{}/big", server.address);
    let leak = json!({"url": url, "leak": true});
    for round in 0..10 {
        let answers = fetched(&host, json!(vec![leak.clone(); 30])).await;
        assert!(
            answers.iter().all(|it| it == "leaked"),
            "{round}: {answers:?}"
        );
    }
}

#[tokio::test]
async fn leaked_responses_replace_custom_runtime_before_requests_fail() {
    let server = HttpServer::start().await;
    let host = Lamina::with(&allowed(server.address), "settle_millis = 20");
    let timeout = json!({"Timeout": 30});
    host.create("f", &guest("runtime"), timeout).await;
    let event = json!(format!("leak {}", server.address));
    for round in 0..6 {
        let answer = host.invoke("f", &event).await;
        assert_eq!(answer.json(), "leaked", "{round}: {}", answer.text());
    }
}

#[tokio::test]
async fn tenants_share_no_connections() {
    let server = HttpServer::with_tls(&["h2"]).await;
    let settings = trusting(&allowed(server.address));
    let host = Lamina::with(&settings, "settle_millis = 20");
    let isolated = json!({"TenancyConfig": {"TenantIsolationMode": "PER_TENANT"}});
    host.create("f", &guest("fetch"), isolated).await;
    let url = format!("https://127.0.0.1:{}/", server.port());
    let event = json!({"requests": [{ "url": url }]}).to_string();
    for (tenant, connections) in [("blue", 1), ("red", 2), ("blue", 2)] {
        let path = "/2015-03-31/functions/f/invocations";
        let headers = [("x-amz-tenant-id", tenant)];
        let answer = host.send("POST", path, &headers, event.clone()).await;
        assert_eq!(answer.json()[0]["status"], 200, "{}", answer.text());
        assert_eq!(server.connections(), connections, "{tenant}");
    }
}

#[tokio::test]
async fn server_without_window_keeps_no_connection() {
    let server = Windowless::start().await;
    let host = host(&trusting(&allowed(server.address))).await;
    let url = format!("https://127.0.0.1:{}/", server.address.port());
    let post = json!({"url": url, "method": "POST", "body": "x".repeat(1 << 10)});
    for round in 1..=4 {
        // The window is known once the first request of a connection is answered.
        for request in [json!({"url": url}), post.clone()] {
            let answers = fetched(&host, json!([request])).await;
            assert_eq!(answers[0]["status"], 200, "{}", answers[0]);
            assert_eq!(server.connections.load(Ordering::Relaxed), round);
        }
    }
    // The rest of each request has some seconds.
    while server.open.load(Ordering::Relaxed) > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
