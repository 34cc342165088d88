//! Operations on event invoke configurations: Put, Update, Get, Delete and List of
//! FunctionEventInvokeConfig.

use super::call::Permitted;
use super::call::resource::{Qualified, Whole};
use super::wire::{self, Fault};
use super::{destination, function, no_content};
use crate::api::{Front, HttpResponse};
use crate::control::event_invoke::{Choice, EventInvokeRecord};

impl Front {
    pub(super) async fn put_function_event_invoke_config(
        &self,
        call: &Permitted<'_, Qualified>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::PutFunctionEventInvokeConfigRequest = call.parse()?;
        let Qualified(target) = call.resource();
        let choice = Choice {
            retry_attempts_max: natural(request.maximum_retry_attempts),
            event_age_max_seconds: natural(request.maximum_event_age_in_seconds),
            destinations: request.destination_config.map(destination::chosen),
        };
        let record = self
            .control
            .put_event_invoke(target.clone(), choice)
            .await?;
        Ok(call.render(self.shown_event_invoke(&record)))
    }

    pub(super) async fn update_function_event_invoke_config(
        &self,
        call: &Permitted<'_, Qualified>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::UpdateFunctionEventInvokeConfigRequest = call.parse()?;
        let Qualified(target) = call.resource();
        let choice = Choice {
            retry_attempts_max: natural(request.maximum_retry_attempts),
            event_age_max_seconds: natural(request.maximum_event_age_in_seconds),
            destinations: request.destination_config.map(destination::chosen),
        };
        let record = self
            .control
            .update_event_invoke(target.clone(), choice)
            .await?;
        Ok(call.render(self.shown_event_invoke(&record)))
    }

    pub(super) async fn get_function_event_invoke_config(
        &self,
        call: &Permitted<'_, Qualified>,
    ) -> Result<HttpResponse, Fault> {
        call.parse::<wire::GetFunctionEventInvokeConfigRequest>()?;
        let Qualified(target) = call.resource();
        let record = self.control.event_invoke(target).await?;
        Ok(call.render(self.shown_event_invoke(&record)))
    }

    pub(super) async fn delete_function_event_invoke_config(
        &self,
        call: &Permitted<'_, Qualified>,
    ) -> Result<HttpResponse, Fault> {
        call.parse::<wire::DeleteFunctionEventInvokeConfigRequest>()?;
        let Qualified(target) = call.resource();
        self.control.delete_event_invoke(target).await?;
        Ok(no_content())
    }

    pub(super) async fn list_function_event_invoke_configs(
        &self,
        call: &Permitted<'_, Whole>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::ListFunctionEventInvokeConfigsRequest = call.parse()?;
        let Whole(name) = call.resource();
        let limit = function::page_size(request.max_items);
        let page = self
            .control
            .event_invokes(name, request.marker.as_deref(), limit)
            .await?;
        let listed = page.items.iter().map(|it| self.shown_event_invoke(it));
        Ok(call.render(wire::ListFunctionEventInvokeConfigsResponse {
            function_event_invoke_configs: Some(listed.collect()),
            next_marker: page.next,
        }))
    }

    fn shown_event_invoke(&self, record: &EventInvokeRecord) -> wire::FunctionEventInvokeConfig {
        let home = self.control.home();
        wire::FunctionEventInvokeConfig {
            last_modified: Some(record.modified.into()),
            function_arn: Some(home.qualified_arn(&record.function, &record.qualifier)),
            maximum_retry_attempts: record.retry_attempts_max.map(whole),
            maximum_event_age_in_seconds: record.event_age_max_seconds.map(whole),
            destination_config: Some(destination::shown(&record.destinations)),
        }
    }
}

/// The model allows no negative numbers here.
fn natural(number: Option<i32>) -> Option<u32> {
    number.and_then(|number| u32::try_from(number).ok())
}

fn whole(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
