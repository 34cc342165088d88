//! Wildcards and policy variables.

use proptest::prelude::*;
use serde_json::json;

use super::super::pattern::Syntax;
use super::*;

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn wildcard_matches_action_and_resource() {
    let invoke = "lambda:InvokeFunction";
    for (members, action, resource, expected) in [
        (
            json!({"Action": "lambda:InvokeFunction"}),
            invoke,
            "*",
            true,
        ),
        (
            json!({"Action": "LAMBDA:invokefunction"}),
            invoke,
            "*",
            true,
        ),
        (json!({"Action": "lambda:Invoke*"}), invoke, "*", true),
        (
            json!({"Action": "lambda:Get?unction"}),
            "lambda:GetFunction",
            "*",
            true,
        ),
        (
            json!({"Action": "lambda:Get"}),
            "lambda:GetFunction",
            "*",
            false,
        ),
        (
            json!({"Action": ["s3:*", "lambda:Get*"]}),
            invoke,
            "*",
            false,
        ),
        (json!({"NotAction": "lambda:Get*"}), invoke, "*", true),
        (
            json!({"NotAction": ["lambda:Get*", "lambda:Invoke*"]}),
            invoke,
            "*",
            false,
        ),
        (json!({"Resource": FUNCTION}), invoke, FUNCTION, true),
        (
            json!({"Resource": FUNCTION}),
            invoke,
            &format!("{FUNCTION}:1"),
            false,
        ),
        (
            json!({"Resource": format!("{FUNCTION}:*")}),
            invoke,
            &format!("{FUNCTION}:1"),
            true,
        ),
        (
            json!({"Resource": format!("{FUNCTION}*")}),
            invoke,
            &format!("{FUNCTION}:1"),
            true,
        ),
        (
            json!({"Resource": "arn:aws:lambda:*:*:function:F"}),
            invoke,
            FUNCTION,
            false,
        ),
        (
            json!({"Resource": "arn:aws:lambda:*:*:function:?"}),
            invoke,
            FUNCTION,
            true,
        ),
        (
            json!({"Resource": FUNCTION}),
            "lambda:ListFunctions",
            "*",
            false,
        ),
        (json!({"NotResource": FUNCTION}), invoke, FUNCTION, false),
        (
            json!({"NotResource": FUNCTION}),
            invoke,
            &format!("{FUNCTION}:1"),
            true,
        ),
    ] {
        assert_eq!(
            allows(members.clone(), action, resource),
            expected,
            "{members} {resource}"
        );
    }
}

#[test]
fn pattern_match_time_is_bounded_by_product_of_lengths() {
    let stars = format!("arn:{}", "*a".repeat(1_000));
    let text = format!("arn:{}b", "a".repeat(2_000));
    assert!(!allows(
        json!({"Resource": stars}),
        "lambda:GetFunction",
        &text
    ));
}

#[test]
fn variable_is_replaced_by_request_value() {
    let context = known(&[
        ("aws:username", &["al*ce"]),
        ("aws:tagkeys", &["a", "b"]),
        ("aws:requesttag/x", &["us-east-1:000000000000"]),
    ]);
    let is = |resource: &str, name: &str| {
        let policy = Policy::identity(&statement(json!({"Resource": resource}))).unwrap();
        says(&policy, "lambda:GetFunction", name, &context) != Verdict::Silent
    };
    for (resource, name, expected) in [
        ("arn:f:${aws:username}", "arn:f:al*ce", true),
        ("arn:f:${aws:username}-*", "arn:f:al*ce-1", true),
        ("arn:f:${aws:username}", "arn:f:alice", false),
        ("arn:f:${aws:TagKeys}", "arn:f:a", false),
        ("arn:f:${aws:absent, 'it''s me'}", "arn:f:it's me", true),
        ("arn:f:${ aws:username , 'no' }", "arn:f:al*ce", true),
        ("arn:f:${*}${?}${$}", "arn:f:*?$", true),
        ("arn:f:${*}", "arn:f:x", false),
        ("arn:f:$x", "arn:f:$x", true),
    ] {
        assert_eq!(is(resource, name), expected, "{resource}");
    }
    // A substituted value does not shift ARN parts.
    let condition = json!({"ArnLike": {"x": "arn:aws:lambda:${aws:RequestTag/x}:000000000000:f"}});
    let policy = Policy::identity(&statement(json!({"Condition": condition}))).unwrap();
    let context = known(&[
        (
            "x",
            &["arn:aws:lambda:us-east-1:000000000000:000000000000:f"],
        ),
        ("aws:requesttag/x", &["us-east-1:000000000000"]),
    ]);
    assert_eq!(
        says(&policy, "lambda:GetFunction", "*", &context),
        Verdict::Silent
    );
    // Policy version 2008-10-17 has no variables.
    let mut old = statement(json!({"Resource": "arn:f:${aws:username}"}));
    old["Version"] = "2008-10-17".into();
    let policy = Policy::identity(&old).unwrap();
    let said = says(
        &policy,
        "lambda:GetFunction",
        "arn:f:${aws:username}",
        &context,
    );
    assert_eq!(said, Verdict::Allowed(Match::Itself));
}

const ALL: Syntax = Syntax {
    wildcards: true,
    variables: true,
};

proptest! {
    #[test]
    fn wildcard_matches_like_equivalent_regex(
        pattern in "[ab*?:]{0,12}", text in "[ab:]{0,16}",
    ) {
        let expected = pattern.replace('*', ".*").replace('?', ".");
        let expected = fancy_regex::Regex::new(&format!("^(?:{expected})$")).unwrap();
        let expanded = Pattern::read(&pattern, ALL).unwrap().expand(&known(&[])).unwrap();
        prop_assert_eq!(expanded.matches(&text, false), expected.is_match(&text).unwrap());
    }

    #[test]
    fn any_text_parses_or_is_refused(pattern in "[${},' a:*?ü]{0,24}", text in "\\PC{0,8}") {
        if let Ok(read) = Pattern::read(&pattern, ALL)
            && let Some(expanded) = read.expand(&known(&[]))
        {
            let _ = (expanded.matches(&text, true), expanded.matches_arn(&text));
        }
    }
}
