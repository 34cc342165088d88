//! Signing and verification keys, as files and configurations hold them.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair, ParsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::config::SigningAlgorithm;

/// Signature length of both algorithms.
pub const SIGNATURE_BYTES: usize = 64;

/// Error of a key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another encoding.
    #[error("it is neither PEM nor base64")]
    Encoding,
    /// Another kind of public key.
    #[error("it is not a public key of {}", .0.as_str())]
    Public(SigningAlgorithm),
    /// Another kind of private key, or none.
    #[error("it is not a PKCS#8 private key (PEM) of ed25519 or ecdsa-p256")]
    Private,
    /// Cryptographic library failed.
    #[error("the key could not be made or used")]
    Failed,
}

/// A signing key.
#[derive(Debug)]
pub enum SigningKey {
    /// Of [`SigningAlgorithm::Ed25519`].
    Ed25519(Ed25519KeyPair),
    /// Of [`SigningAlgorithm::EcdsaP256`].
    EcdsaP256(EcdsaKeyPair),
}

/// A verification key.
#[derive(Clone, Debug)]
pub struct PublicKey(ParsedPublicKey);

impl SigningKey {
    /// Generates a key. The library draws its own randomness, because amount and timing are part of
    /// the algorithm.
    ///
    /// # Errors
    /// Where the library fails.
    pub fn generate(algorithm: SigningAlgorithm) -> Result<Self, Error> {
        let made = match algorithm {
            SigningAlgorithm::Ed25519 => Ed25519KeyPair::generate().map(Self::Ed25519),
            SigningAlgorithm::EcdsaP256 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Self::EcdsaP256)
            }
        };
        made.map_err(|_| Error::Failed)
    }

    /// Parses a PKCS#8 PEM, from [`to_pem`](Self::to_pem) or another program.
    ///
    /// # Errors
    /// Where it is another kind of key, or none.
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        let der = unwrapped(text, "PRIVATE KEY").ok_or(Error::Private)?;
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der) {
            return Ok(Self::Ed25519(pair));
        }
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der)
            .map(Self::EcdsaP256)
            .map_err(|_| Error::Private)
    }

    /// PKCS#8 PEM of the key.
    ///
    /// # Errors
    /// Where the library fails.
    pub fn to_pem(&self) -> Result<String, Error> {
        let document = match self {
            Self::Ed25519(pair) => pair.to_pkcs8v1(),
            Self::EcdsaP256(pair) => pair.to_pkcs8v1(),
        };
        let document = document.map_err(|_| Error::Failed)?;
        let body = STANDARD.encode(document.as_ref());
        let lines: Vec<&str> = (0..body.len())
            .step_by(64)
            .map(|at| &body[at..body.len().min(at + 64)])
            .collect();
        Ok(format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            lines.join("\n")
        ))
    }

    /// The algorithm.
    pub fn algorithm(&self) -> SigningAlgorithm {
        match self {
            Self::Ed25519(_) => SigningAlgorithm::Ed25519,
            Self::EcdsaP256(_) => SigningAlgorithm::EcdsaP256,
        }
    }

    /// Public key in base64, the form of configurations.
    ///
    /// # Errors
    /// Where the library fails.
    pub fn public_key(&self) -> Result<String, Error> {
        let der: Result<PublicKeyX509Der<'_>, _> = match self {
            Self::Ed25519(pair) => pair.public_key().as_der(),
            Self::EcdsaP256(pair) => pair.public_key().as_der(),
        };
        der.map(|der| STANDARD.encode(der.as_ref()))
            .map_err(|_| Error::Failed)
    }

    /// Signs a message.
    ///
    /// # Errors
    /// Where the library fails.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signed = match self {
            Self::Ed25519(pair) => pair.try_sign(message),
            Self::EcdsaP256(pair) => pair.sign(&SystemRandom::new(), message),
        };
        signed
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| Error::Failed)
    }
}

impl PublicKey {
    /// Parses PEM, base64 of DER, or base64 of the raw key.
    ///
    /// # Errors
    /// Where it is not a key of this algorithm.
    pub fn parse(algorithm: SigningAlgorithm, text: &str) -> Result<Self, Error> {
        let bytes = unwrapped(text, "PUBLIC KEY").or_else(|| decoded(text));
        let bytes = bytes.ok_or(Error::Encoding)?;
        let parsed = match algorithm {
            SigningAlgorithm::Ed25519 => ParsedPublicKey::new(&ED25519, bytes),
            SigningAlgorithm::EcdsaP256 => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes),
        };
        parsed.map(Self).map_err(|_| Error::Public(algorithm))
    }

    /// Verifies a signature of the message by the private key.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.verify_sig(message, signature).is_ok()
    }
}

/// Content of a PEM block with this label.
fn unwrapped(text: &str, label: &str) -> Option<Vec<u8>> {
    let rest = text
        .trim()
        .strip_prefix(&format!("-----BEGIN {label}-----"))?;
    decoded(rest.strip_suffix(&format!("-----END {label}-----"))?)
}

/// Decodes base64, ignoring whitespace.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let dense: String = text.split_ascii_whitespace().collect();
    STANDARD.decode(dense).ok()
}
