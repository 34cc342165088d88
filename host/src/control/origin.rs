//! Packages of requests, taken in by the library, and the library's errors in the words of AWS. Fetching
//! a package takes its time: callers do so before anything is changed, and hold nothing that others wait
//! for meanwhile.

use std::io::ErrorKind;

use super::configuration::ConfigurationError;
use super::{Control, Error};
use crate::invoke::live::LoadError;
use crate::library::{self, Delivery, Origin, Stored, image, package};
use crate::sandbox::compile;
use crate::store;
use crate::store::object::{self, Location};

impl Control {
    /// The package on the disk, wherever it comes from. Nothing is known of its content yet.
    ///
    /// # Errors
    /// Where it is too large, or is in S3 and cannot be had from there.
    pub(super) async fn package_from(&self, delivery: Delivery) -> Result<Stored, Error> {
        let location = match &delivery.origin {
            Origin::Upload(_) | Origin::Image(_) => None,
            Origin::Object(location) => Some(location.clone()),
        };
        let received = self.0.library.receive(delivery).await;
        received.map_err(|error| match (error, location) {
            // Its size is the fault of the object, not of the request.
            (library::Error::Package(error), Some(_)) => PackageError::Object(error).into(),
            (library::Error::Fetch(error), Some(location)) => {
                log_failure(&error, &location);
                PackageError::Fetch(error).into()
            }
            (error, _) => error.into(),
        })
    }
}

fn log_failure(error: &object::Error, location: &Location) {
    if !matches!(error, object::Error::Refused { .. }) {
        let Location { bucket, key, .. } = location;
        tracing::warn!(%error, bucket, key, "a package could not be fetched");
    }
}

/// Error of a deployment package.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The package of a request is not allowed.
    #[error(transparent)]
    Upload(package::Error),
    /// The package in S3 is not allowed. Its size is the fault of the object, not of the request.
    #[error(transparent)]
    Object(package::Error),
    /// The package could not be fetched from S3.
    #[error("{}", message(.0))]
    Fetch(object::Error),
    /// The image could not be pulled.
    #[error(transparent)]
    Image(image::Error),
    /// The component in the package cannot be run here.
    #[error(transparent)]
    Component(compile::Error),
    /// Too many deployments wait already, of this caller or of all.
    #[error(transparent)]
    Busy(library::QueueFull),
    /// The library failed.
    #[error(transparent)]
    Library(library::Error),
}

impl From<library::Error> for Error {
    fn from(error: library::Error) -> Self {
        match error {
            library::Error::Package(error) => error.into(),
            library::Error::Component(error) if error.is_callers_fault() => {
                PackageError::Component(error).into()
            }
            library::Error::Io(error) | library::Error::Image(image::Error::Sink(error)) => {
                of_io(error)
            }
            library::Error::Image(error) => PackageError::Image(error).into(),
            library::Error::Busy(error) => PackageError::Busy(error).into(),
            library::Error::NotInstalled(managed) => {
                ConfigurationError::RuntimeNotInstalled(managed).into()
            }
            error => PackageError::Library(error).into(),
        }
    }
}

impl From<package::Error> for Error {
    fn from(error: package::Error) -> Self {
        match error {
            package::Error::Io(error) => of_io(error),
            error => PackageError::Upload(error).into(),
        }
    }
}

/// A full disk has a remedy of its own, as where the store meets it.
fn of_io(error: std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Error::Store(store::Error::Full),
        _ => PackageError::Library(library::Error::Io(error)).into(),
    }
}

impl From<library::Error> for LoadError {
    fn from(error: library::Error) -> Self {
        match error {
            library::Error::NoComponent => Self::NoComponent,
            library::Error::NotInstalled(_) => Self::Runtime(error.to_string()),
            error => Self::Failed(Box::new(error)),
        }
    }
}

/// Message for the caller: S3's own words as AWS passes them on. The server's address and its answer are
/// in the host's log only.
fn message(error: &object::Error) -> String {
    let problem = match error {
        object::Error::Refused { code, message, .. } => {
            format!("S3 Error Code: {code}. S3 Error Message: {message}")
        }
        object::Error::NotConfigured => {
            return "This host has no S3 server to read packages from. Set endpoint, \
                    access_key_id and secret_access_key under [s3] in lamina.toml, or start the \
                    host with AWS_ENDPOINT_URL_S3, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; \
                    or use ZipFile."
                .to_owned();
        }
        object::Error::IsLambda(_) => {
            "The S3 endpoint of this host answers as AWS Lambda does; it may be the host's own \
             address. Set endpoint under [s3] in lamina.toml, or AWS_ENDPOINT_URL_S3."
                .to_owned()
        }
        object::Error::NotS3 { .. } => {
            "The S3 endpoint of this host does not answer as S3 does. See the host's log."
                .to_owned()
        }
        object::Error::Unreachable(_) => {
            "The S3 endpoint of this host could not be reached. See the host's log.".to_owned()
        }
        object::Error::TimedOut(after) => {
            let seconds = after.as_secs();
            format!("The S3 endpoint of this host did not send it within {seconds} s.")
        }
        // The library makes these errors of its own.
        object::Error::TooLarge(_) | object::Error::Sink(_) => error.to_string(),
    };
    format!("Error occurred while GetObject. {problem}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_of_s3_is_passed_on_in_its_words() {
        let refused = |code: &str, message: &str| object::Error::Refused {
            code: code.into(),
            message: message.into(),
            may_pass: false,
        };
        let cases = [
            (
                refused("NoSuchBucket", "The specified bucket does not exist"),
                "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: \
                 The specified bucket does not exist",
            ),
            (
                refused("NoSuchKey", "The specified key does not exist."),
                "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The \
                 specified key does not exist.",
            ),
        ];
        for (error, expected) in cases {
            assert_eq!(message(&error), expected);
        }
    }

    #[test]
    fn answer_of_another_server_is_not_passed_on() {
        for error in [
            object::Error::NotS3 {
                problem: "secret".into(),
                may_pass: false,
            },
            object::Error::IsLambda("secret".into()),
            object::Error::Unreachable("secret".into()),
        ] {
            assert!(!message(&error).contains("secret"));
        }
    }
}
