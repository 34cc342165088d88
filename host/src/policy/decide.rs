//! Several policies together: a denial anywhere wins; within an account either side's allowance is
//! enough, across accounts both are needed.

use super::principal::Match;
use super::{Policy, Question, Verdict};
use crate::names::AccountId;

/// The policies that have a say in a request.
#[derive(Debug)]
pub struct Policies<'a> {
    /// The caller's own. None allows everything, as for the owner of an account; nobody's own
    /// policy has a say for a caller who did not sign.
    pub identity: Option<&'a Policy>,
    /// Those of the resource.
    pub resource: Vec<&'a Policy>,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Denial {
    /// The caller's policy denies it.
    IdentityDenies,
    /// The resource's policy denies it.
    ResourceDenies,
    /// The caller's policy does not allow it.
    IdentitySilent,
    /// The resource's policy does not allow it, and would have to.
    ResourceSilent,
}

impl Denial {
    /// The end of IAM's sentence about it.
    pub fn reason(self, action: &str) -> String {
        match self {
            Self::IdentityDenies => "with an explicit deny in an identity-based policy".to_owned(),
            Self::ResourceDenies => "with an explicit deny in a resource-based policy".to_owned(),
            Self::IdentitySilent => {
                format!("because no identity-based policy allows the {action} action")
            }
            Self::ResourceSilent => {
                format!("because no resource-based policy allows the {action} action")
            }
        }
    }
}

/// Whether a request may be made.
///
/// # Errors
/// Where it may not.
pub fn decide(
    question: &Question<'_>,
    policies: &Policies<'_>,
    owner: &AccountId,
) -> Result<(), Denial> {
    let identity = identity(question, policies.identity);
    let resource = resource(question, &policies.resource);
    let account = question.principal.account();
    match (identity, resource) {
        (Verdict::Denied, _) => Err(Denial::IdentityDenies),
        (_, Verdict::Denied) => Err(Denial::ResourceDenies),
        _ if account.is_none() => match resource {
            Verdict::Allowed(Match::Itself) => Ok(()),
            _ => Err(Denial::ResourceSilent),
        },
        (Verdict::Allowed(_), _) | (_, Verdict::Allowed(Match::Itself))
            if account == Some(owner) =>
        {
            Ok(())
        }
        (Verdict::Allowed(_), Verdict::Allowed(_)) => Ok(()),
        (Verdict::Allowed(_), Verdict::Silent) => Err(Denial::ResourceSilent),
        (Verdict::Silent, _) => Err(Denial::IdentitySilent),
    }
}

fn identity(question: &Question<'_>, policy: Option<&Policy>) -> Verdict {
    match policy {
        Some(policy) => policy.verdict(question),
        None if question.principal.account().is_some() => Verdict::Allowed(Match::Itself),
        None => Verdict::Silent,
    }
}

fn resource(question: &Question<'_>, policies: &[&Policy]) -> Verdict {
    let verdicts: Vec<Verdict> = policies.iter().map(|it| it.verdict(question)).collect();
    let found = |wanted: Verdict| verdicts.contains(&wanted).then_some(wanted);
    found(Verdict::Denied)
        .or_else(|| found(Verdict::Allowed(Match::Itself)))
        .or_else(|| found(Verdict::Allowed(Match::Account)))
        .unwrap_or(Verdict::Silent)
}
