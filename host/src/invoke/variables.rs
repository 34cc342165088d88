//! The environment variables that Lambda promises every function.

use super::snapshot::Version;
use crate::telemetry::log::Format;

/// Lambda's own variables, in an environment with this log stream.
pub(super) fn of(version: &Version, region: &str, log_stream: &str) -> Vec<(String, String)> {
    let facts = &version.facts;
    let memory = facts.memory.get().to_string();
    let own = [
        ("_HANDLER", version.settings.handler.as_str()),
        ("AWS_DEFAULT_REGION", region),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_wasip2"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory),
        ("AWS_LAMBDA_FUNCTION_NAME", &facts.name),
        ("AWS_LAMBDA_FUNCTION_VERSION", &facts.version),
        ("AWS_LAMBDA_LOG_GROUP_NAME", &facts.log_group),
        ("AWS_LAMBDA_LOG_STREAM_NAME", log_stream),
        ("AWS_REGION", region),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
        ("LAMBDA_TASK_ROOT", "/var/task"),
        ("LANG", "en_US.UTF-8"),
        ("TZ", ":UTC"),
    ];
    let logging = match version.settings.logging {
        Format::Text => vec![("AWS_LAMBDA_LOG_FORMAT", "Text")],
        Format::Json(levels) => vec![
            ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
            ("AWS_LAMBDA_LOG_LEVEL", levels.application.name()),
        ],
    };
    let all = own.into_iter().chain(logging);
    all.map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
