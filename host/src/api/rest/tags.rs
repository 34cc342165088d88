//! Operations on tags: TagResource, UntagResource, ListTags, by ARN.

use super::call::Permitted;
use super::call::resource::Labelled;
use super::no_content;
use super::wire::{self, Fault};
use crate::api::{Front, HttpResponse};

impl Front {
    pub(super) async fn tag_resource(
        &self,
        call: &Permitted<'_, Labelled>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::TagResourceRequest = call.parse()?;
        let resource = &call.resource().tagged;
        let tags = request.tags.into_iter().collect();
        self.control.tag(resource, &tags).await?;
        Ok(no_content())
    }

    pub(super) async fn untag_resource(
        &self,
        call: &Permitted<'_, Labelled>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::UntagResourceRequest = call.parse()?;
        let resource = &call.resource().tagged;
        self.control.untag(resource, &request.tag_keys).await?;
        Ok(no_content())
    }

    pub(super) async fn list_tags(
        &self,
        call: &Permitted<'_, Labelled>,
    ) -> Result<HttpResponse, Fault> {
        call.parse::<wire::ListTagsRequest>()?;
        let resource = &call.resource().tagged;
        let tags = self.control.tags(resource).await?;
        Ok(call.render(wire::ListTagsResponse {
            tags: Some(tags.into_iter().collect()),
        }))
    }
}
