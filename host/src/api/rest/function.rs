//! Functions on the wire: CreateFunction, GetFunction, GetFunctionConfiguration, ListFunctions,
//! UpdateFunctionCode, UpdateFunctionConfiguration, DeleteFunction.

use super::call::Permitted;
use super::call::resource::{Account, Deleted, NewFunction, Qualified, Whole};
use super::wire::{self, ErrorShape, Fault};
use super::{no_content, origin};
use crate::api::{Front, HttpResponse};
use crate::control::configuration::VersionRecord;
use crate::control::function::Create;
use crate::control::function::record::Found;
use crate::control::update::UpdateCode;
use crate::names::{FunctionName, Qualifier};

mod request;
pub(super) mod shape;

/// `MaxItems` where the caller gives none, and at most.
const PAGE_DEFAULT: usize = 50;

impl Front {
    pub(super) async fn create_function(
        &self,
        call: &Permitted<'_, NewFunction>,
    ) -> Result<HttpResponse, Fault> {
        let mut request: wire::CreateFunctionRequest = call.parse()?;
        request::require_supported_create(&request)?;
        request::require_creatable(&request)?;
        let NewFunction(name) = call.resource();
        let choices = request::choices(&mut request)?;
        let (handler, runtime) = match request::is_of_image(&request) {
            true => <(String, String)>::default(),
            false => {
                let handler = request::required(request.handler.take())?;
                (handler, request::required(request.runtime.take())?)
            }
        };
        let create = Create {
            name: name.clone(),
            choices,
            layers: request.layers.unwrap_or_default(),
            role: request.role,
            handler,
            runtime,
            package: origin::of(&mut request.code, call.requester(name.as_str()))?,
            tags: request.tags.into_iter().flatten().collect(),
            publish: request.publish.unwrap_or_default(),
            code_signing: request.code_signing_config_arn,
        };
        let Found { function, version } = self.control.create_function(create).await?;
        Ok(call.render(self.shaped(&function.name, &version, None)))
    }

    pub(super) async fn get_function(
        &self,
        call: &Permitted<'_, Qualified>,
    ) -> Result<HttpResponse, Fault> {
        call.parse::<wire::GetFunctionRequest>()?;
        let (found, qualifier) = self.named(call).await?;
        let Found { function, version } = found;
        let host = call.host().unwrap_or("localhost");
        let tags = (version.number.is_none() && !function.tags.is_empty()).then_some(function.tags);
        // Tags are shown to those who may list them.
        let withheld = tags.as_ref().and_then(|_| self.withheld_tags(call));
        let tags = tags.filter(|_| withheld.is_none());
        let reserved = function.reserved.and_then(|it| i32::try_from(it).ok());
        Ok(call.render(wire::GetFunctionResponse {
            configuration: Some(self.shaped(&function.name, &version, qualifier)),
            code: Some(match &version.code.image {
                Some(image) => shape::image_location(image),
                None => wire::FunctionCodeLocation {
                    repository_type: Some("S3".into()),
                    location: Some(self.downloads.link(host, &version.code.package)),
                    ..Default::default()
                },
            }),
            tags: tags.map(|tags| tags.into_iter().collect()),
            tags_error: withheld.map(|message| wire::TagsError {
                error_code: "AccessDeniedException".into(),
                message,
            }),
            concurrency: reserved.map(|reserved| wire::Concurrency {
                reserved_concurrent_executions: Some(reserved),
            }),
        }))
    }

    pub(super) async fn get_function_configuration(
        &self,
        call: &Permitted<'_, Qualified>,
    ) -> Result<HttpResponse, Fault> {
        call.parse::<wire::GetFunctionConfigurationRequest>()?;
        let (found, qualifier) = self.named(call).await?;
        let name = &found.function.name;
        Ok(call.render(self.shaped(name, &found.version, qualifier)))
    }

    pub(super) async fn list_functions(
        &self,
        call: &Permitted<'_, Account>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::ListFunctionsRequest = call.parse()?;
        // Functions replicated from another region: there are none.
        if request.master_region.is_some_and(|region| region != "ALL") {
            return Ok(call.render(wire::ListFunctionsResponse {
                functions: Some(Vec::new()),
                next_marker: None,
            }));
        }
        let limit = page_size(request.max_items);
        let marker = request.marker.as_deref();
        let listed =
            |name: &FunctionName, version: &VersionRecord, qualifier: Option<&Qualifier>| {
                shape::listed(self.shaped(name, version, qualifier))
            };
        let (functions, next_marker) = if request.function_version.is_some() {
            let page = self.control.functions_and_versions(marker, limit).await?;
            let shapes = page
                .items
                .iter()
                .map(|(name, version)| listed(name, version, Some(&version.qualifier())));
            (shapes.collect(), page.next)
        } else {
            let page = self.control.functions(marker, limit).await?;
            let shapes = page
                .items
                .iter()
                .map(|it| listed(&it.name, &it.latest, None));
            (shapes.collect(), page.next)
        };
        Ok(call.render(wire::ListFunctionsResponse {
            functions: Some(functions),
            next_marker,
        }))
    }

    pub(super) async fn update_function_code(
        &self,
        call: &Permitted<'_, Whole>,
    ) -> Result<HttpResponse, Fault> {
        let mut request: wire::UpdateFunctionCodeRequest = call.parse()?;
        let Whole(name) = call.resource();
        self.control.function(name).await?;
        request::require_supported_update(&request)?;
        let publish = request.publish.unwrap_or_default();
        let update = UpdateCode {
            package: origin::of(&mut request, call.requester(name.as_str()))?,
            architecture: request::architecture(request.architectures.as_deref()),
            revision: request.revision_id,
            dry_run: request.dry_run.unwrap_or_default(),
            publish,
        };
        let found = self.control.update_function_code(name, update).await?;
        let qualifier = publish.then(|| found.version.qualifier());
        Ok(call.render(self.shaped(name, &found.version, qualifier.as_ref())))
    }

    pub(super) async fn update_function_configuration(
        &self,
        call: &Permitted<'_, Whole>,
    ) -> Result<HttpResponse, Fault> {
        let mut request: wire::UpdateFunctionConfigurationRequest = call.parse()?;
        let Whole(name) = call.resource();
        let revision = request.revision_id.clone();
        let layers = request.layers.take();
        let patch = request::patch(request)?;
        let (layers, revision) = (layers.as_deref(), revision.as_deref());
        let requester = call.requester(name.as_str());
        let changed = self
            .control
            .update_function_configuration(name, patch, layers, revision, &requester)
            .await?;
        Ok(call.render(self.shaped(name, &changed.version, None)))
    }

    pub(super) async fn delete_function(
        &self,
        call: &Permitted<'_, Deleted>,
    ) -> Result<HttpResponse, Fault> {
        call.parse::<wire::DeleteFunctionRequest>()?;
        let invalid = |text: &str| Fault::new(ErrorShape::InvalidParameterValueException, text);
        match call.resource() {
            Deleted::Whole(name) => self.control.delete_function(name).await?,
            Deleted::Version(name, Qualifier::Version(number)) => {
                self.control.delete_version(name, *number).await?;
            }
            Deleted::Version(_, Qualifier::Latest) => {
                return Err(invalid(
                    "$LATEST version cannot be deleted without deleting the function.",
                ));
            }
            Deleted::Version(_, Qualifier::Alias(_)) => {
                return Err(invalid("Deletion of aliases is not currently supported."));
            }
            Deleted::Nothing(name, _) => drop(self.control.function(name).await?),
        }
        Ok(no_content())
    }

    /// The function and version that a call names, and the qualifier if one was given.
    async fn named<'a>(
        &self,
        call: &'a Permitted<'_, Qualified>,
    ) -> Result<(Found, Option<&'a Qualifier>), Fault> {
        let Qualified(target) = call.resource();
        let qualifier = target.qualifier.as_ref();
        let found = self.control.function_at(&target.name, qualifier);
        Ok((found.await?, qualifier))
    }

    pub(super) fn shaped(
        &self,
        name: &FunctionName,
        version: &VersionRecord,
        qualifier: Option<&Qualifier>,
    ) -> wire::FunctionConfiguration {
        let (home, vault) = (self.control.home(), self.control.vault());
        shape::configuration(name, version, qualifier, home, vault)
    }
}

pub(super) fn page_size(max_items: Option<i32>) -> usize {
    let asked = max_items.and_then(|items| usize::try_from(items).ok());
    asked.map_or(PAGE_DEFAULT, |items| items.clamp(1, PAGE_DEFAULT))
}
