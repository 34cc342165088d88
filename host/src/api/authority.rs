//! Strict parser of the host in a request. Unparsable authorities have no host, and so never count
//! as this machine.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

/// DNS label of function URLs.
const URL_LABEL: &str = "lambda-url";

/// Host of an authority, without port.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Host<'a> {
    Address(IpAddr),
    /// Name as written, without a trailing dot.
    Name(&'a str),
}

/// Host of `name`, `name:port`, `address`, `address:port`, `[address]` or `[address]:port`.
pub(super) fn host(authority: &str) -> Option<Host<'_>> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        let address = address.parse::<Ipv6Addr>().ok()?;
        let port = rest.strip_prefix(':');
        let is_whole = rest.is_empty() || port.is_some_and(is_port);
        return is_whole.then_some(Host::Address(address.into()));
    }
    let (name, port) = match authority.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (authority, None),
    };
    if !port.is_none_or(is_port) {
        return None;
    }
    if let Ok(address) = name.parse::<IpAddr>() {
        return Some(Host::Address(address));
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    name.split('.').all(is_label).then_some(Host::Name(name))
}

/// Id of the function URL that an authority names. A malformed name below the domain of function
/// URLs gets an id that no URL has, so that it cannot reach another API.
pub(super) fn url_id(authority: &str) -> Option<Cow<'_, str>> {
    let is_url = |label: &str| label.eq_ignore_ascii_case(URL_LABEL);
    // Fast path: the usual authority has no such label.
    if !authority.split(['.', ':']).any(is_url) {
        return None;
    }
    let id = authority.split_once('.').and_then(|(id, rest)| {
        let (label, _) = rest.split_once('.')?;
        (is_url(label) && matches!(host(authority), Some(Host::Name(_)))).then_some(id)
    });
    let id = id.unwrap_or_default();
    match id.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Some(id.to_ascii_lowercase().into()),
        false => Some(id.into()),
    }
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_label(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !text.is_empty() && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_authority_has_no_host() {
        let address = |text: &str| Some(Host::Address(text.parse().unwrap()));
        for (authority, expected) in [
            ("localhost", Some(Host::Name("localhost"))),
            ("localhost.:3001", Some(Host::Name("localhost"))),
            ("a.b_c.localhost:1", Some(Host::Name("a.b_c.localhost"))),
            ("127.0.0.1:3001", address("127.0.0.1")),
            ("[::1]", address("::1")),
            ("[::1]:3001", address("::1")),
            ("[::1].evil.example", None),
            ("[::1]evil.example:1", None),
            ("[::1", None),
            ("::1", None),
            ("[127.0.0.1]", None),
            ("evil.example#.localhost", None),
            ("evil.example/.localhost", None),
            ("evil.example@localhost", None),
            ("evil.example%00.localhost", None),
            ("evil.example:80.localhost", None),
            ("localhost:1:2", None),
            ("a..localhost", None),
            (".localhost", None),
            ("", None),
        ] {
            assert_eq!(host(authority), expected, "{authority}");
        }
    }

    #[test]
    fn name_below_url_domain_is_a_url() {
        for (authority, expected) in [
            ("abc.lambda-url.us-east-1.localhost:3001", Some("abc")),
            ("ABC.LAMBDA-URL.us-east-1.localhost", Some("abc")),
            ("abc.lambda-url.us-east-1.localhost.", Some("abc")),
            ("a.abc.lambda-url.us-east-1.localhost", Some("")),
            ("lambda-url.us-east-1.localhost", Some("")),
            ("abc.Lambda-Url", Some("")),
            ("abc.lambda-url:3001", Some("")),
            ("abc#.lambda-url.us-east-1.localhost", Some("")),
            ("localhost:3001", None),
            ("127.0.0.1", None),
            ("my-lambda-url.example", None),
        ] {
            assert_eq!(url_id(authority).as_deref(), expected, "{authority}");
        }
    }
}
