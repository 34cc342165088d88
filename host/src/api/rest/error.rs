//! The one translation of the host's errors into AWS's exceptions: of invocations and bodies here, of
//! resources in `resource`.

use super::wire::{ErrorShape, Fault};
use crate::api::body;
use crate::events;
use crate::invoke::live::LoadError;
use crate::invoke::snapshot::Readiness;
use crate::invoke::{self, admit, lease, resolve};
use crate::names::{Home, Qualifier};
use crate::sandbox::{MountError, MountProblem};
use crate::store;

mod resource;

pub(super) use resource::of_code_signing;

/// Delay after which a client may send a request again that was throttled.
const RETRY_SECONDS: u32 = 1;

/// A failed invocation; the ARN in the text is made for the host's own account and region.
pub(super) fn of_invoke(error: invoke::Error, home: &Home) -> Fault {
    error.log();
    match error {
        invoke::Error::Resolve(error) => of_resolve(&error, home),
        invoke::Error::Admit(error) => of_admit(error),
        invoke::Error::Lease(error) => of_lease(&error),
    }
}

fn of_resolve(error: &resolve::Error, home: &Home) -> Fault {
    match error {
        resolve::Error::NotFound(target) => {
            // Where no version was asked for, AWS names the one that would have been invoked.
            let qualifier = target.qualifier.as_ref().unwrap_or(&Qualifier::Latest);
            let arn = home.arn_at(&target.name, Some(qualifier));
            let text = format!("Function not found: {arn}");
            Fault::new(ErrorShape::ResourceNotFoundException, text)
        }
        resolve::Error::NotActive { target, state } => {
            let qualifier = target.qualifier.as_ref().unwrap_or(&Qualifier::Latest);
            tracing::debug!(%qualifier, "a function that is not active was invoked");
            let state = match state {
                Readiness::Active => "Active",
                Readiness::Pending => "Pending",
                Readiness::Inactive => "Inactive",
                Readiness::Failed => "Failed",
            };
            let text = format!(
                "The operation cannot be performed at this time. The function is currently in \
                 the following state: {state}"
            );
            Fault::new(ErrorShape::ResourceConflictException, text)
        }
        resolve::Error::Recursive(target) => Fault::new(
            ErrorShape::RecursiveInvocationException,
            format!(
                "Lambda has detected that your function {} is being invoked in a recursive loop with other AWS \
                 resources.",
                target.name
            ),
        ),
        resolve::Error::TenantMissing => Fault::new(
            ErrorShape::InvalidParameterValueException,
            "The invoked function is enabled with tenancy configuration. Add a valid tenant ID in \
             your request and try again.",
        ),
        resolve::Error::TenantUnexpected => Fault::new(
            ErrorShape::InvalidParameterValueException,
            "The invoked function is not enabled with tenancy configuration. Remove the tenant ID \
             from your request and try again.",
        ),
    }
}

fn of_admit(error: admit::Error) -> Fault {
    let reason = match error {
        admit::Error::Reserved => "ReservedFunctionConcurrentInvocationLimitExceeded",
        admit::Error::Account => "ConcurrentInvocationLimitExceeded",
    };
    Fault::new(ErrorShape::TooManyRequestsException, "Rate Exceeded.").with("Reason", reason)
}

fn of_lease(error: &lease::Error) -> Fault {
    match error {
        lease::Error::Full(_) => of_admit(admit::Error::Account),
        lease::Error::Load(LoadError::Runtime(text)) => {
            Fault::new(ErrorShape::InvalidRuntimeException, text.as_str())
        }
        lease::Error::Load(_) => Fault::new(
            ErrorShape::ServiceException,
            "The function's code could not be loaded.",
        ),
        lease::Error::Mount(error) => Fault::new(of_mount(error), error.to_string()),
        lease::Error::Host(_) => Fault::new(
            ErrorShape::ServiceException,
            "The service encountered an internal error.",
        ),
    }
}

fn of_mount(error: &MountError) -> ErrorShape {
    match (&error.problem, error.is_s3_files()) {
        (MountProblem::Undeclared | MountProblem::Failed(_), false) => {
            ErrorShape::EFSMountFailureException
        }
        (MountProblem::Undeclared | MountProblem::Failed(_) | MountProblem::Io(_), true) => {
            ErrorShape::S3FilesMountFailureException
        }
        (MountProblem::Io(_), false) => ErrorShape::EFSIOException,
        (MountProblem::Unconnected(_), false) => ErrorShape::EFSMountConnectivityException,
        (MountProblem::Unconnected(_), true) => ErrorShape::S3FilesMountConnectivityException,
        (MountProblem::TimedOut, false) => ErrorShape::EFSMountTimeoutException,
        (MountProblem::TimedOut, true) => ErrorShape::S3FilesMountTimeoutException,
    }
}

/// An event that could not be stored. Nothing of it runs: its sender may send it again.
pub(super) fn of_event(error: &events::Error) -> Fault {
    let events::Error::Store(cause) = error;
    tracing::error!(
        error = cause as &dyn std::error::Error,
        "an event could not be stored"
    );
    let text = match cause {
        store::Error::Full => {
            "The event was not queued: the disk of the data directory is full. Synchronous invocations go on."
        }
        _ => "The event was not queued: the store failed. See the host's log.",
    };
    Fault::new(ErrorShape::ServiceUnavailableException, text).retry_after(RETRY_SECONDS)
}

pub(super) fn of_body(error: &body::Error, operation: &str) -> Fault {
    match error {
        body::Error::TooLarge(bytes_max) => Fault::new(
            ErrorShape::RequestEntityTooLargeException,
            format!("Request must be smaller than {bytes_max} bytes for the {operation} operation"),
        ),
        body::Error::Ended => Fault::new(
            ErrorShape::InvalidRequestContentException,
            "The request's body ended before it was complete.",
        ),
        body::Error::Busy => throttled(),
    }
}

/// Throttling of a caller of the control plane, or of large bodies.
fn throttled() -> Fault {
    Fault::new(ErrorShape::TooManyRequestsException, "Rate Exceeded.")
        .with("Reason", "CallerRateLimitExceeded")
        .retry_after(RETRY_SECONDS)
}
