//! The language as AWS documents it, case by case. Each table says what a policy makes of a request.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::principal::Match;
use super::*;
use crate::names::{AccountId, Qualifier, UserName};

const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";

/// Facts of a test; what begins with `unknown:` cannot be known.
struct Known(HashMap<&'static str, Vec<String>>);

impl Facts for Known {
    fn values(&self, key: &str) -> Option<Vec<String>> {
        (!key.starts_with("unknown:")).then(|| self.0.get(key).cloned().unwrap_or_default())
    }
}

fn known(facts: &[(&'static str, &[&str])]) -> Known {
    let owned = |values: &[&str]| values.iter().map(|it| (*it).to_owned()).collect();
    Known(
        facts
            .iter()
            .map(|(key, values)| (*key, owned(values)))
            .collect(),
    )
}

fn account(id: &str) -> AccountId {
    AccountId::parse(id).unwrap()
}

fn user(id: &str, name: &str) -> Principal {
    Principal::user(account(id), Some(UserName::parse(name).unwrap()))
}

fn statement(members: Value) -> Value {
    let mut statement = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
    for (name, value) in members.as_object().unwrap() {
        statement[name] = value.clone();
        for pair in ["Action", "Resource"] {
            if *name == format!("Not{pair}") {
                statement.as_object_mut().unwrap().remove(pair);
            }
        }
    }
    json!({"Version": "2012-10-17", "Statement": [statement]})
}

fn says(policy: &Policy, action: &str, resource: &str, facts: &Known) -> Verdict {
    policy.verdict(&Question {
        principal: &user("000000000000", "alice"),
        action,
        resource,
        facts,
    })
}

fn allows(members: Value, action: &str, resource: &str) -> bool {
    let policy = Policy::identity(&statement(members)).unwrap();
    says(&policy, action, resource, &known(&[])) != Verdict::Silent
}

#[test]
fn actions_and_resources_are_matched_by_wildcards() {
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
fn a_pattern_takes_no_longer_than_the_product_of_the_lengths() {
    let stars = format!("arn:{}", "*a".repeat(1_000));
    let text = format!("arn:{}b", "a".repeat(2_000));
    assert!(!allows(
        json!({"Resource": stars}),
        "lambda:GetFunction",
        &text
    ));
}

#[test]
fn conditions_hold_as_documented() {
    let facts = known(&[
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
            let said = says(&policy, "lambda:GetFunction", FUNCTION, &facts);
            assert_eq!(said, expected, "{effect} {operator} {key} {values}");
        }
    }
}

#[test]
fn what_cannot_be_known_allows_nothing_and_denies_everything() {
    let facts = known(&[("n", &["not a number"]), ("aws:username", &["alice"])]);
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
            says(&policy, "lambda:GetFunction", FUNCTION, &facts)
        };
        assert_eq!(with("Allow"), Verdict::Silent, "{members}");
        assert_eq!(with("Deny"), Verdict::Denied, "{members}");
    }
    // A condition that does not hold is enough, whatever else cannot be known.
    let condition = json!({"StringEquals": {"aws:username": "bob", "unknown:key": "x"}});
    let members = json!({"Effect": "Deny", "Condition": condition});
    let policy = Policy::identity(&statement(members)).unwrap();
    assert_eq!(
        says(&policy, "lambda:GetFunction", FUNCTION, &facts),
        Verdict::Silent
    );
}

#[test]
fn variables_are_the_requests_own_words() {
    let facts = known(&[
        ("aws:username", &["al*ce"]),
        ("aws:tagkeys", &["a", "b"]),
        ("aws:requesttag/x", &["us-east-1:000000000000"]),
    ]);
    let is = |resource: &str, name: &str| {
        let policy = Policy::identity(&statement(json!({"Resource": resource}))).unwrap();
        says(&policy, "lambda:GetFunction", name, &facts) != Verdict::Silent
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
    // What a request fills in does not move the parts of an ARN.
    let condition = json!({"ArnLike": {"x": "arn:aws:lambda:${aws:RequestTag/x}:000000000000:f"}});
    let policy = Policy::identity(&statement(json!({"Condition": condition}))).unwrap();
    let facts = known(&[
        (
            "x",
            &["arn:aws:lambda:us-east-1:000000000000:000000000000:f"],
        ),
        ("aws:requesttag/x", &["us-east-1:000000000000"]),
    ]);
    assert_eq!(
        says(&policy, "lambda:GetFunction", "*", &facts),
        Verdict::Silent
    );
    // The older version of the language has no variables.
    let mut old = statement(json!({"Resource": "arn:f:${aws:username}"}));
    old["Version"] = "2008-10-17".into();
    let policy = Policy::identity(&old).unwrap();
    let said = says(
        &policy,
        "lambda:GetFunction",
        "arn:f:${aws:username}",
        &facts,
    );
    assert_eq!(said, Verdict::Allowed(Match::Itself));
}

#[test]
fn principals_are_meant_as_themselves_or_by_their_account() {
    let alice = user("000000000000", "alice");
    let root = Principal::user(account("000000000000"), None);
    let arn = "arn:aws:iam::000000000000:user/alice";
    let by = |element: &str, value: Value, principal: &Principal| {
        let mut document = statement(json!({}));
        document["Statement"][0][element] = value;
        let policy = Policy::resource(&document).unwrap();
        let facts = known(&[]);
        let question = Question {
            principal,
            action: "lambda:GetFunction",
            resource: FUNCTION,
            facts: &facts,
        };
        match policy.verdict(&question) {
            Verdict::Allowed(how) => Some(how),
            _ => None,
        }
    };
    let (itself, by_account) = (Some(Match::Itself), Some(Match::Account));
    for (value, principal, expected) in [
        (json!("*"), &alice, itself),
        (json!("*"), &Principal::Anonymous, itself),
        (json!({"AWS": "*"}), &Principal::Anonymous, itself),
        (json!({"AWS": arn}), &alice, itself),
        (json!({"AWS": arn}), &Principal::Anonymous, None),
        (json!({"AWS": "000000000000"}), &alice, by_account),
        (
            json!({"AWS": "arn:aws:iam::000000000000:root"}),
            &alice,
            by_account,
        ),
        (json!({"AWS": ["000000000000", arn]}), &alice, itself),
        (json!({"AWS": "000000000000"}), &root, itself),
        (json!({"AWS": "111111111111"}), &alice, None),
        (
            json!({"AWS": "arn:aws:iam::000000000000:role/alice"}),
            &alice,
            None,
        ),
        (json!({"Service": "s3.amazonaws.com"}), &alice, None),
    ] {
        assert_eq!(
            by("Principal", value.clone(), principal),
            expected,
            "{value}"
        );
    }
    assert_eq!(by("NotPrincipal", json!({"AWS": arn}), &alice), None);
    assert_eq!(
        by("NotPrincipal", json!({"AWS": "000000000000"}), &alice),
        itself
    );
    assert_eq!(
        by("NotPrincipal", json!({"AWS": "111111111111"}), &alice),
        itself
    );
}

#[test]
fn a_denial_wins_and_across_accounts_both_must_allow() {
    let owner = account("000000000000");
    let identity = |effect: &str, action: &str| {
        let members = json!({"Effect": effect, "Action": action});
        Policy::identity(&statement(members)).unwrap()
    };
    let resource = |effect: &str, principal: Value| {
        let mut document = statement(json!({"Effect": effect}));
        document["Statement"][0]["Principal"] = principal;
        Policy::resource(&document).unwrap()
    };
    let (yes, no, silent) = (
        identity("Allow", "*"),
        identity("Deny", "*"),
        identity("Allow", "s3:*"),
    );
    let anyone = resource("Allow", json!("*"));
    let own = resource("Allow", json!({"AWS": "000000000000"}));
    let other = resource("Allow", json!({"AWS": "111111111111"}));
    let nobody = resource("Deny", json!("*"));
    let (alice, bob) = (user("000000000000", "alice"), user("111111111111", "bob"));
    let stranger = Principal::Anonymous;
    let cases = [
        (&alice, None, vec![], Ok(())),
        (&alice, None, vec![&nobody], Err(Denial::ResourceDenies)),
        (&alice, Some(&yes), vec![], Ok(())),
        (
            &alice,
            Some(&no),
            vec![&anyone],
            Err(Denial::IdentityDenies),
        ),
        (&alice, Some(&silent), vec![], Err(Denial::IdentitySilent)),
        (&alice, Some(&silent), vec![&anyone], Ok(())),
        (
            &alice,
            Some(&silent),
            vec![&own],
            Err(Denial::IdentitySilent),
        ),
        (
            &alice,
            Some(&silent),
            vec![&anyone, &nobody],
            Err(Denial::ResourceDenies),
        ),
        (&bob, None, vec![], Err(Denial::ResourceSilent)),
        (&bob, Some(&yes), vec![&own], Err(Denial::ResourceSilent)),
        (&bob, Some(&yes), vec![&other], Ok(())),
        (&bob, Some(&yes), vec![&anyone], Ok(())),
        (
            &bob,
            Some(&silent),
            vec![&anyone],
            Err(Denial::IdentitySilent),
        ),
        (&bob, Some(&no), vec![&other], Err(Denial::IdentityDenies)),
        (&stranger, None, vec![&own], Err(Denial::ResourceSilent)),
        (&stranger, None, vec![&anyone], Ok(())),
        (
            &stranger,
            None,
            vec![&anyone, &nobody],
            Err(Denial::ResourceDenies),
        ),
    ];
    let facts = known(&[]);
    for (at, (principal, identity, resource, expected)) in cases.into_iter().enumerate() {
        let question = Question {
            principal,
            action: "lambda:InvokeFunction",
            resource: FUNCTION,
            facts: &facts,
        };
        let policies = Policies { identity, resource };
        assert_eq!(decide(&question, &policies, &owner), expected, "case {at}");
    }
}

#[test]
fn the_policies_of_a_function_are_its_own_and_the_qualifiers() {
    let mut attached = Attached::default();
    let policy = || {
        let mut document = statement(json!({"Effect": "Deny"}));
        document["Statement"][0]["Principal"] = "*".into();
        Policy::resource(&document).unwrap()
    };
    assert!(attached.is_empty() && !attached.has_denials());
    attached.insert(None, policy());
    attached.insert(Some(Qualifier::Version(1)), policy());
    assert_eq!(attached.over(None).len(), 1);
    assert_eq!(attached.over(Some(&Qualifier::Version(1))).len(), 2);
    assert_eq!(attached.over(Some(&Qualifier::Version(2))).len(), 1);
    assert!(attached.has_denials());
}

#[test]
fn what_is_no_policy_is_refused_with_its_place() {
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
