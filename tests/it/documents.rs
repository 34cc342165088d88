//! JSON beyond serde_json that AWS's runtimes write: passed through unchanged, with its members
//! found.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::harness::{Lamina, guest};
use crate::urls::url_of;

const INVOKE: &str = "/2015-03-31/functions/f/invocations";

/// Members with an unpaired surrogate, a number out of range, and 130 levels.
fn members() -> [String; 3] {
    let levels = "[".repeat(130) + &"]".repeat(130);
    [
        r#""debug":"\udc00""#.into(),
        r#""n":1e999"#.into(),
        format!(r#""trace":{levels}"#),
    ]
}

#[tokio::test]
async fn event_that_serde_json_refuses_reaches_the_function() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    for member in members() {
        let event = format!("{{{member}}}");
        let answer = host.send("POST", INVOKE, &[], event.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, event));
    }
}

#[tokio::test]
async fn event_over_1000_levels_is_refused() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    let levels = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let taken = host.send("POST", INVOKE, &[], levels(1_000)).await;
    assert_eq!(taken.status, 200, "{}", taken.text());
    let refused = host.send("POST", INVOKE, &[], levels(1_001)).await;
    let (name, text) = refused.error();
    assert_eq!(refused.status, 400);
    assert_eq!(name, "InvalidRequestContentException");
    assert!(text.contains("nesting depth (1001)"), "{text}");
}

#[tokio::test]
async fn result_that_serde_json_refuses_keeps_its_status_and_cookies() {
    let host = Lamina::start();
    host.create("f", &guest("streaming"), json!({})).await;
    let domain = url_of(&host, "f", json!({})).await;
    for member in members() {
        let result =
            format!(r#"{{"statusCode":404,"cookies":["sid=secret"],"body":"gone",{member}}}"#);
        let said = json!({"chunks": [result]}).to_string();
        let headers = [
            ("host", domain.as_str()),
            ("content-type", "application/json"),
        ];
        let answer = host.send("POST", "/", &headers, said).await;
        assert_eq!(answer.status, 404, "{member}: {}", answer.text());
        assert_eq!(answer.header("set-cookie"), "sid=secret");
        assert_eq!(answer.text(), "gone");
    }
}

#[tokio::test]
async fn client_context_that_is_no_object_is_refused() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    for context in [
        STANDARD.encode("[1]"),
        STANDARD.encode("hello"),
        "string".into(),
    ] {
        let headers = [("x-amz-client-context", context.as_str())];
        let refused = host.send("POST", INVOKE, &headers, "{}").await;
        assert_eq!(
            (refused.status.as_u16(), refused.error().1.as_str()),
            (
                400,
                "Client context must be a valid Base64-encoded JSON object."
            )
        );
    }
}

#[tokio::test]
async fn tenant_id_outside_the_model_is_refused() {
    let host = Lamina::start();
    let isolated = json!({"TenancyConfig": {"TenantIsolationMode": "PER_TENANT"}});
    host.create("f", &guest("echo"), isolated).await;
    let long = "t".repeat(257);
    for tenant in ["müller", "a,b", &long] {
        let refused = host
            .send("POST", INVOKE, &[("x-amz-tenant-id", tenant)], "{}")
            .await;
        assert_eq!(refused.status, 400, "{tenant}: {}", refused.text());
    }
    let taken = host
        .send(
            "POST",
            INVOKE,
            &[("x-amz-tenant-id", "Acme.1_:/=+-@ x")],
            "{}",
        )
        .await;
    assert_eq!(taken.status, 200, "{}", taken.text());
}
