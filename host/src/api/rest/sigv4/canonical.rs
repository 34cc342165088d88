//! Canonical request of Signature Version 4.

use std::borrow::Cow;

use http::HeaderMap;
use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::Error;
use super::parameters::SignatureParameters;

/// Encodes all but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// Canonical request without the body digest.
pub(super) fn head(parts: &Parts, parameters: &SignatureParameters) -> Result<String, Error> {
    // Every service but S3 normalizes the path and encodes it twice.
    let path = normalized(parts.uri.path());
    let path = utf8_percent_encode(&path, RESERVED_IN_PATH);
    let query = query(
        parts.uri.query().unwrap_or_default(),
        parameters.is_presigned,
    );
    let mut head = format!("{}\n{path}\n{query}\n", parts.method);
    for name in &parameters.signed_headers {
        head.push_str(name);
        head.push(':');
        head.push_str(&header(&parts.headers, name)?);
        head.push('\n');
    }
    head.push('\n');
    head.push_str(&parameters.signed_headers.join(";"));
    head.push('\n');
    Ok(head)
}

/// Path without empty segments and dot segments (RFC 3986, 5.2.4).
fn normalized(path: &str) -> Cow<'_, str> {
    let is_plain = |segment: &str| !matches!(segment, "" | "." | "..");
    let inner = path.strip_prefix('/').unwrap_or(path);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if path.starts_with('/') && inner.split('/').all(is_plain) {
        return path.into();
    }
    let mut kept = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    let is_folder = ["/", "/.", "/.."].iter().any(|end| path.ends_with(end));
    let end = if is_folder && !kept.is_empty() {
        "/"
    } else {
        ""
    };
    format!("/{}{end}", kept.join("/")).into()
}

/// Canonical query: decoded, reencoded, sorted, without the signature.
fn query(query: &str, is_presigned: bool) -> String {
    let encode = |text: &str| {
        // A plus means a space, as in the query parser: `+` and `%2B` must not share a signature.
        let text = text.replace('+', " ");
        let decoded: Vec<u8> = percent_decode_str(&text).collect();
        percent_encoding::percent_encode(&decoded, RESERVED).to_string()
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut pairs: Vec<(String, String)> = pairs
        .filter(|(name, _)| !(is_presigned && *name == "X-Amz-Signature"))
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

/// Canonical header: values trimmed and joined by commas.
fn header(headers: &HeaderMap, name: &str) -> Result<String, Error> {
    let mut joined = Vec::new();
    for value in headers.get_all(name) {
        let text = value
            .to_str()
            .map_err(|_| Error::Incomplete(format!("The signed header '{name}' is not ASCII.")))?;
        joined.push(text.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
    }
    Ok(joined.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_path_has_no_dot_or_empty_segments() {
        for (path, expected) in [
            ("", "/"),
            ("/", "/"),
            ("//", "/"),
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b/"),
            ("/prod//users", "/prod/users"),
            ("//users", "/users"),
            ("/a///b/", "/a/b/"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/../../b", "/b"),
            ("/a/..", "/"),
            ("/a/b/.", "/a/b/"),
            ("/.hidden/..x/x.", "/.hidden/..x/x."),
            ("/a/%2e%2e/b", "/a/%2e%2e/b"),
        ] {
            assert_eq!(normalized(path), expected, "{path}");
        }
    }

    #[test]
    fn plus_is_canonicalized_as_space() {
        assert_eq!(query("a=x+y", false), "a=x%20y");
        assert_eq!(query("a=x%20y", false), "a=x%20y");
        assert_eq!(query("a=x%2By", false), "a=x%2By");
        assert_eq!(query("a+b=", false), "a%20b=");
    }
}
