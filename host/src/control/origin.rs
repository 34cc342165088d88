//! Where deployment packages come from: the request itself, or an object in S3. Whoever asks for the
//! bytes does so before anything is changed, and holds nothing that others wait for meanwhile.

use bytes::Bytes;

use super::{Control, Error, package};
use crate::store::object::{self, Location};
use crate::units::ZIP_BYTES_MAX;

/// Where a package is.
#[derive(Clone, Debug)]
pub enum Origin {
    /// It came with the request.
    Upload(Bytes),
    /// It is in S3.
    Object(Location),
}

impl Control {
    /// The package, wherever it is.
    ///
    /// # Errors
    /// Where it is in S3 and cannot be had from there. Nothing is known of the package itself yet.
    pub async fn package_from(&self, origin: Origin) -> Result<Bytes, Error> {
        let location = match origin {
            Origin::Upload(bytes) => return Ok(bytes),
            Origin::Object(location) => location,
        };
        let read = self.0.objects.read(&location, ZIP_BYTES_MAX as u64).await;
        read.map_err(|error| {
            if !matches!(error, object::Error::Refused { .. }) {
                let Location { bucket, key, .. } = &location;
                tracing::warn!(%error, bucket, key, "a package could not be fetched");
            }
            Error::Invalid(told(&error))
        })
    }
}

/// What the caller is told: S3's own words as AWS passes them on. Where the server is and what it
/// answered, is in the host's log only.
fn told(error: &object::Error) -> String {
    let problem = match error {
        object::Error::Refused { code, message } => {
            format!("S3 Error Code: {code}. S3 Error Message: {message}")
        }
        object::Error::TooLarge(_) => return package::Error::ZippedTooLarge.to_string(),
        object::Error::NotConfigured => {
            return "This host has no S3 server to read packages from. Set endpoint, \
                    access_key_id and secret_access_key under [s3] in lamina.toml, or start the \
                    host with AWS_ENDPOINT_URL_S3, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; \
                    or use ZipFile."
                .to_owned();
        }
        object::Error::Key => {
            "This host cannot ask for an S3Key that begins or ends with a slash, or has empty \
             parts or the parts . and .. between slashes."
                .to_owned()
        }
        object::Error::IsLambda(_) => {
            "The S3 endpoint of this host answers as AWS Lambda does; it may be the host's own \
             address. Set endpoint under [s3] in lamina.toml, or AWS_ENDPOINT_URL_S3."
                .to_owned()
        }
        object::Error::NotS3(_) => {
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
    };
    format!("Error occurred while GetObject. {problem}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s3s_words_are_passed_on_as_aws_does() {
        let refused = |code: &str, message: &str| object::Error::Refused {
            code: code.into(),
            message: message.into(),
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
            (
                object::Error::TooLarge(1),
                "Zipped size must be smaller than 52428800 bytes",
            ),
        ];
        for (error, expected) in cases {
            assert_eq!(told(&error), expected);
        }
    }

    #[test]
    fn what_only_the_log_may_say_is_not_told() {
        for error in [
            object::Error::NotS3("secret".into()),
            object::Error::IsLambda("secret".into()),
            object::Error::Unreachable("secret".into()),
        ] {
            assert!(!told(&error).contains("secret"));
        }
    }
}
