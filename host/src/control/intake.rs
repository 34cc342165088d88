//! Code of a new function: a package is taken in at once, an image by the job that makes the function ready.

use super::code_signing::{CodeSigningError, Signed};
use super::code_storage::Granted;
use super::configuration::{Configuration, FunctionRecord};
use super::function::FunctionError;
use super::{Control, Error};
use crate::library::{Arrival, CodeRef, Delivery, Origin};
use crate::names::FunctionName;

/// Code that no record names yet.
pub(super) struct Accepted {
    pub(super) code: CodeRef,
    pub(super) signed: Option<Signed>,
    /// Guards on its files and its share of the code storage.
    pub(super) held: Option<(Arrival, Granted)>,
}

impl Control {
    /// Accepts the code of a function with this configuration and code signing, of which so many copies are kept.
    pub(super) async fn accept_code(
        &self,
        name: &FunctionName,
        delivery: Delivery,
        (configuration, code_signing, copies): (&Configuration, Option<&str>, u64),
    ) -> Result<Accepted, Error> {
        if let Origin::Image(uri) = &delivery.origin {
            // Boxed: the futures of registries would enlarge those of packages.
            return Box::pin(self.accept_image(uri, configuration, code_signing)).await;
        }
        let layers = &configuration.layers;
        let package = self.package_from(delivery).await?;
        let granted = self
            .grant_code_bytes(copies * package.size_bytes(), 0)
            .await?;
        let signed = self
            .verify_package(code_signing, &package, name.as_str())
            .await?;
        self.verify_layers(code_signing, layers).await?;
        let requirements = configuration.requirements(self.0.config.runtimes);
        let arrival = self.0.library.check_in(&package, requirements).await?;
        self.require_room_for_layers(&arrival.code, layers).await?;
        Ok(Accepted {
            code: arrival.code.clone(),
            signed,
            held: Some((arrival, granted)),
        })
    }

    /// Resolves an image to its digest. Code storage has no images, as in AWS.
    pub(super) async fn accept_image(
        &self,
        uri: &str,
        configuration: &Configuration,
        code_signing: Option<&str>,
    ) -> Result<Accepted, Error> {
        if code_signing.is_some() {
            return Err(CodeSigningError::Image.into());
        }
        if !configuration.layers.is_empty() {
            return Err(FunctionError::MembersOfPackage.into());
        }
        let resolved = self
            .0
            .library
            .resolve_image(uri, configuration.architecture);
        Ok(Accepted {
            code: resolved.await?,
            signed: None,
            held: None,
        })
    }

    /// Refuses code of another package type than the function's, which cannot change.
    pub(super) fn require_package_type(
        function: &FunctionRecord,
        origin: &Origin,
    ) -> Result<(), Error> {
        let is_of_image = function.latest.configuration.is_of_image();
        match (is_of_image, matches!(origin, Origin::Image(_))) {
            (false, true) => Err(FunctionError::ImageForPackage.into()),
            (true, false) => Err(FunctionError::PackageForImage.into()),
            _ => Ok(()),
        }
    }
}
