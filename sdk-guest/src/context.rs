//! Invocation context, with the names and types of `lambda_runtime`. Conversion from the WIT record
//! is in `guest`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// Invocation context.
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// Request id; the same in the logs and in every retry.
    pub request_id: String,
    /// Deadline of the invocation, in milliseconds since the Unix epoch.
    pub deadline: u64,
    /// Invoked ARN, with the caller's alias or version.
    pub invoked_function_arn: String,
    /// X-Ray tracing header.
    pub xray_trace_id: Option<String>,
    /// Client context of a mobile SDK.
    pub client_context: Option<ClientContext>,
    /// Cognito identity that authorised the request.
    pub identity: Option<CognitoIdentity>,
    /// Tenant id, for functions with tenant isolation.
    pub tenant_id: Option<String>,
    /// Configuration of the function.
    pub env_config: Arc<Config>,
}

/// Function configuration; constant within an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Function name.
    pub function_name: String,
    /// Configured memory in MiB.
    pub memory: i32,
    /// Version number, or `$LATEST`.
    pub version: String,
    /// Log stream of this environment.
    pub log_stream: String,
    /// Log group of the function.
    pub log_group: String,
}

/// Client context of an AWS Mobile SDK.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientContext {
    /// Application.
    pub client: ClientApplication,
    /// Custom values of the application.
    pub custom: HashMap<String, String>,
    /// Environment values of the SDK, such as device properties.
    #[serde(alias = "env")]
    pub environment: HashMap<String, String>,
}

/// Mobile application of a [`ClientContext`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClientApplication {
    /// Installation id.
    #[serde(alias = "installation_id")]
    pub installation_id: String,
    /// Title as registered with AWS.
    #[serde(alias = "app_title")]
    pub app_title: String,
    /// Version name.
    #[serde(alias = "app_version_name")]
    pub app_version_name: String,
    /// Version code.
    #[serde(alias = "app_version_code")]
    pub app_version_code: String,
    /// Package name.
    #[serde(alias = "app_package_name")]
    pub app_package_name: String,
}

/// An authenticated Amazon Cognito identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CognitoIdentity {
    /// Identity id.
    pub identity_id: String,
    /// Identity pool id.
    pub identity_pool_id: String,
}

impl Context {
    /// Deadline of the invocation.
    pub fn deadline(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.deadline)
    }

    /// Time until the deadline; zero once it has passed.
    #[expect(
        clippy::disallowed_methods,
        reason = "the guest's only clock is the one its host gives it"
    )]
    pub fn remaining_time(&self) -> Duration {
        self.deadline()
            .duration_since(SystemTime::now())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadline_counts_from_unix_epoch() {
        let context = Context {
            deadline: 1_500,
            ..Context::default()
        };
        assert_eq!(
            context.deadline(),
            SystemTime::UNIX_EPOCH + Duration::from_millis(1_500)
        );
        assert_eq!(context.remaining_time(), Duration::ZERO);
    }

    #[test]
    fn client_context_parses_both_mobile_sdk_spellings() {
        for json in [
            r#"{"client":{"app_title":"Shop"},"custom":{"k":"v"},"env":{"locale":"en"}}"#,
            r#"{"client":{"appTitle":"Shop"},"custom":{"k":"v"},"environment":{"locale":"en"}}"#,
        ] {
            let context: ClientContext = serde_json::from_str(json).unwrap();
            assert_eq!(context.client.app_title, "Shop");
            assert_eq!(context.custom["k"], "v");
            assert_eq!(context.environment["locale"], "en");
        }
    }
}
