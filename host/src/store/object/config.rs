//! Configuration of the S3 client: plain data, validated as a whole.

use std::time::Duration;

use crate::outbound::sigv4::Credentials;

/// S3 endpoint and credentials. The default endpoint is AWS's; without keys, requests are unsigned;
/// without both there is no server.
#[derive(Clone, Default)]
pub struct Config {
    /// Endpoint URL.
    pub endpoint: Option<String>,
    /// Region in signatures.
    pub region: String,
    /// Access key id.
    pub access_key_id: Option<String>,
    /// Secret access key.
    pub secret_access_key: Option<String>,
    /// Session token of temporary credentials.
    pub session_token: Option<String>,
    /// Path-style addressing; `None` follows the endpoint.
    pub path_style: Option<bool>,
    /// Timeout of one read, retries included.
    pub time_max: Duration,
}

/// Inconsistent configuration.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Misconfigured {
    /// Invalid endpoint URL.
    #[error("the S3 endpoint {0:?} is not a URL such as https://s3.example.com")]
    Endpoint(String),
    /// Access key id without secret, or the reverse.
    #[error("access_key_id and secret_access_key of [s3] must be set together")]
    HalfAKey,
    /// Characters that a header cannot hold.
    #[error("the S3 setting {0} has characters that are not allowed in it")]
    Characters(&'static str),
}

impl Config {
    /// Credentials to sign with, if any.
    pub(super) fn credentials(&self) -> Option<Credentials> {
        Some(Credentials {
            access_key_id: self.access_key_id.clone()?,
            secret_access_key: self.secret_access_key.clone()?,
            session_token: self.session_token.clone(),
        })
    }

    /// Refuses inconsistent settings.
    pub(super) fn check(&self) -> Result<(), Misconfigured> {
        if self.access_key_id.is_some() != self.secret_access_key.is_some()
            || self.session_token.is_some() && self.access_key_id.is_none()
        {
            return Err(Misconfigured::HalfAKey);
        }
        let settings = [
            ("region", Some(&self.region)),
            ("access_key_id", self.access_key_id.as_ref()),
            ("secret_access_key", self.secret_access_key.as_ref()),
            ("session_token", self.session_token.as_ref()),
        ];
        for (name, value) in settings {
            let plain = |text: &String| text.bytes().all(|byte| byte.is_ascii_graphic());
            if value.is_some_and(|value| value.is_empty() || !plain(value)) {
                return Err(Misconfigured::Characters(name));
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("access_key_id", &self.access_key_id)
            .field("path_style", &self.path_style)
            .field("time_max", &self.time_max)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::outbound::Client;
    use crate::store::object::Objects;

    fn objects(config: Config) -> Result<Objects, Misconfigured> {
        Objects::new(
            config,
            Client::new(crate::outbound::Trust::default(), Clock::system()),
        )
    }

    fn config() -> Config {
        Config {
            region: "us-east-1".into(),
            time_max: Duration::from_secs(1),
            ..Config::default()
        }
    }

    #[test]
    fn contradicting_configuration_is_refused() {
        let keyed = |id: &str, secret: &str| Config {
            access_key_id: Some(id.into()),
            secret_access_key: Some(secret.into()),
            ..config()
        };
        assert!(objects(keyed("id", "secret")).is_ok());
        let half = Config {
            secret_access_key: None,
            ..keyed("id", "")
        };
        let token = Config {
            session_token: Some("token".into()),
            ..config()
        };
        let endpoint = Config {
            endpoint: Some("localhost:9000".into()),
            ..config()
        };
        let cases = [
            (half, Misconfigured::HalfAKey),
            (token, Misconfigured::HalfAKey),
            (
                keyed("", "secret"),
                Misconfigured::Characters("access_key_id"),
            ),
            (
                keyed("a\nb", "secret"),
                Misconfigured::Characters("access_key_id"),
            ),
            (
                keyed("id", "a b"),
                Misconfigured::Characters("secret_access_key"),
            ),
            (endpoint, Misconfigured::Endpoint("localhost:9000".into())),
        ];
        for (config, expected) in cases {
            assert_eq!(objects(config).unwrap_err(), expected);
        }
    }

    #[test]
    fn debug_output_hides_secrets() {
        let config = Config {
            access_key_id: Some("id".into()),
            secret_access_key: Some("hidden".into()),
            session_token: Some("hidden".into()),
            ..config()
        };
        let objects = objects(config).unwrap();
        assert!(!format!("{objects:?}").contains("hidden"));
    }
}
