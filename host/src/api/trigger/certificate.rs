//! Certificates that sign messages of SNS: where they may come from, and the check of a signature.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::sync::Semaphore;

use super::Refused;
use crate::outbound::aws::{self, Aws, Service};

/// Certificates in memory; then all are fetched again. SNS has one for each region, and a new one every few months.
const CERTIFICATES_MAX: usize = 64;
/// Requests for certificates in progress. Anyone may send a message that names one.
const FETCHES_MAX: usize = 4;
/// Longest name of a certificate's file, without its ending.
const NAME_CHARS_MAX: usize = 128;

/// Certificates by URL. Those in use are few, so that a message costs no request.
#[derive(Debug)]
pub(super) struct Certificates {
    // std mutex: no await inside.
    known: Mutex<HashMap<String, Arc<Certificate>>>,
    fetches: Semaphore,
}

/// Public key of a certificate.
#[derive(Debug)]
pub(super) struct Certificate {
    /// SubjectPublicKeyInfo in DER.
    key: Vec<u8>,
}

/// `SignatureVersion` of a message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Version {
    /// SHA-1, SNS's default.
    One,
    /// SHA-256.
    Two,
}

/// Signature that does not fit the message.
#[derive(Debug, thiserror::Error)]
#[error("the signature of the message is not that of SNS")]
pub(super) struct Mismatch;

impl Version {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "1" => Some(Self::One),
            "2" => Some(Self::Two),
            _ => None,
        }
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            fetches: Semaphore::new(FETCHES_MAX),
        }
    }
}

impl Certificates {
    /// Certificate of a URL that SNS in a region may name, from memory or from the region's endpoint.
    pub(super) async fn get(
        &self,
        url: &str,
        region: &str,
        aws: &Aws,
    ) -> Result<Arc<Certificate>, Refused> {
        let Some(path) = path(url, region) else {
            let text = format!("SigningCertURL is not a certificate of SNS in {region}");
            return Err(Refused::forbidden(text));
        };
        if let Some(known) = self.lock().get(url) {
            return Ok(Arc::clone(known));
        }
        let Ok(_fetch) = self.fetches.try_acquire() else {
            let text = "too many certificates of SNS are fetched at once";
            return Err(Refused::unavailable(text));
        };
        let file = aws.get(Service::Sns, region, path).await;
        let file = file.map_err(|error| {
            let text = format!("the certificate {url} could not be fetched: {error}");
            match error {
                aws::Error::Refused { status, .. } if status.is_client_error() => {
                    Refused::forbidden(text)
                }
                _ => Refused::unavailable(text),
            }
        })?;
        let certificate = Certificate::parse(&file)
            .ok_or_else(|| Refused::forbidden(format!("{url} is no certificate")))?;
        let certificate = Arc::new(certificate);
        let mut known = self.lock();
        if known.len() >= CERTIFICATES_MAX {
            known.clear();
        }
        known.insert(url.to_owned(), Arc::clone(&certificate));
        Ok(certificate)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Certificate>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Certificate {
    fn parse(pem: &[u8]) -> Option<Self> {
        let der = CertificateDer::from_pem_slice(pem).ok()?;
        let certificate = webpki::EndEntityCert::try_from(&der).ok()?;
        let key = certificate.subject_public_key_info().to_vec();
        Some(Self { key })
    }

    /// Checks a signature in base64.
    pub(super) fn verify(
        &self,
        version: Version,
        text: &[u8],
        signature: &str,
    ) -> Result<(), Mismatch> {
        let algorithm = match version {
            Version::One => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            Version::Two => &RSA_PKCS1_2048_8192_SHA256,
        };
        let signature = STANDARD.decode(signature).map_err(|_| Mismatch)?;
        let key = UnparsedPublicKey::new(algorithm, &self.key);
        key.verify(text, &signature).map_err(|_| Mismatch)
    }
}

/// Path of a certificate below the region's endpoint, if the URL is one.
fn path<'a>(url: &'a str, region: &str) -> Option<&'a str> {
    let top = if region.starts_with("cn-") { ".cn" } else { "" };
    let origin = format!("https://sns.{region}.amazonaws.com{top}");
    let path = url.strip_prefix(&origin)?;
    let name = path.strip_prefix("/SimpleNotificationService-")?;
    let name = name.strip_suffix(".pem")?;
    let is_plain = name.bytes().all(|it| it.is_ascii_alphanumeric());
    (is_plain && (1..=NAME_CHARS_MAX).contains(&name.len())).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\n\
        MIIDGzCCAgOgAwIBAgIUNUm7Dq/SdRO1UfTp4K6tMJAD0hswDQYJKoZIhvcNAQEL\n\
        BQAwHDEaMBgGA1UEAwwRc25zLmFtYXpvbmF3cy5jb20wIBcNMjYxMTMwMTkzNjI5\n\
        WhgPMjEyNjExMDYxOTM2MjlaMBwxGjAYBgNVBAMMEXNucy5hbWF6b25hd3MuY29t\n\
        MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAtAIZUplSqRbLTpVn1nGy\n\
        wHIYHiLqWJZOsrUbDDtuflFDpMSiHfhDlrFJb92MTejniD0NeJRZwftJgEiwO5bz\n\
        RjBumEyZhdYSmGrbspxcAUy5m5XRAbcY7ESDEOM+F7TK/fmCxpTF/HpBh/TPHDt5\n\
        FRjwV/ktKOrk0ppcibYKd5LyU85PlXbgpRon9BeI38FXPMDaztPizynd84Taqduh\n\
        pK/nMy9PZssFBsvn3OsXuFkp4NxnsBhPikYVXPsH6f2XuDKb58HEnzuLMj9X5TpF\n\
        6esiqLcgIQpG8ZW27XRSy4h//l28gluyZhbaV2FbiAJ5c+vIwx6uFdOZc1D03Y5F\n\
        jwIDAQABo1MwUTAdBgNVHQ4EFgQUaPk750GPSzAEBLJQNTDdgW8H2RAwHwYDVR0j\n\
        BBgwFoAUaPk750GPSzAEBLJQNTDdgW8H2RAwDwYDVR0TAQH/BAUwAwEB/zANBgkq\n\
        hkiG9w0BAQsFAAOCAQEApfb1FCafL4/Z4D5qDdG9xFnZdBr6nRMT+fDz2M9KqKHB\n\
        eAY9HqrPndRgU2RzpByTG+GHoi/TOaMok2mxPZuFA2yiaMzKbJUhrKrAOrxo7sBT\n\
        tKPR3rBU4ZJszIH6elcLcwgqVS9Lp1Q1ZTWF2tlDkfXdSiV4GEvKuZncxc9DIH7a\n\
        rU7YrRadRNdvNFBW7ICKeVnfWNy7hbtbo9R44AzMT6L4WS3pJAdq0tmFiWvPCh8a\n\
        fxiF0lQkp5sX6JKHwrM5o94p5EApFE+CAkP74qF084fV0x1XozUNn4D64QCzwhlM\n\
        Ok03Pocr+Ci2v8t9Myp+0t8pXF53+b4XIcVlChJhBw==\n\
        -----END CERTIFICATE-----";
    const TEXT: &str = "Message\nhello\nMessageId\nm-1\nSubject\ns\nTimestamp\n2026-11-30T19:00:00.000Z\nTopicArn\n\
                        arn:aws:sns:us-east-1:123456789012:orders\nType\nNotification\n";
    /// Made with `openssl dgst -sha1` and `-sha256`.
    const SIGNATURES: [(Version, &str); 2] = [
        (
            Version::One,
            "Tv6TOsD4qzC5+8RCxechsZpLCy4rxYJNW9wF8lbidLbNG5+x5b85ajVhfczygz4ou7EM6q0jsl6txMeFmvYcoOZb3RTLgs1k5ufH\
             8m4+YTM4BNlJ53HMITMJ12a8tXbZq2LHaYJNhqy1rEKnDHzbIPuL01G7lX7R0v4brVXBF9Bgc3mkcPO9wub6JRo175fBmGN8pwVB\
             kBeMaY92Wqp5i+Ntpjig5eMKp7LnF4XKw418YMBPT4Smh+fjUJzo98cX/pjJ5mZxTNuRfSxgoHu2o/k75jmzDgsRT6zCItbQr4+f\
             bb1jUumfxB65Eooa1HpmWbt2guYyMh/ayvQLCNwndw==",
        ),
        (
            Version::Two,
            "hru14uIa6HqdMBta4up9iy1jg7lKoWF5OfAzussDOZplMQMYZVOBQKdQrMWoC1HxUecSwQFqobxuj0xcan26Nlo4Z/oHTrG2HFeP\
             z/rdIEkn/PxZ3LCsetSsQvyHdZTlMezSr9U6NHJ79RiQF7TlGr4HRMwsJObvz8YLZHdsw292mkhpvTSl6xvYwpx6I1+ZRu5wdecE\
             r4Gpqi2MocZ3jKtZO4uhcUbvQ1S382mSNSiftMqmFNWxHMyonA+T091JzRG2dqvCLWCXaBcUI4M88gpHhrqh5pjwUyS4UCx2/yo3\
             LXwgo5wTVx9uVJcYihu/xXoRT0ze71uefzReWWzaWQ==",
        ),
    ];

    #[test]
    fn signature_of_either_version_is_verified() {
        let certificate = Certificate::parse(CERTIFICATE.as_bytes()).unwrap();
        for (at, (version, signature)) in SIGNATURES.into_iter().enumerate() {
            let verify = |text: &str, signature: &str| {
                let verified = certificate.verify(version, text.as_bytes(), signature);
                verified.is_ok()
            };
            assert!(verify(TEXT, signature));
            assert!(!verify(&TEXT.replace("hello", "hallo"), signature));
            assert!(!verify(TEXT, SIGNATURES[1 - at].1));
            assert!(!verify(TEXT, ""));
            assert!(!verify(TEXT, "?"));
        }
        assert!(Certificate::parse(b"-----BEGIN CERTIFICATE-----").is_none());
    }

    #[test]
    fn only_files_of_sns_in_the_region_are_certificates() {
        let name = "SimpleNotificationService-0123abcd.pem";
        let url = |origin: &str| format!("{origin}/{name}");
        let own = url("https://sns.us-east-1.amazonaws.com");
        assert_eq!(path(&own, "us-east-1"), Some(format!("/{name}").as_str()));
        let china = url("https://sns.cn-north-1.amazonaws.com.cn");
        assert!(path(&china, "cn-north-1").is_some());
        for refused in [
            own.replace("https", "http"),
            own.replace("us-east-1", "us-west-2"),
            own.replace("amazonaws.com", "amazonaws.com.evil.example"),
            own.replace("sns.", "sns.evil."),
            own.replace("://", "://evil@"),
            own.replace("0123abcd", "../../x"),
            own.replace("0123abcd", ""),
            own.replace("Simple", "?Simple"),
            own.replace("SimpleNotificationService-", "x/SimpleNotificationService-"),
            format!("{own}#.pem"),
            format!("{own}?x.pem"),
            "https://s3.amazonaws.com/evil/SimpleNotificationService-0123abcd.pem".to_owned(),
        ] {
            assert_eq!(path(&refused, "us-east-1"), None, "{refused}");
        }
    }
}
