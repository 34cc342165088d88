//! The canonical form of a request, which both sides sign.

use http::HeaderMap;
use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::Error;
use super::claim::Claim;

/// Everything but RFC 3986's unreserved characters is encoded.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// The canonical request up to the digest of the body.
pub(super) fn head(parts: &Parts, claim: &Claim) -> Result<String, Error> {
    let path = match parts.uri.path() {
        "" => "/",
        path => path,
    };
    // The path as it is sent is encoded once more: so it is for every service but S3.
    let path = utf8_percent_encode(path, RESERVED_IN_PATH);
    let query = query(parts.uri.query().unwrap_or_default(), claim.is_presigned);
    let mut head = format!("{}\n{path}\n{query}\n", parts.method);
    for name in &claim.signed_headers {
        head.push_str(name);
        head.push(':');
        head.push_str(&header(&parts.headers, name)?);
        head.push('\n');
    }
    head.push('\n');
    head.push_str(&claim.signed_headers.join(";"));
    head.push('\n');
    Ok(head)
}

/// Decoded, encoded in one way, and sorted; without the signature itself.
fn query(query: &str, is_presigned: bool) -> String {
    let encode = |text: &str| {
        let decoded: Vec<u8> = percent_decode_str(text).collect();
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

/// A header's values, joined by commas, each without the spaces that do not matter.
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
