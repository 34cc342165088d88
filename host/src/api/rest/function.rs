//! Functions on the wire: CreateFunction, GetFunction, GetFunctionConfiguration, ListFunctions,
//! UpdateFunctionCode, UpdateFunctionConfiguration, DeleteFunction.

use super::wire::{self, ErrorShape, Fault};
use super::{Call, no_content, target};
use crate::api::{Front, Reply, host_of};
use crate::control::configuration::FunctionRecord;
use crate::control::function::{Create, UpdateCode};
use crate::names::{FunctionName, Qualifier};

mod request;
mod shape;

/// `MaxItems` where the caller gives none, and at most.
const PAGE_DEFAULT: usize = 50;

impl Front {
    pub(super) async fn create_function(&self, call: &Call) -> Result<Reply, Fault> {
        let request: wire::CreateFunctionRequest = call.parse()?;
        request::require_supported_create(&request)?;
        let name = target::unqualified(&request.function_name, self.control.home())?;
        let create = Create {
            name,
            configuration: request::configuration(&request)?,
            package: request::package(request.code.zip_file, request.code.s3_bucket.is_some())?,
            tags: request.tags.into_iter().flatten().collect(),
            code_signing: request.code_signing_config_arn,
        };
        let record = self.control.create_function(create).await?;
        Ok(call.render(self.shaped(&record, None)))
    }

    pub(super) async fn get_function(&self, call: &Call) -> Result<Reply, Fault> {
        let request: wire::GetFunctionRequest = call.parse()?;
        let (record, qualifier) = self
            .named(&request.function_name, request.qualifier.as_deref())
            .await?;
        let host = host_of(&call.parts).unwrap_or("localhost");
        let response = wire::GetFunctionResponse {
            configuration: Some(self.shaped(&record, qualifier.as_ref())),
            code: Some(wire::FunctionCodeLocation {
                repository_type: Some("S3".into()),
                location: Some(self.downloads.link(host, &record.latest.code.package)),
                ..Default::default()
            }),
            tags: (!record.tags.is_empty()).then(|| record.tags.into_iter().collect()),
            ..Default::default()
        };
        Ok(call.render(response))
    }

    pub(super) async fn get_function_configuration(&self, call: &Call) -> Result<Reply, Fault> {
        let request: wire::GetFunctionConfigurationRequest = call.parse()?;
        let (record, qualifier) = self
            .named(&request.function_name, request.qualifier.as_deref())
            .await?;
        Ok(call.render(self.shaped(&record, qualifier.as_ref())))
    }

    pub(super) async fn list_functions(&self, call: &Call) -> Result<Reply, Fault> {
        let request: wire::ListFunctionsRequest = call.parse()?;
        // Functions replicated from another region: there are none.
        if request.master_region.is_some_and(|region| region != "ALL") {
            return Ok(call.render(wire::ListFunctionsResponse {
                functions: Some(Vec::new()),
                next_marker: None,
            }));
        }
        let limit = page_size(request.max_items);
        let page = self
            .control
            .functions(request.marker.as_deref(), limit)
            .await?;
        let qualified = request
            .function_version
            .is_some()
            .then_some(Qualifier::Latest);
        let listed = page
            .items
            .iter()
            .map(|it| shape::listed(self.shaped(it, qualified.as_ref())));
        Ok(call.render(wire::ListFunctionsResponse {
            functions: Some(listed.collect()),
            next_marker: page.next,
        }))
    }

    pub(super) async fn update_function_code(&self, call: &Call) -> Result<Reply, Fault> {
        let request: wire::UpdateFunctionCodeRequest = call.parse()?;
        request::require_supported_update(&request)?;
        let name = target::unqualified(&request.function_name, self.control.home())?;
        let update = UpdateCode {
            package: request::package(request.zip_file, request.s3_bucket.is_some())?,
            architecture: request::architecture(request.architectures.as_deref())?,
            revision: request.revision_id,
            dry_run: request.dry_run.unwrap_or_default(),
        };
        let record = self.control.update_function_code(&name, update).await?;
        Ok(call.render(self.shaped(&record, None)))
    }

    pub(super) async fn update_function_configuration(&self, call: &Call) -> Result<Reply, Fault> {
        let request: wire::UpdateFunctionConfigurationRequest = call.parse()?;
        request::require_supported_configuration(&request)?;
        let name = target::unqualified(&request.function_name, self.control.home())?;
        let revision = request.revision_id.clone();
        let patch = request::patch(request)?;
        let changed = self
            .control
            .update_function_configuration(&name, patch, revision.as_deref())
            .await?;
        Ok(call.render(self.shaped(&changed, None)))
    }

    pub(super) async fn delete_function(&self, call: &Call) -> Result<Reply, Fault> {
        let request: wire::DeleteFunctionRequest = call.parse()?;
        let home = self.control.home();
        let target = target::of(&request.function_name, request.qualifier.as_deref(), home)?;
        match target.qualifier {
            None => self.control.delete_function(&target.name).await?,
            Some(Qualifier::Latest) => {
                return Err(Fault::new(
                    ErrorShape::InvalidParameterValueException,
                    "$LATEST version cannot be deleted without deleting the function.",
                ));
            }
            // There are no published versions yet, and to delete one that is not there is no error.
            Some(_) => drop(self.control.function(&target.name).await?),
        }
        Ok(no_content())
    }

    /// The function of this name, and the qualifier if it was given.
    async fn named(
        &self,
        name: &str,
        qualifier: Option<&str>,
    ) -> Result<(FunctionRecord, Option<Qualifier>), Fault> {
        let home = self.control.home();
        let target = target::of(name, qualifier, home)?;
        let missing = |name: &FunctionName, qualifier| {
            let arn = home.qualified_arn(name, qualifier);
            let text = format!("Function not found: {arn}");
            Fault::new(ErrorShape::ResourceNotFoundException, text)
        };
        match &target.qualifier {
            None | Some(Qualifier::Latest) => {
                Ok((self.control.function(&target.name).await?, target.qualifier))
            }
            Some(other) => Err(missing(&target.name, other)),
        }
    }

    fn shaped(
        &self,
        record: &FunctionRecord,
        qualifier: Option<&Qualifier>,
    ) -> wire::FunctionConfiguration {
        shape::configuration(record, qualifier, self.control.home())
    }
}

pub(super) fn page_size(max_items: Option<i32>) -> usize {
    let asked = max_items.and_then(|items| usize::try_from(items).ok());
    asked.map_or(PAGE_DEFAULT, |items| items.clamp(1, PAGE_DEFAULT))
}
