//! Operations on permissions of layer versions: AddLayerVersionPermission, GetLayerVersionPolicy,
//! RemoveLayerVersionPermission.

use super::invalid;
use crate::api::rest::call::Permitted;
use crate::api::rest::call::resource::LayerVersion;
use crate::api::rest::no_content;
use crate::api::rest::wire::{self, Fault};
use crate::api::{Front, HttpResponse};
use crate::control::layer::{LayerStatement, Principal};
use crate::names::AccountId;

impl Front {
    pub(in crate::api::rest) async fn add_layer_version_permission(
        &self,
        call: &Permitted<'_, LayerVersion>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::AddLayerVersionPermissionRequest = call.parse()?;
        let LayerVersion { layer, number } = call.resource();
        let statement = LayerStatement {
            id: request.statement_id,
            principal: principal(&request.principal)?,
            organization: request.organization_id,
        };
        let document = {
            let arn = self.control.home().layer_version_arn(layer, *number);
            statement.document(&arn).to_string()
        };
        let revision = request.revision_id.as_deref();
        let changed = self
            .control
            .add_layer_permission(layer, *number, statement, revision)
            .await?;
        Ok(call.render(wire::AddLayerVersionPermissionResponse {
            statement: Some(document),
            revision_id: Some(changed.as_str().to_owned()),
        }))
    }

    pub(in crate::api::rest) async fn get_layer_version_policy(
        &self,
        call: &Permitted<'_, LayerVersion>,
    ) -> Result<HttpResponse, Fault> {
        call.parse::<wire::GetLayerVersionPolicyRequest>()?;
        let LayerVersion { layer, number } = call.resource();
        let policy = self.control.layer_policy(layer, *number).await?;
        let arn = self.control.home().layer_version_arn(layer, *number);
        Ok(call.render(wire::GetLayerVersionPolicyResponse {
            policy: Some(policy.document(&arn)),
            revision_id: Some(policy.revision.as_str().to_owned()),
        }))
    }

    pub(in crate::api::rest) async fn remove_layer_version_permission(
        &self,
        call: &Permitted<'_, LayerVersion>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::RemoveLayerVersionPermissionRequest = call.parse()?;
        let LayerVersion { layer, number } = call.resource();
        let revision = request.revision_id.as_deref();
        self.control
            .remove_layer_permission(layer, *number, &request.statement_id, revision)
            .await?;
        Ok(no_content())
    }
}

/// `*`, an account id, or the ARN of its root; the model excludes all else.
fn principal(text: &str) -> Result<Principal, Fault> {
    if text == "*" {
        return Ok(Principal::Anyone);
    }
    let id = text.strip_suffix(":root").unwrap_or(text);
    let id = id.rsplit(':').next().unwrap_or_default();
    let account = AccountId::parse(id);
    account
        .map(Principal::Account)
        .map_err(|_| invalid(format!("The provided principal was invalid: {text}")))
}
