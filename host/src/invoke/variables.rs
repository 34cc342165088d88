//! Lambda's environment variables. `_X_AMZN_TRACE_ID` is not set, because it changes with every
//! invocation and guests read their environment once; the context has it.

use std::sync::Arc;

use super::initialization::Initialization;
use super::live::{Deployment, LoadError};
use super::snapshot::Version;
use crate::sandbox::Variables;
use crate::telemetry::log::Format;

/// Variables of an environment. `control` refuses the two names set here as reserved.
pub(super) fn of(
    deployment: &Deployment,
    region: &str,
    log_stream: &str,
    initialization: Initialization,
) -> Result<Variables, LoadError> {
    let of_all = || shared(&deployment.version, region);
    let shared = deployment.variables.get_or_init(of_all);
    let mut own = vec![
        ("AWS_LAMBDA_LOG_STREAM_NAME".into(), log_stream.into()),
        (
            "AWS_LAMBDA_INITIALIZATION_TYPE".into(),
            initialization.name().into(),
        ),
    ];
    own.extend(deployment.chosen_variables()?);
    Ok(Variables {
        shared: Arc::clone(shared),
        own,
    })
}

/// Lambda's variables that are equal in all environments of a version.
fn shared(version: &Version, region: &str) -> Arc<[(String, String)]> {
    let facts = &version.facts;
    let memory = facts.memory.get().to_string();
    let own = [
        ("_HANDLER", version.settings.handler.as_str()),
        ("AWS_DEFAULT_REGION", region),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory),
        ("AWS_LAMBDA_FUNCTION_NAME", &facts.name),
        ("AWS_LAMBDA_FUNCTION_VERSION", &facts.version),
        ("AWS_LAMBDA_LOG_GROUP_NAME", &facts.log_group),
        ("AWS_REGION", region),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
        ("LAMBDA_TASK_ROOT", "/var/task"),
        ("LANG", "en_US.UTF-8"),
        (
            "LD_LIBRARY_PATH",
            "/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
        ),
        ("PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin"),
        ("TZ", ":UTC"),
    ];
    // As in AWS, text logs set no variable.
    let logging = match version.settings.logging {
        Format::Text => Vec::new(),
        Format::Json(levels) => vec![
            ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
            ("AWS_LAMBDA_LOG_LEVEL", levels.application.name()),
        ],
    };
    let all = own.into_iter().chain(logging);
    let all = all.map(|(name, value)| (name.to_owned(), value.to_owned()));
    all.chain(execution_environment(&version.settings.runtime))
        .collect()
}

/// `AWS_EXECUTION_ENV`; AWS sets none for `provided` runtimes.
fn execution_environment(runtime: &str) -> Option<(String, String)> {
    let value = format!("AWS_Lambda_{runtime}");
    (!runtime.starts_with("provided")).then(|| ("AWS_EXECUTION_ENV".to_owned(), value))
}
