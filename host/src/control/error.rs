//! Error of operations on resources: of one resource type, or of the store. Only `api::rest` maps
//! it to AWS's exceptions.

use super::alias::AliasError;
use super::autoscaling::AutoscalingError;
use super::code_signing::CodeSigningError;
use super::code_storage::CodeStorageError;
use super::concurrency::ConcurrencyError;
use super::configuration::ConfigurationError;
use super::event_invoke::EventInvokeError;
use super::event_source::EventSourceError;
use super::function::FunctionError;
use super::layer::LayerError;
use super::origin::PackageError;
use super::permission::PermissionError;
use super::record::Damaged;
use super::revision::RevisionMismatch;
use super::tags::TagError;
use super::url::UrlError;
use super::vault::OtherKey;
use super::version::VersionError;
use crate::store;

/// Error of a read or a change. Messages are AWS's where AWS has one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Of a function.
    #[error(transparent)]
    Function(#[from] FunctionError),
    /// Of a deployment package, whether of a function or of a layer.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// Of a function's configuration.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// Of a published version.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// Of an alias.
    #[error(transparent)]
    Alias(#[from] AliasError),
    /// Of the autoscaling of provisioned concurrency.
    #[error(transparent)]
    Autoscaling(#[from] AutoscalingError),
    /// Of reserved or provisioned concurrency.
    #[error(transparent)]
    Concurrency(#[from] ConcurrencyError),
    /// Of the account's code storage.
    #[error(transparent)]
    CodeStorage(#[from] CodeStorageError),
    /// Of the settings of asynchronous invocation.
    #[error(transparent)]
    EventInvoke(#[from] EventInvokeError),
    /// Of an event source mapping.
    #[error(transparent)]
    EventSource(#[from] EventSourceError),
    /// Of a layer.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// Of the resource policy of a function or of a layer's version.
    #[error(transparent)]
    Permission(#[from] PermissionError),
    /// Of a code signing configuration, or of a package that it refuses.
    #[error(transparent)]
    CodeSigning(#[from] CodeSigningError),
    /// Of a function URL.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// Of tags.
    #[error(transparent)]
    Tags(#[from] TagError),
    /// `RevisionId` mismatch.
    #[error(transparent)]
    Revision(#[from] RevisionMismatch),
    /// Conflict with a concurrent request.
    #[error("The resource was changed by another request at the same time. Try again.")]
    Concurrent,
    /// Unreadable record in the store.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// Environment variables encrypted with another key.
    #[error(transparent)]
    Sealed(#[from] OtherKey),
    /// The store failed; nothing was changed.
    #[error("the store failed")]
    Store(#[source] store::Error),
}

impl Error {
    /// True if the function, version or alias does not exist.
    pub(super) fn is_function_missing(&self) -> bool {
        matches!(self, Self::Function(FunctionError::NotFound(_)))
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Conflict(_) => Self::Concurrent,
            error => Self::Store(error),
        }
    }
}
