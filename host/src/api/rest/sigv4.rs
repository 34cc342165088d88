//! AWS Signature Version 4: verified for callers of this host, made for the command line. In a header
//! or, presigned, in the query. Who may do what, it does not know.

use std::collections::HashMap;
use std::time::Duration;

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::hmac;
use bytes::Bytes;
use http::request::Parts;
use subtle::ConstantTimeEq;

use super::wire::ErrorShape;
use crate::api::text_of;
use crate::clock::{Clock, Timestamp};
use crate::names::hex;

mod canonical;
#[cfg(test)]
pub mod fuzz;
mod parameters;
mod sign;
#[cfg(test)]
mod tests;

pub use parameters::SignatureParameters;
pub use sign::sign;

/// Tolerance between the clocks of client and host.
const SKEW_MAX: Duration = Duration::from_secs(15 * 60);
/// The longest life of a presigned request.
const EXPIRES_SECONDS_MAX: u64 = 604_800;

/// An access key and its secret.
#[derive(Clone)]
pub struct Credentials {
    /// `AKIA...`, or any other name.
    pub access_key_id: String,
    /// The secret key.
    pub secret_access_key: String,
    /// The token that must come with temporary keys.
    pub session_token: Option<String>,
}

/// Error of a request's signature.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// No signature.
    #[error("Missing Authentication Token")]
    Missing,
    /// A part is missing or malformed.
    #[error("{0}")]
    Incomplete(String),
    /// Its key is not one of this host's.
    #[error("The security token included in the request is invalid.")]
    UnknownKey,
    /// Another day, region or service.
    #[error("Credential should be scoped to a valid {0}.")]
    Scope(String),
    /// Made too long ago, or in the future.
    #[error("{0}")]
    Time(String),
    /// Not the signature of this request.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check \
         your AWS Secret Access Key and signing method. Consult the service documentation for \
         details."
    )]
    Mismatch,
}

impl Error {
    pub(super) fn shape(&self) -> ErrorShape {
        match self {
            Self::Missing => ErrorShape::MissingAuthenticationTokenException,
            Self::Incomplete(_) => ErrorShape::IncompleteSignatureException,
            Self::UnknownKey => ErrorShape::UnrecognizedClientException,
            Self::Scope(_) | Self::Time(_) | Self::Mismatch => {
                ErrorShape::InvalidSignatureException
            }
        }
    }
}

/// Checks signatures against the keys of a host.
#[derive(Debug)]
pub struct Verifier {
    keys: HashMap<String, Credentials>,
    region: String,
    clock: Clock,
}

/// Signature parameters whose form, key and time are good.
#[derive(Debug)]
pub struct Pending {
    parameters: SignatureParameters,
    key: hmac::Key,
    /// All of the canonical request but the digest of the body.
    head: String,
    /// The digest of the body that the head declares. The signature over it is good; the body may still be
    /// another.
    declared: Option<String>,
}

impl Verifier {
    /// A verifier for requests to one region.
    pub fn new(keys: Vec<Credentials>, region: String, clock: Clock) -> Self {
        let keys = keys
            .into_iter()
            .map(|key| (key.access_key_id.clone(), key))
            .collect();
        Self {
            keys,
            region,
            clock,
        }
    }

    /// Checks everything that can be checked before the body is read.
    ///
    /// # Errors
    /// Where the parameters are missing or wrong.
    pub fn parse(&self, parts: &Parts, service: &str) -> Result<Pending, Error> {
        let parameters = SignatureParameters::of(parts)?;
        parameters.require_scope(&self.region, service)?;
        self.require_time(&parameters)?;
        let credentials = self
            .keys
            .get(&parameters.access_key_id)
            .ok_or(Error::UnknownKey)?;
        if credentials.session_token.as_deref() != parameters.session_token.as_deref() {
            return Err(Error::UnknownKey);
        }
        let head = canonical::head(parts, &parameters)?;
        let key = signing_key(
            &credentials.secret_access_key,
            &parameters.day,
            &self.region,
            service,
        );
        let declared = parts.headers.get("x-amz-content-sha256");
        let declared = declared.map(|digest| text_of(digest).into_owned());
        let pending = Pending {
            parameters,
            key,
            head,
            declared: declared.clone(),
        };
        if let Some(digest) = declared {
            pending.require(&digest)?;
        }
        Ok(pending)
    }

    fn require_time(&self, parameters: &SignatureParameters) -> Result<(), Error> {
        let now = self.clock.now().secs();
        let (signed, skew) = (parameters.signed_at, SKEW_MAX.as_secs());
        let stamp = |seconds: u64| basic_time(Timestamp::from_millis(seconds * 1_000));
        let life = parameters.expires_seconds.unwrap_or(skew);
        if now > signed + life {
            let (signed_at, limit) = (stamp(signed), stamp(now.saturating_sub(life)));
            return Err(Error::Time(format!(
                "Signature expired: {signed_at} is now earlier than {limit} ({} - {} min.)",
                stamp(now),
                life / 60
            )));
        }
        if signed > now + skew {
            let (signed_at, limit) = (stamp(signed), stamp(now + skew));
            return Err(Error::Time(format!(
                "Signature not yet current: {signed_at} is still later than {limit} ({} + 15 min.)",
                stamp(now)
            )));
        }
        Ok(())
    }
}

impl Pending {
    /// The access key id that the request names.
    pub fn access_key_id(&self) -> &str {
        &self.parameters.access_key_id
    }

    /// The key whose signature is good whatever the body is, since the head declares its digest.
    pub fn proven(&self) -> Option<&str> {
        self.declared
            .as_ref()
            .map(|_| &*self.parameters.access_key_id)
    }

    /// Checks the signature over the whole request.
    ///
    /// # Errors
    /// Where it is not the one this request would have.
    pub fn check(&self, body: &Bytes) -> Result<&str, Error> {
        self.check_digest(&digest::digest(&digest::SHA256, body))
    }

    /// As [`check`](Self::check), by the digest of the body.
    ///
    /// # Errors
    /// Where it is not the one this request would have.
    pub fn check_digest(&self, digest: &Digest) -> Result<&str, Error> {
        let digest = hex(digest.as_ref());
        match &self.declared {
            // Bodies without a digest would need TLS, which ends before this host.
            Some(declared) if *declared != digest => return Err(Error::Mismatch),
            Some(_) => {}
            None => self.require(&digest)?,
        }
        Ok(&self.parameters.access_key_id)
    }

    /// Checks the signature over the head and this digest.
    fn require(&self, digest: &str) -> Result<(), Error> {
        let to_sign = self
            .parameters
            .string_to_sign(&format!("{}{digest}", self.head));
        let expected = hex(hmac::sign(&self.key, to_sign.as_bytes()).as_ref());
        match bool::from(
            expected
                .as_bytes()
                .ct_eq(self.parameters.signature.as_bytes()),
        ) {
            true => Ok(()),
            false => Err(Error::Mismatch),
        }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

fn signing_key(secret: &str, day: &str, region: &str, service: &str) -> hmac::Key {
    let first = hmac::Key::new(hmac::HMAC_SHA256, format!("AWS4{secret}").as_bytes());
    [day, region, service, "aws4_request"]
        .iter()
        .fold(first, |key, part| {
            hmac::Key::new(
                hmac::HMAC_SHA256,
                hmac::sign(&key, part.as_bytes()).as_ref(),
            )
        })
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// `20261124T133700Z`
fn basic_time(at: Timestamp) -> String {
    at.utc().strftime("%Y%m%dT%H%M%SZ").to_string()
}
