//! S3 server for deployment packages and records of failures. Plain data; the commands `start` and `dev` fill missing
//! settings from the process environment, embedders get none.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

/// An S3 server, AWS's or a compatible one. Without endpoint and keys there is none, and functions
/// are created from `ZipFile` only.
#[derive(Clone, Eq, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct S3 {
    /// Endpoint URL. Default with keys: AWS's endpoint of the region.
    /// `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`. Since 0.1.0.
    pub endpoint: Option<String>,
    /// Region in signatures. Default: the host's. `AWS_REGION`, `AWS_DEFAULT_REGION`. Since 0.1.0.
    pub region: Option<String>,
    /// `AWS_ACCESS_KEY_ID`. Without keys, requests are not signed. Since 0.1.0.
    pub access_key_id: Option<String>,
    /// `AWS_SECRET_ACCESS_KEY`. Since 0.1.0.
    pub secret_access_key: Option<String>,
    /// `AWS_SESSION_TOKEN`, for temporary credentials. Since 0.1.0.
    pub session_token: Option<String>,
    /// Path-style addressing, `/bucket/key`, rather than virtual-hosted. Default: true if an
    /// endpoint is set. Since 0.1.0.
    pub path_style: Option<bool>,
    /// Timeout of one download, in seconds. Since 0.1.0.
    pub timeout_seconds: u64,
}

impl Default for S3 {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: None,
            access_key_id: None,
            secret_access_key: None,
            session_token: None,
            path_style: None,
            timeout_seconds: 60,
        }
    }
}

impl S3 {
    /// Timeout of one download.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }
}

impl std::fmt::Debug for S3 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("access_key_id", &self.access_key_id)
            .field("path_style", &self.path_style)
            .field("timeout_seconds", &self.timeout_seconds)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_is_not_in_debug_output() {
        let text = "endpoint = \"http://127.0.0.1:9000\"\naccess_key_id = \"id\"\n\
                    secret_access_key = \"hidden\"\nsession_token = \"hidden\"\npath_style = true";
        let s3: S3 = toml::from_str(text).unwrap();
        assert_eq!(s3.secret_access_key.as_deref(), Some("hidden"));
        assert_eq!(s3.timeout(), Duration::from_secs(60));
        assert!(!format!("{s3:?}").contains("hidden"));
    }

    #[test]
    fn unknown_key_is_named() {
        let error = toml::from_str::<S3>("bucket = \"b\"").unwrap_err();
        assert!(
            error.to_string().contains("unknown field `bucket`"),
            "{error}"
        );
    }
}
