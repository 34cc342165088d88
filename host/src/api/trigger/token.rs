//! Token of a delivery: API destinations send it as a header or as a password, S3 servers as a bearer token.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode, header};
use subtle::ConstantTimeEq;

use super::Refused;
use crate::config::Token;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Requires the token of a trigger.
pub(super) fn check(parts: &Parts, token: &Token) -> Result<(), Refused> {
    let is_it = |given: &[u8]| bool::from(given.ct_eq(token.as_bytes()));
    let of_header = parts.headers.get(API_KEY).map(HeaderValue::as_bytes);
    let authorization = parts.headers.get(header::AUTHORIZATION);
    let authorization = authorization.map(HeaderValue::as_bytes);
    let bearer = authorization.and_then(|it| it.strip_prefix(b"Bearer "));
    let password = authorization.and_then(password);
    let given = [of_header, bearer, password.as_deref()];
    if given.into_iter().flatten().any(is_it) {
        return Ok(());
    }
    let text = "the trigger's token is expected in the header authorization (Bearer, or as the password of Basic) or \
                x-api-key";
    Err(Refused::new(StatusCode::UNAUTHORIZED, text))
}

fn password(authorization: &[u8]) -> Option<Vec<u8>> {
    let decoded = STANDARD
        .decode(authorization.strip_prefix(b"Basic ")?)
        .ok()?;
    let end_of_user = decoded.iter().position(|it| *it == b':')?;
    Some(decoded[end_of_user + 1..].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_taken_in_three_headers_and_nothing_else_is() {
        let token: Token = serde_json::from_str("\"0123456789abcdef\"").unwrap();
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        for (name, value, is_taken) in [
            ("authorization", "Bearer 0123456789abcdef".to_owned(), true),
            ("authorization", basic("anyone:0123456789abcdef"), true),
            ("x-api-key", "0123456789abcdef".to_owned(), true),
            ("authorization", "0123456789abcdef".to_owned(), false),
            ("authorization", "Bearer 0123456789abcdeg".to_owned(), false),
            ("authorization", "Bearer ".to_owned(), false),
            ("authorization", basic("0123456789abcdef:"), false),
            ("authorization", "Basic ?".to_owned(), false),
            ("x-api-key", String::new(), false),
            ("cookie", "0123456789abcdef".to_owned(), false),
        ] {
            let request = http::Request::post("/").header(name, &value).body(());
            let (parts, ()) = request.unwrap().into_parts();
            let checked = check(&parts, &token);
            assert_eq!(checked.is_ok(), is_taken, "{name}: {value}");
        }
    }
}
