//! Errors of functions.

use crate::names::FunctionName;

/// Error of a function.
#[derive(Debug, thiserror::Error)]
pub enum FunctionError {
    /// No such function, version or alias; the ARN that was asked for.
    #[error("Function not found: {0}")]
    NotFound(String),
    /// The name is taken.
    #[error("Function already exist: {0}")]
    AlreadyExists(FunctionName),
    /// An image for a function of packages.
    #[error("Please don't provide ImageUri when updating a function with packageType Zip.")]
    ImageForPackage,
    /// A package for a function of images.
    #[error("Please provide ImageUri when updating a function with packageType Image.")]
    PackageForImage,
    /// Members of packages for a function of images.
    #[error(
        "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image."
    )]
    MembersOfPackage,
    /// Members of images for a function of packages.
    #[error("Please don't provide ImageConfig when the intended function PackageType is Zip.")]
    MembersOfImage,
    /// The function is being created.
    #[error(
        "The operation cannot be performed at this time. The function is currently in the following \
         state: Pending"
    )]
    Pending,
    /// An update of the function, by its ARN, is in progress.
    #[error(
        "The operation cannot be performed at this time. An update is in progress for resource: {0}"
    )]
    UpdateInProgress(String),
}
