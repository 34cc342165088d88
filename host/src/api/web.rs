//! What web pages may do: call function URLs. A host without keys believes whoever reaches it to be a
//! program of this machine's user, and a page in that user's browser reaches it too.

use std::borrow::Cow;
use std::net::SocketAddr;

use http::header::{self, HeaderName};
use http::request::Parts;

use super::authority::{self, Host};
use super::facts::Peer;
use super::text_of;

/// Whose page a browser sends a request for.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The address of the host's end of a connection, in the extensions of its requests.
#[derive(Clone, Copy, Debug)]
pub struct Own(pub SocketAddr);

/// Why a host without keys does not take a request, if it does not: it comes from a web page, or goes
/// to a name that someone else has given this machine.
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

/// What the request calls this host. The URI of a request that did not come over a connection is
/// whatever its maker likes.
fn names(parts: &Parts) -> impl Iterator<Item = Cow<'_, str>> {
    let named = parts.headers.get_all(header::HOST).iter();
    let named = named.map(text_of);
    let came = parts.extensions.get::<Peer>().is_some();
    let authority = parts.uri.authority().filter(|_| came);
    named.chain(authority.map(|it| it.as_str().into()))
}

fn is_own(name: &str, parts: &Parts) -> bool {
    match authority::host(name) {
        Some(Host::Address(address)) => {
            let own = parts.extensions.get::<Own>();
            let own = own.is_some_and(|Own(own)| own.ip().to_canonical() == address.to_canonical());
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
    fn pages_are_told_by_their_browsers() {
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
    fn only_names_of_this_machine_are_taken() {
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
            parts
                .extensions
                .insert(Own("192.0.2.7:3001".parse().unwrap()));
            assert_eq!(refusal(&parts).is_none(), taken, "{host}");
        }
        let two = [("host", "localhost"), ("host", "evil.example")];
        assert!(refusal(&parts(&two)).is_some());
        assert!(refusal(&parts(&[])).is_none());
    }

    #[test]
    fn an_authority_counts_where_it_came_over_a_connection() {
        let request = http::Request::get("http://evil.example/").body(()).unwrap();
        let mut parts = request.into_parts().0;
        assert!(refusal(&parts).is_none());
        parts.extensions.insert(Peer(IpAddr::from([127, 0, 0, 1])));
        assert!(refusal(&parts).is_some());
    }
}
