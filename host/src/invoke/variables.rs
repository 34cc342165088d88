//! The environment variables that Lambda promises every function. `_X_AMZN_TRACE_ID` is not among them:
//! it changes with every invocation, and a guest reads its environment once. The context has it.

use std::sync::Arc;

use super::lease::Initialization;
use super::live::{Deployment, LoadError};
use super::snapshot::Version;
use crate::sandbox::Variables;
use crate::telemetry::log::Format;

/// All variables of an environment. The two set here are reserved: `control` refuses them from authors.
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

/// Lambda's own variables that are the same in all environments of a version.
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
    // As in AWS, a text log is nothing that a function would have to be told of.
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

/// What names the language to a function; those that bring their own, AWS tells nothing.
fn execution_environment(runtime: &str) -> Option<(String, String)> {
    let value = format!("AWS_Lambda_{runtime}");
    (!runtime.starts_with("provided")).then(|| ("AWS_EXECUTION_ENV".to_owned(), value))
}
