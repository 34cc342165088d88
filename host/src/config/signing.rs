//! Signing profiles of `lamina.toml`. Plain data; `control` parses keys and dates at start.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// One version of a signing profile: public key, algorithm and validity of its signatures.
///
/// Its ARN, which code signing configurations name, is
/// `arn:aws:signer:<region>:<account>:/signing-profiles/<name>/<version>`.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SigningProfile {
    /// 2 to 64 letters, digits and underscores. Since 0.1.0.
    pub name: String,
    /// Ten letters and digits. A new key is a new version. Since 0.1.0.
    pub version: String,
    /// Signature algorithm of the key; signatures of other algorithms are refused. Since 0.1.0.
    pub algorithm: SigningAlgorithm,
    /// Public key: PEM, base64 of DER, or base64 of the raw bytes. Since 0.1.0.
    pub public_key: String,
    /// Validity of a signature in days from signing. Default: the signature's own validity. Since
    /// 0.1.0.
    #[serde(default)]
    pub validity_days: Option<u32>,
    /// Revocation date in RFC 3339: signatures made at or after it are invalid. The signing time is
    /// claimed by the signer, so after a key theft give a date before its first misuse, or remove
    /// the profile. Since 0.1.0.
    #[serde(default, deserialize_with = "moment")]
    #[schemars(with = "Option<String>")]
    pub revoked_at: Option<String>,
    /// Revoked signing jobs, by id. Since 0.1.0.
    #[serde(default)]
    pub revoked_jobs: Vec<String>,
}

/// A signature algorithm.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SigningAlgorithm {
    /// Ed25519.
    Ed25519,
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256,
}

impl SigningAlgorithm {
    /// Name in configurations and signatures.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 => "ecdsa-p256",
        }
    }
}

/// Date as a string or as a TOML datetime.
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
