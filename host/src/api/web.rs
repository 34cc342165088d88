//! Protection against web pages, for hosts without keys. Such a host trusts every local program,
//! and a page in the user's browser can reach it too; function URLs stay open.

use std::borrow::Cow;

use http::header::{self, HeaderName};
use http::request::Parts;

use super::authority::{self, Host};
use super::facts::Ends;
use super::text_of;

/// Fetch metadata header of browsers.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Reason for a host without keys to refuse a request: it comes from a web page, or names a foreign
/// host (DNS rebinding).
pub(super) fn refusal(parts: &Parts) -> Option<String> {
    let text = |name: HeaderName| {
        let value = parts.headers.get(name)?;
        Some(text_of(value))
    };
    let sign = if let Some(origin) = text(header::ORIGIN) {
        Some(format!("Origin: {origin}"))
    } else {
        text(FETCH_SITE)
            .filter(|site| !matches!(&**site, "same-origin" | "none"))
            .map(|site| format!("Sec-Fetch-Site: {site}"))
    };
    if let Some(sign) = sign {
        return Some(format!(
            "This host has no keys, so it does not take requests from web pages, and this one has the \
             header {sign}. Call it from a program, or add [[keys]] to its configuration and sign."
        ));
    }
    let strange = names(parts).find(|name| !is_own(name, parts))?;
    Some(format!(
        "This host has no keys, so it only takes requests to localhost or to an address of its own, \
         and this one is to {strange}. Call it there, or add [[keys]] to its configuration and sign."
    ))
}

/// Host names in the request. The URI's authority counts only for requests from a connection, as
/// embedders choose it freely.
fn names(parts: &Parts) -> impl Iterator<Item = Cow<'_, str>> {
    let named = parts.headers.get_all(header::HOST).iter();
    let named = named.map(text_of);
    let came = parts.extensions.get::<Ends>().is_some();
    let authority = parts.uri.authority().filter(|_| came);
    named.chain(authority.map(|it| it.as_str().into()))
}

fn is_own(name: &str, parts: &Parts) -> bool {
    match authority::host(name) {
        Some(Host::Address(address)) => {
            let own = parts.extensions.get::<Ends>().and_then(|ends| ends.own);
            let own = own.is_some_and(|own| own.ip().to_canonical() == address.to_canonical());
            own || address.to_canonical().is_loopback()
        }
        Some(Host::Name(name)) => {
            let last = name.rsplit('.').next();
            last.is_some_and(|last| last.eq_ignore_ascii_case("localhost"))
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::get("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn request_of_web_page_is_refused() {
        for (name, value, taken) in [
            ("origin", "https://evil.example", false),
            ("origin", "null", false),
            ("origin", "http://localhost:3001", false),
            ("sec-fetch-site", "cross-site", false),
            ("sec-fetch-site", "same-site", false),
            ("sec-fetch-site", "none", true),
            ("sec-fetch-site", "same-origin", true),
        ] {
            let refusal = refusal(&parts(&[(name, value)]));
            assert_eq!(refusal.is_none(), taken, "{name}: {value}");
            assert!(refusal.is_none_or(|text| text.contains(value)));
        }
    }

    #[test]
    fn foreign_host_name_is_refused() {
        for (host, taken) in [
            ("localhost", true),
            ("LOCALHOST:3001", true),
            ("lamina.localhost:3001", true),
            ("localhost.:3001", true),
            ("127.0.0.1:3001", true),
            ("127.8.8.8", true),
            ("[::1]:3001", true),
            ("[::ffff:127.0.0.1]:3001", true),
            ("192.0.2.7:3001", true),
            ("192.0.2.8:3001", false),
            ("evil.example:3001", false),
            ("127.0.0.1.evil.example", false),
            ("notlocalhost", false),
            ("localhost.evil.example", false),
            ("[::2]", false),
            ("[::1].evil.example", false),
            ("[::1]:1.evil.example", false),
            ("evil.example#.localhost", false),
            ("evil.example/.localhost", false),
            ("evil.example@localhost", false),
            ("x", false),
            ("", false),
        ] {
            let mut parts = parts(&[("host", host)]);
            parts.extensions.insert(Ends {
                peer: IpAddr::from([192, 0, 2, 9]),
                own: Some("192.0.2.7:3001".parse().unwrap()),
            });
            assert_eq!(refusal(&parts).is_none(), taken, "{host}");
        }
        let two = [("host", "localhost"), ("host", "evil.example")];
        assert!(refusal(&parts(&two)).is_some());
        assert!(refusal(&parts(&[])).is_none());
    }

    #[test]
    fn authority_counts_on_connections_only() {
        let request = http::Request::get("http://evil.example/").body(()).unwrap();
        let mut parts = request.into_parts().0;
        assert!(refusal(&parts).is_none());
        let peer = IpAddr::from([127, 0, 0, 1]);
        parts.extensions.insert(Ends { peer, own: None });
        assert!(refusal(&parts).is_some());
    }
}
