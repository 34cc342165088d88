//! Errors of autoscaling. Texts are AWS's where a recording has one.

/// Error of an operation on a scalable target.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AutoscalingError {
    /// Not a version or alias.
    #[error(
        "The resource ID of provisioned concurrency is function:NAME:QUALIFIER, where the qualifier is a version \
         number or an alias."
    )]
    Unqualified,
    /// No such version or alias.
    #[error("There is no version or alias of the resource ID: {0}")]
    NoResource(String),
    /// Registration without bounds.
    #[error("MinCapacity and MaxCapacity are required to register a scalable target.")]
    BoundsMissing,
    /// Contradicting bounds.
    #[error("Minimum capacity cannot be greater than maximum capacity")]
    MinAboveMax,
    /// Not registered, by resource id.
    #[error(
        "No scalable target found for service namespace: lambda, resource ID: {0}, scalable dimension: \
         lambda:function:ProvisionedConcurrency"
    )]
    NoTarget(String),
    /// Not registered, by ARN.
    #[error("There is no scalable target of this ARN.")]
    NoTargetOfId,
    /// No such policy.
    #[error(
        "No scaling policy found for service namespace: lambda, resource ID: {0}, scalable dimension: \
         lambda:function:ProvisionedConcurrency, policy name: {1}"
    )]
    NoPolicy(String, String),
    /// No such scheduled action.
    #[error(
        "No scheduled action found for service namespace: lambda, resource ID: {0}, scalable dimension: \
         lambda:function:ProvisionedConcurrency, scheduled action name: {1}"
    )]
    NoAction(String, String),
    /// Schedule, time zone or bounds of an action.
    #[error("{0}")]
    Action(String),
    /// Too many policies.
    #[error("A scalable target has at most 50 scaling policies.")]
    TooManyPolicies,
    /// Too many scheduled actions.
    #[error("A scalable target has at most 200 scheduled actions.")]
    TooManyActions,
    /// Tags in a registration that changes another.
    #[error("The scalable target is registered. Use TagResource to tag it.")]
    TagsOfExisting,
    /// Too many tags.
    #[error("A scalable target has at most 50 tags.")]
    TooManyTags,
}
