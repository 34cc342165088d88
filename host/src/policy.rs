//! Policies in the language of AWS IAM: read once, then asked whether they allow or deny a request.
//! Pure: what is known of a request comes in as [`Facts`]; who asks, and what is done with the
//! answer, this module does not know.

use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

mod attached;
mod compare;
mod condition;
mod decide;
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
use principal::{Match, Named};

/// The largest document, in bytes of compact JSON. It is Lambda's own limit for the policy of a
/// function.
pub const BYTES_MAX: usize = 20_480;

/// A policy: what is allowed and what is denied, to whom, on what, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    statements: Vec<Statement>,
}

/// Why a document is no policy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{path}{problem}")]
pub struct Malformed {
    /// Where in the document, with a colon and a space after it; empty for the document itself.
    path: String,
    /// What is wrong there.
    problem: String,
}

/// What a policy is attached to decides which elements it must have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// A caller: its statements name no principals.
    Identity,
    /// A function: its statements name principals.
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
    /// The caller the policy is attached to.
    Holder,
    /// `Principal`
    These(Vec<Named>),
    /// `NotPrincipal`
    AllBut(Vec<Named>),
}

/// `Action` or `Resource`, or with `Not` before it.
#[derive(Clone, Debug, PartialEq)]
enum Set {
    These(Vec<Pattern>),
    AllBut(Vec<Pattern>),
}

/// What is asked: may this principal do this to this?
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// Who asks.
    pub principal: &'a Principal,
    /// `lambda:InvokeFunction`, for example.
    pub action: &'a str,
    /// An ARN; `*` where the action is on nothing in particular.
    pub resource: &'a str,
    /// What else is known of the request.
    pub facts: &'a dyn Facts,
}

/// What is known of a request.
pub trait Facts {
    /// The values of a condition key, which is given in lower case; none where the request has no
    /// such thing. None where this host cannot know: what depends on it never allows anything, and
    /// denies everything.
    fn values(&self, key: &str) -> Option<Vec<String>>;
}

/// What one policy says to a question.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    Denied,
    Allowed(Match),
    Silent,
}

impl Policy {
    /// Reads a policy that is attached to a caller.
    ///
    /// # Errors
    /// Where the document is no such policy.
    pub fn identity(document: &Value) -> Result<Self, Malformed> {
        read::policy(document, Kind::Identity)
    }

    /// Reads a policy that is attached to a function.
    ///
    /// # Errors
    /// Where the document is no such policy.
    pub fn resource(document: &Value) -> Result<Self, Malformed> {
        read::policy(document, Kind::Resource)
    }

    /// The condition operators of the document that do not exist.
    pub fn unknown_operators(&self) -> impl Iterator<Item = &str> {
        self.conditions().filter_map(Condition::unknown_operator)
    }

    /// The condition keys it depends on, in lower case.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.conditions().map(Condition::key)
    }

    /// Whether it denies anything.
    pub fn has_denials(&self) -> bool {
        self.statements.iter().any(|it| it.effect == Effect::Deny)
    }

    fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.statements.iter().flat_map(|it| &it.conditions)
    }

    /// A denial counts wherever it stands; of allowances, the one that means the caller most.
    fn verdict(&self, question: &Question<'_>) -> Verdict {
        let mut verdict = Verdict::Silent;
        for statement in &self.statements {
            match (statement.effect, statement.covers(question)) {
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
    /// How the statement means the principal, if it is about this question. What cannot be known
    /// is taken for whatever allows less.
    fn covers(&self, question: &Question<'_>) -> Option<Match> {
        let unknown = self.effect == Effect::Deny;
        let action = self.actions.has(question.action, true, question.facts);
        if !action.unwrap_or(unknown) {
            return None;
        }
        let found = self.principals.matching(question.principal)?;
        let resource = self.resources.has(question.resource, false, question.facts);
        if !resource.unwrap_or(unknown) {
            return None;
        }
        let mut in_doubt = false;
        for condition in &self.conditions {
            match condition.holds(question.facts) {
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
            // Only what names the caller itself excepts it: its account's name does not.
            Self::AllBut(names) => {
                let named = |name: &Named| name.matching(principal) == Some(Match::Itself);
                (!names.iter().any(named)).then_some(Match::Itself)
            }
        }
    }
}

impl Set {
    /// None where it depends on what cannot be known.
    fn has(&self, text: &str, ignores_case: bool, facts: &dyn Facts) -> Option<bool> {
        let (patterns, all_but) = match self {
            Self::These(patterns) => (patterns, false),
            Self::AllBut(patterns) => (patterns, true),
        };
        let mut in_doubt = false;
        for pattern in patterns {
            match pattern.expand(facts) {
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

    /// Reads the JSON text of a policy that is attached to a caller.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let document = serde_json::from_str(text).map_err(|error| Malformed {
            path: String::new(),
            problem: format!("it is not JSON: {error}"),
        })?;
        Self::identity(&document)
    }
}

impl<'de> Deserialize<'de> for Policy {
    /// A policy that is attached to a caller: a document, or a text with the JSON of one.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let policy = match Value::deserialize(deserializer)? {
            Value::String(text) => text.parse(),
            document => Self::identity(&document),
        };
        policy.map_err(|error| serde::de::Error::custom(format!("not a policy: {error}")))
    }
}

impl std::fmt::Debug for Question<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Question")
            .field("principal", self.principal)
            .field("action", &self.action)
            .field("resource", &self.resource)
            .finish_non_exhaustive()
    }
}
