//! Errors for a missing function, version or alias, which differ by operation family.

use serde_json::{Value, json};

use crate::harness::{Lamina, guest};

const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function";

/// Status, error type and message.
async fn error_of(host: &Lamina, request: &str, body: &Value) -> (u16, String, String) {
    let (method, path) = request.split_once(' ').expect("a method and a path");
    let answer = host.lambda(method, path, body).await;
    let (name, text) = answer.error();
    (answer.status.as_u16(), name, text)
}

fn not_found(text: &str) -> (u16, String, String) {
    (404, "ResourceNotFoundException".into(), text.into())
}

#[tokio::test]
async fn provisioned_concurrency_reports_missing_alias_first() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    let cases = [
        (
            "none",
            "prod",
            format!("Cannot find alias arn: {ARN}:none:prod"),
        ),
        ("none", "1", format!("Function not found: {ARN}:none:1")),
        ("f", "prod", format!("Cannot find alias arn: {ARN}:f:prod")),
        ("f", "1", format!("Function not found: {ARN}:f:1")),
    ];
    let asked = json!({"ProvisionedConcurrentExecutions": 1});
    for (name, qualifier, text) in cases {
        let path =
            format!("/2019-09-30/functions/{name}/provisioned-concurrency?Qualifier={qualifier}");
        for (method, body) in [
            ("GET", &Value::Null),
            ("PUT", &asked),
            ("DELETE", &Value::Null),
        ] {
            let request = format!("{method} {path}");
            assert_eq!(
                error_of(&host, &request, body).await,
                not_found(&text),
                "{request}"
            );
        }
    }
}

#[tokio::test]
async fn reserved_concurrency_of_qualifier_is_refused() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({"Publish": true}))
        .await;
    let text = "This operation is permitted on Lambda functions only. Aliases and versions do not \
                support this operation. Please specify either a function name or an unqualified \
                function ARN.";
    let refused = (
        400,
        "InvalidParameterValueException".to_owned(),
        text.to_owned(),
    );
    let asked = json!({"ReservedConcurrentExecutions": 0});
    for name in ["f:$LATEST", "f:1", &format!("{ARN}:f:$LATEST")] {
        let name = name.replace(':', "%3A");
        let request = format!("PUT /2017-10-31/functions/{name}/concurrency");
        assert_eq!(
            error_of(&host, &request, &asked).await,
            refused,
            "{request}"
        );
    }
    let shown = "/2019-09-30/functions/f/concurrency";
    let shown = host.lambda("GET", shown, &Value::Null).await;
    assert_eq!(shown.json(), json!({}), "nothing was set");
}

#[tokio::test]
async fn url_update_needs_existing_alias() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    let (no_function, no_url) = (
        "Function does not exist",
        "The resource you requested does not exist.",
    );
    let auth = json!({"AuthType": "AWS_IAM"});
    for (method, body, path, text) in [
        ("POST", &auth, "f/url?Qualifier=prod", no_function),
        ("PUT", &auth, "f/url?Qualifier=prod", no_function),
        ("PUT", &auth, "none/url", no_function),
        ("PUT", &auth, "f/url", no_url),
        ("GET", &Value::Null, "f/url?Qualifier=prod", no_url),
        ("DELETE", &Value::Null, "f/url?Qualifier=prod", no_url),
        ("DELETE", &Value::Null, "none/url", no_url),
    ] {
        let request = format!("{method} /2021-10-31/functions/{path}");
        assert_eq!(
            error_of(&host, &request, body).await,
            not_found(text),
            "{request}"
        );
    }
}
