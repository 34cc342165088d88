//! Errors of a function's configuration.

use crate::library::runtime;

/// Error of a function's configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// A runtime that this host does not have.
    #[error("{}", runtime::not_available(.0))]
    RuntimeNotAvailable(String),
    /// A managed runtime that is not installed.
    #[error("{}", runtime::not_installed(.0))]
    RuntimeNotInstalled(&'static runtime::Managed),
    /// A runtime that AWS has no more.
    #[error(
        "The runtime parameter of {0} is no longer supported for creating or updating AWS Lambda functions. \
         We recommend you use a supported runtime while creating or updating functions."
    )]
    RuntimeEnded(String),
    /// A member above its bound.
    #[error(
        "'{name}' value failed to satisfy constraint: Member must have value less than or equal to {max}"
    )]
    TooLarge {
        /// The member.
        name: &'static str,
        /// Its bound.
        max: u32,
    },
    /// A mount path that is no directory below `/mnt`.
    #[error("LocalMountPath {0} names no directory below /mnt.")]
    MountPath(String),
    /// Subnets without security groups, or the other way round.
    #[error("SubnetIds and SecurityIds must coexist or be both empty list.")]
    VpcIncomplete,
    /// Environment variables that only the host may set.
    #[error(
        "Lambda was unable to configure your environment variables because the environment variables you \
         have provided contains reserved keys that are currently not supported for modification. Reserved \
         keys used in this request: {0}"
    )]
    ReservedVariables(String),
    /// Environment variables that are too long; as JSON.
    #[error(
        "Lambda was unable to configure your environment variables because the environment variables you \
         have provided exceeded the 4KB limit. String measured: {0}"
    )]
    VariablesTooLong(String),
}
