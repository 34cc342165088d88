//! AWS Signature Version 4, for requests to AWS and compatible servers.

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
    /// Key id that identifies the secret.
    pub access_key_id: String,
    pub secret_access_key: String,
    /// Session token of temporary credentials.
    pub session_token: Option<String>,
}

/// Credential scope of a signature.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// Region.
    pub region: &'a str,
    /// Service name.
    pub service: &'a str,
}

/// Signing failed.
#[derive(Debug, thiserror::Error)]
#[error("the request could not be signed: {0}")]
pub struct Unsignable(String);

/// Signs a request, body included, in its headers. The path is signed unnormalized, as S3 requires;
/// other services normalize it, which makes a difference only beyond letters, digits and slashes.
///
/// # Errors
/// If the request has no host, or a header that is not text.
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

    /// Each of these paths is a different object key, so each needs its own signature.
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
