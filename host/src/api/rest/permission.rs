//! Operations on resource-based policies: AddPermission, RemovePermission, GetPolicy,
//! PutResourcePolicy, GetResourcePolicy, DeleteResourcePolicy.

use super::call::Permitted;
use super::call::resource::{PolicyOf, Qualified};
use super::no_content;
use super::wire::{self, Fault};
use crate::api::{Front, HttpResponse};
use crate::control::permission::{Grant, PolicyRecord};

impl Front {
    pub(super) async fn add_permission(
        &self,
        call: &Permitted<'_, Qualified>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::AddPermissionRequest = call.parse()?;
        let Qualified(target) = call.resource();
        let grant = Grant {
            statement_id: request.statement_id,
            action: request.action,
            principal: request.principal,
            source_arn: request.source_arn,
            source_account: request.source_account,
            event_source_token: request.event_source_token,
            principal_org_id: request.principal_org_id,
            function_url_auth_type: request.function_url_auth_type,
            invoked_via_function_url: request.invoked_via_function_url,
        };
        let statement = self
            .control
            .add_permission(target, &grant, request.revision_id.as_deref())
            .await?;
        Ok(call.render(wire::AddPermissionResponse {
            statement: Some(statement.to_string()),
        }))
    }

    pub(super) async fn remove_permission(
        &self,
        call: &Permitted<'_, Qualified>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::RemovePermissionRequest = call.parse()?;
        let Qualified(target) = call.resource();
        let revision = request.revision_id.as_deref();
        self.control
            .remove_permission(target, &request.statement_id, revision)
            .await?;
        Ok(no_content())
    }

    pub(super) async fn get_policy(
        &self,
        call: &Permitted<'_, Qualified>,
    ) -> Result<HttpResponse, Fault> {
        call.parse::<wire::GetPolicyRequest>()?;
        let Qualified(target) = call.resource();
        let (policy, revision) = shown(&self.control.policy(target).await?);
        Ok(call.render(wire::GetPolicyResponse {
            policy: Some(policy),
            revision_id: Some(revision),
        }))
    }

    pub(super) async fn put_resource_policy(
        &self,
        call: &Permitted<'_, PolicyOf>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::PutResourcePolicyRequest = call.parse()?;
        let PolicyOf(target) = call.resource();
        let revision = request.revision_id.as_deref();
        let put = self.control.put_policy(target, &request.policy, revision);
        let (policy, revision) = shown(&put.await?);
        Ok(call.render(wire::PutResourcePolicyResponse {
            policy: Some(policy),
            revision_id: Some(revision),
        }))
    }

    pub(super) async fn get_resource_policy(
        &self,
        call: &Permitted<'_, PolicyOf>,
    ) -> Result<HttpResponse, Fault> {
        call.parse::<wire::GetResourcePolicyRequest>()?;
        let PolicyOf(target) = call.resource();
        let (policy, revision) = shown(&self.control.policy(target).await?);
        Ok(call.render(wire::GetResourcePolicyResponse {
            policy: Some(policy),
            revision_id: Some(revision),
        }))
    }

    pub(super) async fn delete_resource_policy(
        &self,
        call: &Permitted<'_, PolicyOf>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::DeleteResourcePolicyRequest = call.parse()?;
        let PolicyOf(target) = call.resource();
        let revision = request.revision_id.as_deref();
        self.control.delete_policy(target, revision).await?;
        Ok(no_content())
    }
}

/// Policy as JSON text, and its revision.
fn shown(record: &PolicyRecord) -> (String, String) {
    let revision = record.revision.as_str().to_owned();
    (record.document.to_string(), revision)
}
