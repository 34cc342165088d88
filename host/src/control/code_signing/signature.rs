//! Signature file of a package.
//!
//! # Format
//!
//! A signed package is a zip with an additional file, `META-INF/lamina-signature.json`: a JSON
//! object of at most 4,096 bytes with exactly these members.
//!
//! | member | what it is |
//! |---|---|
//! | `form` | the number 1 |
//! | `algorithm` | `ed25519`, or `ecdsa-p256`: ECDSA on P-256 with SHA-256 |
//! | `profile` | the ARN of the signing profile's version |
//! | `job` | a random UUID in lower case; names this signature, for revocation |
//! | `signedAt` | when it was made, RFC 3339 |
//! | `expiresAt` | until when it is good, RFC 3339; may be left out |
//! | `signature` | base64 of 64 bytes: Ed25519's signature, or ECDSA's `r` and `s`, 32 bytes each |
//!
//! The signed message is the following text. Each line ends in a line feed; an absent `expiresAt`
//! is `-`; members appear exactly as in the file:
//!
//! ```text
//! lamina-signature-v1
//! <algorithm>
//! <profile>
//! <job>
//! <signedAt>
//! <expiresAt>
//! <contents>
//! ```
//!
//! `contents` is the SHA-256, in lower-case hexadecimal, of the unzipped package: the line
//! `lamina-contents-v1`, then for each directory, file and symbolic link, ordered by the bytes of
//! the path
//!
//! ```text
//! dir <path>␀
//! file <mode> <SHA-256 of its content> <path>␀
//! link <SHA-256 of its target> <path>␀
//! ```
//!
//! where ␀ is a zero byte, which no path has; a path is UTF-8, whatever the zip has it in, with no
//! leading slash and no `.` or empty part; the mode is `755` where the zip's entry has any execute
//! bit and `644` otherwise. Directories are listed whether the zip has entries for them or only
//! files below them, `META-INF` and the signature itself never.
//!
//! A package can thus be zipped again, in another order and at another level, and stays signed;
//! adding, removing, changing, renaming or chmodding a file, or adding or removing a directory,
//! invalidates the signature. An older signed package stays valid until its signature expires or is
//! revoked, as in AWS: the signature covers the code, not the deployment.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::key::SIGNATURE_BYTES;
use crate::clock::Timestamp;
use crate::config::SigningAlgorithm;
use crate::store::blob::Digest;

/// Path of the signature file.
pub const PATH: &str = "META-INF/lamina-signature.json";
/// Bound on its length.
pub const BYTES_MAX: usize = 4_096;

const FORM: u32 = 1;
/// Length of a UUID.
const JOB_CHARS: usize = 36;

/// Error of a signature that cannot be read.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum Malformed {
    /// Longer than the bound.
    #[error("{PATH} is larger than {BYTES_MAX} bytes")]
    TooLarge,
    /// Not a document of the expected shape.
    #[error("{PATH} cannot be read: {0}")]
    Document(String),
    /// A form that this host does not know.
    #[error("{PATH} has form {0}; this host knows form {FORM}")]
    Form(u32),
    /// Invalid member.
    #[error("{0} in {PATH} is not allowed")]
    Member(&'static str),
}

/// The statement of a signer about a package.
#[derive(Clone, Debug, PartialEq)]
pub struct SignedStatement {
    /// The algorithm.
    pub algorithm: SigningAlgorithm,
    /// ARN of the profile version.
    pub profile: String,
    /// Signing job id.
    pub job: String,
    /// Signing time.
    pub signed_at: Moment,
    /// Expiry.
    pub expires_at: Option<Moment>,
}

/// A statement with its signature.
#[derive(Clone, Debug, PartialEq)]
pub struct Signature {
    /// The statement.
    pub statement: SignedStatement,
    /// Signature over the statement and the package's contents.
    pub value: Vec<u8>,
}

/// A time with its original text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Moment {
    text: String,
    at: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Document {
    form: u32,
    algorithm: SigningAlgorithm,
    profile: String,
    job: String,
    signed_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    signature: String,
}

impl Moment {
    /// Time, truncated to seconds.
    pub fn of(at: Timestamp) -> Self {
        let at = Timestamp::from_millis(at.secs() * 1_000);
        let text = at.utc().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        Self { text, at }
    }

    /// Parses a time. Accepted texts have no line break, so they cannot forge message lines.
    pub fn parse(text: &str) -> Option<Self> {
        let parsed: jiff::Timestamp = text.parse().ok()?;
        let millis = u64::try_from(parsed.as_millisecond()).ok()?;
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        plain.then(|| Self {
            text: text.to_owned(),
            at: Timestamp::from_millis(millis),
        })
    }

    pub fn at(&self) -> Timestamp {
        self.at
    }
}

impl SignedStatement {
    /// The message that is signed, for a package with these contents.
    pub fn message(&self, contents: &Digest) -> Vec<u8> {
        let expires_at = self.expires_at.as_ref().map_or("-", |moment| &moment.text);
        let lines = [
            "lamina-signature-v1",
            self.algorithm.as_str(),
            &self.profile,
            &self.job,
            &self.signed_at.text,
            expires_at,
            &contents.to_string(),
        ];
        (lines.join("\n") + "\n").into_bytes()
    }
}

impl Signature {
    /// Parses a signature file without verifying it.
    ///
    /// # Errors
    /// Where it does not have the form of one.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > BYTES_MAX {
            return Err(Malformed::TooLarge);
        }
        let document: Document = serde_json::from_slice(bytes)
            .map_err(|error| Malformed::Document(error.to_string()))?;
        if document.form != FORM {
            return Err(Malformed::Form(document.form));
        }
        let moment = |text: &str, name| Moment::parse(text).ok_or(Malformed::Member(name));
        let value = STANDARD.decode(&document.signature).ok();
        let value = value.filter(|value| value.len() == SIGNATURE_BYTES);
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if !plain(&document.profile) {
            return Err(Malformed::Member("profile"));
        }
        if !is_job(&document.job) {
            return Err(Malformed::Member("job"));
        }
        let expires_at = document.expires_at.as_deref();
        Ok(Self {
            statement: SignedStatement {
                algorithm: document.algorithm,
                signed_at: moment(&document.signed_at, "signedAt")?,
                expires_at: expires_at
                    .map(|text| moment(text, "expiresAt"))
                    .transpose()?,
                profile: document.profile,
                job: document.job,
            },
            value: value.ok_or(Malformed::Member("signature"))?,
        })
    }

    /// JSON of the signature file.
    pub fn to_json(&self) -> Vec<u8> {
        let statement = &self.statement;
        let document = Document {
            form: FORM,
            algorithm: statement.algorithm,
            profile: statement.profile.clone(),
            job: statement.job.clone(),
            signed_at: statement.signed_at.text.clone(),
            expires_at: statement
                .expires_at
                .as_ref()
                .map(|moment| moment.text.clone()),
            signature: STANDARD.encode(&self.value),
        };
        serde_json::to_vec_pretty(&document).expect("a document has only string keys")
    }
}

/// True for a valid name of a signing job.
pub fn is_job(text: &str) -> bool {
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let shaped = text.bytes().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => hex(byte),
    });
    text.len() == JOB_CHARS && shaped
}
