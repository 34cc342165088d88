//! AWS's own signer is the oracle; every bit that is signed matters.

use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign as oracle,
};
use aws_sigv4::sign::v4;
use http::Request;

use super::*;

const NOW: u64 = 1_795_000_000;

struct Fixed;

impl crate::clock::TimeSource for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(NOW * 1_000)
    }

    fn instant(&self) -> std::time::Instant {
        Clock::system().instant()
    }

    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

fn keys() -> Vec<Credentials> {
    vec![Credentials {
        access_key_id: "AKIDEXAMPLE".into(),
        secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
        session_token: None,
    }]
}

fn verifier() -> Verifier {
    Verifier::new(keys(), "us-east-1".into(), Clock::new(Fixed))
}

fn verify(request: Request<Bytes>) -> Result<String, Error> {
    let (parts, body) = request.into_parts();
    let pending = verifier().parse(&parts, "lambda")?;
    pending.check(&body).map(str::to_owned)
}

struct Oracle {
    at: u64,
    region: &'static str,
    location: SignatureLocation,
}

impl Default for Oracle {
    fn default() -> Self {
        Self {
            at: NOW,
            region: "us-east-1",
            location: SignatureLocation::Headers,
        }
    }
}

impl Oracle {
    fn sign(&self, mut request: Request<Bytes>) -> Request<Bytes> {
        let key = keys().remove(0);
        let identity = identity(&key);
        let mut settings = SigningSettings::default();
        settings.signature_location = self.location;
        settings.expires_in = Some(Duration::from_secs(600));
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name("lambda")
            .time(SystemTime::UNIX_EPOCH + Duration::from_secs(self.at))
            .settings(settings)
            .build()
            .unwrap();
        let uri = request.uri().to_string();
        let headers = request
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
        let signable = SignableRequest::new(
            request.method().as_str(),
            uri,
            headers,
            SignableBody::Bytes(request.body()),
        );
        let (instructions, _) = oracle(signable.unwrap(), &params.into())
            .unwrap()
            .into_parts();
        instructions.apply_to_request_http1x(&mut request);
        request
    }
}

fn identity(key: &Credentials) -> aws_smithy_runtime_api::client::identity::Identity {
    let Credentials {
        access_key_id,
        secret_access_key,
        ..
    } = key;
    let key = aws_credential_types::Credentials::new(
        access_key_id,
        secret_access_key,
        None,
        None,
        "test",
    );
    key.into()
}

fn request() -> Request<Bytes> {
    Request::post(
        "http://localhost:3001/2015-03-31/functions/a%3Ab/invocations?Qualifier=x%20y&a=%2F",
    )
    .header("host", "localhost:3001")
    .header("x-amz-log-type", "Tail")
    .header("content-type", "application/json")
    .body(Bytes::from_static(b"{\"k\": 1}"))
    .unwrap()
}

#[test]
fn requests_signed_by_aws_are_accepted() {
    for location in [SignatureLocation::Headers, SignatureLocation::QueryParams] {
        let signed = Oracle {
            location,
            ..Oracle::default()
        }
        .sign(request());
        assert_eq!(verify(signed).as_deref(), Ok("AKIDEXAMPLE"), "{location:?}");
    }
}

#[test]
fn requests_signed_here_are_accepted_here() {
    let now = Timestamp::from_millis(NOW * 1_000);
    let signed = sign(&keys()[0], "us-east-1", "lambda", now, request()).unwrap();
    assert_eq!(verify(signed).as_deref(), Ok("AKIDEXAMPLE"));
}

/// Signed by hand: AWS's own signers no longer use `Date`.
#[test]
fn time_in_the_header_date_is_accepted() {
    let at = basic_time(Timestamp::from_millis(NOW * 1_000));
    let http_date = "Wed, 18 Nov 2026 11:06:40 GMT";
    let signed = |date: &str| {
        let mut request = request();
        let headers = request.headers_mut();
        headers.insert("date", date.parse().unwrap());
        let names = ["date", "host", "x-amz-log-type"]
            .map(str::to_owned)
            .to_vec();
        let parameters =
            SignatureParameters::to_make("AKIDEXAMPLE", "us-east-1", "lambda", &at, names);
        let (mut parts, body) = request.into_parts();
        let head = canonical::head(&parts, &parameters).unwrap();
        let to_sign = parameters.string_to_sign(&format!("{head}{}", sha256_hex(&body)));
        let secret = &keys()[0].secret_access_key;
        let key = signing_key(secret, &parameters.day, "us-east-1", "lambda");
        let signature = hex(hmac::sign(&key, to_sign.as_bytes()).as_ref());
        let authorization = parameters.header(&signature).parse().unwrap();
        parts.headers.insert("authorization", authorization);
        verify(Request::from_parts(parts, body))
    };
    for date in [http_date, at.as_str()] {
        assert_eq!(signed(date).as_deref(), Ok("AKIDEXAMPLE"), "{date}");
    }
    let late = signed("Wed, 18 Nov 2026 09:06:40 GMT");
    assert!(matches!(late, Err(Error::Time(_))), "{late:?}");
    for bad in ["yesterday", "2026-11-18T11:06:40Z"] {
        let refused = signed(bad).unwrap_err().to_string();
        assert!(
            refused.starts_with("Date must be in ISO-8601 'basic format'"),
            "{refused}"
        );
    }
}

#[test]
fn changed_signed_request_is_refused() {
    let changes: [fn(&mut Request<Bytes>); 6] = [
        |it| *it.method_mut() = http::Method::PUT,
        |it| {
            *it.uri_mut() =
                "http://localhost:3001/2015-03-31/functions/other/invocations?Qualifier=x%20y&a=%2F"
                    .parse()
                    .unwrap()
        },
        |it| {
            *it.uri_mut() =
                "http://localhost:3001/2015-03-31/functions/a%3Ab/invocations?Qualifier=z&a=%2F"
                    .parse()
                    .unwrap()
        },
        |it| {
            drop(
                it.headers_mut()
                    .insert("host", "elsewhere".parse().unwrap()),
            )
        },
        |it| {
            drop(
                it.headers_mut()
                    .insert("x-amz-log-type", "None".parse().unwrap()),
            )
        },
        |it| *it.body_mut() = Bytes::from_static(b"{\"k\": 2}"),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut signed = Oracle::default().sign(request());
        change(&mut signed);
        assert_eq!(verify(signed), Err(Error::Mismatch), "change {at}");
    }
    let mut signed = Oracle::default().sign(request());
    signed
        .headers_mut()
        .insert("x-amz-invocation-type", "DryRun".parse().unwrap());
    assert!(matches!(verify(signed), Err(Error::Incomplete(_))));
}

#[test]
fn time_region_and_key_must_be_right() {
    let signed = |oracle: Oracle| verify(oracle.sign(request())).unwrap_err().to_string();
    let late = signed(Oracle {
        at: NOW - 1_000,
        ..Oracle::default()
    });
    assert!(late.starts_with("Signature expired: "), "{late}");
    let early = signed(Oracle {
        at: NOW + 1_000,
        ..Oracle::default()
    });
    assert!(early.starts_with("Signature not yet current: "), "{early}");
    let elsewhere = signed(Oracle {
        region: "eu-west-1",
        ..Oracle::default()
    });
    assert!(elsewhere.contains("valid region"), "{elsewhere}");
    let (parts, _) = Oracle::default().sign(request()).into_parts();
    let other = Verifier::new(Vec::new(), "us-east-1".into(), Clock::new(Fixed));
    assert_eq!(
        other.parse(&parts, "lambda").unwrap_err(),
        Error::UnknownKey
    );
    assert!(matches!(
        verifier().parse(&parts, "logs"),
        Err(Error::Scope(_))
    ));
}

#[test]
fn malformed_parameters_are_refused_by_name() {
    let with = |value: &str| {
        let mut request = request();
        request
            .headers_mut()
            .insert("authorization", value.parse().unwrap());
        request
            .headers_mut()
            .insert("x-amz-date", "20261118T101320Z".parse().unwrap());
        verify(request).unwrap_err().to_string()
    };
    assert_eq!(verify(request()), Err(Error::Missing));
    for (value, expected) in [
        ("Bearer x", "AWS4-HMAC-SHA256"),
        (
            "AWS4-HMAC-SHA256 SignedHeaders=host, Signature=1",
            "'Credential'",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=1",
            "5 slash",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, Signature=1",
            "'SignedHeaders'",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=x;a, Signature=1",
            "in order",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=host, Signature=1",
            "must be a signed header",
        ),
    ] {
        assert!(with(value).contains(expected), "{value}: {}", with(value));
    }
}

#[test]
fn paths_and_queries_are_signed_as_aws_signs_them() {
    for uri in [
        "/prod//users",
        "//users",
        "/a///b/",
        "/a/./b",
        "/a/../b",
        "/a/b/.",
        "/.hidden/..x/x.",
        "/a?x=1+2",
        "/a?x=1%2B2",
        "/a?x+y=1&z",
    ] {
        let request = Request::get(format!("http://localhost:3001{uri}"));
        let request = request.header("host", "localhost:3001");
        let signed = Oracle::default().sign(request.body(Bytes::new()).unwrap());
        assert!(verify(signed).is_ok(), "{uri}");
    }
}

#[test]
fn signature_over_a_plus_is_none_over_its_code() {
    let request = Request::get("http://localhost:3001/a?x=1+2").header("host", "localhost:3001");
    let signed = Oracle::default().sign(request.body(Bytes::new()).unwrap());
    let (mut parts, body) = signed.into_parts();
    parts.uri = "http://localhost:3001/a?x=1%2B2".parse().unwrap();
    assert_eq!(
        verify(Request::from_parts(parts, body)),
        Err(Error::Mismatch)
    );
}

#[test]
fn declared_digest_proves_the_caller_before_the_body() {
    let body = Bytes::from_static(b"{}");
    let declaring = |digest: &str| {
        let request = Request::post("http://localhost:3001/a")
            .header("host", "localhost:3001")
            .header("x-amz-content-sha256", digest);
        let request = request.body(body.clone()).unwrap();
        let key = keys().remove(0);
        super::sign(
            &key,
            "us-east-1",
            "lambda",
            Timestamp::from_millis(NOW * 1_000),
            request,
        )
    };
    let parse = |request: Request<Bytes>| verifier().parse(&request.into_parts().0, "lambda");
    let right = declaring(&sha256_hex(&body)).unwrap();
    let pending = parse(right).unwrap();
    assert_eq!(pending.proven(), Some("AKIDEXAMPLE"));
    assert!(pending.check(&body).is_ok());
    // The client signs over the digest of its body, not over the one that it declares.
    let wrong = declaring(&sha256_hex(b"other")).unwrap();
    assert_eq!(parse(wrong).unwrap_err(), Error::Mismatch);
    let undeclared = parse(Oracle::default().sign(request())).unwrap();
    assert_eq!(undeclared.proven(), None);
}
