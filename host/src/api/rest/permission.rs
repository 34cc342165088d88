//! Resource policies on the wire: AddPermission, RemovePermission, GetPolicy, and the operations on a
//! policy as a whole, PutResourcePolicy, GetResourcePolicy, DeleteResourcePolicy.

use super::wire::{self, ErrorShape, Fault};
use super::{Call, no_content, target};
use crate::api::{Front, Reply};
use crate::control::permission::{Grant, PolicyRecord};
use crate::invoke::Target;

impl Front {
    pub(super) async fn add_permission(&self, call: &Call) -> Result<Reply, Fault> {
        let request: wire::AddPermissionRequest = call.parse()?;
        let target = self.policy_target(&request.function_name, request.qualifier.as_deref())?;
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
            .add_permission(&target, &grant, request.revision_id.as_deref())
            .await?;
        Ok(call.render(wire::AddPermissionResponse {
            statement: Some(statement.to_string()),
        }))
    }

    pub(super) async fn remove_permission(&self, call: &Call) -> Result<Reply, Fault> {
        let request: wire::RemovePermissionRequest = call.parse()?;
        let target = self.policy_target(&request.function_name, request.qualifier.as_deref())?;
        let revision = request.revision_id.as_deref();
        self.control
            .remove_permission(&target, &request.statement_id, revision)
            .await?;
        Ok(no_content())
    }

    pub(super) async fn get_policy(&self, call: &Call) -> Result<Reply, Fault> {
        let request: wire::GetPolicyRequest = call.parse()?;
        let target = self.policy_target(&request.function_name, request.qualifier.as_deref())?;
        let (policy, revision) = shown(&self.control.policy(&target).await?);
        Ok(call.render(wire::GetPolicyResponse {
            policy: Some(policy),
            revision_id: Some(revision),
        }))
    }

    pub(super) async fn put_resource_policy(&self, call: &Call) -> Result<Reply, Fault> {
        let request: wire::PutResourcePolicyRequest = call.parse()?;
        let target = self.resource_target(&request.resource_arn)?;
        let revision = request.revision_id.as_deref();
        let put = self.control.put_policy(&target, &request.policy, revision);
        let (policy, revision) = shown(&put.await?);
        Ok(call.render(wire::PutResourcePolicyResponse {
            policy: Some(policy),
            revision_id: Some(revision),
        }))
    }

    pub(super) async fn get_resource_policy(&self, call: &Call) -> Result<Reply, Fault> {
        let request: wire::GetResourcePolicyRequest = call.parse()?;
        let target = self.resource_target(&request.resource_arn)?;
        let (policy, revision) = shown(&self.control.policy(&target).await?);
        Ok(call.render(wire::GetResourcePolicyResponse {
            policy: Some(policy),
            revision_id: Some(revision),
        }))
    }

    pub(super) async fn delete_resource_policy(&self, call: &Call) -> Result<Reply, Fault> {
        let request: wire::DeleteResourcePolicyRequest = call.parse()?;
        let target = self.resource_target(&request.resource_arn)?;
        let revision = request.revision_id.as_deref();
        self.control.delete_policy(&target, revision).await?;
        Ok(no_content())
    }

    fn policy_target(&self, name: &str, qualifier: Option<&str>) -> Result<Target, Fault> {
        target::of(name, qualifier, self.control.home())
    }

    /// The model takes ARNs of functions and of runtimes. This host keeps no runtimes.
    fn resource_target(&self, arn: &str) -> Result<Target, Fault> {
        if arn.split(':').nth(5) != Some("function") {
            return Err(Fault::new(
                ErrorShape::ResourceNotFoundException,
                "The resource you requested does not exist.",
            ));
        }
        target::of(arn, None, self.control.home())
    }
}

/// The policy as the text it is shown as, and its revision.
fn shown(record: &PolicyRecord) -> (String, String) {
    let revision = record.revision.as_str().to_owned();
    (record.document.to_string(), revision)
}
