//! Recursion and runtime management on the wire.

use super::call::Permitted;
use super::call::resource::{Qualified, Whole};
use super::wire::{self, Fault};
use crate::api::{Front, HttpResponse};
use crate::control::behaviour::runtime_version_arn;
use crate::control::configuration::{Recursion, RuntimeUpdates};
use crate::names::Qualifier;

impl Front {
    pub(super) async fn get_function_recursion_config(
        &self,
        call: &Permitted<'_, Whole>,
    ) -> Result<HttpResponse, Fault> {
        call.parse::<wire::GetFunctionRecursionConfigRequest>()?;
        let Whole(name) = call.resource();
        let recursion = self.control.function(name).await?.recursion;
        Ok(call.render(wire::GetFunctionRecursionConfigResponse {
            recursive_loop: Some(shown(recursion)),
        }))
    }

    pub(super) async fn put_function_recursion_config(
        &self,
        call: &Permitted<'_, Whole>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::PutFunctionRecursionConfigRequest = call.parse()?;
        let Whole(name) = call.resource();
        let recursion = match request.recursive_loop.as_str() {
            "Allow" => Recursion::Allow,
            _ => Recursion::Terminate,
        };
        self.control.set_recursion(name, recursion).await?;
        Ok(call.render(wire::PutFunctionRecursionConfigResponse {
            recursive_loop: Some(shown(recursion)),
        }))
    }

    pub(super) async fn get_runtime_management_config(
        &self,
        call: &Permitted<'_, Qualified>,
    ) -> Result<HttpResponse, Fault> {
        call.parse::<wire::GetRuntimeManagementConfigRequest>()?;
        let home = self.control.home();
        let Qualified(target) = call.resource();
        let found = self
            .control
            .function_at(&target.name, target.qualifier.as_ref())
            .await?;
        let version = &found.version;
        let qualifier = target.qualifier.as_ref().unwrap_or(&Qualifier::Latest);
        let (update_on, arn) = match &version.runtime_updates {
            RuntimeUpdates::Auto => ("Auto", None),
            RuntimeUpdates::FunctionUpdate => ("FunctionUpdate", None),
            RuntimeUpdates::Manual(arn) => ("Manual", Some(arn.clone())),
        };
        Ok(call.render(wire::GetRuntimeManagementConfigResponse {
            update_runtime_on: Some(update_on.into()),
            function_arn: Some(home.qualified_arn(&target.name, qualifier)),
            runtime_version_arn: arn,
        }))
    }

    pub(super) async fn put_runtime_management_config(
        &self,
        call: &Permitted<'_, Qualified>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::PutRuntimeManagementConfigRequest = call.parse()?;
        let home = self.control.home();
        let Qualified(target) = call.resource();
        let updates = match request.update_runtime_on.as_str() {
            "Manual" => RuntimeUpdates::Manual(
                request
                    .runtime_version_arn
                    .clone()
                    .unwrap_or_else(|| runtime_version_arn(home)),
            ),
            "FunctionUpdate" => RuntimeUpdates::FunctionUpdate,
            _ => RuntimeUpdates::Auto,
        };
        let qualifier = target.qualifier.as_ref().unwrap_or(&Qualifier::Latest);
        self.control
            .set_runtime_updates(&target.name, qualifier, updates)
            .await?;
        Ok(call.render(wire::PutRuntimeManagementConfigResponse {
            update_runtime_on: request.update_runtime_on,
            function_arn: home.qualified_arn(&target.name, qualifier),
            runtime_version_arn: request.runtime_version_arn,
        }))
    }
}

fn shown(recursion: Recursion) -> String {
    match recursion {
        Recursion::Allow => "Allow".into(),
        Recursion::Terminate => "Terminate".into(),
    }
}
