//! Errors of the embedding API, by what the embedder can do about them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::control;
use crate::control::function::FunctionError as Missing;
use crate::control::origin::PackageError;
use crate::invoke::live::LoadError;
use crate::invoke::{self, Blame, admit, lease, resolve};
use crate::sandbox::Cause;

/// Error of a host or an invocation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name, an event, an option or a component that this host does not accept.
    #[error("{0}")]
    Invalid(String),
    /// No such function, version or alias.
    #[error("{0}")]
    NotFound(String),
    /// The function is being created or updated, or its creation failed.
    #[error("{0}")]
    NotActive(String),
    /// The function was invoked too often in one chain of invocations, and stops such loops.
    #[error("{0}")]
    Recursive(String),
    /// A concurrency limit is reached. The same call may succeed later.
    #[error("{0}")]
    Throttled(Throttle),
    /// The function failed.
    #[error(transparent)]
    Function(Box<FunctionError>),
    /// The function needs a runtime or a component that this host does not have.
    #[error("{0}")]
    Unrunnable(String),
    /// The host was dropped, or drains.
    #[error("the host has ended")]
    Ended,
    /// The host or its machine failed.
    #[error(transparent)]
    Host(Box<dyn std::error::Error + Send + Sync>),
    /// The address is in use, or not one of this machine.
    #[error("cannot listen on {address}")]
    Listen {
        /// Address.
        address: std::net::SocketAddr,
        /// Error of the operating system.
        source: std::io::Error,
    },
}

/// Limit that throttled a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Throttle {
    /// Reserved concurrency of the function.
    #[error("the function's reserved concurrency is in use")]
    Reserved,
    /// Concurrency of the account.
    #[error("the account's concurrency is in use")]
    Account,
    /// Environments, memory or scratch space of the host or its machine.
    #[error("the host can open no other environment")]
    Host,
}

/// Failure of a function: its handler returned an error, or its environment ended.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{error_type}: {message}")]
#[non_exhaustive]
pub struct FunctionError {
    /// Kind of failure.
    pub kind: FunctionErrorKind,
    /// The party to blame: the host if it refused the guest memory within its limit, else the function.
    pub blame: Blame,
    /// `errorType`, such as `Runtime.ExitError`, or the handler's own.
    pub error_type: String,
    /// `errorMessage`.
    pub message: String,
    /// JSON document that a client of Invoke gets.
    pub payload: Bytes,
    /// Version that ran: a number or `$LATEST`.
    pub executed_version: Arc<str>,
    /// End of the function's log, if requested.
    pub log_tail: Option<Bytes>,
    /// Duration of the invocation.
    pub duration: Duration,
}

/// Kind of a function's failure.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
#[non_exhaustive]
pub enum FunctionErrorKind {
    /// The handler returned an error.
    Handler,
    /// The response cannot be sent: too large, or malformed.
    Response,
    /// The guest trapped, exited or ran out of memory.
    Environment,
    /// The time limit of the function or the caller passed.
    Timeout,
    /// The host refused the guest memory within its limit.
    Host,
}

impl Error {
    /// The party that has to change something before the same call can succeed.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Invalid(_)
            | Self::NotFound(_)
            | Self::NotActive(_)
            | Self::Recursive(_)
            | Self::Ended
            | Self::Listen { .. }
            | Self::Throttled(Throttle::Reserved | Throttle::Account) => Blame::Caller,
            Self::Function(error) => error.blame,
            Self::Unrunnable(_) => Blame::Function,
            Self::Throttled(Throttle::Host) | Self::Host(_) => Blame::Host,
        }
    }

    pub(super) fn host(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Host(error.into())
    }
}

impl From<Cause> for FunctionErrorKind {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Handler => Self::Handler,
            Cause::Response => Self::Response,
            Cause::Environment => Self::Environment,
            Cause::Timeout => Self::Timeout,
            Cause::Host => Self::Host,
        }
    }
}

impl From<invoke::Error> for Error {
    fn from(error: invoke::Error) -> Self {
        error.log();
        let text = error.to_string();
        match error {
            invoke::Error::Resolve(error) => match error {
                resolve::Error::NotFound(_) => Self::NotFound(text),
                resolve::Error::NotActive { .. } => Self::NotActive(text),
                resolve::Error::Recursive(_) => Self::Recursive(text),
                resolve::Error::TenantMissing | resolve::Error::TenantUnexpected => {
                    Self::Invalid(text)
                }
            },
            invoke::Error::Admit(admit::Error::Reserved) => Self::Throttled(Throttle::Reserved),
            invoke::Error::Admit(admit::Error::Account) => Self::Throttled(Throttle::Account),
            invoke::Error::Lease(lease::Error::Full(_)) => Self::Throttled(Throttle::Host),
            invoke::Error::Lease(lease::Error::Load(
                LoadError::Runtime(_) | LoadError::NoComponent,
            )) => Self::Unrunnable(text),
            invoke::Error::Lease(lease::Error::Mount(_)) => Self::Unrunnable(text),
            error @ invoke::Error::Lease(_) => Self::host(error),
        }
    }
}

impl From<control::Error> for Error {
    fn from(error: control::Error) -> Self {
        use control::Error as E;
        match error {
            E::Function(Missing::NotFound(_)) => Self::NotFound(error.to_string()),
            E::Function(Missing::Pending | Missing::UpdateInProgress(_)) | E::Concurrent => {
                Self::NotActive(error.to_string())
            }
            E::Damaged(_) | E::Sealed(_) | E::Store(_) => Self::host(error),
            E::Package(PackageError::Library(_)) => Self::host(error),
            error => Self::Invalid(error.to_string()),
        }
    }
}
