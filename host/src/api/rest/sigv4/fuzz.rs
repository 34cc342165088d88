//! Fuzz check of Signature Version 4: what AWS's own signer signs is accepted, and no longer so after a change
//! of anything that is signed. An input is a request: `METHOD PATH`, headers, an empty line, the body.

use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign as sign_as_aws,
};
use aws_sigv4::sign::v4;
use http::{HeaderName, HeaderValue, Request};

use super::*;

/// When all requests are signed and verified.
const NOW_SECONDS: u64 = 1_795_000_000;
const KEY_ID: &str = "AKIDEXAMPLE";
const REGION: &str = "us-east-1";
/// Headers that a signature brings along, and those that a client of HTTP sets after it signed.
const NOT_THE_CALLERS: [&str; 7] = [
    "authorization",
    "host",
    "transfer-encoding",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
    "x-amzn-trace-id",
];

struct Fixed;

impl crate::clock::TimeSource for Fixed {
    fn now(&self) -> Timestamp {
        now()
    }

    fn instant(&self) -> std::time::Instant {
        Clock::system().instant()
    }

    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

/// Checks one request.
pub fn check(input: &[u8]) {
    // A claim of the input's own is read, whatever it is.
    if let Some(request) = request(input, &[]) {
        let _ = verify(request);
    }
    let Some(request) = request(input, &NOT_THE_CALLERS) else {
        return;
    };
    let signed = sign(&key(), REGION, "lambda", now(), request.clone());
    let signed = signed.expect("its headers are text");
    assert_eq!(verify(signed.clone()).as_deref(), Ok(KEY_ID), "signed here");
    require_bound(&signed);
    if !is_plain(request.uri().query().unwrap_or_default()) {
        return;
    }
    for location in [SignatureLocation::Headers, SignatureLocation::QueryParams] {
        let signed = signed_by_aws(request.clone(), location);
        assert_eq!(
            verify(signed.clone()).as_deref(),
            Ok(KEY_ID),
            "{location:?}: {signed:?}"
        );
        require_bound(&signed);
    }
}

fn now() -> Timestamp {
    Timestamp::from_millis(NOW_SECONDS * 1_000)
}

fn key() -> Credentials {
    Credentials {
        access_key_id: KEY_ID.into(),
        secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
        session_token: None,
    }
}

fn verify(request: Request<Bytes>) -> Result<String, Error> {
    let (parts, body) = request.into_parts();
    let verifier = Verifier::new(vec![key()], REGION.into(), Clock::new(Fixed));
    let pending = verifier.parse(&parts, "lambda")?;
    pending.check(&body).map(ToOwned::to_owned)
}

/// The request of an input without some of its headers; none where HTTP has no such request.
fn request(input: &[u8], without: &[&str]) -> Option<Request<Bytes>> {
    let end = input.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = match end {
        Some(end) => (&input[..end], &input[end + 2..]),
        None => (input, &b""[..]),
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let first = std::str::from_utf8(lines.next()?).ok()?;
    let (method, path) = first.split_once(' ')?;
    let uri = path
        .starts_with('/')
        .then(|| format!("http://localhost:3001{path}"))?;
    let mut request = Request::builder().method(method).uri(uri);
    let mut has_host = false;
    for line in lines {
        let at = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..at]).ok()?;
        let value = HeaderValue::from_bytes(line[at + 1..].trim_ascii()).ok()?;
        // The verifier says so where a header is no text. AWS's own SDKs disagree on tabs in one.
        let is_signable = value.to_str().is_ok_and(|text| !text.contains('\t'));
        if without.contains(&name.as_str()) || !without.is_empty() && !is_signable {
            continue;
        }
        has_host |= name == "host";
        request = request.header(name, value);
    }
    if !has_host {
        request = request.header("host", "localhost:3001");
    }
    request.body(Bytes::copy_from_slice(body)).ok()
}

/// Queries that the signer of AWS keeps: it reads bytes that are no UTF-8 as another character.
fn is_plain(query: &str) -> bool {
    let mut pairs = query.split('&').flat_map(|pair| pair.split('='));
    let is_signature = query.to_ascii_lowercase().contains("x-amz-");
    !is_signature
        && pairs.all(|part| {
            percent_encoding::percent_decode_str(part)
                .decode_utf8()
                .is_ok()
        })
}

fn signed_by_aws(mut request: Request<Bytes>, location: SignatureLocation) -> Request<Bytes> {
    let Credentials {
        access_key_id,
        secret_access_key,
        ..
    } = key();
    let identity = aws_credential_types::Credentials::new(
        access_key_id,
        secret_access_key,
        None,
        None,
        "fuzz",
    );
    let identity = identity.into();
    let mut settings = SigningSettings::default();
    settings.signature_location = location;
    settings.expires_in = Some(Duration::from_secs(600));
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(REGION)
        .name("lambda")
        .time(SystemTime::UNIX_EPOCH + Duration::from_secs(NOW_SECONDS))
        .settings(settings)
        .build()
        .expect("nothing is missing");
    let headers: Vec<(&str, &str)> = request
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    let signable = SignableRequest::new(
        request.method().as_str(),
        request.uri().to_string(),
        headers.into_iter(),
        SignableBody::Bytes(request.body()),
    );
    let signable = signable.expect("it is a request");
    let (instructions, _) = sign_as_aws(signable, &params.into())
        .expect("it can be signed")
        .into_parts();
    instructions.apply_to_request_http1x(&mut request);
    request
}

/// The signature is over every part: with another, it is none.
fn require_bound(signed: &Request<Bytes>) {
    let change = |what: &str, change: &dyn Fn(&mut Request<Bytes>)| {
        let mut changed = signed.clone();
        change(&mut changed);
        assert!(
            verify(changed).is_err(),
            "signed with another {what}: {signed:?}"
        );
    };
    change("body", &|it| {
        *it.body_mut() = [it.body(), &b"x"[..]].concat().into()
    });
    change("method", &|it| {
        let other = format!("{}X", it.method());
        *it.method_mut() = other.parse().expect("a letter more is a method");
    });
    let uri = |path: &str, query: &str| format!("http://localhost:3001{path}?{query}");
    change("path", &|it| {
        let (path, query) = (it.uri().path(), it.uri().query().unwrap_or_default());
        *it.uri_mut() = uri(&format!("{path}x"), query)
            .parse()
            .expect("a letter more is a path");
    });
    change("query", &|it| {
        let (path, query) = (it.uri().path(), it.uri().query().unwrap_or_default());
        *it.uri_mut() = uri(path, &format!("{query}&x=y"))
            .parse()
            .expect("a pair more is a query");
    });
    let host = HeaderValue::from_static("elsewhere");
    change("host", &|it| {
        drop(it.headers_mut().insert("host", host.clone()))
    });
    let name = HeaderName::from_static("x-amz-invocation-type");
    let value = HeaderValue::from_static("DryRun");
    change("header of AWS", &|it| {
        it.headers_mut().append(&name, value.clone());
    });
}
