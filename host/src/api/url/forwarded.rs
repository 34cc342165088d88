//! Proxy headers of function URL requests: client address, port, protocol and trace id.

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::api::facts::{Ends, Proxy, Secure};
use crate::api::{REQUEST_ID, TRACE_ID, host_of};
use crate::clock::Clock;
use crate::names::hex;
use crate::payload::http::CONNECTION_FIELDS;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Trace id of the client, or a new one.
pub(super) fn trace_id(parts: &Parts, clock: &Clock) -> String {
    let begun = parts.headers.get(TRACE_ID);
    let begun = begun.and_then(|trace| trace.to_str().ok());
    begun.filter(|trace| !trace.is_empty()).map_or_else(
        || {
            let (at, id) = (clock.now().secs(), hex(&clock.random::<12>()));
            format!("Root=1-{at:08x}-{id}")
        },
        str::to_owned,
    )
}

/// Client address; loopback for requests without a connection.
pub(super) fn source_ip(parts: &Parts) -> IpAddr {
    let ends = parts.extensions.get::<Ends>();
    let peer = ends.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |ends| ends.peer);
    peer.to_canonical()
}

/// Headers as the function sees them. Hops, port and protocol are those that a trusted proxy or an embedder names,
/// or of this connection: a client could invent others.
pub(super) fn headers(parts: &Parts, trace_id: &str) -> HeaderMap {
    let mut headers = parts.headers.clone();
    let proxy = parts.extensions.get::<Proxy>();
    let is_believed = proxy.is_some() || parts.extensions.get::<Ends>().is_none();
    let mut way = Vec::new();
    if is_believed {
        // Non-ASCII bytes are passed on unchanged, so that no hop is dropped.
        for hop in headers.get_all(FORWARDED_FOR) {
            way.extend_from_slice(hop.as_bytes());
            way.extend_from_slice(b", ");
        }
    }
    let last = proxy.map_or_else(|| source_ip(parts), |Proxy(address)| *address);
    way.extend_from_slice(last.to_canonical().to_string().as_bytes());
    set(&mut headers, FORWARDED_FOR, way);
    if !is_believed || !headers.contains_key(FORWARDED_PORT) {
        set(&mut headers, FORWARDED_PORT, port(parts));
    }
    if !is_believed || !headers.contains_key(FORWARDED_PROTO) {
        let secure = parts.extensions.get::<Secure>();
        let proto = if secure.is_some() { "https" } else { "http" };
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static(proto));
    }
    // HTTP/2 has no Host header, and the event requires it.
    if let Some(host) = host_of(parts).filter(|_| !headers.contains_key(header::HOST)) {
        set(&mut headers, header::HOST, host.to_owned());
    }
    set(&mut headers, TRACE_ID, trace_id.to_owned());
    headers
}

/// Removes connection headers and ids from a function's response and sets the host's own.
pub(super) fn seal(headers: &mut HeaderMap, trace_id: String) {
    // `trailer` names the fields after the body, which HTTP/1.1 sends only then. Only HTTP components have any.
    for name in CONNECTION_FIELDS.iter().filter(|it| *it != header::TRAILER) {
        headers.remove(name);
    }
    headers.remove(REQUEST_ID);
    set(headers, TRACE_ID, trace_id);
}

fn port(parts: &Parts) -> String {
    let own = parts.extensions.get::<Ends>().and_then(|ends| ends.own);
    own.map_or_else(|| "80".to_owned(), |own| own.port().to_string())
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: impl Into<Bytes>) {
    if let Ok(value) = HeaderValue::from_maybe_shared(value.into()) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(given: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::get("http://abc.lambda-url.x/");
        for (name, value) in given {
            request = request.header(*name, *value);
        }
        let mut parts = request.body(()).unwrap().into_parts().0;
        parts.extensions.insert(Ends {
            peer: "::ffff:192.0.2.1".parse().unwrap(),
            own: Some("127.0.0.1:3001".parse().unwrap()),
        });
        parts
    }

    fn proxied(given: &[(&str, &str)]) -> Parts {
        let mut parts = parts(given);
        parts.extensions.insert(Proxy("10.0.0.1".parse().unwrap()));
        parts
    }

    #[test]
    fn forwarding_headers_are_added() {
        let found = headers(&parts(&[]), "Root=1");
        for (name, expected) in [
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-port", "3001"),
            ("x-forwarded-proto", "http"),
            ("x-amzn-trace-id", "Root=1"),
            ("host", "abc.lambda-url.x"),
        ] {
            assert_eq!(found[name], expected, "{name}");
        }
    }

    #[test]
    fn non_ascii_hop_is_kept() {
        let mut parts = proxied(&[]);
        let hop = HeaderValue::from_bytes(b"h\xf6p").unwrap();
        parts.headers.insert(FORWARDED_FOR, hop);
        let found = headers(&parts, "Root=1");
        assert_eq!(found[FORWARDED_FOR].as_bytes(), b"h\xf6p, 10.0.0.1");
    }

    #[test]
    fn trusted_proxy_names_hops_port_and_protocol() {
        let given = [
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-port", "443"),
        ];
        let found = headers(&proxied(&given), "Root=1");
        assert_eq!(found["x-forwarded-for"], "203.0.113.9, 10.0.0.1");
        assert_eq!(found["x-forwarded-proto"], "https");
        assert_eq!(found["x-forwarded-port"], "443");
        let found = headers(&parts(&given), "Root=1");
        assert_eq!(
            found["x-forwarded-for"], "192.0.2.1",
            "a client may name no hops"
        );
        assert_eq!(found["x-forwarded-proto"], "http");
        assert_eq!(found["x-forwarded-port"], "3001");
        let mut embedded = parts(&given);
        embedded.extensions.clear();
        let found = headers(&embedded, "Root=1");
        assert_eq!(found["x-forwarded-for"], "203.0.113.9, 127.0.0.1");
        assert_eq!(found["x-forwarded-proto"], "https");
    }

    #[test]
    fn protocol_of_tls_connection_is_https() {
        let mut parts = parts(&[]);
        parts.extensions.insert(Secure);
        assert_eq!(headers(&parts, "Root=1")["x-forwarded-proto"], "https");
    }

    #[test]
    fn existing_trace_id_is_kept() {
        let clock = Clock::system();
        let begun = trace_id(
            &parts(&[(TRACE_ID.as_str(), "Root=1-a-b;Sampled=1")]),
            &clock,
        );
        assert_eq!(begun, "Root=1-a-b;Sampled=1");
        let made = trace_id(&parts(&[]), &clock);
        let lengths: Vec<usize> = made.split('-').map(str::len).collect();
        assert!(
            made.starts_with("Root=1-") && lengths == [6, 8, 24],
            "{made}"
        );
        assert_ne!(made, trace_id(&parts(&[]), &clock));
    }

    #[test]
    fn function_cannot_set_host_headers() {
        let given = [
            ("x-amzn-requestid", "spoofed"),
            ("x-amzn-trace-id", "spoofed"),
            ("connection", "close"),
            ("upgrade", "h2c"),
            ("x-own", "kept"),
        ];
        let mut found = parts(&given).headers;
        seal(&mut found, "Root=1".to_owned());
        assert_eq!(found.len(), 2);
        assert_eq!(
            (&found[TRACE_ID], &found["x-own"]),
            (&"Root=1".parse().unwrap(), &"kept".parse().unwrap())
        );
    }
}
