//! Authorization of function URL calls: of the URL, and of the function behind it.

use std::sync::Arc;

use aws_lc_rs::digest;
use http::request::Parts;

use crate::api::access::{Caller, Demand, Signed};
use crate::api::body::Body;
use crate::api::facts::ContextKeys;
use crate::api::rest::sigv4;
use crate::api::{Front, at_length};
use crate::invoke::snapshot::UrlRoute;
use crate::names::hex;
use crate::payload::http::Iam;
use crate::policy::Principal;

/// Bytes of a digest that make the id of a user.
const USER_ID_BYTES: usize = 8;

/// Signature of a request to a URL, to be checked against the body.
pub(super) struct UncheckedSignature {
    /// `None` for URLs without authentication.
    signed: Option<Signed>,
    /// True if the claimed caller may not call this URL.
    is_forbidden: bool,
}

impl UncheckedSignature {
    pub(super) fn signed(&self) -> Option<&Signed> {
        self.signed.as_ref()
    }

    /// True if only the digest of the body is needed, to check the signature.
    pub(super) fn is_forbidden(&self) -> bool {
        self.is_forbidden
    }
}

/// Reason to refuse a request to a function URL.
pub(super) enum Refusal {
    /// It has no signature, or its caller may not call this URL.
    Forbidden,
    /// Its signature is not good.
    Signature(sigv4::Error),
}

impl From<sigv4::Error> for Refusal {
    fn from(error: sigv4::Error) -> Self {
        match error {
            sigv4::Error::Missing => Self::Forbidden,
            error => Self::Signature(error),
        }
    }
}

impl Front {
    /// Authorization check before the body is read, which no policy depends on.
    pub(super) fn unchecked_signature(
        &self,
        route: &UrlRoute,
        parts: &Parts,
    ) -> Result<UncheckedSignature, Refusal> {
        let Some(access) = self.access(parts) else {
            return Ok(UncheckedSignature {
                signed: None,
                is_forbidden: false,
            });
        };
        let signed = match route.signed {
            true => Some(access.parse(parts, "lambda")?),
            false => None,
        };
        let claimed = match &signed {
            Some(signed) => Arc::clone(signed.claimed()),
            None => access.anonymous(),
        };
        let is_forbidden = !self.lets_in(&claimed, route, parts);
        // An unchecked signature is checked first: a refusal would tell strangers what the caller may do.
        let is_checked = signed.as_ref().is_none_or(|it| it.proven().is_some());
        if is_forbidden && is_checked {
            return Err(Refusal::Forbidden);
        }
        Ok(UncheckedSignature {
            signed,
            is_forbidden,
        })
    }

    /// The caller, where one must sign, if its signature is good and it may call this URL.
    pub(super) fn caller(
        &self,
        signature: &UncheckedSignature,
        parts: &Parts,
        body: &Body,
    ) -> Result<Option<Arc<Caller>>, Refusal> {
        let Some(signed) = &signature.signed else {
            return Ok(None);
        };
        let caller = match &body.digest {
            Some(digest) => signed.check_digest(digest)?,
            None => at_length(parts, body.bytes.len(), || signed.check(&body.bytes))?,
        };
        match signature.is_forbidden {
            true => Err(Refusal::Forbidden),
            false => Ok(Some(caller)),
        }
    }

    /// On a host with keys, the function's policy must allow every caller that the URL admits without
    /// a signature; a signed call needs an Allow of its own policy or of the function's. Both cases need
    /// two actions: `lambda:InvokeFunctionUrl` and `lambda:InvokeFunction`.
    fn lets_in(&self, caller: &Caller, route: &UrlRoute, parts: &Parts) -> bool {
        let (home, snapshot) = (self.control.home(), self.invoker.snapshot());
        let function = snapshot.function(&route.target.name);
        let arn = home.function_arn(&route.target.name);
        let tags = function.map(|it| it.tags.clone());
        let keys = UrlKeys {
            signed: route.signed,
        };
        let context = self.context(&caller.principal, parts, tags, &keys);
        let allows = |action: &str| {
            let resource = match &route.target.qualifier {
                None => arn.clone(),
                Some(qualifier) => format!("{arn}:{qualifier}"),
            };
            let demand = Demand {
                function: Some(route.target.clone()),
                ..Demand::new(action, resource)
            };
            self.permit(caller, &demand, &context).is_ok()
        };
        allows("lambda:InvokeFunctionUrl") && allows("lambda:InvokeFunction")
    }
}

/// The caller as the event of a function names it.
pub(super) fn identity(caller: &Caller) -> Option<Iam> {
    let (principal, key) = (&caller.principal, caller.access_key_id.as_ref()?);
    let (account, arn) = (principal.account()?, principal.arn()?);
    Some(Iam {
        access_key: key.to_string(),
        account_id: account.to_string(),
        id: unique_id(principal),
        user_arn: arn.to_owned(),
    })
}

/// IAM's own id of a principal: the account of a root user; of others an id that stays the same.
fn unique_id(principal: &Principal) -> String {
    match principal {
        Principal::User {
            name: Some(_), arn, ..
        } => {
            let digest = digest::digest(&digest::SHA256, arn.as_bytes());
            let digest = hex(&digest.as_ref()[..USER_ID_BYTES]);
            format!("AIDA{}", digest.to_ascii_uppercase())
        }
        principal => principal
            .account()
            .map(ToString::to_string)
            .unwrap_or_default(),
    }
}

/// The request of a function URL, for conditions of policies.
struct UrlKeys {
    signed: bool,
}

impl ContextKeys for UrlKeys {
    fn values(&self, key: &str) -> Option<Vec<String>> {
        let auth = if self.signed { "AWS_IAM" } else { "NONE" };
        match key {
            "lambda:functionurlauthtype" => Some(vec![auth.to_owned()]),
            "lambda:invokedviafunctionurl" => Some(vec!["true".to_owned()]),
            "lambda:eventsourcetoken" | "lambda:sourcefunctionarn" => Some(Vec::new()),
            _ => None,
        }
    }
}
