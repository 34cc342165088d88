//! Errors of aliases.

/// Error of an alias.
#[derive(Debug, thiserror::Error)]
pub enum AliasError {
    /// The alias of this ARN exists.
    #[error("Alias already exists: {0}")]
    AlreadyExists(String),
    /// No alias of this ARN.
    #[error("Cannot find alias arn: {0}")]
    NotFound(String),
    /// No alias of this ARN, in the words of UpdateAlias.
    #[error("Alias not found: {0}")]
    NotFoundByUpdate(String),
    /// More than one second version.
    #[error("Number of items in AdditionalVersionWeights cannot be greater than 1")]
    TooManyWeights,
    /// A second version beside the unpublished one.
    #[error("$LATEST is not supported for an alias pointing to more than 1 version")]
    LatestWithWeights,
    /// The second version is the first.
    #[error(
        "Invalid function version {0}. Function version {0} is already included in routing configuration."
    )]
    SameVersion(u64),
}
