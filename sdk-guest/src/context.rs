//! Facts about an invocation, named as AWS's `lambda_runtime` names them.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::bindings::{function, runtime};

/// Facts about one invocation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Context {
    /// The id of the invocation.
    pub request_id: String,
    /// When it times out, in milliseconds since the Unix epoch.
    pub deadline: u64,
    /// The ARN the caller used.
    pub invoked_function_arn: String,
    /// The tracing header.
    pub xray_trace_id: Option<String>,
    /// The client context: a JSON document.
    pub client_context: Option<String>,
    /// The Amazon Cognito identity that authorised the request.
    pub identity: Option<Identity>,
    /// The tenant, for functions with tenant isolation.
    pub tenant_id: Option<String>,
    /// What does not change between invocations.
    pub env_config: Arc<Config>,
}

/// An authenticated Amazon Cognito identity.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Identity {
    /// The identity.
    pub identity_id: String,
    /// The pool it is in.
    pub identity_pool_id: String,
}

/// Facts about the function.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Its name.
    pub function_name: String,
    /// Its memory in MiB.
    pub memory: u32,
    /// The version that runs.
    pub version: String,
    /// Its log stream.
    pub log_stream: String,
    /// Its log group.
    pub log_group: String,
}

impl Context {
    /// When the invocation times out.
    pub fn deadline(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.deadline)
    }
}

macro_rules! from_wit {
    ($types:path) => {
        const _: () = {
            use $types as wit;

            impl From<wit::Context> for Context {
                fn from(context: wit::Context) -> Self {
                    Self {
                        request_id: context.aws_request_id,
                        deadline: context.deadline_ms,
                        invoked_function_arn: context.invoked_function_arn,
                        xray_trace_id: context.trace_id,
                        client_context: context.client_context,
                        identity: context.identity.map(|identity| Identity {
                            identity_id: identity.identity_id,
                            identity_pool_id: identity.identity_pool_id,
                        }),
                        tenant_id: context.tenant_id,
                        env_config: Arc::new(Config {
                            function_name: context.function_name,
                            memory: context.memory_limit_mib,
                            version: context.function_version,
                            log_stream: context.log_stream_name,
                            log_group: context.log_group_name,
                        }),
                    }
                }
            }
        };
    };
}

from_wit!(function::lambda::function::types);
from_wit!(runtime::lambda::function::types);
