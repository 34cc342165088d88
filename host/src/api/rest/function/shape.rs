//! From a record to `FunctionConfiguration`, with every member AWS always shows.

use crate::api::rest::wire;
use crate::control::configuration::{
    Architecture, Configuration, FunctionRecord, LastUpdate, State, Tracing,
};
use crate::names::{Home, Qualifier};

/// The text AWS gives for both of a function's unfinished states.
const CREATING_REASON: &str = "The function is being created.";

/// A function's configuration, its ARN qualified if the caller's request was.
pub(super) fn configuration(
    record: &FunctionRecord,
    qualifier: Option<&Qualifier>,
    home: &Home,
) -> wire::FunctionConfiguration {
    let latest = &record.latest;
    let chosen = &latest.configuration;
    let signed = latest.signed.as_ref();
    let arn = match qualifier {
        None => home.function_arn(&record.name),
        Some(qualifier) => home.qualified_arn(&record.name, qualifier),
    };
    let mut shape = wire::FunctionConfiguration {
        function_name: Some(record.name.to_string()),
        function_arn: Some(arn),
        code_size: i64::try_from(latest.code.size_bytes).ok(),
        code_sha256: Some(latest.code.package.base64()),
        version: Some("$LATEST".into()),
        revision_id: Some(latest.revision.as_str().into()),
        last_modified: Some(
            latest
                .modified
                .utc()
                .strftime("%Y-%m-%dT%H:%M:%S%.3f+0000")
                .to_string(),
        ),
        package_type: Some("Zip".into()),
        signing_profile_version_arn: signed.map(|it| it.profile_version_arn.clone()),
        signing_job_arn: signed.map(|it| it.job_arn.clone()),
        ..chosen_members(chosen)
    };
    shape.logging_config = Some(wire::LoggingConfig {
        log_format: Some("Text".into()),
        log_group: Some(chosen.log_group(&record.name)),
        ..Default::default()
    });
    shape.runtime_version_config = Some(wire::RuntimeVersionConfig {
        runtime_version_arn: Some(runtime_version_arn(home)),
        ..Default::default()
    });
    progress(&mut shape, latest.state, latest.last_update);
    shape
}

/// As listings show it: without what AWS leaves out there.
pub(super) fn listed(mut shape: wire::FunctionConfiguration) -> wire::FunctionConfiguration {
    shape.state = None;
    shape.state_reason = None;
    shape.state_reason_code = None;
    shape.last_update_status = None;
    shape.last_update_status_reason = None;
    shape.last_update_status_reason_code = None;
    shape.runtime_version_config = None;
    shape
}

fn chosen_members(chosen: &Configuration) -> wire::FunctionConfiguration {
    let variables = |given: &Vec<(String, String)>| wire::EnvironmentResponse {
        variables: Some(given.iter().cloned().collect()),
        ..Default::default()
    };
    wire::FunctionConfiguration {
        description: Some(chosen.description.clone()),
        role: Some(chosen.role.clone()),
        handler: Some(chosen.handler.clone()),
        runtime: Some(chosen.runtime.clone()),
        timeout: i32::try_from(chosen.timeout_seconds).ok(),
        memory_size: i32::try_from(chosen.memory.get()).ok(),
        environment: chosen.environment.as_ref().map(variables),
        ephemeral_storage: i32::try_from(chosen.ephemeral.get())
            .ok()
            .map(|size| wire::EphemeralStorage { size }),
        architectures: Some(vec![
            match chosen.architecture {
                Architecture::X86_64 => "x86_64",
                Architecture::Arm64 => "arm64",
            }
            .into(),
        ]),
        tracing_config: Some(wire::TracingConfigResponse {
            mode: Some(
                match chosen.tracing {
                    Tracing::PassThrough => "PassThrough",
                    Tracing::Active => "Active",
                }
                .into(),
            ),
        }),
        snap_start: Some(wire::SnapStartResponse {
            apply_on: Some("None".into()),
            optimization_status: Some("Off".into()),
        }),
        ..Default::default()
    }
}

fn progress(shape: &mut wire::FunctionConfiguration, state: State, update: Option<LastUpdate>) {
    let reason = Some(CREATING_REASON.to_owned());
    let code = Some("Creating".to_owned());
    match (state, update) {
        (State::Pending, _) => {
            shape.state = Some("Pending".into());
            shape.state_reason = reason;
            shape.state_reason_code = code;
        }
        (State::Active, update) => {
            shape.state = Some("Active".into());
            let in_progress = update == Some(LastUpdate::InProgress);
            let status = if in_progress {
                "InProgress"
            } else {
                "Successful"
            };
            shape.last_update_status = Some(status.into());
            if in_progress {
                shape.last_update_status_reason = reason;
                shape.last_update_status_reason_code = code;
            }
        }
    }
}

/// Names the engine that runs the function, in the form AWS gives its runtimes.
fn runtime_version_arn(home: &Home) -> String {
    let release = concat!("lamina ", env!("CARGO_PKG_VERSION"));
    let digest = crate::store::blob::Digest::of(release.as_bytes());
    format!("arn:aws:lambda:{}::runtime:{digest}", home.region)
}
