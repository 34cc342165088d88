//! From the members of a request to what `control` knows: configurations, patches, packages.

use bytes::Bytes;

use crate::api::rest::wire::{self, ErrorShape, Fault};
use crate::control::configuration::{Architecture, Configuration, Patch, Tracing};
use crate::units::Mib;

/// Names the first member that was given and that this host cannot honour.
macro_rules! refuse {
    ($($given:expr => $name:literal),* $(,)?) => {
        $(if $given {
            return Err(invalid(concat!($name, " is not supported by this host yet.")));
        })*
    };
}

/// A request that asks for something this host would ignore is refused.
pub(super) fn require_supported_create(request: &wire::CreateFunctionRequest) -> Result<(), Fault> {
    refuse! {
        request.package_type.as_deref() == Some("Image") => "PackageType Image",
        request.publish == Some(true) => "Publish",
        request.publish_to.is_some() => "PublishTo",
        request.runtime_config.is_some() => "RuntimeConfig",
        request.accelerator_config.is_some() => "AcceleratorConfig",
        request.code.source_kms_key_arn.is_some() => "Code.SourceKMSKeyArn",
        request.vpc_config.is_some() => "VpcConfig",
        request.dead_letter_config.is_some() => "DeadLetterConfig",
        request.kms_key_arn.is_some() => "KMSKeyArn",
        given(request.layers.as_deref()) => "Layers",
        given(request.file_system_configs.as_deref()) => "FileSystemConfigs",
        request.image_config.is_some() => "ImageConfig",
        snaps(request.snap_start.as_ref()) => "SnapStart",
        request.capacity_provider_config.is_some() => "CapacityProviderConfig",
        request.durable_config.is_some() => "DurableConfig",
        request.tenancy_config.is_some() => "TenancyConfig",
    }
    require_text_logs(request.logging_config.as_ref())
}

/// As [`require_supported_create`], of UpdateFunctionConfiguration.
pub(super) fn require_supported_configuration(
    request: &wire::UpdateFunctionConfigurationRequest,
) -> Result<(), Fault> {
    refuse! {
        request.runtime_config.is_some() => "RuntimeConfig",
        request.accelerator_config.is_some() => "AcceleratorConfig",
        request.vpc_config.is_some() => "VpcConfig",
        request.dead_letter_config.is_some() => "DeadLetterConfig",
        request.kms_key_arn.is_some() => "KMSKeyArn",
        given(request.layers.as_deref()) => "Layers",
        given(request.file_system_configs.as_deref()) => "FileSystemConfigs",
        request.image_config.is_some() => "ImageConfig",
        snaps(request.snap_start.as_ref()) => "SnapStart",
        request.capacity_provider_config.is_some() => "CapacityProviderConfig",
        request.durable_config.is_some() => "DurableConfig",
    }
    require_text_logs(request.logging_config.as_ref())
}

/// As [`require_supported_create`], of UpdateFunctionCode.
pub(super) fn require_supported_update(
    request: &wire::UpdateFunctionCodeRequest,
) -> Result<(), Fault> {
    refuse! {
        request.image_uri.is_some() => "ImageUri",
        request.publish == Some(true) => "Publish",
        request.publish_to.is_some() => "PublishTo",
        request.source_kms_key_arn.is_some() => "SourceKMSKeyArn",
    }
    Ok(())
}

/// The configuration of a new function.
pub(super) fn configuration(request: &wire::CreateFunctionRequest) -> Result<Configuration, Fault> {
    let required = |member: &Option<String>, name: &str| {
        member.clone().ok_or_else(|| {
            invalid(&format!(
                "{name} is required for functions of PackageType Zip."
            ))
        })
    };
    let patch = Patch {
        description: request.description.clone(),
        timeout_seconds: seconds(request.timeout),
        memory: mib(request.memory_size),
        ephemeral: request
            .ephemeral_storage
            .as_ref()
            .and_then(|it| mib(Some(it.size))),
        environment: variables(request.environment.clone()),
        architecture: architecture(request.architectures.as_deref())?,
        tracing: tracing(request.tracing_config.as_ref()),
        log_group: request
            .logging_config
            .as_ref()
            .and_then(|it| it.log_group.clone()),
        ..Patch::default()
    };
    let handler = required(&request.handler, "Handler")?;
    let runtime = required(&request.runtime, "Runtime")?;
    Ok(Configuration::new(request.role.clone(), handler, runtime).patched(patch))
}

/// The change that UpdateFunctionConfiguration asks for.
pub(super) fn patch(request: wire::UpdateFunctionConfigurationRequest) -> Result<Patch, Fault> {
    Ok(Patch {
        description: request.description,
        role: request.role,
        handler: request.handler,
        runtime: request.runtime,
        timeout_seconds: seconds(request.timeout),
        memory: mib(request.memory_size),
        ephemeral: request
            .ephemeral_storage
            .as_ref()
            .and_then(|it| mib(Some(it.size))),
        environment: variables(request.environment),
        architecture: None,
        tracing: tracing(request.tracing_config.as_ref()),
        log_group: request.logging_config.and_then(|it| it.log_group),
    })
}

/// The package of a request, from the one place this host can read it from.
pub(super) fn package(zip_file: Option<Bytes>, from_s3: bool) -> Result<Bytes, Fault> {
    match zip_file {
        Some(zip) if !zip.is_empty() => Ok(zip),
        Some(_) => Err(invalid("Uploaded file must be a non-empty zip")),
        None if from_s3 => Err(invalid(
            "S3Bucket and S3Key are not supported by this host yet; use ZipFile.",
        )),
        None => Err(invalid("Please provide a source for function code.")),
    }
}

/// The instruction set asked for, if any.
pub(super) fn architecture(given: Option<&[String]>) -> Result<Option<Architecture>, Fault> {
    match given {
        None | Some([]) => Ok(None),
        Some([one]) if one == "arm64" => Ok(Some(Architecture::Arm64)),
        Some([_]) => Ok(Some(Architecture::X86_64)),
        Some(_) => Err(invalid("A function has exactly one architecture.")),
    }
}

fn require_text_logs(logging: Option<&wire::LoggingConfig>) -> Result<(), Fault> {
    let json = logging.and_then(|it| it.log_format.as_deref()) == Some("JSON");
    refuse!(json => "LoggingConfig.LogFormat JSON");
    Ok(())
}

fn given<T>(list: Option<&[T]>) -> bool {
    list.is_some_and(|list| !list.is_empty())
}

fn snaps(snap_start: Option<&wire::SnapStart>) -> bool {
    snap_start.and_then(|it| it.apply_on.as_deref()) == Some("PublishedVersions")
}

fn tracing(config: Option<&wire::TracingConfig>) -> Option<Tracing> {
    match config?.mode.as_deref()? {
        "Active" => Some(Tracing::Active),
        _ => Some(Tracing::PassThrough),
    }
}

fn variables(environment: Option<wire::Environment>) -> Option<Vec<(String, String)>> {
    environment.map(|environment| environment.variables.into_iter().flatten().collect())
}

fn seconds(timeout: Option<i32>) -> Option<u32> {
    timeout.and_then(|seconds| u32::try_from(seconds).ok())
}

fn mib(size: Option<i32>) -> Option<Mib> {
    size.and_then(|size| u32::try_from(size).ok()).map(Mib::new)
}

fn invalid(text: &str) -> Fault {
    Fault::new(ErrorShape::InvalidParameterValueException, text)
}
