//! Errors of reserved and provisioned concurrency.

/// Error of reserved or provisioned concurrency.
#[derive(Debug, thiserror::Error)]
pub enum ConcurrencyError {
    /// No concurrency is provisioned for the version or alias.
    #[error("No Provisioned Concurrency Config found for this function")]
    NotProvisioned,
    /// Reserve below the provisioned concurrency. The spaces are AWS's.
    #[error(
        " ReservedConcurrentExecutions  {reserved} should not be lower than function's total provisioned \
         concurrency [{provisioned}]."
    )]
    ReserveBelowProvisioned {
        /// The reserve that was asked for.
        reserved: u32,
        /// Provisioned concurrency of all versions and aliases of the function.
        provisioned: u32,
    },
    /// More is provisioned than the function's reserve.
    #[error(
        "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution \
         for function"
    )]
    AboveReserve,
    /// More than the account has.
    #[error(
        "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [{0}]."
    )]
    AboveAccount(u32),
    /// Too little would be left for functions without a reserve.
    #[error(
        "Specified {member} for function decreases account's UnreservedConcurrentExecution below its \
         minimum value of [{min}]."
    )]
    TooLittleUnreserved {
        /// The member of the request.
        member: &'static str,
        /// Concurrency that must be left.
        min: u32,
    },
    /// The host has not enough environments left.
    #[error(
        "Specified ConcurrentExecutions for function is greater than what this host can still provision \
         [{left}]: of its {environments} environments (limits.environments), {provisioned} are provisioned."
    )]
    AboveHost {
        /// Environments that can still be provisioned.
        left: u32,
        /// Environments of the host.
        environments: u32,
        /// Environments that are provisioned.
        provisioned: u32,
    },
    /// The function isolates tenants.
    #[error(
        "Provisioned concurrency is not supported for functions with tenant isolation enabled."
    )]
    TenantIsolation,
    /// The alias leads to two versions.
    #[error("Alias with weights can not be used with Provisioned Concurrency")]
    Weights,
    /// An alias leads to a version that has provisioned concurrency of its own.
    #[error(
        "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
    )]
    VersionIsProvisioned,
    /// A provisioned alias leads to the version.
    #[error("Version is pointed by a Provisioned Concurrency alias")]
    AliasIsProvisioned,
    /// The unpublished version was asked for.
    #[error("The function resource provided must be an alias or a published version.")]
    NotPublished,
    /// The unpublished version, or an alias that leads to it, was to be provisioned.
    #[error("Provisioned Concurrency Configs cannot be applied to unpublished function versions.")]
    Unpublished,
}
