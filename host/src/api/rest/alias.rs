//! Operations on aliases.

use super::call::Permitted;
use super::call::resource::Whole;
use super::function::page_size;
use super::no_content;
use super::wire::{self, ErrorShape, Fault};
use crate::api::{Front, HttpResponse};
use crate::control::alias::{AliasPatch, AliasRecord};
use crate::names::{AliasName, Qualifier};

impl Front {
    pub(super) async fn create_alias(
        &self,
        call: &Permitted<'_, Whole>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::CreateAliasRequest = call.parse()?;
        let Whole(function) = call.resource();
        let patch = AliasPatch {
            version: Some(version(&request.function_version)?),
            description: request.description,
            weights: weights(request.routing_config),
            revision: None,
        };
        let name = alias_name(&request.name)?;
        let made = self.control.create_alias(function, name, patch).await?;
        Ok(call.render(self.shaped_alias(made)))
    }

    pub(super) async fn get_alias(
        &self,
        call: &Permitted<'_, Whole>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::GetAliasRequest = call.parse()?;
        let Whole(function) = call.resource();
        let name = alias_name(&request.name)?;
        let found = self.control.alias(function, &name).await?;
        Ok(call.render(self.shaped_alias(found)))
    }

    pub(super) async fn update_alias(
        &self,
        call: &Permitted<'_, Whole>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::UpdateAliasRequest = call.parse()?;
        let Whole(function) = call.resource();
        let patch = AliasPatch {
            version: request
                .function_version
                .as_deref()
                .map(version)
                .transpose()?,
            description: request.description,
            weights: weights(request.routing_config),
            revision: request.revision_id,
        };
        let name = alias_name(&request.name)?;
        let changed = self.control.update_alias(function, &name, patch).await?;
        Ok(call.render(self.shaped_alias(changed)))
    }

    pub(super) async fn delete_alias(
        &self,
        call: &Permitted<'_, Whole>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::DeleteAliasRequest = call.parse()?;
        let Whole(function) = call.resource();
        let name = alias_name(&request.name)?;
        self.control.delete_alias(function, &name).await?;
        Ok(no_content())
    }

    pub(super) async fn list_aliases(
        &self,
        call: &Permitted<'_, Whole>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::ListAliasesRequest = call.parse()?;
        let Whole(function) = call.resource();
        let version = request
            .function_version
            .as_deref()
            .map(version)
            .transpose()?;
        let (marker, limit) = (request.marker.as_deref(), page_size(request.max_items));
        let page = self
            .control
            .aliases(function, version.as_ref(), marker, limit)
            .await?;
        let aliases = page.items.into_iter().map(|alias| self.shaped_alias(alias));
        Ok(call.render(wire::ListAliasesResponse {
            aliases: Some(aliases.collect()),
            next_marker: page.next,
        }))
    }

    fn shaped_alias(&self, alias: AliasRecord) -> wire::AliasConfiguration {
        let qualifier = Qualifier::Alias(alias.name.clone());
        let version = alias.version.map_or(Qualifier::Latest, Qualifier::Version);
        let routing = alias.additional.map(|additional| {
            let weight = (additional.version.to_string(), additional.share);
            wire::AliasRoutingConfiguration {
                additional_version_weights: Some([weight].into_iter().collect()),
            }
        });
        wire::AliasConfiguration {
            alias_arn: Some(
                self.control
                    .home()
                    .qualified_arn(&alias.function, &qualifier),
            ),
            name: Some(alias.name.to_string()),
            function_version: Some(version.to_string()),
            description: Some(alias.description),
            routing_config: routing,
            revision_id: Some(alias.revision.as_str().into()),
        }
    }
}

fn weights(routing: Option<wire::AliasRoutingConfiguration>) -> Option<Vec<(String, f64)>> {
    routing.map(|routing| {
        let weights = routing.additional_version_weights.into_iter().flatten();
        weights.collect()
    })
}

fn version(text: &str) -> Result<Qualifier, Fault> {
    Qualifier::parse(text).map_err(unknown)
}

fn alias_name(text: &str) -> Result<AliasName, Fault> {
    AliasName::parse(text).map_err(unknown)
}

fn unknown(error: crate::names::Error) -> Fault {
    let shape = ErrorShape::InvalidParameterValueException;
    Fault::new(shape, error.to_string())
}
