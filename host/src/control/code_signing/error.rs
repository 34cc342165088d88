//! Errors of code signing configurations, and of packages that they refuse.

use super::verify::Damage;
use crate::store::blob::Digest;

/// Error of a code signing configuration, or of a package that it refuses.
#[derive(Debug, thiserror::Error)]
pub enum CodeSigningError {
    /// No configuration of this ARN.
    #[error("The Lambda code signing configuration {0} can not be found.")]
    NotFound(String),
    /// No configuration of this ARN that a function could have.
    #[error(
        "The code signing configuration cannot be found. Check that the provided configuration is not \
         deleted: {0}."
    )]
    NotAttachable(String),
    /// Functions have the configuration of this ARN.
    #[error(
        "The code signing configuration {0} is in use by functions. Remove it from them before you \
         delete it."
    )]
    InUse(String),
    /// The package is signed and is not what was signed.
    #[error("The code signature of {subject} failed the integrity check: {damage}.")]
    InvalidSignature {
        /// The function or layer.
        subject: String,
        /// The fault of the signature.
        damage: Damage,
    },
    /// The package has no signature that counts, and the configuration asks for one; the function or layer.
    #[error(
        "Lambda cannot deploy the function. The function or layer might be signed using a signature that \
         the client is not configured to accept. Check the provided signature for {0}."
    )]
    VerificationFailed(String),
    /// A function of images, whose signatures this host does not check.
    #[error(
        "Code signing is not supported for functions created with container images. Remove the code signing \
         configuration, or use a signed package."
    )]
    Image,
    /// The package of a layer that a record names is not on the disk.
    #[error("the package {1} of {0} is gone")]
    PackageLost(String, Digest),
}
