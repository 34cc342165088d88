//! Cross-origin rules of function URLs.

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, header};

use crate::invoke::snapshot::Cors;

pub(super) fn is_preflight(parts: &Parts) -> bool {
    parts.method == Method::OPTIONS
        && parts.headers.contains_key(header::ORIGIN)
        && parts
            .headers
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Adds the headers that the cross-origin rules allow an origin; none for other origins.
pub(super) fn allow(cors: &Cors, asked: &HeaderMap, headers: &mut HeaderMap) {
    let Some(origin) = asked
        .get(header::ORIGIN)
        .and_then(|origin| origin.to_str().ok())
    else {
        return;
    };
    let allowed = cors
        .allow_origins
        .iter()
        .any(|it| it == "*" || it.eq_ignore_ascii_case(origin));
    if !allowed {
        return;
    }
    let wildcard = cors.allow_origins.iter().any(|it| it == "*") && !cors.allow_credentials;
    let origin = if wildcard { "*" } else { origin };
    let mut set = |name: header::HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value)
            && !value.is_empty()
        {
            headers.insert(name, value);
        }
    };
    set(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    set(header::VARY, if wildcard { "" } else { "origin" });
    set(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        &cors.expose_headers.join(","),
    );
    if cors.allow_credentials {
        set(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
    }
    if asked.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        set(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            &cors.allow_methods.join(","),
        );
        set(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            &cors.allow_headers.join(","),
        );
        set(
            header::ACCESS_CONTROL_MAX_AGE,
            &cors.max_age_seconds.to_string(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unlisted_origin_gets_no_cors_header() {
        let cors = Cors {
            allow_origins: vec!["https://a.example".into()],
            ..Cors::default()
        };
        for (origin, expected) in [("https://a.example", true), ("https://b.example", false)] {
            let mut asked = HeaderMap::new();
            asked.insert(header::ORIGIN, origin.parse().unwrap());
            let mut headers = HeaderMap::new();
            allow(&cors, &asked, &mut headers);
            assert_eq!(
                headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN),
                expected
            );
        }
    }
}
