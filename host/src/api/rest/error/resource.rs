//! Mapping of resource errors to AWS's exceptions. Messages are the errors' own; AWS's quirks are
//! here only: the exception, and the cases without `Type`, the member that says whose fault it is.

use ErrorShape::{
    AccessDeniedException, CodeSigningConfigNotFoundException, CodeStorageExceededException,
    CodeVerificationFailedException, InvalidCodeSignatureException, InvalidParameterValueException,
    PolicyLengthExceededException, PreconditionFailedException,
    ProvisionedConcurrencyConfigNotFoundException, RequestEntityTooLargeException,
    ResourceConflictException, ResourceInUseException, ResourceNotFoundException, ServiceException,
    ValidationException,
};

use super::throttled;
use crate::api::rest::wire::{ErrorShape, Fault};
use crate::control::Error;
use crate::control::alias::AliasError;
use crate::control::code_signing::CodeSigningError;
use crate::control::concurrency::ConcurrencyError;
use crate::control::configuration::ConfigurationError;
use crate::control::event_invoke::EventInvokeError;
use crate::control::event_source::EventSourceError;
use crate::control::function::FunctionError;
use crate::control::layer::LayerError;
use crate::control::origin::PackageError;
use crate::control::permission::PermissionError;
use crate::control::tags::TagError;
use crate::control::url::UrlError;
use crate::control::version::VersionError;
use crate::library::package;
use crate::store;

/// Mapping of an error.
enum Exception {
    /// AWS's exception with the error's message.
    Of(ErrorShape),
    /// The same, without `Type`.
    Untyped(ErrorShape),
    /// Throttled caller.
    Throttled,
    /// Host failure, explained in its log only.
    Host,
}

use Exception::{Host, Of, Throttled, Untyped};

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match exception(&error) {
            Of(shape) => Self::new(shape, error.to_string()),
            Untyped(shape) => Self::new(shape, error.to_string()).untyped(),
            Throttled => throttled(),
            Host => of_host(&error),
        }
    }
}

/// Operations on code signing configurations omit `Type` if there is none; the tag operations do
/// not.
pub(in crate::api::rest) fn of_code_signing(error: Error) -> Fault {
    let missing = matches!(error, Error::CodeSigning(CodeSigningError::NotFound(_)));
    let fault = Fault::from(error);
    if missing { fault.untyped() } else { fault }
}

fn of_host(error: &Error) -> Fault {
    // The caller can remedy a full disk, by deleting resources.
    if let Error::Store(full @ store::Error::Full) = error {
        tracing::error!("a request was refused: the disk of the data directory is full");
        return Fault::new(ServiceException, full.to_string());
    }
    tracing::error!(error = error as &dyn std::error::Error, "a request failed");
    Fault::new(ServiceException, "The host failed. See its log.")
}

fn exception(error: &Error) -> Exception {
    match error {
        Error::Function(error) => function(error),
        Error::Package(error) => package(error),
        // Bounds of the account are refused like bounds of the model, as AWS refuses them.
        Error::Configuration(ConfigurationError::TooLarge { .. }) => Of(ValidationException),
        Error::Configuration(_) => Of(InvalidParameterValueException),
        Error::Version(error) => version(error),
        Error::Alias(error) => alias(error),
        Error::Concurrency(error) => concurrency(error),
        // Of another API.
        Error::Autoscaling(_) => Of(InvalidParameterValueException),
        Error::CodeStorage(_) => Of(CodeStorageExceededException),
        Error::EventInvoke(error) => event_invoke(error),
        Error::EventSource(error) => event_source(error),
        Error::Layer(error) => layer(error),
        Error::Permission(error) => permission(error),
        Error::CodeSigning(error) => code_signing(error),
        Error::Url(error) => url(error),
        Error::Tags(error) => tags(error),
        Error::Revision(_) => Of(PreconditionFailedException),
        Error::Concurrent => Of(ResourceConflictException),
        Error::Damaged(_) | Error::Sealed(_) | Error::Store(_) => Host,
    }
}

fn function(error: &FunctionError) -> Exception {
    match error {
        FunctionError::NotFound(_) => Of(ResourceNotFoundException),
        FunctionError::ImageForPackage
        | FunctionError::PackageForImage
        | FunctionError::MembersOfPackage
        | FunctionError::MembersOfImage => Of(InvalidParameterValueException),
        FunctionError::AlreadyExists(_)
        | FunctionError::Pending
        | FunctionError::UpdateInProgress(_) => Of(ResourceConflictException),
    }
}

fn package(error: &PackageError) -> Exception {
    match error {
        // The size limit of an S3 object is no fault of the request.
        PackageError::Upload(package::Error::ZippedTooLarge(_)) => {
            Of(RequestEntityTooLargeException)
        }
        PackageError::Upload(_)
        | PackageError::Object(_)
        | PackageError::Fetch(_)
        | PackageError::Image(_)
        | PackageError::Component(_) => Of(InvalidParameterValueException),
        PackageError::Busy(_) => Throttled,
        PackageError::Library(_) => Host,
    }
}

fn version(error: &VersionError) -> Exception {
    match error {
        VersionError::OtherCode { .. } => Of(InvalidParameterValueException),
        VersionError::Referenced(_) => Of(ResourceConflictException),
    }
}

fn alias(error: &AliasError) -> Exception {
    match error {
        AliasError::AlreadyExists(_) => Of(ResourceConflictException),
        AliasError::NotFound(_) | AliasError::NotFoundByUpdate(_) => Of(ResourceNotFoundException),
        AliasError::TooManyWeights | AliasError::SameVersion(_) => {
            Of(InvalidParameterValueException)
        }
        AliasError::LatestWithWeights => Untyped(InvalidParameterValueException),
    }
}

fn concurrency(error: &ConcurrencyError) -> Exception {
    match error {
        ConcurrencyError::NotProvisioned => Of(ProvisionedConcurrencyConfigNotFoundException),
        ConcurrencyError::ReserveBelowProvisioned { .. }
        | ConcurrencyError::AboveAccount(_)
        | ConcurrencyError::TooLittleUnreserved { .. }
        | ConcurrencyError::AboveHost { .. } => Untyped(InvalidParameterValueException),
        ConcurrencyError::AboveReserve
        | ConcurrencyError::TenantIsolation
        | ConcurrencyError::Weights
        | ConcurrencyError::NotPublished
        | ConcurrencyError::Unpublished => Of(InvalidParameterValueException),
        ConcurrencyError::VersionIsProvisioned | ConcurrencyError::AliasIsProvisioned => {
            Of(ResourceConflictException)
        }
    }
}

fn event_invoke(error: &EventInvokeError) -> Exception {
    match error {
        EventInvokeError::FunctionMissing | EventInvokeError::NotFound(_) => {
            Of(ResourceNotFoundException)
        }
        EventInvokeError::Empty
        | EventInvokeError::DestinationConfig(_)
        | EventInvokeError::Destination(_)
        | EventInvokeError::OwnDestination => Of(InvalidParameterValueException),
    }
}

fn event_source(error: &EventSourceError) -> Exception {
    match error {
        EventSourceError::NotFound | EventSourceError::NotFoundByArn(_) => {
            Of(ResourceNotFoundException)
        }
        EventSourceError::AlreadyMapped { .. } => Of(ResourceConflictException),
        EventSourceError::InUse(_) => Of(ResourceInUseException),
        // All others concern a member of the request, also a missing function.
        _ => Of(InvalidParameterValueException),
    }
}

fn layer(error: &LayerError) -> Exception {
    match error {
        LayerError::NotFound | LayerError::NotFoundByArn(_) => Of(ResourceNotFoundException),
        LayerError::Denied { .. } => Of(AccessDeniedException),
        LayerError::VersionZero
        | LayerError::TooMany
        | LayerError::Missing(_)
        | LayerError::OtherRegion(_)
        | LayerError::TwoVersions(..)
        | LayerError::TooLarge
        | LayerError::TooLargeWithCode(_) => Of(InvalidParameterValueException),
    }
}

fn permission(error: &PermissionError) -> Exception {
    match error {
        PermissionError::StatementExists(_) => Of(ResourceConflictException),
        PermissionError::StatementMissing(_)
        | PermissionError::NoPolicy
        | PermissionError::NoPolicyOf(_)
        | PermissionError::NotFound => Of(ResourceNotFoundException),
        PermissionError::TooLong { .. } => Of(PolicyLengthExceededException),
        PermissionError::Latest
        | PermissionError::NotAPolicy(_)
        | PermissionError::OtherAction { .. }
        | PermissionError::Principal
        | PermissionError::PrincipalPattern(_) => Of(InvalidParameterValueException),
    }
}

fn code_signing(error: &CodeSigningError) -> Exception {
    match error {
        CodeSigningError::NotFound(_) => Of(ResourceNotFoundException),
        CodeSigningError::NotAttachable(_) => Of(CodeSigningConfigNotFoundException),
        CodeSigningError::Image => Of(InvalidParameterValueException),
        CodeSigningError::InUse(_) => Of(ResourceConflictException),
        CodeSigningError::InvalidSignature { .. } => Of(InvalidCodeSignatureException),
        CodeSigningError::VerificationFailed(_) => Of(CodeVerificationFailedException),
        CodeSigningError::PackageLost(..) => Host,
    }
}

fn url(error: &UrlError) -> Exception {
    match error {
        UrlError::AlreadyExists(_) => Of(ResourceConflictException),
        UrlError::NotFound | UrlError::FunctionMissing => Of(ResourceNotFoundException),
    }
}

fn tags(error: &TagError) -> Exception {
    match error {
        TagError::Empty | TagError::TooMany | TagError::ReservedKey => {
            Of(InvalidParameterValueException)
        }
        TagError::NoCapacityProvider(_) | TagError::NotFound => Of(ResourceNotFoundException),
    }
}
