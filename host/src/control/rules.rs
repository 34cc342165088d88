//! Validation rules beyond AWS's model: limits that depend on other members, and combinations. The
//! model's own constraints are checked before.

use super::configuration::{Configuration, ConfigurationError as Error, FileSystem, Vpc};
use crate::config::Runtimes;
use crate::library::runtime;
use crate::units::{ENVIRONMENT_BYTES_MAX, EPHEMERAL_MAX, MEMORY_MAX, TIMEOUT_SECONDS_MAX};

/// Reserved environment variables.
const RESERVED_VARIABLES: [&str; 17] = [
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_TASK_ROOT",
];

/// Validates a configuration with its variables in clear.
pub(super) fn check(
    configuration: &Configuration,
    variables: Option<&[(String, String)]>,
    runtimes: Runtimes,
) -> Result<(), Error> {
    if !configuration.is_of_image() {
        require_runtime(&configuration.runtime, runtimes)?;
    }
    sizes(configuration)?;
    configuration.vpc.as_ref().map_or(Ok(()), vpc)?;
    configuration.file_systems.iter().try_for_each(mount_path)?;
    variables.map_or(Ok(()), environment)
}

fn require_runtime(name: &str, runtimes: Runtimes) -> Result<(), Error> {
    match runtimes {
        _ if runtime::find(name).is_some() => Ok(()),
        Runtimes::Refuse => Err(Error::RuntimeNotAvailable(name.to_owned())),
        Runtimes::Accept if runtime::is_ended(name) => Err(Error::RuntimeEnded(name.to_owned())),
        Runtimes::Accept => Ok(()),
    }
}

/// Limits of functions without a capacity provider, as all are here. The model's limits apply with
/// one.
fn sizes(configuration: &Configuration) -> Result<(), Error> {
    let bounded = [
        (
            "Timeout",
            configuration.timeout_seconds,
            TIMEOUT_SECONDS_MAX,
        ),
        ("MemorySize", configuration.memory.get(), MEMORY_MAX.get()),
        (
            "EphemeralStorage.Size",
            configuration.ephemeral.get(),
            EPHEMERAL_MAX.get(),
        ),
    ];
    match bounded.into_iter().find(|(_, value, max)| value > max) {
        None => Ok(()),
        Some((name, _, max)) => Err(Error::TooLarge { name, max }),
    }
}

/// Requires subnets and security groups together.
fn vpc(vpc: &Vpc) -> Result<(), Error> {
    if vpc.subnets.is_empty() == vpc.security_groups.is_empty() {
        return Ok(());
    }
    Err(Error::VpcIncomplete)
}

/// Refuses `/mnt/.` and `/mnt/..`, which AWS's pattern allows.
fn mount_path(system: &FileSystem) -> Result<(), Error> {
    match system.path.strip_prefix("/mnt/") {
        None | Some("." | "..") => Err(Error::MountPath(system.path.clone())),
        Some(_) => Ok(()),
    }
}

fn environment(variables: &[(String, String)]) -> Result<(), Error> {
    let reserved: Vec<&str> = variables
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| RESERVED_VARIABLES.contains(name))
        .collect();
    if !reserved.is_empty() {
        return Err(Error::ReservedVariables(reserved.join(", ")));
    }
    let document: serde_json::Map<String, serde_json::Value> = variables
        .iter()
        .map(|(name, value)| (name.clone(), value.clone().into()))
        .collect();
    let document = serde_json::Value::Object(document).to_string();
    if document.len() > ENVIRONMENT_BYTES_MAX {
        return Err(Error::VariablesTooLong(document));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<(), Error> {
        let owned = variables
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        environment(&owned.collect::<Vec<_>>())
    }

    #[test]
    fn environment_over_four_kilobytes_of_compact_json_is_refused() {
        // `{"A":"…"}` adds eight bytes to the value.
        assert!(with(&[("A", &"x".repeat(4_096 - 8))]).is_ok());
        let refused = with(&[("A", &"x".repeat(4_097 - 8))])
            .unwrap_err()
            .to_string();
        assert!(refused.contains(r#"String measured: {"A":"x"#), "{refused}");
    }

    #[test]
    fn reserved_variables_are_named() {
        let refused = with(&[("B", "1"), ("AWS_REGION", "x"), ("_HANDLER", "y")]).unwrap_err();
        assert!(
            refused.to_string().ends_with("AWS_REGION, _HANDLER"),
            "{refused}"
        );
    }

    #[test]
    fn subnets_without_security_groups_are_refused() {
        let vpc = |subnets: &[&str], groups: &[&str]| {
            let owned = |ids: &[&str]| ids.iter().map(|it| (*it).into()).collect();
            super::vpc(&Vpc {
                subnets: owned(subnets),
                security_groups: owned(groups),
                ipv6: false,
            })
        };
        assert!(vpc(&[], &[]).is_ok() && vpc(&["subnet-1"], &["sg-1"]).is_ok());
        assert!(vpc(&["subnet-1"], &[]).is_err() && vpc(&[], &["sg-1"]).is_err());
    }

    #[test]
    fn runtime_that_is_not_available_is_refused_with_those_that_are() {
        assert!(require_runtime("provided.al2023", Runtimes::Refuse).is_ok());
        assert!(require_runtime("python3.13", Runtimes::Refuse).is_ok());
        assert!(require_runtime("java21", Runtimes::Accept).is_ok());
        assert!(require_runtime("python3.7", Runtimes::Accept).is_err());
        let refused = require_runtime("java21", Runtimes::Refuse);
        let refused = refused.unwrap_err().to_string();
        assert!(
            refused.contains("java21") && refused.contains("wasip2"),
            "{refused}"
        );
    }
}
