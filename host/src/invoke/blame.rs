//! Blame for an invocation that failed: the caller, the function or the host. The one classification, for the
//! API's answers, function URLs, logs, metrics and embedders.

use super::live::LoadError;
use super::live::admission::Lack;
use super::{Error, admit, lease, resolve};
use crate::sandbox::{Cause, Failure, MountProblem};
use crate::telemetry::metrics::{self, Metrics, Throttle};

/// The party that has to change something before the same call can succeed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub enum Blame {
    /// The caller: a name that is not there, a tenant that is missing, a concurrency limit that is reached.
    Caller,
    /// The function: its code fails, or this host cannot run it.
    Function,
    /// The host: it is full, or something of its own failed.
    Host,
}

impl Blame {
    /// The party to blame for a failure.
    pub fn of(failure: &Failure) -> Self {
        // Most limits of the host end an invocation before it begins, as an `Error`. A guest that is refused memory
        // has run already, and is not run again.
        match failure.cause {
            Cause::Host => Self::Host,
            Cause::Handler | Cause::Response | Cause::Environment | Cause::Timeout => {
                Self::Function
            }
        }
    }

    /// The name in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Function => "function",
            Self::Host => "host",
        }
    }
}

impl Error {
    /// The party to blame.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Resolve(
                resolve::Error::NotFound(_)
                | resolve::Error::Recursive(_)
                | resolve::Error::NotActive { .. }
                | resolve::Error::TenantMissing
                | resolve::Error::TenantUnexpected,
            )
            | Self::Admit(admit::Error::Reserved | admit::Error::Account)
            | Self::Lease(lease::Error::Full(Lack::Burst)) => Blame::Caller,
            Self::Lease(lease::Error::Load(LoadError::Runtime(_) | LoadError::NoComponent)) => {
                Blame::Function
            }
            Self::Lease(lease::Error::Mount(error)) => match error.problem {
                MountProblem::Undeclared => Blame::Function,
                _ => Blame::Host,
            },
            Self::Lease(
                lease::Error::Full(_)
                | lease::Error::Load(LoadError::Failed(_))
                | lease::Error::Host(_),
            ) => Blame::Host,
        }
    }

    /// Writes a failure to the host's log: of the host at once, of others and of a full host, which may be
    /// thousands a second, for those who look for them.
    pub fn log(&self) {
        let (error, blame) = (self as &dyn std::error::Error, self.blame().as_str());
        let is_full = matches!(self, Self::Lease(lease::Error::Full(_)));
        if self.blame() == Blame::Host && !is_full {
            tracing::error!(blame, error, "an invocation failed");
        } else {
            tracing::debug!(blame, error, "an invocation was refused");
        }
    }

    /// Counts an invocation that did not reach its function.
    pub(super) fn count(&self, metrics: &Metrics) {
        match self {
            Self::Admit(admit::Error::Reserved) => metrics.throttled(Throttle::Reserved),
            Self::Admit(admit::Error::Account) => metrics.throttled(Throttle::Account),
            Self::Lease(lease::Error::Full(lack)) => metrics.throttled(match lack {
                Lack::Environments => Throttle::Environments,
                // The latter is of provisioning, which no invocation waits for.
                Lack::Memory | Lack::Provisioned => Throttle::Memory,
                Lack::Scratch => Throttle::Scratch,
                Lack::Machine => Throttle::Machine,
                Lack::Burst => Throttle::Burst,
            }),
            Self::Resolve(_) | Self::Lease(_) => metrics.failed(match self.blame() {
                Blame::Caller => metrics::Fault::Caller,
                Blame::Function => metrics::Fault::Function,
                Blame::Host => metrics::Fault::Host,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_host_is_not_the_callers_fault() {
        let io = || Box::new(std::io::Error::other("disk"));
        for (error, expected) in [
            (Error::Lease(lease::Error::Full(Lack::Memory)), Blame::Host),
            (
                Error::Lease(lease::Error::Load(LoadError::Failed(io()))),
                Blame::Host,
            ),
            (
                Error::Lease(lease::Error::Load(LoadError::Runtime("python".into()))),
                Blame::Function,
            ),
            (Error::Admit(admit::Error::Account), Blame::Caller),
            (Error::Lease(lease::Error::Full(Lack::Burst)), Blame::Caller),
            (Error::Resolve(resolve::Error::TenantMissing), Blame::Caller),
        ] {
            assert_eq!(error.blame(), expected, "{error}");
        }
    }
}
