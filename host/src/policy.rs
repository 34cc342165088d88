//! IAM policies: parsed once, then evaluated against requests. Pure: request context comes in as
//! [`Context`]; enforcement is the caller's.

use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

mod attached;
mod compare;
mod condition;
mod decide;
#[cfg(test)]
pub mod fuzz;
mod operator;
mod pattern;
mod principal;
mod read;
#[cfg(test)]
mod tests;

pub use attached::Attached;
pub use decide::{Denial, Policies, decide};
pub use principal::{Principal, is_principal_arn};

use condition::Condition;
use pattern::Pattern;
use principal::{Match, PolicyPrincipal};

/// Largest document, in bytes of compact JSON: Lambda's limit for a function's policy.
pub const BYTES_MAX: usize = 20_480;

/// An IAM policy document.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    statements: Vec<Statement>,
}

/// Syntax error of a policy document.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{path}{problem}")]
pub struct Malformed {
    /// Path of the faulty element, followed by `: `; empty for the document itself.
    path: String,
    /// Problem at that path.
    problem: String,
}

/// Attachment of a policy. It decides which elements are mandatory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// Identity-based: statements have no `Principal`.
    Identity,
    /// Resource-based: statements have a `Principal`.
    Resource,
}

#[derive(Clone, Debug, PartialEq)]
struct Statement {
    effect: Effect,
    principals: Principals,
    actions: Set,
    resources: Set,
    conditions: Vec<Condition>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Clone, Debug, PartialEq)]
enum Principals {
    /// The identity that the policy is attached to.
    Holder,
    /// `Principal`.
    These(Vec<PolicyPrincipal>),
    /// `NotPrincipal`.
    AllBut(Vec<PolicyPrincipal>),
}

/// `Action` or `Resource`, or the `Not` form of either.
#[derive(Clone, Debug, PartialEq)]
enum Set {
    These(Vec<Pattern>),
    AllBut(Vec<Pattern>),
}

/// One authorization request: principal, action, resource and context.
#[derive(Clone, Copy)]
pub struct AccessRequest<'a> {
    /// Caller.
    pub principal: &'a Principal,
    /// IAM action, such as `lambda:InvokeFunction`.
    pub action: &'a str,
    /// ARN, or `*` for actions without a resource. `None` before the body that names it is read.
    pub resource: Option<&'a str>,
    /// Request context, for conditions and policy variables.
    pub context: &'a dyn Context,
    /// Treatment of statements that depend on unknown context.
    pub doubt: Doubt,
}

/// Treatment of a statement that depends on unknown context.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Doubt {
    /// Unknown context fails an Allow and satisfies a Deny: the decision on a complete request.
    Refuses,
    /// Unknown context satisfies an Allow and fails a Deny: refuses only what no further context could allow.
    Admits,
}

/// Condition keys of a request (IAM's "request context").
pub trait Context {
    /// Values of a condition key, given in lower case; empty if the request lacks the key. `None`
    /// if this host cannot know the key: an Allow that depends on it never applies, and a Deny
    /// always does.
    fn values(&self, key: &str) -> Option<Vec<String>>;
}

/// Result of one policy for one request. `Silent` is IAM's implicit deny.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    Denied,
    Allowed(Match),
    Silent,
}

impl Policy {
    /// Parses an identity-based policy.
    ///
    /// # Errors
    /// If the document is not an identity-based policy.
    pub fn identity(document: &Value) -> Result<Self, Malformed> {
        read::policy(document, Kind::Identity)
    }

    /// Parses a resource-based policy.
    ///
    /// # Errors
    /// If the document is not a resource-based policy.
    pub fn resource(document: &Value) -> Result<Self, Malformed> {
        read::policy(document, Kind::Resource)
    }

    /// Condition operators in the document that IAM does not have.
    pub fn unknown_operators(&self) -> impl Iterator<Item = &str> {
        self.conditions().filter_map(Condition::unknown_operator)
    }

    /// Condition keys in the document, in lower case.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.conditions().map(Condition::key)
    }

    /// True if any statement has the effect Deny.
    pub fn has_denials(&self) -> bool {
        self.statements.iter().any(|it| it.effect == Effect::Deny)
    }

    fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.statements.iter().flat_map(|it| &it.conditions)
    }

    /// An explicit Deny wins from any statement; of several Allows, the closest principal match
    /// wins.
    fn verdict(&self, request: &AccessRequest<'_>) -> Verdict {
        let mut verdict = Verdict::Silent;
        for statement in &self.statements {
            match (statement.effect, statement.covers(request)) {
                (_, None) => {}
                (Effect::Deny, Some(_)) => return Verdict::Denied,
                (Effect::Allow, Some(found)) => {
                    if verdict != Verdict::Allowed(Match::Itself) {
                        verdict = Verdict::Allowed(found);
                    }
                }
            }
        }
        verdict
    }
}

impl Statement {
    /// Principal match of this statement, or `None` if it does not apply. [`Doubt`] decides on unknown
    /// context.
    fn covers(&self, request: &AccessRequest<'_>) -> Option<Match> {
        let unknown = match request.doubt {
            Doubt::Refuses => self.effect == Effect::Deny,
            Doubt::Admits => self.effect == Effect::Allow,
        };
        let action = self
            .actions
            .has(Some(request.action), true, request.context);
        if !action.unwrap_or(unknown) {
            return None;
        }
        let found = self.principals.matching(request.principal)?;
        let resource = self.resources.has(request.resource, false, request.context);
        if !resource.unwrap_or(unknown) {
            return None;
        }
        let mut in_doubt = false;
        for condition in &self.conditions {
            match condition.holds(request.context) {
                Some(true) => {}
                Some(false) => return None,
                None => in_doubt = true,
            }
        }
        (!in_doubt || unknown).then_some(found)
    }
}

impl Principals {
    fn matching(&self, principal: &Principal) -> Option<Match> {
        match self {
            Self::Holder => Some(Match::Itself),
            Self::These(names) => names
                .iter()
                .filter_map(|name| name.matching(principal))
                .max(),
            // IAM exempts a caller from `NotPrincipal` only by its own ARN, not by its account.
            Self::AllBut(names) => {
                let named =
                    |name: &PolicyPrincipal| name.matching(principal) == Some(Match::Itself);
                (!names.iter().any(named)).then_some(Match::Itself)
            }
        }
    }
}

impl Set {
    /// `None` if the result depends on unknown context.
    fn has(&self, text: Option<&str>, ignores_case: bool, context: &dyn Context) -> Option<bool> {
        let (patterns, all_but) = match self {
            Self::These(patterns) => (patterns, false),
            Self::AllBut(patterns) => (patterns, true),
        };
        let mut in_doubt = false;
        for pattern in patterns {
            let Some(text) = text else {
                match pattern.is_any() {
                    true => return Some(!all_but),
                    false => in_doubt = true,
                }
                continue;
            };
            match pattern.expand(context) {
                Some(expanded) if expanded.matches(text, ignores_case) => return Some(!all_but),
                Some(_) => {}
                None => in_doubt = true,
            }
        }
        (!in_doubt).then_some(all_but)
    }
}

impl FromStr for Policy {
    type Err = Malformed;

    /// Parses the JSON text of an identity-based policy.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let document = serde_json::from_str(text).map_err(|error| Malformed {
            path: String::new(),
            problem: format!("it is not JSON: {error}"),
        })?;
        Self::identity(&document)
    }
}

impl<'de> Deserialize<'de> for Policy {
    /// Identity-based policy, as a JSON object or as a string that holds one.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let policy = match Value::deserialize(deserializer)? {
            Value::String(text) => text.parse(),
            document => Self::identity(&document),
        };
        policy.map_err(|error| serde::de::Error::custom(format!("not a policy: {error}")))
    }
}

impl std::fmt::Debug for AccessRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessRequest")
            .field("principal", self.principal)
            .field("action", &self.action)
            .field("resource", &self.resource)
            .finish_non_exhaustive()
    }
}
