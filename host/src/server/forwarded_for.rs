//! Client of a request that came through trusted proxies: the last address in `x-forwarded-for` that no trusted proxy
//! has. Others before it may be invented by the client.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};

use crate::config::Network;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Client of a request that the trusted proxy `proxy` sent. The proxy itself, if it names no client.
pub(super) fn client(headers: &HeaderMap, proxy: IpAddr, trusted: &[Network]) -> IpAddr {
    let mut client = proxy;
    for field in headers.get_all(FORWARDED_FOR).iter().rev() {
        for hop in field.as_bytes().rsplit(|byte| *byte == b',') {
            let hop = std::str::from_utf8(hop)
                .ok()
                .and_then(|hop| address(hop.trim()));
            // Nothing before a hop that cannot be read can be trusted.
            let Some(hop) = hop else { return client };
            client = hop;
            if !trusted.iter().any(|network| network.has(client)) {
                return client;
            }
        }
    }
    client
}

/// Address of a hop, which some proxies write with its port.
fn address(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']'));
    let address = bare.unwrap_or(hop).parse().ok();
    let address = address.or_else(|| hop.parse::<SocketAddr>().ok().map(|it| it.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_is_last_untrusted_hop() {
        let trusted = ["10.0.0.0/8", "2001:db8::/32"];
        let trusted = trusted.map(|it| Network::try_from(it.to_owned()).unwrap());
        for (fields, expected) in [
            (&[][..], "10.0.0.1"),
            (&["192.0.2.1"], "192.0.2.1"),
            (&["198.51.100.9, 192.0.2.1"], "192.0.2.1"),
            (&["198.51.100.9, 192.0.2.1,10.0.0.2"], "192.0.2.1"),
            (&["198.51.100.9", "192.0.2.1, 10.0.0.2"], "192.0.2.1"),
            (&["192.0.2.1:4711"], "192.0.2.1"),
            (&["[2001:db9::1]:4711, 2001:db8::7"], "2001:db9::1"),
            (&["[2001:db9::1]"], "2001:db9::1"),
            (&["::ffff:192.0.2.1"], "192.0.2.1"),
            (&["192.0.2.1, unknown, 10.0.0.2"], "10.0.0.2"),
            (&["192.0.2.1, "], "10.0.0.1"),
            (&["10.0.0.3"], "10.0.0.3"),
        ] {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(FORWARDED_FOR, field.parse().unwrap());
            }
            let found = client(&headers, "10.0.0.1".parse().unwrap(), &trusted);
            assert_eq!(found.to_string(), expected, "{fields:?}");
        }
    }
}
