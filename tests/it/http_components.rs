//! wasi:http components that end early or leak handles: they fail at once as function errors, and
//! hold nothing in the host beyond a request.

use serde_json::{Value, json};

use crate::harness::{ApiResponse, Lamina, guest};
use crate::urls::{get, url_of};

async fn started(more: Value) -> (Lamina, String) {
    let host = Lamina::start();
    let mut settings = json!({"Timeout": 20, "MemorySize": 128});
    for (name, value) in more.as_object().into_iter().flatten() {
        settings[name] = value.clone();
    }
    host.create("f", &guest("http-manners"), settings).await;
    let domain = url_of(&host, "f", json!({})).await;
    (host, domain)
}

async fn at(host: &Lamina, domain: &str, path: &str) -> ApiResponse {
    get(host, domain, path, &[]).await
}

async fn invoked(host: &Lamina, path: &str) -> Value {
    let event = json!({"rawPath": path, "requestContext": {"http": {"method": "GET"}}});
    host.invoke("f", &event).await.json()
}

#[tokio::test]
async fn ended_component_is_bad_gateway_at_once() {
    let (host, domain) = started(json!({})).await;
    for (path, kind) in [
        ("/trap", "Runtime.ExitError"),
        ("/panic", "Runtime.ExitError"),
        ("/exit", "Runtime.ExitError"),
        ("/memory", "Runtime.OutOfMemory"),
        ("/silent", "Function.ResponseError"),
        ("/open-short", "Function.ResponseError"),
    ] {
        let answer = at(&host, &domain, path).await;
        assert_eq!(answer.status, 502, "{path}");
        assert_eq!(invoked(&host, path).await["errorType"], kind, "{path}");
    }
    assert_eq!(at(&host, &domain, "/").await.status, 200);
}

#[tokio::test]
async fn unsendable_response_is_an_error_in_the_log() {
    let json = json!({"LogFormat": "JSON", "SystemLogLevel": "DEBUG"});
    let (host, domain) = started(json!({"LoggingConfig": json})).await;
    for path in ["/silent", "/open-short", "/informational"] {
        assert_eq!(at(&host, &domain, path).await.status, 502, "{path}");
    }
    let filter = json!({"logGroupName": "/aws/lambda/f"});
    let headers = [("x-amz-target", "Logs_20140328.FilterLogEvents")];
    let found = host.send("POST", "/", &headers, filter.to_string()).await;
    let found = found.json();
    let lines = found["events"].as_array().expect("events");
    let messages = lines.iter().map(|it| it["message"].as_str().unwrap_or(""));
    let lines: Vec<Value> = messages
        .filter_map(|it| serde_json::from_str(it).ok())
        .collect();
    for (kind, error_type) in [
        ("platform.runtimeDone", "Function.ResponseError"),
        ("platform.report", "Function.ResponseError"),
    ] {
        let failed = |it: &&Value| {
            let record = &it["record"];
            it["type"] == kind && record["status"] == "error" && record["errorType"] == error_type
        };
        assert_eq!(lines.iter().filter(failed).count(), 3, "{kind}: {lines:?}");
    }
    for reason in [
        "returned without setting a response",
        "The response body",
        "status is 103",
    ] {
        let says = |it: &Value| it["message"].as_str().is_some_and(|it| it.contains(reason));
        assert!(lines.iter().any(says), "{reason}: {lines:?}");
    }
    let count = at(&host, &domain, "/").await.text();
    assert_eq!(count, "4", "the environment is used again");
}

#[tokio::test]
async fn open_body_ends_when_function_returns() {
    let (host, domain) = started(json!({})).await;
    for path in ["/open-body", "/open-stream", "/open-body"] {
        let answer = at(&host, &domain, path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.text().as_str()),
            (200, "whole")
        );
    }
    let count = at(&host, &domain, "/").await.text();
    assert_eq!(count, "4", "the environment is used again");
}

#[tokio::test]
async fn length_without_body_is_allowed_for_head_and_304() {
    let (host, domain) = started(json!({})).await;
    let head = host.send("HEAD", "/length", &[("host", &domain)], "").await;
    assert_eq!((head.status.as_u16(), head.header("x-own")), (200, "1"));
    assert!(["", "1234"].contains(&head.header("content-length")));
    let unmodified = at(&host, &domain, "/unmodified").await;
    assert_eq!(
        (unmodified.status.as_u16(), unmodified.header("etag")),
        (304, "\"x\"")
    );
    assert!(unmodified.body.is_empty());
    assert_eq!(at(&host, &domain, "/nothing").await.status, 204);
    assert_eq!(
        at(&host, &domain, "/length").await.status,
        502,
        "a GET has a body"
    );
}

#[tokio::test]
async fn leaked_requests_are_freed() {
    let (host, domain) = started(json!({})).await;
    let body = vec![b'x'; 5 << 20];
    let send = async |path: &str| {
        let answer = host
            .send("POST", path, &[("host", &domain)], body.clone())
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text()
    };
    for _ in 0..4 {
        assert_eq!(send("/read").await, body.len().to_string());
    }
    let before = host.resident_kib();
    for _ in 0..60 {
        send("/keep-request").await;
    }
    host.requires_growth_below(before, 100 << 10).await;
}

#[tokio::test]
async fn leaked_handles_replace_environment_before_failure() {
    let (host, domain) = started(json!({})).await;
    let mut restarts = 0;
    for _ in 0..2_500 {
        let answer = at(&host, &domain, "/keep-request").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        restarts += u32::from(answer.text() == "1");
    }
    assert!(restarts > 1, "one environment does not hold them all");
}

#[tokio::test]
async fn fields_and_bodies_of_request_are_limited() {
    let (host, domain) = started(json!({})).await;
    for _ in 0..20 {
        let answer = at(&host, &domain, "/keep-fields").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let before = host.resident_kib();
    let ended = invoked(&host, "/keep-bodies").await;
    assert_eq!(ended["errorType"], "Runtime.ExitError", "{ended}");
    host.requires_growth_below(before, 160 << 10).await;
    assert_eq!(at(&host, &domain, "/").await.text(), "1");
}
