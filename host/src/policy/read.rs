//! Parser of policy documents. Unknown elements are refused with their path.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::condition::Condition;
use super::pattern::{Pattern, Syntax};
use super::principal::PolicyPrincipal;
use super::{BYTES_MAX, Effect, Kind, Malformed, Policy, Principals, Set, Statement};

type Members = Map<String, Value>;

pub(super) fn policy(document: &Value, kind: Kind) -> Result<Policy, Malformed> {
    let Value::Object(members) = document else {
        return Err(malformed("", "an object is expected"));
    };
    let bytes = document.to_string().len();
    if bytes > BYTES_MAX {
        let problem = format!("it has {bytes} bytes, and may have {BYTES_MAX}");
        return Err(malformed("", &problem));
    }
    only(members, &["Version", "Id", "Statement"], "")?;
    let variables = match members.get("Version").map(Value::as_str) {
        Some(Some("2012-10-17")) => true,
        Some(Some("2008-10-17")) | None => false,
        Some(_) => return Err(malformed("Version", "2012-10-17 or 2008-10-17 is expected")),
    };
    if members.get("Id").is_some_and(|id| !id.is_string()) {
        return Err(malformed("Id", "a string is expected"));
    }
    let statements = match members.get("Statement") {
        Some(Value::Array(statements)) if !statements.is_empty() => statements.iter().collect(),
        Some(statement @ Value::Object(_)) => vec![statement],
        _ => {
            return Err(malformed(
                "Statement",
                "one or more statements are expected",
            ));
        }
    };
    let mut sids = HashSet::new();
    let mut read = Vec::with_capacity(statements.len());
    for (at, statement) in statements.into_iter().enumerate() {
        let reader = Reader {
            path: format!("Statement[{at}]"),
            kind,
            variables,
        };
        read.push(reader.statement(statement, &mut sids)?);
    }
    Ok(Policy { statements: read })
}

/// Parser of one statement.
struct Reader {
    path: String,
    kind: Kind,
    variables: bool,
}

impl Reader {
    fn statement<'a>(
        &self,
        value: &'a Value,
        sids: &mut HashSet<&'a str>,
    ) -> Result<Statement, Malformed> {
        let Value::Object(members) = value else {
            return Err(malformed(&self.path, "an object is expected"));
        };
        let known = [
            "Sid",
            "Effect",
            "Principal",
            "NotPrincipal",
            "Action",
            "NotAction",
            "Resource",
            "NotResource",
            "Condition",
        ];
        only(members, &known, &self.path)?;
        match members.get("Sid") {
            None => {}
            Some(Value::String(sid)) if sid.is_empty() || sids.insert(sid) => {}
            Some(Value::String(_)) => {
                return Err(self.wrong("Sid", "another statement has the same"));
            }
            Some(_) => return Err(self.wrong("Sid", "a string is expected")),
        }
        let effect = match members.get("Effect").and_then(Value::as_str) {
            Some("Allow") => Effect::Allow,
            Some("Deny") => Effect::Deny,
            _ => return Err(self.wrong("Effect", "Allow or Deny is expected")),
        };
        Ok(Statement {
            effect,
            principals: self.principals(members)?,
            actions: self.set(members, ["Action", "NotAction"], is_action, "an action")?,
            resources: self.set(members, ["Resource", "NotResource"], is_resource, "an ARN")?,
            conditions: self.conditions(members.get("Condition"))?,
        })
    }

    fn principals(&self, members: &Members) -> Result<Principals, Malformed> {
        let given = self.one_of(members, ["Principal", "NotPrincipal"]);
        let (element, value, all_but) = match (self.kind, given) {
            (Kind::Resource, given) => given?,
            (Kind::Identity, Err(_)) if !members.contains_key("Principal") => {
                return Ok(Principals::Holder);
            }
            (Kind::Identity, _) => {
                let problem = "the policy of a caller names no principals";
                return Err(malformed(&self.path, problem));
            }
        };
        let names = self.names(element, value)?;
        Ok(if all_but {
            Principals::AllBut(names)
        } else {
            Principals::These(names)
        })
    }

    fn names(&self, element: &str, value: &Value) -> Result<Vec<PolicyPrincipal>, Malformed> {
        let kinds = match value {
            Value::String(all) if all == "*" => return Ok(vec![PolicyPrincipal::Anyone]),
            Value::Object(kinds) if !kinds.is_empty() => kinds,
            _ => return Err(self.wrong(element, "\"*\" or an object is expected")),
        };
        let mut names = Vec::new();
        for (kind, value) in kinds {
            let texts = texts(value)
                .ok_or_else(|| self.wrong(element, "a string or several are expected"))?;
            for text in texts {
                let name = PolicyPrincipal::read(kind, &text).ok_or_else(|| {
                    self.wrong(element, &format!("{kind} {text:?} is not a principal"))
                })?;
                names.push(name);
            }
        }
        Ok(names)
    }

    fn set(
        &self,
        members: &Members,
        elements: [&'static str; 2],
        fits: fn(&str) -> bool,
        expected: &str,
    ) -> Result<Set, Malformed> {
        let (element, value, all_but) = self.one_of(members, elements)?;
        let texts =
            texts(value).ok_or_else(|| self.wrong(element, "a string or several are expected"))?;
        let syntax = Syntax {
            wildcards: true,
            variables: self.variables && elements[0] == "Resource",
        };
        let read = |text: &String| {
            if !fits(text) {
                return Err(self.wrong(element, &format!("{text:?} is not {expected}")));
            }
            Pattern::read(text, syntax).map_err(|problem| self.wrong(element, &problem))
        };
        let patterns = texts.iter().map(read).collect::<Result<_, _>>()?;
        Ok(if all_but {
            Set::AllBut(patterns)
        } else {
            Set::These(patterns)
        })
    }

    /// The element that is present of a pair such as `Action`/`NotAction`, and true for the `Not`
    /// form.
    fn one_of<'a>(
        &self,
        members: &'a Members,
        [plain, negated]: [&'static str; 2],
    ) -> Result<(&'static str, &'a Value, bool), Malformed> {
        match (members.get(plain), members.get(negated)) {
            (Some(value), None) => Ok((plain, value, false)),
            (None, Some(value)) => Ok((negated, value, true)),
            _ => {
                let problem = format!("either {plain} or {negated} is expected");
                Err(malformed(&self.path, &problem))
            }
        }
    }

    fn conditions(&self, value: Option<&Value>) -> Result<Vec<Condition>, Malformed> {
        let object = |value: &'_ Value| match value {
            Value::Object(members) => Ok(members.clone()),
            _ => Err(self.wrong("Condition", "an object is expected")),
        };
        let mut conditions = Vec::new();
        for (operator, keys) in value.map(object).transpose()?.iter().flatten() {
            for (key, value) in &object(keys)? {
                let wrong = |problem: &str| {
                    self.wrong("Condition", &format!("{operator} of {key}: {problem}"))
                };
                let values =
                    texts(value).ok_or_else(|| wrong("a value or several of them are expected"))?;
                let condition = Condition::read(operator, key, &values, self.variables);
                conditions.push(condition.map_err(|problem| wrong(&problem))?);
            }
        }
        Ok(conditions)
    }

    fn wrong(&self, element: &str, problem: &str) -> Malformed {
        malformed(&format!("{}.{element}", self.path), problem)
    }
}

/// A scalar or a list of scalars, as strings.
fn texts(value: &Value) -> Option<Vec<String>> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    };
    match value {
        Value::Array(items) if !items.is_empty() => items.iter().map(text).collect(),
        Value::Array(_) => None,
        value => text(value).map(|text| vec![text]),
    }
}

/// `*`, or `service:name` with wildcards.
fn is_action(text: &str) -> bool {
    let named = |byte: u8| byte.is_ascii_alphanumeric() || b"*?-_".contains(&byte);
    let parts = text.split_once(':');
    text == "*"
        || parts.is_some_and(|(service, name)| {
            let both = [service, name];
            both.iter()
                .all(|it| !it.is_empty() && it.bytes().all(named))
        })
}

fn is_resource(text: &str) -> bool {
    text == "*" || text.starts_with("arn:")
}

fn only(members: &Members, known: &[&str], path: &str) -> Result<(), Malformed> {
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(malformed(path, &format!("there is no element {name:?}"))),
        None => Ok(()),
    }
}

fn malformed(path: &str, problem: &str) -> Malformed {
    let colon = if path.is_empty() { "" } else { ": " };
    Malformed {
        path: format!("{path}{colon}"),
        problem: problem.to_owned(),
    }
}
