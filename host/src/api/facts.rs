//! Request context for policy conditions: caller, time, source and resource. Values are computed
//! when a condition needs them, because most requests need none.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::header;
use http::request::Parts;

use super::{Front, text_of};
use crate::clock::Timestamp;
use crate::names::{AccountId, Region};
use crate::policy::{self, Principal};

/// The ends of a connection, in the extensions of its requests. One value: each extension costs two allocations.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// Address of the client.
    pub peer: IpAddr,
    /// Address of this host, where it is known.
    pub own: Option<SocketAddr>,
}

/// The address of the trusted proxy that a request came through, in its extensions. `Ends::peer` is the client then, as the
/// proxy names it, or the proxy itself.
#[derive(Clone, Copy, Debug)]
pub struct Proxy(pub IpAddr);

/// A mark in the extensions of requests that came over TLS.
#[derive(Clone, Copy, Debug)]
pub struct Secure;

/// True if the client used TLS: to the trusted proxy, where one says how the client came, or else to this host.
pub(super) fn is_secure(parts: &Parts) -> bool {
    let proxy = parts.extensions.get::<Proxy>();
    let proto = proxy.and_then(|_| parts.headers.get("x-forwarded-proto"));
    match proto.map(text_of) {
        // A proxy may use TLS towards this host for a client that does not.
        Some(proto) => proto.eq_ignore_ascii_case("https"),
        None => parts.extensions.get::<Secure>().is_some(),
    }
}

/// Keys of every request.
const GIVEN: [&str; 14] = [
    "aws:currenttime",
    "aws:epochtime",
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalisawsservice",
    "aws:principaltype",
    "aws:referer",
    "aws:requestedregion",
    "aws:resourceaccount",
    "aws:securetransport",
    "aws:sourceip",
    "aws:useragent",
    "aws:username",
    "aws:viaawsservice",
];

/// Keys that no request to this host has: nothing here is done by a service or through a network of
/// AWS's, keys are for good, accounts belong to no organization, users have no tags.
const ABSENT: [&str; 23] = [
    "aws:assumedroot",
    "aws:calledvia",
    "aws:calledviafirst",
    "aws:calledvialast",
    "aws:federatedprovider",
    "aws:multifactorauthage",
    "aws:multifactorauthpresent",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:principalservicename",
    "aws:principalservicenameslist",
    "aws:resourceorgid",
    "aws:resourceorgpaths",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceidentity",
    "aws:sourceorgid",
    "aws:sourceorgpaths",
    "aws:sourcevpc",
    "aws:sourcevpcarn",
    "aws:sourcevpce",
    "aws:tokenissuetime",
    "aws:vpcsourceip",
];

/// Keys that are about what a request of the Lambda API asks for.
const ASKED: [&str; 12] = [
    "aws:tagkeys",
    "lambda:codesigningconfigarn",
    "lambda:eventsourcetoken",
    "lambda:functionarn",
    "lambda:functionurlauthtype",
    "lambda:invokedviafunctionurl",
    "lambda:layer",
    "lambda:principal",
    "lambda:securitygroupids",
    "lambda:sourcefunctionarn",
    "lambda:subnetids",
    "lambda:vpcids",
];

/// A tag's name follows.
const REQUEST_TAG: &str = "aws:requesttag/";
const RESOURCE_TAG: &str = "aws:resourcetag/";
const PRINCIPAL_TAG: &str = "aws:principaltag/";

/// True if some request can have this key, given in lower case.
pub(super) fn can_be_known(key: &str) -> bool {
    let listed = [&GIVEN[..], &ABSENT[..], &ASKED[..]];
    let tags = [REQUEST_TAG, RESOURCE_TAG, PRINCIPAL_TAG];
    listed.iter().any(|keys| keys.contains(&key)) || tags.iter().any(|tag| key.starts_with(tag))
}

/// API-specific context keys of a request.
pub(super) trait ContextKeys {
    /// The values of a key of the service's own; None where they cannot be known.
    fn values(&self, key: &str) -> Option<Vec<String>>;

    /// The tags that the request brings or takes away, with their values where it brings them; None where
    /// they are not read yet.
    fn tags(&self) -> Option<Vec<(String, Option<String>)>> {
        Some(Vec::new())
    }
}

/// Context of one request.
pub(super) struct RequestContext<'a> {
    pub(super) principal: &'a Principal,
    pub(super) parts: &'a Parts,
    pub(super) now: Timestamp,
    pub(super) account: &'a AccountId,
    pub(super) region: &'a Region,
    /// The tags of the resource, where this host knows them.
    pub(super) resource_tags: Option<Arc<BTreeMap<String, String>>>,
    pub(super) keys: &'a dyn ContextKeys,
}

impl Front {
    /// Context of a caller's request to this host. `tags` are those of the resource, where it can have any.
    pub(super) fn context<'a>(
        &'a self,
        principal: &'a Principal,
        parts: &'a Parts,
        tags: Option<Arc<BTreeMap<String, String>>>,
        keys: &'a dyn ContextKeys,
    ) -> RequestContext<'a> {
        let home = self.control.home();
        RequestContext {
            principal,
            parts,
            now: self.clock.now(),
            account: &home.account,
            region: &home.region,
            resource_tags: tags,
            keys,
        }
    }
}

/// Condition keys of an API that has none of its own.
pub(super) struct NoKeys;

impl ContextKeys for NoKeys {
    fn values(&self, _key: &str) -> Option<Vec<String>> {
        None
    }
}

impl policy::Context for RequestContext<'_> {
    fn values(&self, key: &str) -> Option<Vec<String>> {
        if ABSENT.contains(&key) || key.starts_with(PRINCIPAL_TAG) {
            return Some(Vec::new());
        }
        if let Some(name) = key.strip_prefix(RESOURCE_TAG) {
            let tags = self.resource_tags.as_ref()?.iter();
            let named = tags.filter(|(key, _)| key.to_lowercase() == name);
            return Some(named.map(|(_, value)| value.clone()).collect());
        }
        if let Some(name) = key.strip_prefix(REQUEST_TAG) {
            let tags = self.keys.tags()?.into_iter();
            let named = tags.filter(|(key, _)| key.to_lowercase() == name);
            return Some(named.filter_map(|(_, value)| value).collect());
        }
        if key == "aws:tagkeys" {
            let tags = self.keys.tags()?.into_iter();
            return Some(tags.map(|(key, _)| key).collect());
        }
        self.of_caller(key)
            .or_else(|| self.of_transport(key))
            .or_else(|| self.keys.values(key))
    }
}

impl RequestContext<'_> {
    fn of_caller(&self, key: &str) -> Option<Vec<String>> {
        let (name, kind) = match self.principal {
            Principal::Anonymous => (None, "Anonymous"),
            Principal::User { name: None, .. } => (None, "Account"),
            Principal::User { name, .. } => (name.as_ref(), "User"),
            Principal::Service(_) => (None, "Service"),
        };
        match key {
            "aws:username" => Some(some(name)),
            "aws:principaltype" => Some(one(kind)),
            "aws:principalarn" => Some(some(self.principal.arn())),
            "aws:principalaccount" => Some(some(self.principal.account())),
            "aws:principalisawsservice" | "aws:viaawsservice" => Some(one("false")),
            _ => None,
        }
    }

    fn of_transport(&self, key: &str) -> Option<Vec<String>> {
        let header = |name: header::HeaderName| {
            let value = self.parts.headers.get(name);
            some(value.map(text_of))
        };
        match key {
            "aws:currenttime" => Some(one(self.now.utc())),
            "aws:epochtime" => Some(one(self.now.secs())),
            "aws:referer" => Some(header(header::REFERER)),
            "aws:useragent" => Some(header(header::USER_AGENT)),
            "aws:requestedregion" => Some(one(self.region)),
            "aws:resourceaccount" => Some(one(self.account)),
            "aws:securetransport" => Some(one(is_secure(self.parts))),
            // A request that did not come over a connection has no address that could be known.
            "aws:sourceip" => {
                let ends = self.parts.extensions.get::<Ends>();
                ends.map(|ends| one(ends.peer.to_canonical()))
            }
            _ => None,
        }
    }
}

fn one(value: impl ToString) -> Vec<String> {
    vec![value.to_string()]
}

fn some(value: Option<impl ToString>) -> Vec<String> {
    value.map(one).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Context;

    struct Tags;

    impl ContextKeys for Tags {
        fn values(&self, key: &str) -> Option<Vec<String>> {
            (key == "lambda:layer").then(|| one("l"))
        }

        fn tags(&self) -> Option<Vec<(String, Option<String>)>> {
            let tags = [("Team".into(), Some("edge".into())), ("old".into(), None)];
            Some(tags.into())
        }
    }

    #[test]
    fn trusted_proxy_says_whether_client_used_tls() {
        for (proto, is_proxied, is_encrypted, expected) in [
            (None, false, true, true),
            (None, true, true, true),
            (None, true, false, false),
            (Some("HTTPS"), true, false, true),
            (Some("http"), true, true, false),
            (Some("https"), false, false, false),
            (Some("http"), false, true, true),
        ] {
            let mut request = http::Request::get("/");
            if let Some(proto) = proto {
                request = request.header("x-forwarded-proto", proto);
            }
            let (mut parts, ()) = request.body(()).unwrap().into_parts();
            if is_proxied {
                parts.extensions.insert(Proxy("10.0.0.1".parse().unwrap()));
            }
            if is_encrypted {
                parts.extensions.insert(Secure);
            }
            let case = (proto, is_proxied, is_encrypted);
            assert_eq!(is_secure(&parts), expected, "{case:?}");
        }
    }

    #[test]
    fn facts_are_known_absent_or_unknown() {
        let request = http::Request::get("/").header("user-agent", "x").body(());
        let (mut parts, ()) = request.unwrap().into_parts();
        let peer = "::ffff:192.0.2.1".parse().unwrap();
        parts.extensions.insert(Ends { peer, own: None });
        let (account, region) = (
            AccountId::parse("000000000000").unwrap(),
            Region::parse("us-east-1").unwrap(),
        );
        let principal = Principal::user(account.clone(), None);
        let context = RequestContext {
            principal: &principal,
            parts: &parts,
            now: Timestamp::from_millis(1_795_000_000_000),
            account: &account,
            region: &region,
            resource_tags: Some(Arc::new([("Own".into(), "1".into())].into())),
            keys: &Tags,
        };
        for (key, expected) in [
            ("aws:currenttime", Some("2026-11-18T11:06:40Z")),
            ("aws:epochtime", Some("1795000000")),
            ("aws:principalarn", Some("arn:aws:iam::000000000000:root")),
            ("aws:principaltype", Some("Account")),
            ("aws:username", Some("")),
            ("aws:sourceip", Some("192.0.2.1")),
            ("aws:useragent", Some("x")),
            ("aws:referer", Some("")),
            ("aws:sourcearn", Some("")),
            ("aws:resourcetag/own", Some("1")),
            ("aws:resourcetag/none", Some("")),
            ("aws:requesttag/team", Some("edge")),
            ("aws:requesttag/old", Some("")),
            ("aws:tagkeys", Some("Team,old")),
            ("aws:principaltag/x", Some("")),
            ("lambda:layer", Some("l")),
            ("lambda:vpcids", None),
            ("aws:somethingnew", None),
        ] {
            let found = context.values(key).map(|values| values.join(","));
            assert_eq!(found.as_deref(), expected, "{key}");
        }
        assert!(can_be_known("aws:resourcetag/x") && can_be_known("lambda:layer"));
        assert!(!can_be_known("aws:somethingnew"));
    }
}
