//! Evaluation of identity- and resource-based policies together: any explicit Deny wins; within an
//! account one Allow is enough, across accounts both sides must allow.

use super::principal::Match;
use super::{AccessRequest, Policy, Verdict};
use crate::names::AccountId;

/// Policies that apply to a request.
#[derive(Debug)]
pub struct Policies<'a> {
    /// Policy of the caller. `None` allows everything, as for an account's root user; anonymous
    /// callers have no identity-based policy.
    pub identity: Option<&'a Policy>,
    /// Policies of the resource.
    pub resource: Vec<&'a Policy>,
}

/// Reason of a refusal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Denial {
    /// Explicit Deny in the identity-based policy.
    IdentityDenies,
    /// Explicit Deny in a resource-based policy.
    ResourceDenies,
    /// No Allow in the identity-based policy.
    IdentitySilent,
    /// No Allow in the resource-based policies, where one is required.
    ResourceSilent,
}

impl Denial {
    /// Final clause of IAM's AccessDenied message.
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

/// Evaluates the policies for one request.
///
/// # Errors
/// If the request is denied.
pub fn decide(
    request: &AccessRequest<'_>,
    policies: &Policies<'_>,
    owner: &AccountId,
) -> Result<(), Denial> {
    let identity = identity(request, policies.identity);
    let resource = resource(request, &policies.resource);
    let account = request.principal.account();
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

fn identity(request: &AccessRequest<'_>, policy: Option<&Policy>) -> Verdict {
    match policy {
        Some(policy) => policy.verdict(request),
        None if request.principal.account().is_some() => Verdict::Allowed(Match::Itself),
        None => Verdict::Silent,
    }
}

fn resource(request: &AccessRequest<'_>, policies: &[&Policy]) -> Verdict {
    let verdicts: Vec<Verdict> = policies.iter().map(|it| it.verdict(request)).collect();
    let found = |wanted: Verdict| verdicts.contains(&wanted).then_some(wanted);
    found(Verdict::Denied)
        .or_else(|| found(Verdict::Allowed(Match::Itself)))
        .or_else(|| found(Verdict::Allowed(Match::Account)))
        .unwrap_or(Verdict::Silent)
}
