//! Signature Version 4 for requests to AWS's services and to servers like them.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials as Identity;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::{HeaderValue, Request, header};

use crate::clock::Timestamp;

/// An access key.
#[derive(Clone)]
pub struct Credentials {
    /// Names the secret.
    pub access_key_id: String,
    /// The secret.
    pub secret_access_key: String,
    /// Sent with requests that are signed with temporary keys.
    pub session_token: Option<String>,
}

/// The service that a request is signed for.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// Its region.
    pub region: &'a str,
    /// Its name in signatures.
    pub service: &'a str,
}

/// The request cannot be signed.
#[derive(Debug, thiserror::Error)]
#[error("the request could not be signed: {0}")]
pub struct Unsignable(String);

/// Signs a request in its headers, its body included. The path is signed as it is: S3 asks for that, and
/// other services do not when it holds more than letters, digits and slashes.
///
/// # Errors
/// Where the request has no host, or a header that is not text.
pub fn sign(
    request: &mut Request<Bytes>,
    credentials: &Credentials,
    scope: Scope<'_>,
    now: Timestamp,
) -> Result<(), Unsignable> {
    let unsignable = |error: &dyn std::fmt::Display| Unsignable(error.to_string());
    let host = request
        .uri()
        .authority()
        .ok_or_else(|| unsignable(&"it has no host"))?;
    let host = HeaderValue::from_str(host.as_str()).map_err(|error| unsignable(&error))?;
    request.headers_mut().insert(header::HOST, host);
    let identity = Identity::new(
        &credentials.access_key_id,
        &credentials.secret_access_key,
        credentials.session_token.clone(),
        None,
        "lamina",
    );
    let identity = identity.into();
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(scope.region)
        .name(scope.service)
        .time(UNIX_EPOCH + Duration::from_millis(now.millis()))
        .settings(settings)
        .build()
        .map_err(|error| unsignable(&error))?;
    let mut headers = Vec::new();
    for (name, value) in request.headers() {
        let value = value.to_str().map_err(|error| unsignable(&error))?;
        headers.push((name.as_str(), value));
    }
    let signable = SignableRequest::new(
        request.method().as_str(),
        request.uri().to_string(),
        headers.into_iter(),
        SignableBody::Bytes(request.body()),
    );
    let signable = signable.map_err(|error| unsignable(&error))?;
    let signed = aws_sigv4::http_request::sign(signable, &parameters.into());
    let (instructions, _) = signed.map_err(|error| unsignable(&error))?.into_parts();
    instructions.apply_to_request_http1x(request);
    Ok(())
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(uri: &str, token: Option<&str>) -> Request<Bytes> {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = uri.parse().unwrap();
        let credentials = Credentials {
            access_key_id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            session_token: token.map(str::to_owned),
        };
        let scope = Scope {
            region: "us-east-1",
            service: "s3",
        };
        let now = Timestamp::from_millis(1_369_353_600_000);
        sign(&mut request, &credentials, scope, now).unwrap();
        request
    }

    fn signature(request: &Request<Bytes>) -> String {
        let value = request.headers()[header::AUTHORIZATION].to_str().unwrap();
        value.rsplit('=').next().unwrap().to_owned()
    }

    /// Each of these paths names another object: the signature must tell them apart.
    #[test]
    fn path_is_signed_as_it_is() {
        let paths = ["/a", "//a", "/a/", "/./a", "/b/../a", "/a%2F", "/A"];
        let mut signatures: Vec<String> = paths
            .map(|path| signature(&signed(&format!("http://s3.test:9000{path}"), None)))
            .to_vec();
        signatures.sort();
        signatures.dedup();
        assert_eq!(signatures.len(), paths.len());
    }

    #[test]
    fn host_body_and_token_are_signed() {
        let request = signed("http://s3.test:9000/b/k?versionId=1", Some("token"));
        let headers = request.headers();
        assert_eq!(headers[header::HOST], "s3.test:9000");
        assert_eq!(headers["x-amz-security-token"], "token");
        assert_eq!(headers["x-amz-date"], "20130524T000000Z");
        let authorization = headers[header::AUTHORIZATION].to_str().unwrap();
        let expected = "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token";
        assert!(authorization.contains(expected), "{authorization}");
        assert!(authorization.contains("20130524/us-east-1/s3/aws4_request"));
    }
}
