//! From the members that say where a package is to the one place it is in. What is there, it does not
//! ask.

use bytes::Bytes;

use super::wire::{self, ErrorShape, Fault};
use crate::library::{Delivery, Origin, Requester};
use crate::store::object::Location;

/// The members that say where a package is; three shapes of AWS's model have them.
#[derive(Debug, Default)]
pub(super) struct CodeLocation {
    pub(super) zip_file: Option<Bytes>,
    pub(super) s3_bucket: Option<String>,
    pub(super) s3_key: Option<String>,
    pub(super) s3_object_version: Option<String>,
    pub(super) s3_object_storage_mode: Option<String>,
    pub(super) image_uri: Option<String>,
}

/// Takes the members out of a shape that has them.
macro_rules! taken {
    ($shape:expr, $image_uri:expr) => {
        CodeLocation {
            image_uri: $image_uri,
            zip_file: $shape.zip_file.take(),
            s3_bucket: $shape.s3_bucket.take(),
            s3_key: $shape.s3_key.take(),
            s3_object_version: $shape.s3_object_version.take(),
            s3_object_storage_mode: $shape.s3_object_storage_mode.take(),
        }
    };
}

impl From<&mut wire::FunctionCode> for CodeLocation {
    fn from(code: &mut wire::FunctionCode) -> Self {
        taken!(code, code.image_uri.take())
    }
}

impl From<&mut wire::UpdateFunctionCodeRequest> for CodeLocation {
    fn from(request: &mut wire::UpdateFunctionCodeRequest) -> Self {
        taken!(request, request.image_uri.take())
    }
}

impl From<&mut wire::LayerVersionContentInput> for CodeLocation {
    fn from(content: &mut wire::LayerVersionContentInput) -> Self {
        taken!(content, None)
    }
}

/// The package in the one place that these members name.
pub(super) fn of(source: impl Into<CodeLocation>, requester: Requester) -> Result<Delivery, Fault> {
    Ok(Delivery::new(origin(source)?, requester))
}

fn origin(source: impl Into<CodeLocation>) -> Result<Origin, Fault> {
    let CodeLocation {
        zip_file,
        s3_bucket,
        s3_key,
        s3_object_version,
        s3_object_storage_mode,
        image_uri,
    } = source.into();
    let is_in_s3 = s3_bucket.is_some()
        || s3_key.is_some()
        || s3_object_version.is_some()
        || s3_object_storage_mode.is_some();
    if let Some(uri) = image_uri {
        if is_in_s3 || zip_file.is_some() {
            return Err(invalid(
                "Please do not provide other FunctionCode parameters when providing an ImageUri.",
            ));
        }
        return Ok(Origin::Image(uri));
    }
    match (zip_file, s3_bucket, s3_key) {
        (Some(_), ..) if is_in_s3 => Err(invalid(
            "Please do not provide other FunctionCode parameters when providing a ZipFile.",
        )),
        (Some(zip), ..) if zip.is_empty() => Err(invalid("Uploaded file must be a non-empty zip")),
        (Some(zip), ..) => Ok(Origin::Upload(zip)),
        (None, Some(bucket), Some(key)) => {
            require_copied(s3_object_storage_mode.as_deref())?;
            Ok(Origin::Object(Location {
                bucket,
                key,
                version: s3_object_version,
            }))
        }
        (None, ..) if is_in_s3 => Err(invalid(
            "S3 Bucket and Key are required for uploading with S3 parameters.",
        )),
        (None, ..) => Err(invalid("Please provide a source for function code.")),
    }
}

/// This host keeps what it runs; it does not go back to S3 for it.
fn require_copied(mode: Option<&str>) -> Result<(), Fault> {
    match mode {
        None | Some("COPY") => Ok(()),
        Some(mode) => Err(invalid(&format!(
            "S3ObjectStorageMode {mode} is not supported by this host yet."
        ))),
    }
}

fn invalid(text: &str) -> Fault {
    Fault::new(ErrorShape::InvalidParameterValueException, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(zip: Option<&'static str>, s3: [Option<&str>; 4]) -> CodeLocation {
        let [bucket, key, version, mode] = s3.map(|it| it.map(str::to_owned));
        CodeLocation {
            zip_file: zip.map(Bytes::from),
            s3_bucket: bucket,
            s3_key: key,
            s3_object_version: version,
            s3_object_storage_mode: mode,
            image_uri: None,
        }
    }

    #[test]
    fn package_in_one_place_is_accepted() {
        let uploaded = origin(source(Some("zip"), [None; 4]));
        assert!(matches!(uploaded, Ok(Origin::Upload(zip)) if zip == "zip"));
        for mode in [None, Some("COPY")] {
            let found = origin(source(None, [Some("b"), Some("k"), Some("v"), mode]));
            let expected = Location {
                bucket: "b".into(),
                key: "k".into(),
                version: Some("v".into()),
            };
            assert!(matches!(found, Ok(Origin::Object(it)) if it == expected));
        }
    }

    #[test]
    fn two_places_or_half_a_place_are_refused() {
        let both = "Please do not provide other FunctionCode parameters when providing a ZipFile.";
        let half = "S3 Bucket and Key are required for uploading with S3 parameters.";
        let cases = [
            (
                None,
                [None; 4],
                "Please provide a source for function code.",
            ),
            (Some(""), [None; 4], "Uploaded file must be a non-empty zip"),
            (Some("zip"), [Some("b"), Some("k"), None, None], both),
            (Some("zip"), [None, None, Some("v"), None], both),
            (Some(""), [Some("b"), None, None, None], both),
            (None, [Some("b"), None, None, None], half),
            (None, [None, Some("k"), None, None], half),
            (None, [None, None, Some("v"), None], half),
            (
                None,
                [Some("b"), Some("k"), None, Some("REFERENCE")],
                "S3ObjectStorageMode REFERENCE is not supported by this host yet.",
            ),
        ];
        for (zip, s3, expected) in cases {
            assert_eq!(origin(source(zip, s3)).unwrap_err(), invalid(expected));
        }
    }
}
