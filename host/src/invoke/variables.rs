//! The environment variables that Lambda promises every function.

use super::snapshot::Settings;
use crate::sandbox::FunctionFacts;

/// Lambda's variables, then the author's. Where an author uses a reserved name, `control` has
/// refused it; of two equal names the first would win.
pub(super) fn of(
    facts: &FunctionFacts,
    settings: &Settings,
    region: &str,
    log_stream: &str,
) -> Vec<(String, String)> {
    let memory = facts.memory.get().to_string();
    let reserved = [
        ("_HANDLER", settings.handler.as_str()),
        ("AWS_DEFAULT_REGION", region),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_wasip2"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory),
        ("AWS_LAMBDA_FUNCTION_NAME", &facts.name),
        ("AWS_LAMBDA_FUNCTION_VERSION", &facts.version),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", &facts.log_group),
        ("AWS_LAMBDA_LOG_STREAM_NAME", log_stream),
        ("AWS_REGION", region),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
        ("LAMBDA_TASK_ROOT", "/var/task"),
        ("LANG", "en_US.UTF-8"),
        ("TZ", ":UTC"),
    ];
    let reserved = reserved.map(|(name, value)| (name.to_owned(), value.to_owned()));
    reserved
        .into_iter()
        .chain(settings.variables.iter().cloned())
        .collect()
}
