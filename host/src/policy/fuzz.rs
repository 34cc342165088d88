//! Fuzz check of policies: another denial allows nothing, another permission refuses nothing, the order of
//! statements and what cannot be known change nothing for the better.
//!
//! An input has lines: the policy of the caller, those of the resource (each a JSON document), then
//! `ask PRINCIPAL ACTION RESOURCE`, then `KEY VALUE` of what is known of the request.

use serde_json::{Value, json};

use super::*;
use crate::names::{AccountId, UserName};

/// Documents of one input: the caller's, the function's, and its alias's.
const DOCUMENTS_MAX: usize = 3;

/// Checks one set of policies and one request.
pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let Some((documents, request)) = text.split_once("\nask ") else {
        return;
    };
    let documents: Vec<Value> = documents
        .lines()
        .take(DOCUMENTS_MAX)
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let mut lines = request.lines();
    let asked: Vec<&str> = lines.next().unwrap_or_default().splitn(3, ' ').collect();
    let [principal, action, resource] = asked.as_slice() else {
        return;
    };
    let known: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(' '))
        .map(|(key, value)| (key.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let case = Case {
        principal: principal_of(principal),
        action,
        resource,
        known: Known {
            known: &known,
            hidden: None,
        },
    };
    let Some(allows) = case.allows(&documents) else {
        return;
    };
    require_monotone(&case, &documents, allows);
    require_order_free(&case, &documents, allows);
    // A fact that cannot be known any more allows nothing.
    for (hidden, _) in &known {
        let known = Known {
            known: &known,
            hidden: Some(hidden),
        };
        let doubtful = Case {
            known,
            ..case.clone()
        };
        assert!(
            allows || doubtful.allows(&documents) != Some(true),
            "without {hidden}"
        );
    }
}

fn principal_of(text: &str) -> Principal {
    let account = |id: &str| AccountId::parse(id).ok();
    let (id, name) = text.split_once('/').unwrap_or((text, ""));
    match account(id) {
        Some(account) => Principal::user(account, UserName::parse(name).ok()),
        None => Principal::Anonymous,
    }
}

/// Context of an input.
#[derive(Clone, Copy)]
struct Known<'a> {
    known: &'a [(String, String)],
    /// A key that cannot be known.
    hidden: Option<&'a str>,
}

impl Context for Known<'_> {
    fn values(&self, key: &str) -> Option<Vec<String>> {
        let values = self.known.iter().filter(|(known, _)| known == key);
        (self.hidden != Some(key)).then(|| values.map(|(_, value)| value.clone()).collect())
    }
}

#[derive(Clone)]
struct Case<'a> {
    principal: Principal,
    action: &'a str,
    resource: &'a str,
    known: Known<'a>,
}

impl Case<'_> {
    /// The decision; none where a document is no policy.
    fn allows(&self, documents: &[Value]) -> Option<bool> {
        let (identity, resource) = documents.split_first()?;
        let identity = Policy::identity(identity).ok()?;
        let resource: Vec<Policy> = resource
            .iter()
            .map(|document| Policy::resource(document).ok())
            .collect::<Option<_>>()?;
        let policies = Policies {
            identity: Some(&identity),
            resource: resource.iter().collect(),
        };
        let request = AccessRequest {
            principal: &self.principal,
            action: self.action,
            resource: Some(self.resource),
            context: &self.known,
            doubt: Doubt::Refuses,
        };
        let owner = AccountId::parse("000000000000").expect("it is one");
        Some(decide(&request, &policies, &owner).is_ok())
    }
}

/// The statements of a document, as a list.
fn statements(document: &Value) -> Vec<Value> {
    match &document["Statement"] {
        Value::Array(statements) => statements.clone(),
        statement => vec![statement.clone()],
    }
}

fn with(documents: &[Value], at: usize, statements: Vec<Value>) -> Vec<Value> {
    let mut changed = documents.to_vec();
    changed[at]["Statement"] = Value::Array(statements);
    changed
}

/// Each statement once more with the other effect, and each one left out.
fn require_monotone(case: &Case<'_>, documents: &[Value], allows: bool) {
    for (at, document) in documents.iter().enumerate() {
        let own = statements(document);
        for (index, statement) in own.iter().enumerate() {
            let is_allow = statement["Effect"] == "Allow";
            let mut other = statement.clone();
            other["Effect"] = json!(if is_allow { "Deny" } else { "Allow" });
            other["Sid"] = json!("");
            let more = with(documents, at, own.iter().cloned().chain([other]).collect());
            // A document that grew too large is no policy any more.
            let Some(more) = case.allows(&more) else {
                continue;
            };
            let mut fewer = own.clone();
            fewer.remove(index);
            let fewer = case
                .allows(&with(documents, at, fewer))
                .unwrap_or(!is_allow && allows);
            if is_allow {
                assert!(allows || !more, "a denial allows: {statement}");
                assert!(
                    allows || !fewer,
                    "without a permission it is allowed: {statement}"
                );
            } else {
                assert!(!allows || more, "a permission refuses: {statement}");
                assert!(
                    !allows || fewer,
                    "without a denial it is refused: {statement}"
                );
            }
        }
        let everything = json!({"Effect": "Deny", "Action": "*", "Resource": "*"});
        let mut everything = everything;
        if at > 0 {
            everything["Principal"] = json!("*");
        }
        let denied = with(documents, at, own.into_iter().chain([everything]).collect());
        // An unsigned caller has no identity policy that could allow; denials count all the same.
        assert_ne!(
            case.allows(&denied),
            Some(true),
            "a denial of everything allows"
        );
    }
}

fn require_order_free(case: &Case<'_>, documents: &[Value], allows: bool) {
    for (at, document) in documents.iter().enumerate() {
        let reversed = statements(document).into_iter().rev().collect();
        let reversed = case.allows(&with(documents, at, reversed));
        assert_eq!(reversed, Some(allows), "in another order");
    }
}
