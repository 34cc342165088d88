//! Event source mappings on the wire: CreateEventSourceMapping, GetEventSourceMapping,
//! ListEventSourceMappings, UpdateEventSourceMapping, DeleteEventSourceMapping.

use super::call::Permitted;
use super::call::resource::{ListedMappings, Mapping, NewMapping};
use super::wire::{self, Fault};
use crate::api::{Front, HttpResponse};
use crate::control::event_source::mapping::{
    CreateMapping, MappingFilter, MappingRecord, UpdateMapping,
};

mod request;
mod shape;

/// Mappings on a page at most, whatever the caller asks for.
const PAGE_MAX: usize = 100;

impl Front {
    pub(super) async fn create_event_source_mapping(
        &self,
        call: &Permitted<'_, NewMapping>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::CreateEventSourceMappingRequest = call.parse()?;
        let create = CreateMapping {
            target: call.resource().0.clone(),
            enabled: request.enabled.unwrap_or(true),
            source: request::source(&request),
            tags: request.tags.clone().into_iter().flatten().collect(),
            settings: request::chosen(request),
        };
        let record = self.control.create_event_source_mapping(create).await?;
        Ok(call.render(self.shown_mapping(&record)))
    }

    pub(super) async fn get_event_source_mapping(
        &self,
        call: &Permitted<'_, Mapping>,
    ) -> Result<HttpResponse, Fault> {
        call.parse::<wire::GetEventSourceMappingRequest>()?;
        let Mapping { id, .. } = call.resource();
        let record = self.control.event_source_mapping(id).await?;
        Ok(call.render(self.shown_mapping(&record)))
    }

    pub(super) async fn list_event_source_mappings(
        &self,
        call: &Permitted<'_, ListedMappings>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::ListEventSourceMappingsRequest = call.parse()?;
        let filter = MappingFilter {
            target: call.resource().0.clone(),
            source_arn: request.event_source_arn,
        };
        let asked = request.max_items.and_then(|it| usize::try_from(it).ok());
        let limit = asked.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
        let page = self
            .control
            .event_source_mappings(&filter, request.marker.as_deref(), limit)
            .await?;
        let listed = page.items.iter().map(|record| self.shown_mapping(record));
        Ok(call.render(wire::ListEventSourceMappingsResponse {
            event_source_mappings: Some(listed.collect()),
            next_marker: page.next,
        }))
    }

    pub(super) async fn update_event_source_mapping(
        &self,
        call: &Permitted<'_, Mapping>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::UpdateEventSourceMappingRequest = call.parse()?;
        let Mapping { id, next } = call.resource();
        let update = UpdateMapping {
            target: next.clone(),
            enabled: request.enabled,
            settings: request::changed(request),
        };
        let record = self.control.update_event_source_mapping(id, update).await?;
        Ok(call.render(self.shown_mapping(&record)))
    }

    pub(super) async fn delete_event_source_mapping(
        &self,
        call: &Permitted<'_, Mapping>,
    ) -> Result<HttpResponse, Fault> {
        call.parse::<wire::DeleteEventSourceMappingRequest>()?;
        let Mapping { id, .. } = call.resource();
        let record = self.control.delete_event_source_mapping(id).await?;
        Ok(call.render(self.shown_mapping(&record)))
    }

    fn shown_mapping(&self, record: &MappingRecord) -> wire::EventSourceMappingConfiguration {
        shape::configuration(record, self.control.home())
    }
}
