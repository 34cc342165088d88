//! Conditions: every operator, and unknown context.

use serde_json::json;

use super::*;

#[test]
fn condition_of_each_operator_evaluates_as_documented() {
    let context = known(&[
        ("aws:username", &["alice"]),
        (
            "aws:principalarn",
            &["arn:aws:iam::000000000000:user/alice"],
        ),
        ("aws:sourceip", &["192.0.2.77"]),
        ("aws:currenttime", &["2026-11-24T12:00:00Z"]),
        ("aws:securetransport", &["false"]),
        ("aws:tagkeys", &["team", "cost"]),
        ("n", &["42"]),
        ("b", &["aGVsbG8="]),
    ]);
    let absent = "aws:SourceArn";
    for (operator, key, values, expected) in [
        ("StringEquals", "aws:username", json!("alice"), true),
        (
            "StringEquals",
            "AWS:UserName",
            json!(["bob", "alice"]),
            true,
        ),
        ("StringEquals", "aws:username", json!("Alice"), false),
        ("StringEquals", "aws:username", json!("al*"), false),
        (
            "StringEqualsIgnoreCase",
            "aws:username",
            json!("ALICE"),
            true,
        ),
        (
            "StringNotEqualsIgnoreCase",
            "aws:username",
            json!("ALICE"),
            false,
        ),
        (
            "StringNotEquals",
            "aws:username",
            json!(["bob", "alice"]),
            false,
        ),
        ("StringNotEquals", "aws:username", json!("bob"), true),
        ("StringLike", "aws:username", json!("al?ce"), true),
        ("StringLike", "aws:username", json!("${*}lice"), false),
        ("StringNotLike", "aws:username", json!("al*"), false),
        ("StringEquals", absent, json!("x"), false),
        ("StringNotEquals", absent, json!("x"), true),
        ("StringEqualsIfExists", absent, json!("x"), true),
        ("StringEqualsIfExists", "aws:username", json!("x"), false),
        ("Null", absent, json!("true"), true),
        ("Null", absent, json!(false), false),
        ("Null", "aws:username", json!("false"), true),
        (
            "ArnLike",
            "aws:PrincipalArn",
            json!("arn:aws:iam::*:user/a*"),
            true,
        ),
        ("ArnLike", "aws:PrincipalArn", json!("arn:*/alice"), false),
        (
            "ArnEquals",
            "aws:PrincipalArn",
            json!("arn:aws:iam::000000000000:user/*"),
            true,
        ),
        (
            "ArnNotLike",
            "aws:PrincipalArn",
            json!("arn:aws:iam::*:user/b*"),
            true,
        ),
        (
            "ArnLike",
            "aws:PrincipalArn",
            json!("arn:aws:iam::*:user/${aws:username}"),
            true,
        ),
        ("ArnLike", "aws:username", json!("*:*:*:*:*:*"), false),
        ("IpAddress", "aws:SourceIp", json!("192.0.2.0/24"), true),
        (
            "IpAddress",
            "aws:SourceIp",
            json!(["192.0.2.76/31", "2001:db8::/32"]),
            true,
        ),
        ("IpAddress", "aws:SourceIp", json!("192.0.2.78"), false),
        ("NotIpAddress", "aws:SourceIp", json!("0.0.0.0/0"), false),
        (
            "DateLessThan",
            "aws:CurrentTime",
            json!("2026-11-24T12:00:01Z"),
            true,
        ),
        (
            "DateGreaterThan",
            "aws:CurrentTime",
            json!("2026-11-24"),
            true,
        ),
        (
            "DateGreaterThanEquals",
            "aws:CurrentTime",
            json!(1_795_000_000),
            true,
        ),
        (
            "DateEquals",
            "aws:CurrentTime",
            json!("2026-11-24T13:00:00+01:00"),
            true,
        ),
        (
            "DateNotEquals",
            "aws:CurrentTime",
            json!("2026-11-24T12:00:00Z"),
            false,
        ),
        ("Bool", "aws:SecureTransport", json!("false"), true),
        ("Bool", "aws:SecureTransport", json!(true), false),
        (
            "BoolIfExists",
            "aws:MultiFactorAuthPresent",
            json!(true),
            true,
        ),
        ("NumericEquals", "n", json!("42.0"), true),
        ("NumericLessThan", "n", json!(42), false),
        ("NumericLessThanEquals", "n", json!(42), true),
        ("NumericGreaterThan", "n", json!([50, 41]), true),
        ("NumericNotEquals", "n", json!([1, 42]), false),
        ("BinaryEquals", "b", json!("aGVsbG8="), true),
        (
            "ForAllValues:StringEquals",
            "aws:TagKeys",
            json!(["team", "cost", "x"]),
            true,
        ),
        (
            "ForAllValues:StringEquals",
            "aws:TagKeys",
            json!(["team"]),
            false,
        ),
        ("ForAllValues:StringEquals", absent, json!("x"), true),
        (
            "ForAnyValue:StringEquals",
            "aws:TagKeys",
            json!("cost"),
            true,
        ),
        (
            "ForAnyValue:StringEquals",
            "aws:TagKeys",
            json!("other"),
            false,
        ),
        ("ForAnyValue:StringEquals", absent, json!("x"), false),
        (
            "ForAnyValue:StringNotEquals",
            "aws:TagKeys",
            json!("team"),
            true,
        ),
        (
            "ForAllValues:StringNotEquals",
            "aws:TagKeys",
            json!("team"),
            false,
        ),
        (
            "ForAllValues:StringNotEquals",
            "aws:TagKeys",
            json!("x"),
            true,
        ),
    ] {
        for (effect, meant) in [
            ("Allow", Verdict::Allowed(Match::Itself)),
            ("Deny", Verdict::Denied),
        ] {
            let condition = json!({"Effect": effect, "Condition": {operator: {key: values}}});
            let policy = Policy::identity(&statement(condition)).unwrap();
            let expected = if expected { meant } else { Verdict::Silent };
            let said = says(&policy, "lambda:GetFunction", FUNCTION, &context);
            assert_eq!(said, expected, "{effect} {operator} {key} {values}");
        }
    }
}

#[test]
fn unknown_context_fails_allow_and_satisfies_deny() {
    let context = known(&[("n", &["not a number"]), ("aws:username", &["alice"])]);
    for members in [
        json!({"Condition": {"StringEquals": {"unknown:key": "x"}}}),
        json!({"Condition": {"StringNotEquals": {"unknown:key": "x"}}}),
        json!({"Condition": {"StringEqualsIfExists": {"unknown:key": "x"}}}),
        json!({"Condition": {"Null": {"unknown:key": "true"}}}),
        json!({"Condition": {"StringSoundsLike": {"aws:username": "x"}}}),
        json!({"Condition": {"NumericNotEquals": {"n": 1}}}),
        json!({"Condition": {"StringEquals": {"aws:username": "${unknown:key}"}}}),
        json!({"Resource": "arn:aws:lambda:*:*:function:${unknown:key}"}),
        json!({"NotResource": "arn:aws:lambda:*:*:function:${unknown:key}"}),
    ] {
        let with = |effect: &str| {
            let mut members = members.clone();
            members["Effect"] = effect.into();
            let policy = Policy::identity(&statement(members)).unwrap();
            says(&policy, "lambda:GetFunction", FUNCTION, &context)
        };
        assert_eq!(with("Allow"), Verdict::Silent, "{members}");
        assert_eq!(with("Deny"), Verdict::Denied, "{members}");
    }
    // One failing condition decides, even beside an unknown one.
    let condition = json!({"StringEquals": {"aws:username": "bob", "unknown:key": "x"}});
    let members = json!({"Effect": "Deny", "Condition": condition});
    let policy = Policy::identity(&statement(members)).unwrap();
    assert_eq!(
        says(&policy, "lambda:GetFunction", FUNCTION, &context),
        Verdict::Silent
    );
}
