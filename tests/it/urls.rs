//! Function URLs: HTTP in, HTTP out.

use serde_json::{Value, json};

use crate::harness::{Answer, Lamina, example, guest};

pub async fn url_of(host: &Lamina, name: &str, more: Value) -> String {
    let mut request = json!({"AuthType": "NONE"});
    for (key, value) in more.as_object().into_iter().flatten() {
        request[key] = value.clone();
    }
    let path = format!("/2021-10-31/functions/{name}/url");
    let made = host.lambda("POST", &path, &request).await;
    made.url_domain()
}

pub async fn get(host: &Lamina, domain: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let headers = [&[("host", domain)], headers].concat();
    host.send("GET", path, &headers, "").await
}

#[tokio::test]
async fn a_request_becomes_an_event_and_a_result_a_response() {
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
}

#[tokio::test]
async fn an_http_component_gets_the_request_itself() {
    let host = Lamina::start();
    host.create("http", &example("http"), json!({})).await;
    let domain = url_of(&host, "http", json!({})).await;
    assert_eq!(get(&host, &domain, "/", &[]).await.status, 200);
    assert_eq!(
        get(&host, &domain, "/nowhere-at-all", &[]).await.status,
        404
    );
}

#[tokio::test]
async fn a_failure_is_a_bad_gateway_and_an_unknown_url_forbidden() {
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
async fn a_url_that_went_with_its_alias_is_forbidden() {
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
async fn an_invoke_mode_is_told_to_those_who_change_a_url_once_it_was_chosen() {
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
async fn a_function_without_concurrency_is_throttled_by_its_own_limit() {
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
async fn cross_origin_rules_are_kept() {
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
async fn a_url_is_configured_once() {
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
