//! Operations on code signing configurations, and their assignment to functions.

use super::call::Permitted;
use super::call::resource::{Account, SigningConfig, Whole};
use super::error::of_code_signing;
use super::wire::{self, Fault};
use super::{function, no_content};
use crate::api::{Front, HttpResponse};
use crate::control::code_signing::{CodeSigningConfig, Create, Patch, Policy};

/// Default and maximum of `MaxItems`. AWS allows more, and its clients request the next page either
/// way.
const CONFIGS_MAX: usize = 1_000;

impl Front {
    pub(super) async fn create_code_signing_config(
        &self,
        call: &Permitted<'_, Account>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::CreateCodeSigningConfigRequest = call.parse()?;
        let create = Create {
            description: request.description,
            allowed_profiles: request.allowed_publishers.signing_profile_version_arns,
            policy: policy(request.code_signing_policies.as_ref()).unwrap_or_default(),
            tags: request.tags.into_iter().flatten().collect(),
        };
        let config = self.control.create_code_signing_config(create).await?;
        Ok(call.render(wire::CreateCodeSigningConfigResponse {
            code_signing_config: self.shown_code_signing(config),
        }))
    }

    pub(super) async fn get_code_signing_config(
        &self,
        call: &Permitted<'_, SigningConfig>,
    ) -> Result<HttpResponse, Fault> {
        call.parse::<wire::GetCodeSigningConfigRequest>()?;
        let SigningConfig(arn) = call.resource();
        let config = self.control.code_signing_config(arn).await;
        Ok(call.render(wire::GetCodeSigningConfigResponse {
            code_signing_config: self.shown_code_signing(config.map_err(of_code_signing)?),
        }))
    }

    pub(super) async fn update_code_signing_config(
        &self,
        call: &Permitted<'_, SigningConfig>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::UpdateCodeSigningConfigRequest = call.parse()?;
        let SigningConfig(arn) = call.resource();
        let publishers = request.allowed_publishers;
        let patch = Patch {
            description: request.description,
            allowed_profiles: publishers.map(|it| it.signing_profile_version_arns),
            policy: policy(request.code_signing_policies.as_ref()),
        };
        let config = self.control.update_code_signing_config(arn, patch).await;
        Ok(call.render(wire::UpdateCodeSigningConfigResponse {
            code_signing_config: self.shown_code_signing(config.map_err(of_code_signing)?),
        }))
    }

    pub(super) async fn delete_code_signing_config(
        &self,
        call: &Permitted<'_, SigningConfig>,
    ) -> Result<HttpResponse, Fault> {
        call.parse::<wire::DeleteCodeSigningConfigRequest>()?;
        let SigningConfig(arn) = call.resource();
        let deleted = self.control.delete_code_signing_config(arn).await;
        deleted.map_err(of_code_signing)?;
        Ok(no_content())
    }

    pub(super) async fn list_code_signing_configs(
        &self,
        call: &Permitted<'_, Account>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::ListCodeSigningConfigsRequest = call.parse()?;
        let asked = request.max_items.and_then(|it| usize::try_from(it).ok());
        let limit = asked.map_or(CONFIGS_MAX, |it| it.clamp(1, CONFIGS_MAX));
        let marker = request.marker.as_deref();
        let page = self.control.code_signing_configs(marker, limit).await?;
        let configs = page.items.into_iter();
        Ok(call.render(wire::ListCodeSigningConfigsResponse {
            code_signing_configs: Some(configs.map(|it| self.shown_code_signing(it)).collect()),
            next_marker: page.next,
        }))
    }

    pub(super) async fn list_functions_by_code_signing_config(
        &self,
        call: &Permitted<'_, SigningConfig>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::ListFunctionsByCodeSigningConfigRequest = call.parse()?;
        let limit = function::page_size(request.max_items);
        let page = self
            .control
            .functions_of_code_signing_config(&call.resource().0, request.marker.as_deref(), limit)
            .await
            .map_err(of_code_signing)?;
        let home = self.control.home();
        let arns = page.items.iter().map(|name| home.function_arn(name));
        Ok(call.render(wire::ListFunctionsByCodeSigningConfigResponse {
            function_arns: Some(arns.collect()),
            next_marker: page.next,
        }))
    }

    pub(super) async fn put_function_code_signing_config(
        &self,
        call: &Permitted<'_, Whole>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::PutFunctionCodeSigningConfigRequest = call.parse()?;
        let arn = request.code_signing_config_arn;
        let Whole(name) = call.resource();
        self.control
            .set_function_code_signing(name, Some(&arn))
            .await?;
        Ok(call.render(wire::PutFunctionCodeSigningConfigResponse {
            code_signing_config_arn: arn,
            function_name: name.to_string(),
        }))
    }

    pub(super) async fn get_function_code_signing_config(
        &self,
        call: &Permitted<'_, Whole>,
    ) -> Result<HttpResponse, Fault> {
        call.parse::<wire::GetFunctionCodeSigningConfigRequest>()?;
        let Whole(name) = call.resource();
        let found = self.control.function_code_signing(name).await?;
        Ok(match found {
            Some(arn) => call.render(wire::GetFunctionCodeSigningConfigResponse {
                code_signing_config_arn: arn,
                function_name: name.to_string(),
            }),
            // AWS omits both members, although its model requires them.
            None => call.render(wire::DeleteCodeSigningConfigResponse {}),
        })
    }

    pub(super) async fn delete_function_code_signing_config(
        &self,
        call: &Permitted<'_, Whole>,
    ) -> Result<HttpResponse, Fault> {
        call.parse::<wire::DeleteFunctionCodeSigningConfigRequest>()?;
        let Whole(name) = call.resource();
        self.control.set_function_code_signing(name, None).await?;
        Ok(no_content())
    }

    fn shown_code_signing(&self, config: CodeSigningConfig) -> wire::CodeSigningConfig {
        let policy = match config.policy {
            Policy::Warn => "Warn",
            Policy::Enforce => "Enforce",
        };
        let modified = config.modified.utc();
        wire::CodeSigningConfig {
            code_signing_config_arn: self.control.code_signing_config_arn(&config.id),
            code_signing_config_id: config.id,
            description: config.description,
            allowed_publishers: wire::AllowedPublishers {
                signing_profile_version_arns: config.allowed_profiles,
            },
            code_signing_policies: wire::CodeSigningPolicies {
                untrusted_artifact_on_deployment: Some(policy.into()),
            },
            last_modified: modified.strftime("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string(),
        }
    }
}

fn policy(given: Option<&wire::CodeSigningPolicies>) -> Option<Policy> {
    let text = given?.untrusted_artifact_on_deployment.as_deref()?;
    Some(match text {
        "Enforce" => Policy::Enforce,
        _ => Policy::Warn,
    })
}
