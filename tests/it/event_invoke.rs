//! Event invoke configurations through the API.

use serde_json::{Value, json};

use crate::harness::{ApiResponse, Lamina, guest};

const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:queue";
const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:topic";

async fn host_with(names: &[&str]) -> Lamina {
    let host = Lamina::start();
    for name in names {
        host.create(name, &guest("echo"), json!({})).await;
    }
    host
}

fn path(name: &str) -> String {
    format!("/2019-09-25/functions/{name}/event-invoke-config")
}

fn arn(name: &str) -> String {
    format!("arn:aws:lambda:us-east-1:000000000000:function:{name}")
}

/// Configuration without its modification time, which is checked.
fn known(mut shown: Value) -> Value {
    let members = shown.as_object_mut().expect("an object");
    let modified = members.remove("LastModified").expect("a time");
    assert!(modified.as_f64().is_some_and(|at| at > 1.7e9), "{modified}");
    shown
}

fn status_and_body(answer: &ApiResponse) -> (u16, Value) {
    (answer.status.as_u16(), answer.json())
}

#[tokio::test]
async fn configuration_lifecycle_is_awss() {
    let host = host_with(&["f"]).await;
    let path = path("f");
    let none = json!({"Type": "User", "Message":
        format!("The function {}:$LATEST doesn't have an EventInvokeConfig", arn("f"))});
    for (method, body) in [
        ("GET", Value::Null),
        ("DELETE", Value::Null),
        ("POST", json!({"MaximumRetryAttempts": 1})),
    ] {
        let refused = host.lambda(method, &path, &body).await;
        assert_eq!(status_and_body(&refused), (404, none.clone()), "{method}");
        assert_eq!(refused.error().0, "ResourceNotFoundException");
    }
    let put = host
        .lambda("PUT", &path, &json!({"MaximumRetryAttempts": 0}))
        .await;
    let first = json!({
        "FunctionArn": format!("{}:$LATEST", arn("f")), "MaximumRetryAttempts": 0,
        "DestinationConfig": {"OnSuccess": {}, "OnFailure": {}},
    });
    assert_eq!(
        (put.status.as_u16(), known(put.json())),
        (200, first.clone())
    );
    assert_eq!(
        host.lambda("GET", &path, &Value::Null).await.json(),
        put.json()
    );

    let change = json!({"MaximumEventAgeInSeconds": 60,
        "DestinationConfig": {"OnFailure": {"Destination": QUEUE}}});
    let changed = host.lambda("POST", &path, &change).await;
    let mut second = first.clone();
    second["MaximumEventAgeInSeconds"] = json!(60);
    second["DestinationConfig"]["OnFailure"] = json!({"Destination": QUEUE});
    assert_eq!(
        (changed.status.as_u16(), known(changed.json())),
        (200, second)
    );
    // An update of DestinationConfig replaces both destinations.
    let change = json!({"DestinationConfig": {"OnSuccess": {"Destination": TOPIC}}});
    let changed = host.lambda("POST", &path, &change).await.json();
    assert_eq!(
        changed["DestinationConfig"],
        json!({"OnSuccess": {"Destination": TOPIC}, "OnFailure": {}})
    );
    // Put replaces the whole configuration.
    let replaced = host
        .lambda("PUT", &path, &json!({"MaximumEventAgeInSeconds": 21_600}))
        .await;
    let expected = json!({
        "FunctionArn": format!("{}:$LATEST", arn("f")), "MaximumEventAgeInSeconds": 21_600,
        "DestinationConfig": {"OnSuccess": {}, "OnFailure": {}},
    });
    assert_eq!(known(replaced.json()), expected);

    let deleted = host.lambda("DELETE", &path, &Value::Null).await;
    assert_eq!(
        (deleted.status.as_u16(), deleted.text().as_str()),
        (204, "")
    );
    assert_eq!(
        status_and_body(&host.lambda("GET", &path, &Value::Null).await),
        (404, none)
    );
}

#[tokio::test]
async fn configuration_is_deleted_with_function() {
    let host = host_with(&["f"]).await;
    let put = host
        .lambda(
            "PUT",
            &path("f:$LATEST"),
            &json!({"MaximumRetryAttempts": 1}),
        )
        .await;
    assert_eq!(put.json()["FunctionArn"], format!("{}:$LATEST", arn("f")));
    let list = format!("{}/list", path("f"));
    let listed = host.lambda("GET", &list, &Value::Null).await;
    assert_eq!(
        listed.json(),
        json!({"FunctionEventInvokeConfigs": [put.json()]})
    );
    host.lambda("DELETE", "/2015-03-31/functions/f", &Value::Null)
        .await;
    let gone = host.lambda("GET", &list, &Value::Null).await;
    let expected = json!({"Type": "User", "Message": "The function doesn't exist."});
    assert_eq!(status_and_body(&gone), (404, expected));
    host.create("f", &guest("echo"), json!({})).await;
    let listed = host.lambda("GET", &list, &Value::Null).await;
    assert_eq!(listed.json(), json!({"FunctionEventInvokeConfigs": []}));
}

#[tokio::test]
async fn configuration_survives_kill() {
    let host = host_with(&["f"]).await;
    let put = host
        .lambda("PUT", &path("f"), &json!({"MaximumRetryAttempts": 2}))
        .await;
    let host = Lamina::in_dir(host.kill(), "");
    let got = host.lambda("GET", &path("f"), &Value::Null).await;
    assert_eq!(got.json(), put.json());
}

#[tokio::test]
async fn destination_may_be_any_supported_service() {
    let host = host_with(&["f", "g"]).await;
    let put = async |config: Value| {
        let body = json!({"DestinationConfig": config});
        host.lambda("PUT", &path("f"), &body).await
    };
    let bus = "arn:aws:events:us-east-1:000000000000:event-bus/default";
    let bucket = "arn:aws:s3:::bucket";
    let function = arn("g");
    for (success, failure) in [
        (QUEUE, TOPIC),
        (TOPIC, bucket),
        (bus, bus),
        (function.as_str(), QUEUE),
    ] {
        let config =
            json!({"OnSuccess": {"Destination": success}, "OnFailure": {"Destination": failure}});
        let made = put(config.clone()).await;
        assert_eq!(
            (made.status.as_u16(), &made.json()["DestinationConfig"]),
            (200, &config)
        );
    }
    // An empty string removes a destination.
    let cleared = put(json!({"OnSuccess": {"Destination": ""}})).await.json();
    assert_eq!(
        cleared["DestinationConfig"],
        json!({"OnSuccess": {}, "OnFailure": {}})
    );
}

#[tokio::test]
async fn unsuitable_destination_is_refused() {
    let host = host_with(&["f", "g"]).await;
    let put = async |config: Value| {
        let body = json!({"DestinationConfig": config});
        host.lambda("PUT", &path("f"), &body).await
    };
    let function = arn("g");
    let bucket = "arn:aws:s3:::bucket";
    let invalid = |printed: &str| {
        format!("The provided destination config DestinationConfig({printed}) is invalid.")
    };
    let table = "arn:aws:dynamodb:us-east-1:000000000000:table/t";
    let missing = arn("missing");
    let version = format!("{function}:7");
    let fifo = format!("{QUEUE}.fifo");
    let itself = arn("f");
    let cases = [
        (
            json!({"OnSuccess": {"Destination": table}}),
            invalid(&format!(
                "onSuccess=OnSuccess(destination={table}), onFailure=null"
            )),
        ),
        (
            json!({"OnSuccess": {"Destination": QUEUE}, "OnFailure": {"Destination": table}}),
            invalid(&format!(
                "onSuccess=OnSuccess(destination={QUEUE}), onFailure=OnFailure(destination={table})"
            )),
        ),
        (
            json!({"OnSuccess": {"Destination": bucket}}),
            invalid(&format!(
                "onSuccess=OnSuccess(destination={bucket}), onFailure=null"
            )),
        ),
        (
            json!({"OnFailure": {"Destination": missing}}),
            format!("The destination ARN {missing} is invalid."),
        ),
        (
            json!({"OnFailure": {"Destination": version}}),
            format!("The destination ARN {version} is invalid."),
        ),
        (
            json!({"OnFailure": {"Destination": fifo}}),
            format!("The destination ARN {fifo} is invalid."),
        ),
        (
            json!({"OnSuccess": {"Destination": itself}}),
            "You can't specify the function as a destination for itself.".to_owned(),
        ),
    ];
    for (config, text) in cases {
        let refused = put(config.clone()).await;
        let expected = json!({"Type": "User", "message": text});
        assert_eq!(status_and_body(&refused), (400, expected), "{config}");
        assert_eq!(refused.error().0, "InvalidParameterValueException");
    }
    let kept = host.lambda("GET", &path("f"), &Value::Null).await;
    assert_eq!(kept.status, 404);
}

#[tokio::test]
async fn refusal_has_awss_message() {
    let host = host_with(&["f"]).await;
    let nothing = json!({"Type": "User", "message":
        "You must specify at least one of error handling or destination setting."});
    for (method, name) in [("PUT", "f"), ("POST", "f"), ("PUT", "missing")] {
        let refused = host.lambda(method, &path(name), &json!({})).await;
        assert_eq!(
            status_and_body(&refused),
            (400, nothing.clone()),
            "{method} {name}"
        );
    }
    let body = json!({"MaximumRetryAttempts": 1});
    let unknown = json!({"Type": "User", "Message": "The function doesn't exist."});
    for (method, name) in [
        ("PUT", "missing"),
        ("POST", "missing"),
        ("PUT", "f:missing"),
        ("PUT", "f:7"),
    ] {
        let refused = host.lambda(method, &path(name), &body).await;
        assert_eq!(
            status_and_body(&refused),
            (404, unknown.clone()),
            "{method} {name}"
        );
    }
    let refused = host.lambda("GET", &path("missing"), &Value::Null).await;
    let text = format!(
        "The function {}:$LATEST doesn't have an EventInvokeConfig",
        arn("missing")
    );
    assert_eq!(
        status_and_body(&refused),
        (404, json!({"Type": "User", "Message": text}))
    );
    let differing = format!("{}?Qualifier=other", path("f:one"));
    let refused = host.lambda("PUT", &differing, &body).await;
    assert_eq!(refused.error().0, "InvalidParameterValueException");
}

#[tokio::test]
async fn value_out_of_range_is_refused_without_effect() {
    let host = host_with(&["f"]).await;
    let constraint = |value: i32, name: &str, constraint: &str| {
        format!(
            "1 validation error detected: Value '{value}' at '{name}' failed to satisfy \
             constraint: Member must have value {constraint}"
        )
    };
    let cases = [
        (
            "MaximumRetryAttempts",
            3,
            constraint(3, "maximumRetryAttempts", "less than or equal to 2"),
        ),
        (
            "MaximumRetryAttempts",
            -1,
            constraint(-1, "maximumRetryAttempts", "greater than or equal to 0"),
        ),
        (
            "MaximumEventAgeInSeconds",
            59,
            constraint(
                59,
                "maximumEventAgeInSeconds",
                "greater than or equal to 60",
            ),
        ),
        (
            "MaximumEventAgeInSeconds",
            21_601,
            constraint(
                21_601,
                "maximumEventAgeInSeconds",
                "less than or equal to 21600",
            ),
        ),
    ];
    for (name, value, text) in cases {
        let refused = host.lambda("PUT", &path("f"), &json!({name: value})).await;
        assert_eq!(status_and_body(&refused), (400, json!({"message": text})));
    }
    for body in [
        json!({"MaximumRetryAttempts": "1"}),
        json!({"MaximumRetryAttempts": 1.5}),
        json!({"DestinationConfig": []}),
        json!({"DestinationConfig": {"OnFailure": {"Destination": "x".repeat(400)}}}),
        json!({"DestinationConfig": {"OnFailure": {"Destination": "kafka://topic"}}}),
    ] {
        let refused = host.lambda("PUT", &path("f"), &body).await;
        assert_eq!(refused.status, 400, "{body}: {}", refused.text());
    }
    assert_eq!(
        host.lambda("GET", &path("f"), &Value::Null).await.status,
        404
    );
}
