//! Requests of EventBridge Scheduler: recognition, and refusals.

use http::Request;
use serde_json::{Value, json};

use super::*;

fn parts(method: &str, uri: &str) -> Parts {
    let request = Request::builder().method(method).uri(uri);
    request.body(()).unwrap().into_parts().0
}

fn body() -> Value {
    json!({
        "ScheduleExpression": "rate(1 minute)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {
            "Arn": "arn:aws:lambda:us-east-1:000000000000:function:f",
            "RoleArn": "arn:aws:iam::000000000000:role/r",
        },
    })
}

#[test]
fn request_is_recognized_by_its_path_or_the_scope_of_its_signature() {
    for (uri, expected) in [
        ("/schedules", true),
        ("/schedules/s?groupName=g", true),
        ("/schedule-groups/g", true),
        ("/schedulesx", false),
        ("/2015-03-31/functions", false),
    ] {
        assert_eq!(is_for(&parts("GET", uri)), expected, "{uri}");
    }
    let mut signed = parts("GET", "/tags/arn");
    let scope = "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/scheduler/aws4_request, ...";
    let scope = HeaderValue::from_static(scope);
    signed.headers.insert(header::AUTHORIZATION, scope);
    assert!(is_for(&signed));
}

#[test]
fn malformed_request_is_refused_by_name() {
    let refusal = |pointer: &str, value: Value| {
        let mut body = body();
        if let Some((parent, name)) = pointer.rsplit_once('/') {
            body.pointer_mut(parent).unwrap()[name] = value;
        }
        let parts = parts("POST", "/schedules/s");
        let parsed = Operation::parse(&parts, body.to_string().as_bytes());
        parsed.map(|_| ()).map_err(|fault| fault.message)
    };
    assert_eq!(refusal("", Value::Null), Ok(()));
    for (pointer, value, expected) in [
        ("/ScheduleExpression", Value::Null, "Value null at"),
        ("/FlexibleTimeWindow/Mode", json!("FLEXIBLE"), "is required"),
        ("/FlexibleTimeWindow/Mode", json!("ON"), "must be OFF or"),
        ("/State", json!("PAUSED"), "[ENABLED, DISABLED]"),
        ("/StartDate", json!("soon"), "StartDate must be a number"),
        ("/Target/SqsParameters", json!({}), "support SqsParameters"),
        ("/Target/RoleArn", Value::Null, "Target.RoleArn"),
    ] {
        let message = refusal(pointer, value).unwrap_err();
        assert!(message.contains(expected), "{message}");
    }
    assert!(Operation::parse(&parts("PATCH", "/schedules/s"), b"").is_err());
}
