//! Signing profiles as `lamina.toml` lists them. Plain data: what a key or a date means, and which
//! are refused, `control` says when the host starts.

use serde::{Deserialize, Deserializer, Serialize};

/// One version of a signing profile: who may sign packages, with which key, for how long.
///
/// Its ARN, which code signing configurations name, is
/// `arn:aws:signer:<region>:<account>:/signing-profiles/<name>/<version>`.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningProfile {
    /// 2 to 64 letters, digits and underscores. Since 0.1.0.
    pub name: String,
    /// Ten letters and digits. Another key is another version. Since 0.1.0.
    pub version: String,
    /// Signature algorithm of its key. A signature of another one is refused. Since 0.1.0.
    pub algorithm: SigningAlgorithm,
    /// The public key: PEM, or the base64 of its DER or of its raw bytes. Since 0.1.0.
    pub public_key: String,
    /// Days for which a signature is valid after it was made. Without it, as long as the signature
    /// itself says. Since 0.1.0.
    #[serde(default)]
    pub validity_days: Option<u32>,
    /// Signatures made at or after this time, as RFC 3339 writes it, are not good. The time of a
    /// signature is its signer's word: after a theft of the key, give a time before its first use,
    /// or take the profile away. Since 0.1.0.
    #[serde(default, deserialize_with = "moment")]
    pub revoked_at: Option<String>,
    /// The ids of signing jobs whose signatures are not good. Since 0.1.0.
    #[serde(default)]
    pub revoked_jobs: Vec<String>,
}

/// A signature algorithm.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SigningAlgorithm {
    /// Ed25519.
    Ed25519,
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256,
}

impl SigningAlgorithm {
    /// As configurations and signatures write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 => "ecdsa-p256",
        }
    }
}

/// A date may be written as a string or as TOML's own kind of value.
fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    match toml::Value::deserialize(deserializer)? {
        toml::Value::String(text) => Ok(Some(text)),
        toml::Value::Datetime(date) => Ok(Some(date.to_string())),
        other => Err(serde::de::Error::custom(format!(
            "a date and time is expected, not {}",
            other.type_str()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &str) -> Result<SigningProfile, String> {
        let whole = "name = \"n1\"\nversion = \"v\"\nalgorithm = \"ed25519\"\npublic_key = \"k\"\n";
        toml::from_str(&format!("{whole}{more}")).map_err(|error| error.to_string())
    }

    #[test]
    fn date_may_be_a_string_or_a_toml_date() {
        for text in ["\"2026-01-02T03:04:05Z\"", "2026-01-02T03:04:05Z"] {
            let read = read(&format!("revoked_at = {text}")).unwrap();
            assert_eq!(read.revoked_at.as_deref(), Some("2026-01-02T03:04:05Z"));
        }
        assert_eq!(read("").unwrap().revoked_at, None);
        assert!(read("revoked_at = 3").unwrap_err().contains("date"));
    }

    #[test]
    fn unknown_key_or_algorithm_is_named() {
        assert!(
            read("revoked = true")
                .unwrap_err()
                .contains("unknown field")
        );
        let other = "name = \"n1\"\nversion = \"v\"\nalgorithm = \"rsa\"\npublic_key = \"k\"\n";
        let refused = toml::from_str::<SigningProfile>(other).unwrap_err();
        assert!(refused.to_string().contains("`ecdsa-p256`"), "{refused}");
        for algorithm in [SigningAlgorithm::Ed25519, SigningAlgorithm::EcdsaP256] {
            let written = serde_json::to_value(algorithm).unwrap();
            assert_eq!(written, algorithm.as_str());
        }
    }
}
