//! Names of function URLs: host names below the domain of function URLs, custom domains, and, for clients that cannot
//! resolve either, paths of the host itself.

use std::borrow::Cow;
use std::collections::HashMap;

use http::Uri;
use http::request::Parts;
use http::uri::PathAndQuery;

use crate::api::authority::{self, Host};
use crate::api::names;
use crate::config::{UrlScheme, Urls};
use crate::invoke::Target;

/// Path of function URLs: `/_url/<id>/...`.
const PATH: &str = "/_url/";

/// Names of function URLs of a host.
#[derive(Debug)]
pub struct UrlNames {
    domain: String,
    scheme: UrlScheme,
    port: Option<u16>,
    custom: HashMap<String, Target>,
}

/// The function URL that a request names.
#[derive(Debug)]
pub(in crate::api) enum UrlName<'a> {
    /// By a host name with its id.
    Id(Cow<'a, str>),
    /// By a custom domain.
    Custom(&'a Target),
    /// By a path with its id, and the path and query below.
    Path(&'a str, PathAndQuery),
}

impl UrlNames {
    pub fn new(config: &Urls) -> Self {
        let custom = config.domains.iter().map(|domain| {
            let target = Target {
                name: domain.function.name.clone(),
                qualifier: domain.function.alias.clone(),
            };
            (domain.host.as_str().to_owned(), target)
        });
        Self {
            domain: config.domain.as_str().to_owned(),
            scheme: config.scheme,
            port: config.port,
            custom: custom.collect(),
        }
    }

    /// The function URL that a request names, if it names one.
    pub(in crate::api) fn of<'a>(&'a self, parts: &'a Parts) -> Option<UrlName<'a>> {
        if let Some(id) = names(parts).find_map(authority::url_id) {
            return Some(UrlName::Id(id));
        }
        if !self.custom.is_empty()
            && let Some(target) = names(parts).find_map(|name| self.custom(name))
        {
            return Some(UrlName::Custom(target));
        }
        let below = parts.uri.path().strip_prefix(PATH)?;
        let id = below.split('/').next().unwrap_or_default();
        let rest = parts.uri.path_and_query()?.as_str();
        let rest = rest.get(PATH.len() + id.len()..)?;
        // A URL without a path has the path `/`, as in AWS.
        let rest = match rest.starts_with('/') {
            true => Cow::Borrowed(rest),
            false => format!("/{rest}").into(),
        };
        Some(UrlName::Path(id, rest.parse().ok()?))
    }

    /// A function URL as shown. `called` is the host that the client of the Lambda API called.
    pub(in crate::api) fn shown(&self, id: &str, region: &str, called: Option<&str>) -> String {
        let Self { domain, scheme, .. } = self;
        let of_client = || {
            let port = called?.rsplit_once(':')?.1;
            port.parse().ok()
        };
        let port = self.port.or_else(of_client);
        let port = port.filter(|port| *port != scheme.port());
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let scheme = scheme.as_str();
        format!("{scheme}://{id}.lambda-url.{region}.{domain}{port}/")
    }

    fn custom(&self, authority: &str) -> Option<&Target> {
        match authority::host(authority)? {
            Host::Name(name) => self.custom.get(&*name.to_ascii_lowercase()),
            Host::Address(_) => None,
        }
    }
}

/// URI of a request with the path and query below a path of the host.
pub(super) fn below(uri: &Uri, rest: PathAndQuery) -> Uri {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(rest);
    Uri::from_parts(parts).expect("another path fits the same scheme and authority")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &UrlNames, host: &str, target: &str) -> String {
        let request = http::Request::get(target).header("host", host).body(());
        let parts = request.unwrap().into_parts().0;
        match names.of(&parts) {
            None => String::new(),
            Some(UrlName::Id(id)) => format!("id {id}"),
            Some(UrlName::Custom(target)) => format!("custom {}", target.name),
            Some(UrlName::Path(id, rest)) => format!("path {id} {rest}"),
        }
    }

    fn names_with(text: &str) -> UrlNames {
        UrlNames::new(&toml::from_str(text).unwrap())
    }

    #[test]
    fn url_is_named_by_host_or_path() {
        let names = names_with("[[domains]]\nhost = \"Shop.example\"\nfunction = \"shop:live\"");
        for (host, target, expected) in [
            ("abc.lambda-url.us-east-1.localhost:3001", "/x", "id abc"),
            (
                "abc.lambda-url.us-east-1.localhost",
                "/_url/def/x",
                "id abc",
            ),
            ("shop.example", "/x", "custom shop"),
            ("SHOP.EXAMPLE.:443", "/_url/def/x", "custom shop"),
            ("a.shop.example", "/x", ""),
            ("127.0.0.1:3001", "/_url/abc/x/y?z=1", "path abc /x/y?z=1"),
            ("127.0.0.1:3001", "/_url/abc//x", "path abc //x"),
            ("127.0.0.1:3001", "/_url/abc/", "path abc /"),
            ("127.0.0.1:3001", "/_url/abc", "path abc /"),
            ("127.0.0.1:3001", "/_url/abc?x=1", "path abc /?x=1"),
            ("127.0.0.1:3001", "/_url/", "path  /"),
            ("127.0.0.1:3001", "/_urls/abc", ""),
            ("127.0.0.1:3001", "/2015-03-31/functions", ""),
        ] {
            assert_eq!(named(&names, host, target), expected, "{host}{target}");
        }
    }

    #[test]
    fn shown_url_has_configured_domain_scheme_and_port() {
        let shown = |text: &str, called: Option<&str>| {
            let url = names_with(text).shown("abc", "us-east-1", called);
            url.replace("abc.lambda-url.us-east-1.", "")
        };
        for (text, called, expected) in [
            ("", Some("127.0.0.1:3001"), "http://localhost:3001/"),
            ("", Some("[::1]:3001"), "http://localhost:3001/"),
            ("", Some("lamina.example"), "http://localhost/"),
            ("", Some("lamina.example:80"), "http://localhost/"),
            ("", None, "http://localhost/"),
            (
                "domain = \"fn.example\"",
                Some("x:3001"),
                "http://fn.example:3001/",
            ),
            (
                "scheme = \"https\"\nport = 443",
                Some("x:3001"),
                "https://localhost/",
            ),
            (
                "scheme = \"https\"\nport = 8443",
                Some("x:3001"),
                "https://localhost:8443/",
            ),
        ] {
            assert_eq!(shown(text, called), expected, "{text} {called:?}");
        }
    }
}
