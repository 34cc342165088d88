//! Front: admission of requests, and the proxy headers of function URLs.

use serde_json::{Value, json};

use crate::harness::{Lamina, guest};
use crate::urls::{get, url_of};

const FUNCTIONS: &str = "/2015-03-31/functions";
const LOGS: (&str, &str) = ("x-amz-target", "Logs_20140328.DescribeLogGroups");

/// Headers that browsers add to cross-site requests, or the host name of a page that resolves to
/// this machine (DNS rebinding).
const SIGNS: [(&str, &str); 4] = [
    ("origin", "https://evil.example"),
    ("origin", "null"),
    ("sec-fetch-site", "cross-site"),
    ("host", "rebound.evil.example:3001"),
];

#[tokio::test]
async fn keyless_host_refuses_web_pages() {
    let host = Lamina::start();
    host.create("echo", &guest("echo"), json!({})).await;
    let shown = host
        .lambda("GET", &format!("{FUNCTIONS}/echo"), &Value::Null)
        .await;
    let link = shown.json()["Code"]["Location"]
        .as_str()
        .expect("a link")
        .to_owned();
    let link = link.trim_start_matches(&host.endpoint()).to_owned();
    let invocations = format!("{FUNCTIONS}/echo/invocations");
    for sign in SIGNS {
        let plain = ("content-type", "text/plain");
        for (method, path) in [
            ("POST", invocations.as_str()),
            ("OPTIONS", FUNCTIONS),
            ("GET", FUNCTIONS),
        ] {
            let refused = host.send(method, path, &[sign, plain], "{}").await;
            let (name, text) = refused.error();
            assert_eq!(
                (refused.status.as_u16(), name.as_str()),
                (403, "AccessDeniedException"),
                "{sign:?}"
            );
            assert!(
                text.starts_with("This host has no keys, so it ") && text.contains(sign.1),
                "{text}"
            );
            assert_eq!(refused.header("access-control-allow-origin"), "");
        }
        let logs = host.send("POST", "/", &[sign, LOGS], "{}").await;
        assert_eq!(
            (logs.status.as_u16(), &logs.json()["__type"]),
            (403, &json!("AccessDeniedException"))
        );
        assert_eq!(host.send("GET", &link, &[sign], "").await.status, 403);
    }
    let port = host.address.port();
    for own in [
        format!("localhost:{port}"),
        format!("lamina.localhost:{port}"),
        format!("[::1]:{port}"),
    ] {
        let own = [("host", own.as_str()), ("sec-fetch-site", "none")];
        assert_eq!(
            host.send("POST", &invocations, &own, "{}").await.status,
            200
        );
        assert_eq!(
            host.send("POST", "/", &[own[0], LOGS], "{}").await.status,
            200
        );
        assert_eq!(host.send("GET", &link, &own, "").await.status, 200);
    }
    let domain = url_of(&host, "echo", json!({})).await;
    for sign in &SIGNS[..3] {
        assert_eq!(
            get(&host, &domain, "/", &[*sign]).await.status,
            200,
            "{sign:?}"
        );
    }
}

#[tokio::test]
async fn url_event_has_forwarding_and_trace_headers() {
    let host = Lamina::start();
    host.create("echo", &guest("echo"), json!({})).await;
    let domain = url_of(&host, "echo", json!({})).await;
    let answer = get(&host, &domain, "/", &[]).await;
    let headers = &answer.json()["headers"];
    assert_eq!(headers["x-forwarded-for"], "127.0.0.1");
    assert_eq!(headers["x-forwarded-port"], host.address.port().to_string());
    assert_eq!(headers["x-forwarded-proto"], "http");
    let trace = headers["x-amzn-trace-id"].as_str().expect("a trace");
    assert!(trace.starts_with("Root=1-"), "{trace}");
    assert_eq!(answer.header("x-amzn-trace-id"), trace);
    let context = &answer.json()["requestContext"];
    assert_eq!(context["requestId"], answer.header("x-amzn-requestid"));
    let begun = "Root=1-6925f5a0-0123456789abcdef01234567;Sampled=1";
    let given = [("x-amzn-trace-id", begun), ("x-forwarded-for", "192.0.2.1")];
    let answer = get(&host, &domain, "/", &given).await;
    assert_eq!(answer.json()["headers"]["x-amzn-trace-id"], begun);
    assert_eq!(answer.header("x-amzn-trace-id"), begun);
    assert_eq!(
        answer.json()["headers"]["x-forwarded-for"],
        "127.0.0.1",
        "the client is no trusted proxy"
    );
    assert_eq!(
        answer.json()["requestContext"]["http"]["sourceIp"],
        "127.0.0.1"
    );
}
