//! Access control: access keys, their users and identity-based policies. `sigv4` verifies
//! signatures; each API describes its own requests.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::digest::Digest;
use bytes::Bytes;
use http::request::Parts;

use super::Front;
use super::facts;
use super::rest::sigv4::{Credentials, Error, Pending, Verifier};
use crate::clock::Clock;
use crate::config::{Config, Key};
use crate::invoke::Target;
use crate::names::AccountId;
use crate::policy::{AccessRequest, Context, Denial, Doubt, Policies, Policy, Principal, decide};

/// The keys of a host. A host without keys has none of this: anyone may do anything.
#[derive(Debug)]
pub struct Access {
    verifier: Verifier,
    callers: HashMap<String, Arc<Caller>>,
    anonymous: Arc<Caller>,
}

/// The access in force, which a reload of the configuration replaces. Requests that have begun keep theirs.
#[derive(Debug)]
pub struct CurrentAccess(
    // A std lock: it is held for the clone of an `Arc`.
    RwLock<Option<Arc<Access>>>,
);

/// In the extensions of a request: it is the embedder's own, and needs no signature. No request of a connection has it.
#[derive(Clone, Copy, Debug)]
pub struct Owner;

/// Someone who makes requests.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) principal: Principal,
    /// The key that it signs with. None who does not sign.
    pub(super) access_key_id: Option<Arc<str>>,
    /// None allows everything.
    policy: Option<Policy>,
}

/// A signature that is still to be checked against the body.
#[derive(Debug)]
pub(super) struct Signed {
    pending: Pending,
    caller: Arc<Caller>,
}

/// Permission that a request needs.
#[derive(Clone, Debug)]
pub(super) struct Demand {
    /// `lambda:GetFunction`, for example.
    pub(super) action: String,
    /// An ARN, or `*`.
    pub(super) resource: String,
    /// True while the resource is unknown: the body, not read yet, names it.
    pub(super) is_any: bool,
    /// Treatment of statements that depend on unknown context.
    pub(super) doubt: Doubt,
    /// The function of this host that it is about: its own policies have a say.
    pub(super) function: Option<Target>,
    /// The policy of what else it is about, where that has one.
    pub(super) own_policy: Option<Policy>,
}

impl Demand {
    /// Demand on a resource without policies of its own.
    pub(super) fn new(action: impl Into<String>, resource: impl Into<String>) -> Self {
        Self {
            action: action.into(),
            resource: resource.into(),
            is_any: false,
            doubt: Doubt::Refuses,
            function: None,
            own_policy: None,
        }
    }

    /// Demand before the body is read: refused only if no body could make it allowed.
    pub(super) fn before_body(self) -> Self {
        Self {
            doubt: Doubt::Admits,
            ..self
        }
    }
}

/// A request that is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Denied {
    /// Reason, in IAM's words.
    pub(super) text: String,
    /// True for a caller of another account without any grant here.
    pub(super) is_foreign: bool,
}

impl Access {
    /// The access that a configuration gives; None where it has no keys.
    pub fn new(config: &Config, clock: &Clock) -> Option<Self> {
        if config.keys.is_empty() {
            return None;
        }
        let credentials = config.keys.iter().map(credentials).collect();
        let caller = |key: &Key| {
            let caller = caller(key, &config.account_id);
            (key.access_key_id.clone(), Arc::new(caller))
        };
        Some(Self {
            verifier: Verifier::new(credentials, config.region.to_string(), clock.clone()),
            callers: config.keys.iter().map(caller).collect(),
            anonymous: Arc::new(Caller {
                principal: Principal::Anonymous,
                access_key_id: None,
                policy: None,
            }),
        })
    }

    /// Checks of a signature all that can be checked before the body is read.
    pub(super) fn parse(&self, parts: &Parts, service: &str) -> Result<Signed, Error> {
        let pending = self.verifier.parse(parts, service)?;
        let caller = self.callers.get(pending.access_key_id());
        let caller = caller.cloned().ok_or(Error::UnknownKey)?;
        Ok(Signed { pending, caller })
    }

    /// Caller of unsigned requests.
    pub(super) fn anonymous(&self) -> Arc<Caller> {
        Arc::clone(&self.anonymous)
    }
}

impl CurrentAccess {
    /// The access of a configuration.
    pub fn new(access: Option<Access>) -> Self {
        Self(RwLock::new(access.map(Arc::new)))
    }

    /// The access in force. None where anyone may do anything.
    pub(super) fn get(&self) -> Option<Arc<Access>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// True where requests must be signed.
    pub(super) fn has_keys(&self) -> bool {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    /// Puts another access in force for requests that begin from now on.
    pub(super) fn replace(&self, access: Option<Access>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = access.map(Arc::new);
    }
}

impl Signed {
    /// The caller, where the signature covers a digest of the body that the head declares, and is good.
    pub(super) fn proven(&self) -> Option<&Arc<Caller>> {
        self.pending.proven().map(|_| &self.caller)
    }

    /// Claimed caller; the signature may be unchecked.
    pub(super) fn claimed(&self) -> &Arc<Caller> {
        &self.caller
    }

    /// As [`check`](Self::check), by the digest of the body.
    pub(super) fn check_digest(&self, digest: &Digest) -> Result<Arc<Caller>, Error> {
        self.pending.check_digest(digest)?;
        Ok(Arc::clone(&self.caller))
    }

    /// The caller, if the signature is right.
    pub(super) fn check(&self, body: &Bytes) -> Result<Arc<Caller>, Error> {
        self.pending.check(body)?;
        Ok(Arc::clone(&self.caller))
    }
}

impl Caller {
    /// Service that delivers events. Only a function's own policy allows it anything.
    pub(super) fn service(name: &'static str) -> Self {
        Self {
            principal: Principal::Service(name),
            access_key_id: None,
            policy: None,
        }
    }

    /// True for the account's owner, whom only a Deny in a resource-based policy can refuse.
    pub(super) fn owns(&self, account: &AccountId) -> bool {
        self.policy.is_none() && self.principal.account() == Some(account)
    }
}

impl Front {
    /// Authorizes a request by the caller's policy and the resource's.
    pub(super) fn permit(
        &self,
        caller: &Caller,
        demand: &Demand,
        context: &dyn Context,
    ) -> Result<(), Denied> {
        let snapshot = self.invoker.snapshot();
        let target = demand.function.as_ref();
        let attached = target.and_then(|target| {
            let attached = snapshot.policies(&target.name)?;
            Some(attached.over(target.qualifier.as_ref()))
        });
        let attached = attached.unwrap_or_default().into_iter();
        let policies = Policies {
            identity: caller.policy.as_ref(),
            resource: attached.chain(demand.own_policy.as_ref()).collect(),
        };
        let request = AccessRequest {
            principal: &caller.principal,
            action: &demand.action,
            resource: (!demand.is_any).then_some(&demand.resource),
            context,
            doubt: demand.doubt,
        };
        let home = &self.control.home().account;
        decide(&request, &policies, home).map_err(|denial| {
            let Demand {
                action, resource, ..
            } = demand;
            let who = caller.principal.shown();
            let reason = denial.reason(action);
            let of_another = caller.principal.account() != Some(home);
            Denied {
                text: format!(
                    "User: {who} is not authorized to perform: {action} on resource: {resource} \
                     {reason}"
                ),
                is_foreign: denial == Denial::ResourceSilent && of_another,
            }
        })
    }
}

fn caller(key: &Key, home: &AccountId) -> Caller {
    let account = key.account.as_ref().unwrap_or(home).clone();
    let principal = Principal::user(account, key.name.clone());
    if let Some(policy) = &key.policy {
        let arn = principal.arn().unwrap_or_default();
        for operator in policy.unknown_operators() {
            tracing::warn!(%arn, operator, "a policy has a condition operator that does not exist");
        }
        for key in policy.keys().filter(|key| !facts::can_be_known(key)) {
            tracing::warn!(%arn, key, "a policy depends on what this host cannot know");
        }
    }
    Caller {
        principal,
        access_key_id: Some(key.access_key_id.as_str().into()),
        policy: key.policy.clone(),
    }
}

fn credentials(key: &Key) -> Credentials {
    Credentials {
        access_key_id: key.access_key_id.clone(),
        secret_access_key: key.secret_access_key.clone(),
        session_token: key.session_token.clone(),
    }
}
