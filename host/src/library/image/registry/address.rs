//! URLs of registries and of their storage. Plain HTTP stays on this machine.

/// Docker Hub's images are named by another host than they are at.
const DOCKER_HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// URL of a registry without a path.
pub(super) fn base(registry: &str, tls: Option<bool>) -> String {
    let has_tls = !is_loopback(registry) || tls == Some(true);
    let host = if registry == DOCKER_HUB.0 {
        DOCKER_HUB.1
    } else {
        registry
    };
    format!("{}://{host}", if has_tls { "https" } else { "http" })
}

/// True for `localhost` and loopback addresses, with a port or without.
pub(super) fn is_loopback(authority: &str) -> bool {
    let Ok(authority) = authority.parse::<http::uri::Authority>() else {
        return false;
    };
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    let address = host.parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|it| it.is_loopback())
}

/// URL that a redirect or an upload leads to.
pub(super) fn redirected(from: &str, location: &str) -> Result<String, &'static str> {
    let to = if location.starts_with("http://") || location.starts_with("https://") {
        location.to_owned()
    } else if location.starts_with('/') && !location.starts_with("//") {
        format!("{}{location}", origin(from))
    } else {
        return Err("it redirects to an address that is no URL");
    };
    let to = to.split('#').next().unwrap_or_default().to_owned();
    require_safe(&to)?;
    if from.starts_with("https://") && to.starts_with("http://") {
        return Err("it redirects from HTTPS to plain HTTP");
    }
    Ok(to)
}

/// Refuses plain HTTP to another machine, and addresses with user names.
pub(super) fn require_safe(url: &str) -> Result<(), &'static str> {
    let uri: http::Uri = url
        .parse()
        .map_err(|_| "it names an address that is no URL")?;
    let authority = uri.authority().map(http::uri::Authority::as_str);
    let authority = authority.ok_or("it names an address that is no URL")?;
    match uri.scheme_str() {
        _ if authority.contains('@') => Err("it names an address with a user name"),
        Some("https") => Ok(()),
        Some("http") if is_loopback(authority) => Ok(()),
        Some("http") => Err("it names another machine for plain HTTP"),
        _ => Err("it names an address that is no URL of HTTP"),
    }
}

/// True if two URLs have the same scheme, host and port.
pub(super) fn is_same_server(one: &str, other: &str) -> bool {
    origin(one).eq_ignore_ascii_case(origin(other))
}

fn origin(url: &str) -> &str {
    let after = url.find("://").map_or(0, |at| at + 3);
    let end = url[after..].find(['/', '?', '#']);
    end.map_or(url, |end| &url[..after + end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_only() {
        for (registry, tls, expected) in [
            ("ghcr.io", None, "https://ghcr.io"),
            ("ghcr.io", Some(false), "https://ghcr.io"),
            ("docker.io", None, "https://registry-1.docker.io"),
            ("localhost:5000", None, "http://localhost:5000"),
            ("127.0.0.1:5000", Some(false), "http://127.0.0.1:5000"),
            ("[::1]:5000", None, "http://[::1]:5000"),
            ("localhost:5000", Some(true), "https://localhost:5000"),
            (
                "localhost.evil.example",
                None,
                "https://localhost.evil.example",
            ),
        ] {
            assert_eq!(base(registry, tls), expected, "{registry}");
        }
    }

    #[test]
    fn redirect_to_an_unsafe_address_is_refused() {
        let from = "https://r.example/v2/a";
        for location in [
            "http://127.0.0.1/x",
            "http://s.example/x",
            "//s.example/x",
            "x",
            "",
            "file:///etc/passwd",
            "https://u:p@s.example/x",
        ] {
            assert!(redirected(from, location).is_err(), "{location}");
        }
        let followed = |location| redirected(from, location).unwrap();
        assert_eq!(followed("/x?y"), "https://r.example/x?y");
        assert_eq!(followed("https://s.example/x#y"), "https://s.example/x");
        let local = redirected("http://localhost:1/a", "http://127.0.0.1:2/b");
        assert_eq!(local.unwrap(), "http://127.0.0.1:2/b");
    }

    #[test]
    fn server_is_scheme_host_and_port() {
        assert!(is_same_server("https://a/x", "https://A/y?z"));
        for other in ["http://a/x", "https://a:444/x", "https://b/x"] {
            assert!(!is_same_server("https://a/x", other), "{other}");
        }
    }
}
