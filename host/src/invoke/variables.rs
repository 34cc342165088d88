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
        process: deployment
            .version
            .code
            .image
            .as_ref()
            .map(|it| Arc::clone(&it.process)),
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
    let all = all.chain(execution_environment(&version.settings.runtime));
    match &version.code.image {
        None => all.collect(),
        Some(image) => with_image(all.collect(), &image.environment).into(),
    }
}

/// Variables with those of an image, which set neither `_HANDLER` nor names of AWS.
fn with_image(
    mut variables: Vec<(String, String)>,
    image: &[(String, String)],
) -> Vec<(String, String)> {
    for (name, value) in image {
        match variables.iter_mut().find(|(known, _)| known == name) {
            Some((known, _)) if known.starts_with(['_']) || known.starts_with("AWS_") => {}
            Some((_, known)) => known.clone_from(value),
            None => variables.push((name.clone(), value.clone())),
        }
    }
    variables
}

/// `AWS_EXECUTION_ENV`; AWS sets none for `provided` runtimes. Images have no runtime.
fn execution_environment(runtime: &str) -> Option<(String, String)> {
    let value = format!("AWS_Lambda_{runtime}");
    let has_one = !runtime.starts_with("provided") && !runtime.is_empty();
    has_one.then(|| ("AWS_EXECUTION_ENV".to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_sets_no_variable_of_lambda() {
        let own = |all: &[(&str, &str)]| -> Vec<(String, String)> {
            all.iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect()
        };
        let lambda = own(&[("_HANDLER", "h"), ("AWS_REGION", "r"), ("PATH", "/bin")]);
        let image = own(&[
            ("_HANDLER", "x"),
            ("AWS_REGION", "x"),
            ("PATH", "/app"),
            ("A", "1"),
        ]);
        let expected = own(&[
            ("_HANDLER", "h"),
            ("AWS_REGION", "r"),
            ("PATH", "/app"),
            ("A", "1"),
        ]);
        assert_eq!(with_image(lambda, &image), expected);
    }
}
