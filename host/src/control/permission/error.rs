//! Errors of resource policies, of functions and of versions of layers.

/// Error of a resource policy.
#[derive(Debug, thiserror::Error)]
pub enum PermissionError {
    /// The policy has a statement of this id.
    #[error(
        "The statement id ({0}) provided already exists. Please provide a new statement id, or remove \
         the existing statement."
    )]
    StatementExists(String),
    /// The policy has no statement of this id.
    #[error("Statement {0} is not found in resource policy.")]
    StatementMissing(String),
    /// No policy to change.
    #[error("No policy is associated with the given resource.")]
    NoPolicy,
    /// No policy to take a statement out of, since there is no function of this ARN.
    #[error("No policy found for: {0}")]
    NoPolicyOf(String),
    /// No policy to show.
    #[error("The resource you requested does not exist.")]
    NotFound,
    /// A policy for the unpublished version alone.
    #[error("We currently do not support adding policies for $LATEST.")]
    Latest,
    /// A policy that is too long.
    #[error("The final policy size ({bytes}) is bigger than the limit ({bytes_max}).")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// A document that is no policy.
    #[error("The policy is not valid: {0}")]
    NotAPolicy(String),
    /// A member of AddPermission that goes with one action alone.
    #[error("{member} is only supported for {action} action")]
    OtherAction {
        /// The member.
        member: &'static str,
        /// The action that it goes with.
        action: &'static str,
    },
    /// A principal that could be a name, and is none.
    #[error("The provided principal was invalid. Please check the principal and try again.")]
    Principal,
    /// A principal with characters that names do not have.
    #[error(
        "The provided input'{0}'was invalid. Member must satisfy expression: [\\w+=,.@-]* Please check \
         your input and try again."
    )]
    PrincipalPattern(String),
}
