//! Container images: references, registries, and the files of an image. An image's tree is named by the digest of its
//! manifest, and kept like that of a package.

use std::io;
use std::time::Duration;

mod challenge;
mod credentials;
mod filesystem;
mod manifest;
mod pull;
mod reference;
mod registry;
mod settings;

pub use credentials::{Credentials, Login};
#[cfg(feature = "cli")]
pub use manifest::{Descriptor, MEDIA_CONFIG, MEDIA_MANIFEST, MEDIA_WASM};
pub use pull::{Image, Pulled};
pub use reference::Reference;
pub use registry::{Config, Registries, RegistryConfig, Session};
pub use settings::{Overrides, Settings};

/// Error of an image that was not pulled. The texts begin with AWS's own where AWS has one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a reference to an image.
    #[error("Source image {uri} is not valid. Provide a valid source image. ({problem})")]
    Reference {
        /// The reference.
        uri: String,
        /// Problem with it.
        problem: &'static str,
    },
    /// The registry has no such image.
    #[error("Source image {0} does not exist. Provide a valid source image.")]
    Missing(String),
    /// The registry refuses the host.
    #[error(
        "Lambda does not have permission to access the image {uri}. Check the permissions. (The registry answered \
         {status}. Credentials are set under [[images.registries]] in lamina.toml, or in Docker's config.json that \
         docker_config names.)"
    )]
    Denied {
        /// The image.
        uri: String,
        /// Status of the registry's answer.
        status: u16,
    },
    /// A manifest, configuration or layer of an unknown kind.
    #[error(
        "The image manifest, config or layer media type for the source image {uri} is not supported. ({problem})"
    )]
    MediaType {
        /// The image.
        uri: String,
        /// Deviation.
        problem: String,
    },
    /// The image's content contradicts its manifest, or is not allowed.
    #[error("The image {uri} is not valid: {problem}.")]
    Content {
        /// The image.
        uri: String,
        /// Deviation.
        problem: String,
    },
    /// The image is too large.
    #[error(
        "The image {uri} is larger than {max} bytes; image_bytes under [images] in lamina.toml sets this limit."
    )]
    TooLarge {
        /// The image.
        uri: String,
        /// The limit.
        max: u64,
    },
    /// The registry could not be reached, or failed.
    #[error("The registry {registry} could not be read: {problem}.")]
    Registry {
        /// Host and port.
        registry: String,
        /// Failure.
        problem: String,
        /// True if a retry may succeed.
        may_pass: bool,
    },
    /// The image was not transferred in time.
    #[error("The registry {registry} did not send the image within {} s.", .after.as_secs())]
    TimedOut {
        /// Host and port.
        registry: String,
        /// The limit.
        after: Duration,
    },
    /// The disk failed.
    #[error(transparent)]
    Sink(io::Error),
}

impl Error {
    /// AWS's `StateReasonCode` for it.
    pub fn reason_code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "ImageDeleted",
            Self::Denied { .. } => "ImageAccessDenied",
            Self::Registry { .. } | Self::TimedOut { .. } | Self::Sink(_) => "InternalError",
            Self::Reference { .. }
            | Self::MediaType { .. }
            | Self::Content { .. }
            | Self::TooLarge { .. } => "InvalidImage",
        }
    }

    fn may_pass(&self) -> bool {
        matches!(self, Self::Registry { may_pass: true, .. })
    }
}
