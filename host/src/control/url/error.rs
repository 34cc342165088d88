//! Errors of function URLs.

/// Error of a function URL.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// The function or alias of this ARN has a URL.
    #[error(
        "Failed to create function url config for [functionArn = {0}]. Error message:  \
         FunctionUrlConfig exists for this Lambda function"
    )]
    AlreadyExists(String),
    /// No such URL.
    #[error("The resource you requested does not exist.")]
    NotFound,
    /// No such function or alias.
    #[error("Function does not exist")]
    FunctionMissing,
}
