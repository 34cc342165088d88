//! Conversion of request members to `control`'s types.

use crate::api::rest::wire::{self, ErrorShape, Fault};
use crate::control::configuration::{FileSystem, ImageConfig, LoggingPatch, Patch, Tracing, Vpc};
use crate::control::function::FunctionError;
use crate::sandbox::Architecture;
use crate::units::Mib;

/// Refuses the first given member that this host does not implement.
macro_rules! refuse {
    ($($given:expr => $name:literal),* $(,)?) => {
        $(if $given {
            return Err(invalid(concat!($name, " is not supported by this host yet.")));
        })*
    };
}

/// Refuses members of CreateFunction that this host would ignore.
pub(super) fn require_supported_create(request: &wire::CreateFunctionRequest) -> Result<(), Fault> {
    refuse! {
        request.publish_to.is_some() => "PublishTo",
        request.code.source_kms_key_arn.is_some() => "Code.SourceKMSKeyArn",
    }
    Ok(())
}

/// Like [`require_supported_create`], for the members of UpdateFunctionConfiguration.
fn require_supported(request: &wire::UpdateFunctionConfigurationRequest) -> Result<(), Fault> {
    refuse! {
        request.runtime_config.is_some() => "RuntimeConfig",
        request.accelerator_config.is_some() => "AcceleratorConfig",
        request.capacity_provider_config.is_some() => "CapacityProviderConfig",
        request.durable_config.is_some() => "DurableConfig",
        has_s3_files(request) => "FileSystemConfigs.S3FilesConfig",
    }
    Ok(())
}

fn has_s3_files(request: &wire::UpdateFunctionConfigurationRequest) -> bool {
    let mut systems = request.file_system_configs.iter().flatten();
    systems.any(|system| system.s3_files_config.is_some())
}

/// Like [`require_supported_create`], for UpdateFunctionCode of an existing function.
pub(super) fn require_supported_update(
    request: &wire::UpdateFunctionCodeRequest,
) -> Result<(), Fault> {
    refuse! {
        request.publish_to.is_some() => "PublishTo",
        request.source_kms_key_arn.is_some() => "SourceKMSKeyArn",
    }
    Ok(())
}

/// Rules of CreateFunction beyond AWS's model.
pub(super) fn require_creatable(request: &wire::CreateFunctionRequest) -> Result<(), Fault> {
    require_package_type(request)?;
    require_runtime(request.runtime.as_deref())
}

/// Members that go with the package type.
fn require_package_type(request: &wire::CreateFunctionRequest) -> Result<(), Fault> {
    let has_layers = request.layers.as_ref().is_some_and(|it| !it.is_empty());
    let has_other = request.handler.is_some() || request.runtime.is_some() || has_layers;
    match is_of_image(request) {
        true if has_other => Err(invalid(&FunctionError::MembersOfPackage.to_string())),
        true if request.code.image_uri.is_none() => Err(invalid(
            "Please provide ImageUri when the intended function PackageType is Image.",
        )),
        // Without a package type, AWS asks for what packages need.
        false if request.code.image_uri.is_some() => {
            required(request.runtime.clone())?;
            required(request.handler.clone())?;
            Err(invalid(
                "Please don't provide ImageUri when the intended function PackageType is Zip.",
            ))
        }
        false if request.image_config.is_some() => {
            Err(invalid(&FunctionError::MembersOfImage.to_string()))
        }
        _ => Ok(()),
    }
}

/// True if the new function is of package type Image.
pub(super) fn is_of_image(request: &wire::CreateFunctionRequest) -> bool {
    request.package_type.as_deref() == Some("Image")
}

fn require_runtime(runtime: Option<&str>) -> Result<(), Fault> {
    let Some(name) = runtime.filter(|name| !wire::RUNTIMES.contains(name)) else {
        return Ok(());
    };
    Err(invalid(&format!(
        "Value {name} at 'runtime' failed to satisfy constraint: Member must satisfy enum value \
         set: [{}] or be a valid ARN",
        wire::open_runtimes().join(", ")
    )))
}

/// The optional members of a new function.
pub(super) fn choices(request: &mut wire::CreateFunctionRequest) -> Result<Patch, Fault> {
    let isolation = request.tenancy_config.take();
    let shared = wire::UpdateFunctionConfigurationRequest {
        description: request.description.take(),
        timeout: request.timeout,
        memory_size: request.memory_size,
        vpc_config: request.vpc_config.take(),
        environment: request.environment.take(),
        dead_letter_config: request.dead_letter_config.take(),
        kms_key_arn: request.kms_key_arn.take(),
        tracing_config: request.tracing_config.take(),
        file_system_configs: request.file_system_configs.take(),
        image_config: request.image_config.take(),
        ephemeral_storage: request.ephemeral_storage.take(),
        snap_start: request.snap_start.take(),
        logging_config: request.logging_config.take(),
        capacity_provider_config: request.capacity_provider_config.take(),
        durable_config: request.durable_config.take(),
        runtime_config: request.runtime_config.take(),
        accelerator_config: request.accelerator_config.take(),
        ..Default::default()
    };
    Ok(Patch {
        architecture: architecture(request.architectures.as_deref()),
        tenant_isolation: isolation.map(|it| it.tenant_isolation_mode == "PER_TENANT"),
        ..patch(shared)?
    })
}

/// Member that is mandatory for package type Zip.
pub(super) fn required(member: Option<String>) -> Result<String, Fault> {
    let text = "Runtime and Handler are mandatory parameters for functions created with \
                deployment packages.";
    member.ok_or_else(|| invalid(text))
}

/// Changes of UpdateFunctionConfiguration.
pub(super) fn patch(request: wire::UpdateFunctionConfigurationRequest) -> Result<Patch, Fault> {
    require_supported(&request)?;
    require_runtime(request.runtime.as_deref())?;
    let storage = request.ephemeral_storage;
    let systems = request.file_system_configs;
    let snap_start = request.snap_start.and_then(|it| it.apply_on);
    Ok(Patch {
        description: request.description,
        role: request.role,
        handler: request.handler,
        runtime: request.runtime,
        timeout_seconds: seconds(request.timeout),
        memory: mib(request.memory_size),
        ephemeral: storage.and_then(|it| mib(Some(it.size))),
        environment: request
            .environment
            .map(|environment| environment.variables.into_iter().flatten().collect()),
        tracing: tracing(request.tracing_config.as_ref()),
        logging: request.logging_config.map(logging).transpose()?,
        dead_letter: request
            .dead_letter_config
            .map(|it| it.target_arn.unwrap_or_default()),
        vpc: request.vpc_config.map(vpc),
        kms_key_arn: request.kms_key_arn,
        file_systems: systems.map(|systems| systems.into_iter().map(file_system).collect()),
        image: request.image_config.map(|it| ImageConfig {
            entry_point: it.entry_point,
            command: it.command,
            working_directory: it.working_directory,
        }),
        snap_start: snap_start.map(|it| it == "PublishedVersions"),
        ..Patch::default()
    })
}

/// Requested architecture.
pub(super) fn architecture(given: Option<&[String]>) -> Option<Architecture> {
    // The model allows exactly one.
    match given?.first()?.as_str() {
        "arm64" => Some(Architecture::Arm64),
        _ => Some(Architecture::X86_64),
    }
}

fn logging(config: wire::LoggingConfig) -> Result<LoggingPatch, Fault> {
    let json = config.log_format.as_deref().map(|format| format == "JSON");
    let levels = config.application_log_level.is_some() || config.system_log_level.is_some();
    if levels && json == Some(false) {
        return Err(invalid(
            "ApplicationLogLevel and SystemLogLevel can only be set with LogFormat JSON.",
        ));
    }
    Ok(LoggingPatch {
        json,
        application_level: config.application_log_level,
        system_level: config.system_log_level,
        group: config.log_group,
    })
}

fn vpc(config: wire::VpcConfig) -> Vpc {
    Vpc {
        subnets: config.subnet_ids.unwrap_or_default(),
        security_groups: config.security_group_ids.unwrap_or_default(),
        ipv6: config.ipv6_allowed_for_dual_stack.unwrap_or_default(),
    }
}

fn file_system(config: wire::FileSystemConfig) -> FileSystem {
    FileSystem {
        arn: config.arn,
        path: config.local_mount_path,
    }
}

fn tracing(config: Option<&wire::TracingConfig>) -> Option<Tracing> {
    match config?.mode.as_deref()? {
        "Active" => Some(Tracing::Active),
        _ => Some(Tracing::PassThrough),
    }
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
