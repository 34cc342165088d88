//! Malformed policy documents.

use serde_json::{Value, json};

use super::*;

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn malformed_policy_is_refused_with_path() {
    let one = |members: Value| statement(members);
    for (document, expected) in [
        (json!([]), "an object is expected"),
        (
            json!({"Statement": {}, "Other": 1}),
            r#"there is no element "Other""#,
        ),
        (
            json!({"Version": "2026-01-01", "Statement": {}}),
            "Version: 2012-10-17",
        ),
        (
            json!({"Id": 1, "Statement": {}}),
            "Id: a string is expected",
        ),
        (json!({}), "Statement: one or more statements are expected"),
        (
            json!({"Statement": [1]}),
            "Statement[0]: an object is expected",
        ),
        (
            one(json!({"Efect": "Allow"})),
            r#"Statement[0]: there is no element "Efect""#,
        ),
        (
            one(json!({"Effect": "Maybe"})),
            "Statement[0].Effect: Allow or Deny",
        ),
        (
            one(json!({"Principal": "*"})),
            "Statement[0]: the policy of a caller",
        ),
        (
            one(json!({"NotPrincipal": "*"})),
            "Statement[0]: the policy of a caller",
        ),
        (
            one(json!({"Action": []})),
            "Statement[0].Action: a string or several",
        ),
        (
            one(json!({"Action": "Invoke"})),
            r#"Statement[0].Action: "Invoke" is not an action"#,
        ),
        (
            one(json!({"Resource": "f"})),
            r#"Statement[0].Resource: "f" is not an ARN"#,
        ),
        (
            one(json!({"Resource": "arn:${aws:x"})),
            "Resource: a variable is not ended",
        ),
        (
            one(json!({"Resource": "arn:${nope}"})),
            "${nope} is not a variable",
        ),
        (
            one(json!({"Resource": "arn:${a:b, x}"})),
            "is not in quotes",
        ),
        (
            one(json!({"Condition": []})),
            "Statement[0].Condition: an object",
        ),
        (
            one(json!({"Condition": {"Bool": {"k": "x"}}})),
            r#"Bool of k: "x" is not true or false"#,
        ),
        (
            one(json!({"Condition": {"Bool": {"k": []}}})),
            "Bool of k: a value or several",
        ),
        (
            one(json!({"Condition": {"NumericEquals": {"k": "x"}}})),
            "is not a number",
        ),
        (
            one(json!({"Condition": {"DateEquals": {"k": "x"}}})),
            "is not a date and time",
        ),
        (
            one(json!({"Condition": {"IpAddress": {"k": "1.2.3.4/33"}}})),
            "is not an address",
        ),
        (
            one(json!({"Condition": {"BinaryEquals": {"k": "!"}}})),
            "is not base64",
        ),
        (
            one(json!({"Sid": "x".repeat(BYTES_MAX)})),
            "and may have 20480",
        ),
    ] {
        let refused = Policy::identity(&document).unwrap_err().to_string();
        assert!(refused.contains(expected), "{document}: {refused}");
    }
    let mut twice = one(json!({"Sid": "a"}));
    let again = twice["Statement"][0].clone();
    twice["Statement"].as_array_mut().unwrap().push(again);
    let refused = Policy::identity(&twice).unwrap_err().to_string();
    assert_eq!(refused, "Statement[1].Sid: another statement has the same");
    for (principal, expected) in [
        (Value::Null, "\"*\" or an object is expected"),
        (json!("alice"), "\"*\" or an object is expected"),
        (json!({"AWS": "alice"}), r#"AWS "alice" is not a principal"#),
        (
            json!({"AWS": "arn:aws:iam::000000000000:user/*"}),
            "is not a principal",
        ),
        (json!({"Nobody": "x"}), r#"Nobody "x" is not a principal"#),
    ] {
        let mut document = one(json!({}));
        document["Statement"][0]["Principal"] = principal.clone();
        let refused = Policy::resource(&document).unwrap_err().to_string();
        assert!(refused.contains(expected), "{principal}: {refused}");
    }
    let refused = Policy::resource(&one(json!({}))).unwrap_err().to_string();
    assert!(
        refused.contains("either Principal or NotPrincipal"),
        "{refused}"
    );
}
