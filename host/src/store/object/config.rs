//! Which S3 server, and as whom: plain data, checked as a whole.

use std::time::Duration;

use crate::outbound::sigv4::Credentials;

/// Which S3 server, and as whom. Without an endpoint it is AWS's own; without keys, requests are
/// not signed; without either there is no server.
#[derive(Clone, Default)]
pub struct Config {
    /// The URL of the server.
    pub endpoint: Option<String>,
    /// The region in signatures.
    pub region: String,
    /// Names the secret.
    pub access_key_id: Option<String>,
    /// The secret.
    pub secret_access_key: Option<String>,
    /// Sent with requests that are signed with keys for a time.
    pub session_token: Option<String>,
    /// Whether buckets are named in the path rather than in the host name.
    pub path_style: Option<bool>,
    /// How long reading one object may take, with all that it waits for.
    pub time_max: Duration,
}

/// Why a configuration is none.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Misconfigured {
    /// The endpoint is not the URL of a server.
    #[error("the S3 endpoint {0:?} is not a URL such as https://s3.example.com")]
    Endpoint(String),
    /// One key without the other.
    #[error("of the S3 keys access_key_id and secret_access_key there is one without the other")]
    HalfAKey,
    /// A header could not be made of it.
    #[error("the S3 setting {0} has characters that are not allowed in it")]
    Characters(&'static str),
}

impl Config {
    /// The key to sign with, if there is one.
    pub(super) fn credentials(&self) -> Option<Credentials> {
        Some(Credentials {
            access_key_id: self.access_key_id.clone()?,
            secret_access_key: self.secret_access_key.clone()?,
            session_token: self.session_token.clone(),
        })
    }

    /// Refuses settings that cannot work together.
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
        Objects::new(config, Client::new(Clock::system()))
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
    fn secrets_are_not_shown() {
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
