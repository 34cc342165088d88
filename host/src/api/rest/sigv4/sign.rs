//! Request signing, for clients of Lamina hosts.

use aws_lc_rs::hmac;
use bytes::Bytes;
use http::{HeaderValue, Request, header};

use super::parameters::SignatureParameters;
use super::{Credentials, Error, basic_time, canonical, sha256_hex, signing_key};
use crate::clock::Timestamp;
use crate::names::hex;

/// Signs a request in its headers. The Host header must be set.
///
/// # Errors
/// If a header of the request cannot be signed.
pub fn sign(
    credentials: &Credentials,
    region: &str,
    service: &str,
    now: Timestamp,
    request: Request<Bytes>,
) -> Result<Request<Bytes>, Error> {
    let text = |text: &str| {
        HeaderValue::from_str(text)
            .map_err(|_| Error::Incomplete("The credentials are not ASCII.".into()))
    };
    let (mut parts, body) = request.into_parts();
    let time = basic_time(now);
    parts.headers.insert("x-amz-date", text(&time)?);
    if let Some(token) = &credentials.session_token {
        parts.headers.insert("x-amz-security-token", text(token)?);
    }
    let mut signed: Vec<String> = parts.headers.keys().map(ToString::to_string).collect();
    signed.retain(|name| name == "host" || name.starts_with("x-amz-"));
    signed.sort();
    let parameters =
        SignatureParameters::to_make(&credentials.access_key_id, region, service, &time, signed);
    let head = canonical::head(&parts, &parameters)?;
    let to_sign = parameters.string_to_sign(&format!("{head}{}", sha256_hex(&body)));
    let key = signing_key(
        &credentials.secret_access_key,
        &parameters.day,
        region,
        service,
    );
    let signature = hex(hmac::sign(&key, to_sign.as_bytes()).as_ref());
    parts
        .headers
        .insert(header::AUTHORIZATION, text(&parameters.header(&signature))?);
    Ok(Request::from_parts(parts, body))
}
