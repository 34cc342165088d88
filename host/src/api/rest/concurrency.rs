//! Reserved and provisioned concurrency on the wire, and the account's settings.

use super::call::Permitted;
use super::call::resource::{Account, Qualified, Whole};
use super::function::page_size;
use super::no_content;
use super::wire::{self, ErrorShape, Fault};
use crate::api::{Front, HttpResponse};
use crate::control::concurrency::Provisioned;
use crate::invoke::provision::Failure;
use crate::names::{FunctionName, Qualifier};
use crate::units::{UNZIPPED_BYTES_MAX, ZIP_BYTES_MAX};

impl Front {
    pub(super) async fn put_function_concurrency(
        &self,
        call: &Permitted<'_, Whole>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::PutFunctionConcurrencyRequest = call.parse()?;
        let Whole(name) = call.resource();
        let reserved = request.reserved_concurrent_executions;
        self.control.reserve(name, reserved.unsigned_abs()).await?;
        Ok(call.render(wire::Concurrency {
            reserved_concurrent_executions: Some(reserved),
        }))
    }

    pub(super) async fn get_function_concurrency(
        &self,
        call: &Permitted<'_, Whole>,
    ) -> Result<HttpResponse, Fault> {
        call.parse::<wire::GetFunctionConcurrencyRequest>()?;
        let Whole(name) = call.resource();
        let reserved = self.control.function(name).await?.reserved;
        Ok(call.render(wire::GetFunctionConcurrencyResponse {
            reserved_concurrent_executions: reserved.map(integer),
        }))
    }

    pub(super) async fn delete_function_concurrency(
        &self,
        call: &Permitted<'_, Whole>,
    ) -> Result<HttpResponse, Fault> {
        call.parse::<wire::DeleteFunctionConcurrencyRequest>()?;
        let Whole(name) = call.resource();
        self.control.unreserve(name).await?;
        Ok(no_content())
    }

    pub(super) async fn put_provisioned_concurrency_config(
        &self,
        call: &Permitted<'_, Qualified>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::PutProvisionedConcurrencyConfigRequest = call.parse()?;
        let (name, qualifier) = provisioned(call)?;
        let requested = request.provisioned_concurrent_executions;
        let record = self
            .control
            .provision(name, qualifier.clone(), requested.unsigned_abs())
            .await?;
        Ok(call.render(wire::PutProvisionedConcurrencyConfigResponse {
            requested_provisioned_concurrent_executions: Some(requested),
            available_provisioned_concurrent_executions: Some(0),
            allocated_provisioned_concurrent_executions: Some(0),
            status: Some("IN_PROGRESS".into()),
            status_reason: None,
            last_modified: Some(record.modified.iso8601()),
        }))
    }

    pub(super) async fn get_provisioned_concurrency_config(
        &self,
        call: &Permitted<'_, Qualified>,
    ) -> Result<HttpResponse, Fault> {
        call.parse::<wire::GetProvisionedConcurrencyConfigRequest>()?;
        let (name, qualifier) = provisioned(call)?;
        let found = self.control.provisioned(name, qualifier).await?;
        let (status, reason) = status(&found);
        let available = integer(found.progress.available);
        Ok(call.render(wire::GetProvisionedConcurrencyConfigResponse {
            requested_provisioned_concurrent_executions: Some(integer(found.record.requested)),
            available_provisioned_concurrent_executions: Some(available),
            allocated_provisioned_concurrent_executions: Some(available),
            status: Some(status.into()),
            status_reason: reason,
            last_modified: Some(found.record.modified.iso8601()),
        }))
    }

    pub(super) async fn list_provisioned_concurrency_configs(
        &self,
        call: &Permitted<'_, Whole>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::ListProvisionedConcurrencyConfigsRequest = call.parse()?;
        let Whole(name) = call.resource();
        let (marker, limit) = (request.marker.as_deref(), page_size(request.max_items));
        let page = self.control.all_provisioned(name, marker, limit).await?;
        let items = page
            .items
            .iter()
            .map(|found| self.listed_provisioned(name, found));
        Ok(
            call.render(wire::ListProvisionedConcurrencyConfigsResponse {
                provisioned_concurrency_configs: Some(items.collect()),
                next_marker: page.next,
            }),
        )
    }

    pub(super) async fn delete_provisioned_concurrency_config(
        &self,
        call: &Permitted<'_, Qualified>,
    ) -> Result<HttpResponse, Fault> {
        call.parse::<wire::DeleteProvisionedConcurrencyConfigRequest>()?;
        let (name, qualifier) = provisioned(call)?;
        self.control.unprovision(name, qualifier).await?;
        Ok(no_content())
    }

    fn listed_provisioned(
        &self,
        name: &FunctionName,
        found: &Provisioned,
    ) -> wire::ProvisionedConcurrencyConfigListItem {
        let (status, reason) = status(found);
        let available = integer(found.progress.available);
        let arn = self
            .control
            .home()
            .qualified_arn(name, &found.record.qualifier);
        wire::ProvisionedConcurrencyConfigListItem {
            function_arn: Some(arn),
            requested_provisioned_concurrent_executions: Some(integer(found.record.requested)),
            available_provisioned_concurrent_executions: Some(available),
            allocated_provisioned_concurrent_executions: Some(available),
            status: Some(status.into()),
            status_reason: reason,
            last_modified: Some(found.record.modified.iso8601()),
        }
    }

    pub(super) async fn get_account_settings(
        &self,
        call: &Permitted<'_, Account>,
    ) -> Result<HttpResponse, Fault> {
        let _: wire::GetAccountSettingsRequest = call.parse()?;
        let usage = self.control.usage().await?;
        let bytes = |bytes: u64| i64::try_from(bytes).ok();
        Ok(call.render(wire::GetAccountSettingsResponse {
            account_limit: Some(wire::AccountLimit {
                total_code_size: bytes(self.control.code_bytes_max()),
                code_size_unzipped: bytes(UNZIPPED_BYTES_MAX),
                code_size_zipped: i64::try_from(ZIP_BYTES_MAX).ok(),
                concurrent_executions: Some(integer(self.control.concurrency())),
                unreserved_concurrent_executions: Some(integer(self.control.unreserved())),
            }),
            account_usage: Some(wire::AccountUsage {
                total_code_size: bytes(usage.code_bytes),
                function_count: bytes(usage.functions),
            }),
        }))
    }
}

/// The version or alias of the request. Functions as a whole have no provisioned concurrency.
fn provisioned<'a>(
    call: &'a Permitted<'_, Qualified>,
) -> Result<(&'a FunctionName, &'a Qualifier), Fault> {
    let Qualified(target) = call.resource();
    let missing = || {
        let text = "The function resource provided must be an alias or a published version.";
        Fault::new(ErrorShape::InvalidParameterValueException, text)
    };
    let qualifier = target.qualifier.as_ref().ok_or_else(missing)?;
    Ok((&target.name, qualifier))
}

fn status(found: &Provisioned) -> (&'static str, Option<String>) {
    let progress = &found.progress;
    match &progress.failure {
        _ if found.is_settling => ("IN_PROGRESS", None),
        _ if progress.available >= progress.requested => ("READY", None),
        Some(failure) => ("FAILED", Some(reason(failure))),
        None => ("IN_PROGRESS", None),
    }
}

/// AWS documents no list of reasons. Its own code is kept for what it says: the function's fault.
fn reason(failure: &Failure) -> String {
    match failure {
        Failure::Function(_) => "FUNCTION_ERROR_INIT_FAILURE".into(),
        Failure::Capacity(text) => format!("INSUFFICIENT_CAPACITY: {text}"),
        // The text is for the host's log only.
        Failure::Host(_) => "INTERNAL_ERROR".into(),
    }
}

fn integer(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
