//! Table tests of policy evaluation, following IAM's documentation.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::principal::Match;
use super::*;
use crate::names::{AccountId, Qualifier, UserName};

mod conditions;
mod patterns;
mod refusals;

const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";

/// Request context; keys that begin with `unknown:` are unknown.
struct Known(HashMap<&'static str, Vec<String>>);

impl Context for Known {
    fn values(&self, key: &str) -> Option<Vec<String>> {
        (!key.starts_with("unknown:")).then(|| self.0.get(key).cloned().unwrap_or_default())
    }
}

fn known(context: &[(&'static str, &[&str])]) -> Known {
    let owned = |values: &[&str]| values.iter().map(|it| (*it).to_owned()).collect();
    Known(
        context
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

fn says(policy: &Policy, action: &str, resource: &str, context: &Known) -> Verdict {
    policy.verdict(&AccessRequest {
        principal: &user("000000000000", "alice"),
        action,
        resource: Some(resource),
        context,
        doubt: Doubt::Refuses,
    })
}

fn allows(members: Value, action: &str, resource: &str) -> bool {
    let policy = Policy::identity(&statement(members)).unwrap();
    says(&policy, action, resource, &known(&[])) != Verdict::Silent
}

#[test]
fn principal_matches_exactly_or_by_account() {
    let alice = user("000000000000", "alice");
    let root = Principal::user(account("000000000000"), None);
    let s3 = Principal::Service("s3.amazonaws.com");
    let arn = "arn:aws:iam::000000000000:user/alice";
    let by = |element: &str, value: Value, principal: &Principal| {
        let mut document = statement(json!({}));
        document["Statement"][0][element] = value;
        let policy = Policy::resource(&document).unwrap();
        let context = known(&[]);
        let request = AccessRequest {
            principal,
            action: "lambda:GetFunction",
            resource: Some(FUNCTION),
            context: &context,
            doubt: Doubt::Refuses,
        };
        match policy.verdict(&request) {
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
        (json!({"Service": "s3.amazonaws.com"}), &s3, itself),
        (json!({"Service": "sns.amazonaws.com"}), &s3, None),
        (json!({"AWS": "000000000000"}), &s3, None),
        (json!("*"), &s3, itself),
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
#[expect(clippy::too_many_lines, reason = "a table")]
fn explicit_deny_wins_and_cross_account_needs_both_sides() {
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
    let context = known(&[]);
    for (at, (principal, identity, resource, expected)) in cases.into_iter().enumerate() {
        let request = AccessRequest {
            principal,
            action: "lambda:InvokeFunction",
            resource: Some(FUNCTION),
            context: &context,
            doubt: Doubt::Refuses,
        };
        let policies = Policies { identity, resource };
        assert_eq!(decide(&request, &policies, &owner), expected, "case {at}");
    }
}

#[test]
fn qualified_request_gets_own_and_qualifier_policies() {
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
fn unknown_context_is_treated_as_the_question_asks() {
    let tagged = json!({"StringEquals": {"aws:RequestTag/team": "edge"}});
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
    let context = known(&[]);
    let verdict = |members: Value, resource: Option<&str>, doubt: Doubt| {
        let policy = Policy::identity(&statement(members)).unwrap();
        policy.verdict(&AccessRequest {
            principal: &user("000000000000", "alice"),
            action: "lambda:CreateFunction",
            resource,
            context: &context,
            doubt,
        })
    };
    let (allowed, denied) = (Verdict::Allowed(Match::Itself), Verdict::Denied);
    let unknown = json!({"StringEquals": {"unknown:key": "x"}});
    for (members, resource, refuses, admits) in [
        (json!({"Resource": arn}), None, Verdict::Silent, allowed),
        (json!({"Resource": arn}), Some(arn), allowed, allowed),
        (
            json!({"Resource": arn}),
            Some("*"),
            Verdict::Silent,
            Verdict::Silent,
        ),
        (json!({"Resource": "*"}), None, allowed, allowed),
        (
            json!({"Effect": "Deny", "Resource": arn}),
            None,
            denied,
            Verdict::Silent,
        ),
        (
            json!({"Effect": "Deny", "Resource": "*"}),
            None,
            denied,
            denied,
        ),
        (
            json!({"Action": "lambda:GetFunction"}),
            None,
            Verdict::Silent,
            Verdict::Silent,
        ),
        (
            json!({"Condition": unknown}),
            Some(arn),
            Verdict::Silent,
            allowed,
        ),
        (
            json!({"Effect": "Deny", "Condition": unknown}),
            Some(arn),
            denied,
            Verdict::Silent,
        ),
        (
            json!({"Condition": tagged}),
            Some(arn),
            Verdict::Silent,
            Verdict::Silent,
        ),
    ] {
        let found =
            [Doubt::Refuses, Doubt::Admits].map(|doubt| verdict(members.clone(), resource, doubt));
        assert_eq!(found, [refuses, admits], "{members}");
    }
}
