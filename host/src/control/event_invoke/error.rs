//! Errors of the settings of asynchronous invocation.

/// Error of the settings of asynchronous invocation.
#[derive(Debug, thiserror::Error)]
pub enum EventInvokeError {
    /// No such function, version or alias.
    #[error("The function doesn't exist.")]
    FunctionMissing,
    /// The function of this ARN has no such settings.
    #[error("The function {0} doesn't have an EventInvokeConfig")]
    NotFound(String),
    /// The request has no setting.
    #[error("You must specify at least one of error handling or destination setting.")]
    Empty,
    /// A destination of a kind that records are not sent to; the whole configuration.
    #[error("The provided destination config {0} is invalid.")]
    DestinationConfig(String),
    /// A destination that is not there.
    #[error("The destination ARN {0} is invalid.")]
    Destination(String),
    /// The function is its own destination.
    #[error("You can't specify the function as a destination for itself.")]
    OwnDestination,
}
