//! The S3 server that deployment packages are read from. Plain data, like all of the configuration. Missing
//! settings come from the environment in the program's `start` and `dev`; an embedder's host takes none.

use std::time::Duration;

use serde::Deserialize;

/// An S3 server, AWS's or any other. Without an endpoint and without keys there is none, and packages
/// come with their requests.
#[derive(Clone, Eq, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct S3 {
    /// The server's URL; AWS's own for the region where there are keys and no endpoint.
    /// `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`. Since 0.1.0.
    pub endpoint: Option<String>,
    /// The region in signatures; the host's own if there is none. `AWS_REGION`,
    /// `AWS_DEFAULT_REGION`. Since 0.1.0.
    pub region: Option<String>,
    /// `AWS_ACCESS_KEY_ID`. Without keys, requests are not signed. Since 0.1.0.
    pub access_key_id: Option<String>,
    /// `AWS_SECRET_ACCESS_KEY`. Since 0.1.0.
    pub secret_access_key: Option<String>,
    /// `AWS_SESSION_TOKEN`, where the keys are good for a time. Since 0.1.0.
    pub session_token: Option<String>,
    /// Names buckets in the path, `/bucket/key`, rather than in the host name. Where there
    /// is an endpoint they are, unless this is false. Since 0.1.0.
    pub path_style: Option<bool>,
    /// Seconds that fetching one package may take. Since 0.1.0.
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
    /// Longest time to fetch one package.
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
