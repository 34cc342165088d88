//! Registries of container images, and bounds of their images. Plain data.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

/// Container images: functions of package type Image.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Images {
    /// Size of an image in bytes, compressed and unpacked. AWS has 10 GB. Since 0.1.0.
    pub image_bytes: u64,
    /// Seconds that pulling an image may take. Since 0.1.0.
    pub timeout_seconds: u64,
    /// Docker's `config.json`, for the credentials in its `auths`. Credential helpers are not run. Since 0.1.0.
    pub docker_config: Option<PathBuf>,
    /// Registries with credentials, or at addresses that are not public: others are pulled from anonymously, and at
    /// public addresses only. Since 0.1.0.
    pub registries: Vec<ImageRegistry>,
}

/// A registry of container images.
#[derive(Clone, Eq, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageRegistry {
    /// Host name, and port if it is not TLS's: `ghcr.io`, `localhost:5000`. Since 0.1.0.
    pub host: String,
    /// User name. Since 0.1.0.
    pub username: Option<String>,
    /// Password, or an access token. Since 0.1.0.
    pub password: Option<String>,
    /// TLS. Default: true, except at `localhost` and loopback addresses. Only there may it be false. Since 0.1.0.
    pub tls: Option<bool>,
}

impl Default for Images {
    fn default() -> Self {
        Self {
            image_bytes: 10 << 30,
            timeout_seconds: 900,
            docker_config: None,
            registries: Vec::new(),
        }
    }
}

impl Images {
    /// Time that pulling an image may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }
}

impl std::fmt::Debug for ImageRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImageRegistry")
            .field("host", &self.host)
            .field("username", &self.username)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_is_not_in_debug_output() {
        let text = "[[registries]]\nhost = \"ghcr.io\"\nusername = \"u\"\npassword = \"hidden\"";
        let images: Images = toml::from_str(text).unwrap();
        assert_eq!(images.registries[0].password.as_deref(), Some("hidden"));
        assert!(!format!("{images:?}").contains("hidden"));
        assert_eq!(images.image_bytes, 10_737_418_240);
    }
}
