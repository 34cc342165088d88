//! Function URLs: requests to events, results to responses.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::{ApiResponse, Lamina, example, guest, zipped};

pub async fn url_of(host: &Lamina, name: &str, more: Value) -> String {
    let mut request = json!({"AuthType": "NONE"});
    for (key, value) in more.as_object().into_iter().flatten() {
        request[key] = value.clone();
    }
    let path = format!("/2021-10-31/functions/{name}/url");
    let made = host.lambda("POST", &path, &request).await;
    made.url_domain()
}

pub async fn get(host: &Lamina, domain: &str, path: &str, headers: &[(&str, &str)]) -> ApiResponse {
    let headers = [&[("host", domain)], headers].concat();
    host.send("GET", path, &headers, "").await
}

#[tokio::test]
async fn request_becomes_event_and_result_response() {
    let host = Lamina::start();
    host.create("echo", &guest("echo"), json!({})).await;
    let domain = url_of(&host, "echo", json!({})).await;
    let event = get(&host, &domain, "/a%20b?x=1&x=2", &[("x-own", "v")])
        .await
        .json();
    assert_eq!(event["version"], "2.0");
    assert_eq!(event["rawPath"], "/a%20b");
    assert_eq!(event["queryStringParameters"]["x"], "1,2");
    assert_eq!(event["headers"]["x-own"], "v");
    assert_eq!(event["requestContext"]["http"]["method"], "GET");
    let cookie = [("cookie", "session=abc; theme=dark")];
    let event = get(&host, &domain, "/", &cookie).await.json();
    assert_eq!(event["cookies"], json!(["session=abc", "theme=dark"]));
    assert_eq!(event["headers"]["cookie"], "session=abc; theme=dark");
    let form = [
        ("host", domain.as_str()),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let event = host.send("POST", "/", &form, "a=b+c").await.json();
    assert_eq!(
        (&event["isBase64Encoded"], &event["body"]),
        (&json!(true), &json!(STANDARD.encode("a=b+c")))
    );
}

#[tokio::test]
async fn http_component_gets_original_request() {
    let host = Lamina::start();
    host.create("http", &example("http"), json!({})).await;
    let domain = url_of(&host, "http", json!({})).await;
    assert_eq!(get(&host, &domain, "/", &[]).await.status, 200);
    assert_eq!(
        get(&host, &domain, "/nowhere-at-all", &[]).await.status,
        404
    );
}

/// Both versions respond: one is an HTTP component, the other takes events. Neither may get the
/// other's form.
#[tokio::test]
async fn weighted_alias_is_drawn_once_per_request() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({"Publish": true}))
        .await;
    let code = json!({"ZipFile": STANDARD.encode(zipped(&example("http"))), "Publish": true});
    let updated = host
        .lambda("PUT", "/2015-03-31/functions/f/code", &code)
        .await;
    assert_eq!(updated.status, 200, "{}", updated.text());
    host.settled("f").await;
    let split = json!({
        "Name": "live", "FunctionVersion": "1",
        "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.5}},
    });
    let made = host
        .lambda("POST", "/2015-03-31/functions/f/aliases", &split)
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
    let path = "/2021-10-31/functions/f/url?Qualifier=live";
    let made = host
        .lambda("POST", path, &json!({"AuthType": "NONE"}))
        .await;
    let domain = made.url_domain();
    let (mut echoed, mut served) = (0, 0);
    while echoed < 20 || served < 20 {
        let body = r#"{"rawPath":"/nowhere","statusCode":299}"#;
        let headers = [
            ("host", domain.as_str()),
            ("content-type", "application/json"),
        ];
        let answer = host.send("POST", "/nowhere-at-all", &headers, body).await;
        match answer.status.as_u16() {
            // The echoed event has no status code, so it is the body.
            200 => {
                assert_eq!(answer.json()["version"], "2.0", "{}", answer.text());
                echoed += 1;
            }
            404 => served += 1,
            other => panic!("{other}: {}", answer.text()),
        }
    }
}

#[tokio::test]
async fn failure_is_bad_gateway_and_unknown_url_forbidden() {
    let host = Lamina::start();
    host.create("f", &guest("hostile"), json!({})).await;
    let domain = url_of(&host, "f", json!({})).await;
    let failed = get(&host, &domain, "/", &[]).await;
    assert_eq!(
        (failed.status.as_u16(), failed.text().as_str()),
        (502, "Internal Server Error")
    );
    let unknown = get(&host, "nobody.lambda-url.us-east-1.localhost", "/", &[]).await;
    assert_eq!(
        (unknown.status.as_u16(), unknown.error().0.as_str()),
        (403, "AccessDeniedException")
    );
    assert_eq!(unknown.text(), r#"{"Message":null}"#);
    host.lambda("DELETE", "/2015-03-31/functions/f", &Value::Null)
        .await;
    assert_eq!(get(&host, &domain, "/", &[]).await.status, 403);
}

#[tokio::test]
async fn url_of_deleted_alias_is_forbidden() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    let alias = json!({"Name": "a", "FunctionVersion": "$LATEST"});
    let aliases = "/2015-03-31/functions/f/aliases";
    assert_eq!(host.lambda("POST", aliases, &alias).await.status, 201);
    let path = "/2021-10-31/functions/f/url?Qualifier=a";
    let made = host
        .lambda("POST", path, &json!({"AuthType": "NONE"}))
        .await;
    let url = made.json()["FunctionUrl"]
        .as_str()
        .expect("a URL")
        .to_owned();
    let domain = url.trim_start_matches("http://").trim_end_matches('/');
    assert_eq!(get(&host, domain, "/", &[]).await.status, 200);

    let gone = host
        .lambda("DELETE", &format!("{aliases}/a"), &Value::Null)
        .await;
    assert_eq!(gone.status, 204);
    assert_eq!(host.lambda("GET", path, &Value::Null).await.status, 404);
    let refused = get(&host, domain, "/", &[]).await;
    assert_eq!(
        (refused.status.as_u16(), refused.error().0.as_str()),
        (403, "AccessDeniedException")
    );
    assert!(
        refused
            .error()
            .1
            .starts_with("Forbidden. For troubleshooting"),
        "{}",
        refused.text()
    );
}

#[tokio::test]
async fn invoke_mode_is_echoed_only_if_set() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    let path = "/2021-10-31/functions/f/url";
    let mode = async |method: &str, body: Value| {
        let shown = host.lambda(method, path, &body).await.json();
        shown.get("InvokeMode").cloned()
    };
    assert_eq!(mode("POST", json!({"AuthType": "NONE"})).await, None);
    assert_eq!(mode("GET", Value::Null).await, Some(json!("BUFFERED")));
    assert_eq!(mode("PUT", json!({"AuthType": "NONE"})).await, None);
    let chosen = json!({"InvokeMode": "BUFFERED"});
    assert_eq!(mode("PUT", chosen).await, Some(json!("BUFFERED")));
    assert_eq!(mode("PUT", json!({})).await, Some(json!("BUFFERED")));
}

#[tokio::test]
async fn function_with_zero_reserve_is_throttled() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    let domain = url_of(&host, "f", json!({})).await;
    let path = "/2017-10-31/functions/f/concurrency";
    let none = json!({"ReservedConcurrentExecutions": 0});
    assert_eq!(host.lambda("PUT", path, &none).await.status, 200);
    let refused = get(&host, &domain, "/", &[]).await;
    assert_eq!(refused.status, 429);
    assert_eq!(
        refused.json()["Reason"],
        "ReservedFunctionConcurrentInvocationLimitExceeded"
    );
}

#[tokio::test]
async fn cors_configuration_is_applied() {
    let host = Lamina::start();
    host.create("echo", &guest("echo"), json!({})).await;
    let cors = json!({"Cors": {"AllowOrigins": ["https://a.example"], "AllowMethods": ["GET"]}});
    let domain = url_of(&host, "echo", cors).await;
    let allowed = get(&host, &domain, "/", &[("origin", "https://a.example")]).await;
    assert_eq!(
        allowed.header("access-control-allow-origin"),
        "https://a.example"
    );
    let other = get(&host, &domain, "/", &[("origin", "https://b.example")]).await;
    assert_eq!(other.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn second_url_of_function_is_refused() {
    let host = Lamina::start();
    host.create("echo", &guest("echo"), json!({})).await;
    url_of(&host, "echo", json!({})).await;
    let path = "/2021-10-31/functions/echo/url";
    let twice = host
        .lambda("POST", path, &json!({"AuthType": "NONE"}))
        .await;
    assert_eq!(twice.status, 409);
    let got = host.lambda("GET", path, &Value::Null).await.json();
    assert_eq!(
        (&got["AuthType"], &got["InvokeMode"]),
        (&json!("NONE"), &json!("BUFFERED"))
    );
    assert_eq!(host.lambda("DELETE", path, &Value::Null).await.status, 204);
    assert_eq!(host.lambda("GET", path, &Value::Null).await.status, 404);
}
