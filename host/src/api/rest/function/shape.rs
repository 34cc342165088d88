//! Conversion of version records to `FunctionConfiguration`, with all members that AWS always
//! shows.

use crate::api::rest::wire;
use crate::control::behaviour::runtime_version_arn;
use crate::control::configuration::{
    Configuration, LastUpdate, Logging, State, Tracing, VersionRecord, Vpc,
};
use crate::control::vault::Vault;
use crate::library::image::Image;
use crate::names::{FunctionName, Home, Qualifier};
use crate::store::blob::Digest;

/// AWS's reason for both unfinished states.
const CREATING_REASON: &str = "The function is being created.";

/// Hexadecimal digits of a VPC id, after `vpc-`.
const VPC_ID_DIGITS: usize = 17;

/// Configuration of a version; its ARN is qualified if the request was.
pub(super) fn configuration(
    name: &FunctionName,
    version: &VersionRecord,
    qualifier: Option<&Qualifier>,
    home: &Home,
    vault: &Vault,
) -> wire::FunctionConfiguration {
    let chosen = &version.configuration;
    let signed = version.signed.as_ref();
    let modified = version.modified.utc();
    let mut shape = wire::FunctionConfiguration {
        function_name: Some(name.to_string()),
        function_arn: Some(home.arn_at(name, qualifier)),
        code_size: i64::try_from(version.code.size_bytes).ok(),
        code_sha256: Some(version.code.package.base64()),
        version: Some(version.qualifier().to_string()),
        revision_id: Some(version.revision.as_str().into()),
        last_modified: Some(modified.strftime("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string()),
        package_type: Some("Zip".into()),
        environment: environment(chosen, vault),
        logging_config: Some(logging(&chosen.logging, chosen.log_group(name))),
        signing_profile_version_arn: signed.map(|it| it.profile_version_arn.clone()),
        signing_job_arn: signed.map(|it| it.job_arn.clone()),
        vpc_config: chosen.vpc.as_ref().map(|chosen| vpc(chosen, home)),
        ..chosen_members(chosen)
    };
    if chosen.is_of_image() {
        of_image(&mut shape, version);
    } else {
        shape.runtime_version_config = Some(wire::RuntimeVersionConfig {
            runtime_version_arn: Some(runtime_version_arn(home)),
            ..Default::default()
        });
    }
    progress(&mut shape, version);
    shape
}

/// Members that differ for images. AWS shows the digest in hexadecimal digits there.
fn of_image(shape: &mut wire::FunctionConfiguration, version: &VersionRecord) {
    shape.package_type = Some("Image".into());
    shape.code_sha256 = Some(version.code.package.to_string());
    (shape.handler, shape.runtime) = (None, None);
    let chosen = version.configuration.image.as_ref();
    shape.image_config_response = chosen.map(|it| wire::ImageConfigResponse {
        image_config: Some(wire::ImageConfig {
            entry_point: it.entry_point.clone(),
            command: it.command.clone(),
            working_directory: it.working_directory.clone(),
        }),
        error: None,
    });
}

/// `Code` of GetFunction for an image.
pub(super) fn image_location(image: &Image) -> wire::FunctionCodeLocation {
    wire::FunctionCodeLocation {
        repository_type: Some("ECR".into()),
        image_uri: Some(image.uri.clone()),
        resolved_image_uri: Some(image.resolved.clone()),
        ..Default::default()
    }
}

/// Configuration in listings, without the members that AWS omits there.
pub(in crate::api::rest) fn listed(
    mut shape: wire::FunctionConfiguration,
) -> wire::FunctionConfiguration {
    shape.state = None;
    shape.state_reason = None;
    shape.state_reason_code = None;
    shape.last_update_status = None;
    shape.last_update_status_reason = None;
    shape.last_update_status_reason_code = None;
    shape.runtime_version_config = None;
    shape
}

/// Environment variables, or the error of reading them.
fn environment(chosen: &Configuration, vault: &Vault) -> Option<wire::EnvironmentResponse> {
    let shape = match vault.open_sealed(chosen.environment.as_ref()?) {
        Ok(variables) => wire::EnvironmentResponse {
            variables: Some(variables.into_iter().collect()),
            error: None,
        },
        Err(error) => wire::EnvironmentResponse {
            variables: None,
            error: Some(wire::EnvironmentError {
                error_code: Some("KMSInvalidStateException".into()),
                message: Some(error.to_string()),
            }),
        },
    };
    Some(shape)
}

fn logging(logging: &Logging, group: String) -> wire::LoggingConfig {
    let format = if logging.json.is_some() {
        "JSON"
    } else {
        "Text"
    };
    wire::LoggingConfig {
        log_format: Some(format.into()),
        application_log_level: logging.json.as_ref().map(|it| it.application.clone()),
        system_log_level: logging.json.as_ref().map(|it| it.system.clone()),
        log_group: Some(group),
    }
}

fn chosen_members(chosen: &Configuration) -> wire::FunctionConfiguration {
    let tracing = match chosen.tracing {
        Tracing::PassThrough => "PassThrough",
        Tracing::Active => "Active",
    };
    let apply_on = if chosen.snap_start {
        "PublishedVersions"
    } else {
        "None"
    };
    let storage = i32::try_from(chosen.ephemeral.get()).ok();
    wire::FunctionConfiguration {
        description: Some(chosen.description.clone()),
        role: Some(chosen.role.clone()),
        handler: Some(chosen.handler.clone()),
        runtime: Some(chosen.runtime.clone()),
        timeout: i32::try_from(chosen.timeout_seconds).ok(),
        memory_size: i32::try_from(chosen.memory.get()).ok(),
        ephemeral_storage: storage.map(|size| wire::EphemeralStorage { size }),
        architectures: Some(vec![chosen.architecture.name().into()]),
        tracing_config: Some(wire::TracingConfigResponse {
            mode: Some(tracing.into()),
        }),
        snap_start: Some(wire::SnapStartResponse {
            apply_on: Some(apply_on.into()),
            optimization_status: Some("Off".into()),
        }),
        ..optional_members(chosen)
    }
}

/// Members that are shown only if they were set.
fn optional_members(chosen: &Configuration) -> wire::FunctionConfiguration {
    let systems = chosen.file_systems.iter().map(|it| wire::FileSystemConfig {
        arn: it.arn.clone(),
        local_mount_path: it.path.clone(),
        s3_files_config: None,
    });
    let layers = chosen.layers.iter().map(|it| wire::Layer {
        arn: Some(it.arn.to_string()),
        code_size: i64::try_from(it.package.size_bytes).ok(),
        signing_profile_version_arn: it.signed.as_ref().map(|it| it.profile_version_arn.clone()),
        signing_job_arn: it.signed.as_ref().map(|it| it.job_arn.clone()),
    });
    wire::FunctionConfiguration {
        dead_letter_config: chosen
            .dead_letter
            .clone()
            .map(|arn| wire::DeadLetterConfig {
                target_arn: Some(arn),
            }),
        kms_key_arn: chosen.kms_key_arn.clone(),
        layers: (!chosen.layers.is_empty()).then(|| layers.collect()),
        file_system_configs: (!chosen.file_systems.is_empty()).then(|| systems.collect()),
        tenancy_config: chosen.tenant_isolation.then(|| wire::TenancyConfig {
            tenant_isolation_mode: "PER_TENANT".into(),
        }),
        ..Default::default()
    }
}

fn vpc(vpc: &Vpc, home: &Home) -> wire::VpcConfigResponse {
    let has_network = !vpc.subnets.is_empty();
    wire::VpcConfigResponse {
        subnet_ids: Some(vpc.subnets.clone()),
        security_group_ids: Some(vpc.security_groups.clone()),
        // AWS shows an empty id for a function that has left its VPC.
        vpc_id: Some(if has_network {
            vpc_id(home)
        } else {
            String::new()
        }),
        ipv6_allowed_for_dual_stack: Some(vpc.ipv6),
    }
}

/// Id of the single VPC of this account and region, as there are no subnets to look it up by.
/// Derived, so that it is the same in every response and after restarts.
fn vpc_id(home: &Home) -> String {
    let digest = Digest::of(format!("{}/{}", home.account, home.region).as_bytes());
    format!("vpc-{}", &digest.to_string()[..VPC_ID_DIGITS])
}

fn progress(shape: &mut wire::FunctionConfiguration, version: &VersionRecord) {
    let creating = Some(("Creating".to_owned(), CREATING_REASON.to_owned()));
    let failed = version.reason.clone().map(|it| (it.code, it.text));
    match (version.state, version.last_update) {
        (State::Pending, _) => {
            shape.state = Some("Pending".into());
            (shape.state_reason_code, shape.state_reason) = creating.unzip();
        }
        (State::Failed, _) => {
            shape.state = Some("Failed".into());
            shape.last_update_status = Some("Failed".into());
            (shape.state_reason_code, shape.state_reason) = failed.unzip();
        }
        (State::Inactive, _) => {
            shape.state = Some("Inactive".into());
            shape.last_update_status = Some("Successful".into());
            shape.state_reason_code = Some("Idle".into());
            shape.state_reason = Some("The function was not invoked for a long time.".into());
        }
        (State::Active, update) => {
            shape.state = Some("Active".into());
            let (status, reason) = match update {
                Some(LastUpdate::InProgress) => ("InProgress", creating),
                Some(LastUpdate::Failed) => ("Failed", failed),
                Some(LastUpdate::Successful) | None => ("Successful", None),
            };
            shape.last_update_status = Some(status.into());
            (
                shape.last_update_status_reason_code,
                shape.last_update_status_reason,
            ) = reason.unzip();
        }
    }
}
