//! Whether a caller may call a function URL, and run the function behind it.

use bytes::Bytes;
use http::request::Parts;

use crate::api::access::{Caller, Demand, Signed};
use crate::api::facts::{Asked, RequestFacts};
use crate::api::{Front, at_length};
use crate::invoke::snapshot::UrlRoute;

/// Who says to be calling, with a signature that is still to be checked where one is needed.
pub(super) struct Claim<'a>(Option<Signed<'a>>);

impl Front {
    /// What can be known before there is a body, so that nobody's body is read who may not call.
    pub(super) fn claim(&self, route: &UrlRoute, parts: &Parts) -> Option<Claim<'_>> {
        let Some(access) = &self.access else {
            return Some(Claim(None));
        };
        if route.signed {
            let signed = access.parse(parts, "lambda").ok()?;
            return Some(Claim(Some(signed)));
        }
        let anyone = access.anonymous();
        self.lets_in(&anyone, route, parts).then_some(Claim(None))
    }

    /// Whether the claim is good.
    pub(super) fn may_call(
        &self,
        Claim(signed): Claim<'_>,
        route: &UrlRoute,
        parts: &Parts,
        body: &Bytes,
    ) -> bool {
        signed.is_none_or(|signed| {
            let check = || signed.check(body);
            let caller = at_length(parts, body.len(), check);
            caller.is_ok_and(|caller| self.lets_in(&caller, route, parts))
        })
    }

    /// Where there are keys, the function's policy must let everyone in whom the URL lets in without
    /// a signature; those who sign need either their own policy's leave or the function's. It takes
    /// two: for calling the URL, and for running the function behind it.
    fn lets_in(&self, caller: &Caller, route: &UrlRoute, parts: &Parts) -> bool {
        let (home, snapshot) = (self.control.home(), self.invoker.snapshot());
        let function = snapshot.function(&route.target.name);
        let arn = home.function_arn(&route.target.name);
        let facts = RequestFacts {
            principal: &caller.principal,
            parts,
            now: self.clock.now(),
            account: &home.account,
            region: &home.region,
            resource_tags: function.map(|it| it.tags.clone()),
            asked: &AskedOfUrl {
                signed: route.signed,
            },
        };
        let allows = |action: &str| {
            let demand = Demand {
                action: action.to_owned(),
                resource: match &route.target.qualifier {
                    None => arn.clone(),
                    Some(qualifier) => format!("{arn}:{qualifier}"),
                },
                function: Some(route.target.clone()),
                own_policy: None,
            };
            self.permit(caller, &demand, &facts).is_ok()
        };
        allows("lambda:InvokeFunctionUrl") && allows("lambda:InvokeFunction")
    }
}

/// What a request to a function URL asks for.
struct AskedOfUrl {
    signed: bool,
}

impl Asked for AskedOfUrl {
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
