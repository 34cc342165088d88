//! Operations on function URL configurations.

use super::call::resource::{Qualified, Whole};
use super::call::{Call, Permitted};
use super::wire::{self, ErrorShape, Fault};
use super::{function, no_content};
use crate::api::{Front, HttpResponse};
use crate::clock::Timestamp;
use crate::control::url::{Auth, CorsRecord, InvokeMode, UrlPatch, UrlRecord};
use crate::names::{AliasName, FunctionName, Qualifier};

/// Members of a URL shown by all operations.
struct Shown {
    function_url: String,
    function_arn: String,
    auth_type: String,
    cors: Option<wire::Cors>,
    created: String,
    modified: String,
}

impl Front {
    pub(super) async fn create_function_url_config(
        &self,
        call: &Permitted<'_, Qualified>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::CreateFunctionUrlConfigRequest = call.parse()?;
        let (name, alias) = url_target(call.resource())?;
        let mode = request.invoke_mode;
        let patch = patch(None, request.cors, mode.as_deref());
        let record = self
            .control
            .create_url(name, alias.cloned(), auth(&request.auth_type), patch)
            .await?;
        let shown = self.shown(&record, call);
        Ok(call.render(wire::CreateFunctionUrlConfigResponse {
            function_url: shown.function_url,
            function_arn: shown.function_arn,
            auth_type: shown.auth_type,
            cors: shown.cors,
            creation_time: shown.created,
            invoke_mode: mode,
        }))
    }

    pub(super) async fn get_function_url_config(
        &self,
        call: &Permitted<'_, Qualified>,
    ) -> Result<HttpResponse, Fault> {
        call.parse::<wire::GetFunctionUrlConfigRequest>()?;
        let (name, alias) = url_target(call.resource())?;
        let record = self.control.url(name, alias).await?;
        let shown = self.shown(&record, call);
        Ok(call.render(wire::GetFunctionUrlConfigResponse {
            function_url: shown.function_url,
            function_arn: shown.function_arn,
            auth_type: shown.auth_type,
            cors: shown.cors,
            creation_time: shown.created,
            last_modified_time: shown.modified,
            invoke_mode: Some(mode_text(
                record.invoke_mode.unwrap_or(InvokeMode::Buffered),
            )),
        }))
    }

    pub(super) async fn update_function_url_config(
        &self,
        call: &Permitted<'_, Qualified>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::UpdateFunctionUrlConfigRequest = call.parse()?;
        let (name, alias) = url_target(call.resource())?;
        let mode = request.invoke_mode;
        let patch = patch(request.auth_type.as_deref(), request.cors, mode.as_deref());
        let record = self.control.update_url(name, alias, patch).await?;
        let shown = self.shown(&record, call);
        Ok(call.render(wire::UpdateFunctionUrlConfigResponse {
            function_url: shown.function_url,
            function_arn: shown.function_arn,
            auth_type: shown.auth_type,
            cors: shown.cors,
            creation_time: shown.created,
            last_modified_time: shown.modified,
            invoke_mode: record.invoke_mode.map(mode_text),
        }))
    }

    pub(super) async fn delete_function_url_config(
        &self,
        call: &Permitted<'_, Qualified>,
    ) -> Result<HttpResponse, Fault> {
        call.parse::<wire::DeleteFunctionUrlConfigRequest>()?;
        let (name, alias) = url_target(call.resource())?;
        self.control.delete_url(name, alias).await?;
        Ok(no_content())
    }

    pub(super) async fn list_function_url_configs(
        &self,
        call: &Permitted<'_, Whole>,
    ) -> Result<HttpResponse, Fault> {
        let request: wire::ListFunctionUrlConfigsRequest = call.parse()?;
        let Whole(name) = call.resource();
        let limit = function::page_size(request.max_items);
        let page = self
            .control
            .urls(name, request.marker.as_deref(), limit)
            .await?;
        let listed = page.items.iter().map(|record| {
            let shown = self.shown(record, call);
            wire::FunctionUrlConfig {
                function_url: shown.function_url,
                function_arn: shown.function_arn,
                auth_type: shown.auth_type,
                cors: shown.cors,
                creation_time: shown.created,
                last_modified_time: shown.modified,
                invoke_mode: Some(mode_text(
                    record.invoke_mode.unwrap_or(InvokeMode::Buffered),
                )),
            }
        });
        Ok(call.render(wire::ListFunctionUrlConfigsResponse {
            function_url_configs: listed.collect(),
            next_marker: page.next,
        }))
    }

    fn shown(&self, record: &UrlRecord, call: &Call) -> Shown {
        let home = self.control.home();
        let function_arn = match &record.alias {
            None => home.function_arn(&record.function),
            Some(alias) => home.qualified_arn(&record.function, &Qualifier::Alias(alias.clone())),
        };
        Shown {
            function_url: self
                .urls
                .shown(&record.id, &home.region.to_string(), call.host()),
            function_arn,
            auth_type: match record.auth {
                Auth::None => "NONE".into(),
                Auth::AwsIam => "AWS_IAM".into(),
            },
            cors: record.cors.as_ref().map(shown_cors),
            created: timestamp(record.created),
            modified: timestamp(record.modified),
        }
    }
}

/// Target of a function URL: an alias, or `$LATEST`, which has no qualifier here.
fn url_target(Qualified(target): &Qualified) -> Result<(&FunctionName, Option<&AliasName>), Fault> {
    match &target.qualifier {
        None => Ok((&target.name, None)),
        Some(Qualifier::Alias(alias)) => Ok((&target.name, Some(alias))),
        Some(qualifier) => Err(Fault::new(
            ErrorShape::ValidationException,
            format!(
                "1 validation error detected: Value '{qualifier}' at 'qualifier' failed to \
                 satisfy constraint: Member must satisfy regular expression pattern: \
                 ((?!^\\d+$)^[0-9a-zA-Z-_]+$)"
            ),
        )),
    }
}

fn patch(auth_type: Option<&str>, cors: Option<wire::Cors>, mode: Option<&str>) -> UrlPatch {
    UrlPatch {
        auth: auth_type.map(auth),
        cors: cors.map(|cors| CorsRecord {
            allow_origins: cors.allow_origins,
            allow_methods: cors.allow_methods,
            allow_headers: cors.allow_headers,
            expose_headers: cors.expose_headers,
            allow_credentials: cors.allow_credentials,
            max_age_seconds: cors.max_age.and_then(|seconds| u32::try_from(seconds).ok()),
        }),
        invoke_mode: mode.map(|mode| match mode {
            "RESPONSE_STREAM" => InvokeMode::ResponseStream,
            _ => InvokeMode::Buffered,
        }),
    }
}

fn shown_cors(cors: &CorsRecord) -> wire::Cors {
    wire::Cors {
        allow_credentials: cors.allow_credentials,
        allow_headers: cors.allow_headers.clone(),
        allow_methods: cors.allow_methods.clone(),
        allow_origins: cors.allow_origins.clone(),
        expose_headers: cors.expose_headers.clone(),
        max_age: cors
            .max_age_seconds
            .and_then(|seconds| i32::try_from(seconds).ok()),
    }
}

fn auth(text: &str) -> Auth {
    match text {
        "AWS_IAM" => Auth::AwsIam,
        _ => Auth::None,
    }
}

fn mode_text(mode: InvokeMode) -> String {
    match mode {
        InvokeMode::Buffered => "BUFFERED".into(),
        InvokeMode::ResponseStream => "RESPONSE_STREAM".into(),
    }
}

fn timestamp(at: Timestamp) -> String {
    at.utc().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}
