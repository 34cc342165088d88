//! The context of an invocation, with the names and types of `lambda_runtime`. How it is made
//! from the contract's record is in `guest`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// Facts about one invocation and the function it runs in.
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// The id of this invocation; the same in the logs and in every retry.
    pub request_id: String,
    /// When the invocation times out, in milliseconds since the Unix epoch.
    pub deadline: u64,
    /// The ARN the caller used, alias or version included.
    pub invoked_function_arn: String,
    /// The tracing header of this invocation.
    pub xray_trace_id: Option<String>,
    /// What a mobile SDK says about its application.
    pub client_context: Option<ClientContext>,
    /// The Cognito identity that authorised the request.
    pub identity: Option<CognitoIdentity>,
    /// The tenant this invocation belongs to, for functions with tenant isolation.
    pub tenant_id: Option<String>,
    /// Facts about the function.
    pub env_config: Arc<Config>,
}

/// Facts about a function that are the same in all invocations of one environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The function's name.
    pub function_name: String,
    /// The memory the function is configured with, in MiB.
    pub memory: i32,
    /// The version that runs: a number, or `$LATEST`.
    pub version: String,
    /// The log stream of this environment.
    pub log_stream: String,
    /// The log group of the function.
    pub log_group: String,
}

/// What an AWS Mobile SDK sends with an invocation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientContext {
    /// The application.
    pub client: ClientApplication,
    /// What the application added.
    pub custom: HashMap<String, String>,
    /// The device it runs on.
    #[serde(alias = "env")]
    pub environment: HashMap<String, String>,
}

/// The mobile application of a [`ClientContext`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClientApplication {
    /// The id of this installation.
    #[serde(alias = "installation_id")]
    pub installation_id: String,
    /// The title as registered with AWS.
    #[serde(alias = "app_title")]
    pub app_title: String,
    /// The name of its version.
    #[serde(alias = "app_version_name")]
    pub app_version_name: String,
    /// The code of its version.
    #[serde(alias = "app_version_code")]
    pub app_version_code: String,
    /// The name of its package.
    #[serde(alias = "app_package_name")]
    pub app_package_name: String,
}

/// An authenticated Amazon Cognito identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CognitoIdentity {
    /// The identity.
    pub identity_id: String,
    /// The pool it belongs to.
    pub identity_pool_id: String,
}

impl Context {
    /// When the invocation times out.
    pub fn deadline(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.deadline)
    }

    /// The time left until then; zero once it has passed.
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
    fn the_deadline_counts_from_the_unix_epoch() {
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
    fn a_client_context_is_read_in_both_spellings_of_the_mobile_sdks() {
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
