//! Operations on versions: PublishVersion, ListVersionsByFunction.

use super::call::Permitted;
use super::call::resource::Whole;
use super::function::{page_size, shape};
use super::wire::{self, ErrorShape, Fault};
use crate::api::{Front, HttpResponse};
use crate::control::version::Publish;

impl Front {
    pub(super) async fn publish_version(
        &self,
        call: &Permitted<'_, Whole>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::PublishVersionRequest = call.parse()?;
        if request.publish_to.is_some() {
            return Err(Fault::new(
                ErrorShape::InvalidParameterValueException,
                "PublishTo is not supported by this host yet.",
            ));
        }
        let Whole(name) = call.resource();
        let publish = Publish {
            description: request.description,
            code_sha256: request.code_sha256,
            revision: request.revision_id,
        };
        let version = self.control.publish_version(name, publish).await?.version;
        Ok(call.render(self.shaped(name, &version, Some(&version.qualifier()))))
    }

    /// `$LATEST` comes first on the first page.
    pub(super) async fn list_versions_by_function(
        &self,
        call: &Permitted<'_, Whole>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::ListVersionsByFunctionRequest = call.parse()?;
        let Whole(name) = call.resource();
        let function = self.control.function(name).await?;
        let first = request.marker.is_none().then_some(function.latest);
        // A page of one item holds `$LATEST` only.
        let room = page_size(request.max_items) - usize::from(first.is_some());
        let marker = request.marker.as_deref();
        let page = self.control.versions(name, marker, room).await?;
        let more = room == 0 && function.last_version > 0;
        let shapes = first
            .iter()
            .chain(&page.items)
            .map(|version| shape::listed(self.shaped(name, version, Some(&version.qualifier()))));
        Ok(call.render(wire::ListVersionsByFunctionResponse {
            versions: Some(shapes.collect()),
            next_marker: page.next.or_else(|| more.then(|| "0".to_owned())),
        }))
    }
}
