//! Bad requests: the response is a client error, and the host keeps running.

use serde_json::{Value, json};

use crate::harness::{Lamina, ROLE, guest, root};

const FUNCTIONS: &str = "/2015-03-31/functions";

#[tokio::test]
async fn invalid_payload_is_refused() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    let path = format!("{FUNCTIONS}/f/invocations");
    let cases: [(Vec<u8>, u16, &str); 4] = [
        (
            b"{not json".to_vec(),
            400,
            "Could not parse request body into json: Could not parse payload into json: Unexpected \
             character ('n' (code 110)): was expecting double-quote to start field name\n at \
             [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, \
             column: 2]",
        ),
        (
            vec![b'"', 0xff, b'"'],
            400,
            "json: Invalid UTF-8 start byte 0xff\n at [Source: ",
        ),
        (
            vec![b' '; 6_291_457],
            413,
            "Request must be smaller than 6291456 bytes for the InvokeFunction operation",
        ),
        (
            vec![b'['; 100_000],
            400,
            "Could not parse request body into json",
        ),
    ];
    for (body, status, expected) in cases {
        let answer = host.send("POST", &path, &[], body).await;
        assert_eq!(answer.status, status);
        assert!(answer.error().1.contains(expected), "{:?}", answer.error());
    }
    let mut largest = vec![b'a'; 6_291_454];
    largest.insert(0, b'"');
    largest.push(b'"');
    assert_eq!(
        host.send("POST", &path, &[], largest.clone()).await.body,
        largest
    );
    assert_eq!(host.send("POST", &path, &[], "").await.text(), "{}");
}

#[tokio::test]
async fn unknown_path_is_refused() {
    let host = Lamina::start();
    for (method, path, status) in [
        ("GET", "/", 404),
        ("PATCH", FUNCTIONS, 405),
        ("GET", "/2015-03-31/functions/no%20such!", 400),
        ("GET", "/2015-03-31/functions/none", 404),
        ("GET", "/%ff%fe", 400),
    ] {
        let answer = host.lambda(method, path, &Value::Null).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        assert!(!answer.error().0.is_empty());
    }
}

#[tokio::test]
async fn unsupported_member_is_refused_by_name() {
    let host = Lamina::start();
    for (name, value) in [
        ("PublishTo", json!("LATEST_PUBLISHED")),
        ("DurableConfig", json!({"ExecutionTimeout": 10})),
        ("ImageConfig", json!({"Command": ["x"]})),
        ("Runtime", json!("java21")),
    ] {
        let answer = host.try_create("f", b"x", json!({name: value})).await;
        assert_eq!(answer.status, 400, "{name}");
        assert!(
            answer.error().1.contains(name),
            "{name}: {:?}",
            answer.error()
        );
    }
}

/// Values unsuitable for any member.
fn wrong_values() -> Vec<Value> {
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    vec![
        Value::Null,
        json!(""),
        json!("x".repeat(5_000)),
        json!(-1),
        json!(i64::MAX),
        json!(1.5),
        json!(true),
        json!([]),
        json!({}),
        json!([null]),
        json!({"": null}),
        json!("é\u{0}\u{202e}"),
        deep,
    ]
}

#[tokio::test]
async fn wrong_member_value_is_client_error() {
    let host = Lamina::start();
    let model = std::fs::read_to_string(root().join("host/model/lambda-2015-03-31.json"));
    let model: Value = serde_json::from_str(&model.expect("the model")).expect("is JSON");
    let mut sent = 0;
    for operation in model["operations"]
        .as_object()
        .expect("operations")
        .values()
    {
        let shape = &model["shapes"][operation["input"]["shape"].as_str().unwrap_or_default()];
        let http = &operation["http"];
        let method = http["method"].as_str().unwrap_or_default();
        let path = http["requestUri"]
            .as_str()
            .unwrap_or_default()
            .replace(['{', '}'], "x");
        for (name, member) in shape["members"].as_object().into_iter().flatten() {
            for value in wrong_values() {
                let mut body = json!({
                    "FunctionName": "f", "Role": ROLE, "Handler": "h", "Runtime": "provided",
                    "Code": {"ZipFile": ""},
                });
                body[name] = value.clone();
                let query = member["locationName"]
                    .as_str()
                    .filter(|_| member["location"] == "querystring");
                let query = query
                    .map(|name| format!("?{name}={}", text(&value)))
                    .unwrap_or_default();
                let joined = if path.contains('?') {
                    path.clone()
                } else {
                    format!("{path}{query}")
                };
                let answer = host.lambda(method, &joined, &body).await;
                let status = answer.status.as_u16();
                assert!(
                    status < 500 || status == 501,
                    "{method} {joined} {name}={value}: {}",
                    answer.text()
                );
                sent += 1;
            }
        }
    }
    assert!(sent > 3_000, "{sent}");
    let left = host.lambda("GET", FUNCTIONS, &Value::Null).await.json();
    assert_eq!(left["Functions"], json!([]), "no partial write");
    host.health().await;
}

fn text(value: &Value) -> String {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    text.bytes()
        .map(|byte| format!("%{byte:02x}"))
        .take(2_000)
        .collect()
}

/// AWS's largest request is a package in base64 and its metadata.
#[tokio::test]
async fn request_over_limit_is_refused() {
    const BYTES_MAX: usize = 70_167_211;
    let host = Lamina::start();
    let sized = |bytes: usize| {
        let mut body = br#"{"Timeout": 0}"#.to_vec();
        body.resize(bytes, b' ');
        body
    };
    let largest = host.send("POST", FUNCTIONS, &[], sized(BYTES_MAX)).await;
    assert_eq!(largest.status, 400, "{}", largest.text());
    assert!(largest.text().contains("timeout"), "{}", largest.text());
    let larger = host
        .send("POST", FUNCTIONS, &[], sized(BYTES_MAX + 1))
        .await;
    assert_eq!(larger.status, 413, "{}", larger.text());
    let expected = "Request must be smaller than 70167211 bytes for the CreateFunction operation";
    assert!(larger.text().contains(expected), "{}", larger.text());
}
