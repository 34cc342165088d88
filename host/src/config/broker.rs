//! Servers of event sources that AWS does not have. Event source mappings name them in ARNs of the partition `aws-lamina`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Token;
use crate::names::FunctionName;

/// Server of streams for event source mappings. Constructed by deserialization, which validates it.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(try_from = "BrokerKeys")]
pub struct Broker {
    pub(crate) name: String,
    pub(crate) is_encrypted: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) database: u16,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Token>,
}

/// Redis server whose streams are event sources: `arn:aws-lamina:redis:<region>:<account>:<name>/<key of the stream>` is the
/// `EventSourceArn` of a mapping.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BrokerKeys {
    /// Name in ARNs: 1 to 64 letters, digits, hyphens and underscores. Since 0.1.0.
    name: String,
    /// `redis://host:port/database`, or `rediss://` with TLS. Since 0.1.0.
    url: String,
    /// User of the server's access control list. Since 0.1.0.
    user: Option<String>,
    /// Password. Since 0.1.0.
    password: Option<Token>,
}

/// Malformed broker.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// Not a part of an ARN.
    #[error("{0:?} is not the name of a broker: 1 to 64 letters, digits, hyphens and underscores")]
    Name(String),
    /// Not a URL of Redis. It is not repeated, since it may have a password.
    #[error(
        "broker {0:?}: url is not of the form redis://host:port/database or rediss://host:port/database (user and \
         password are keys of their own)"
    )]
    Url(String),
}

/// Port of Redis.
const PORT_DEFAULT: u16 = 6_379;

impl TryFrom<BrokerKeys> for Broker {
    type Error = Malformed;

    fn try_from(keys: BrokerKeys) -> Result<Self, Malformed> {
        if FunctionName::parse(&keys.name).is_err() {
            return Err(Malformed::Name(keys.name));
        }
        let malformed = || Malformed::Url(keys.name.clone());
        let url: http::Uri = keys.url.parse().map_err(|_| malformed())?;
        let is_encrypted = match url.scheme_str() {
            Some("redis") => false,
            Some("rediss") => true,
            _ => return Err(malformed()),
        };
        let authority = url.authority().ok_or_else(malformed)?;
        if authority.as_str().contains('@') || authority.host().is_empty() || url.query().is_some()
        {
            return Err(malformed());
        }
        let database = match url.path().trim_start_matches('/') {
            "" => 0,
            number => number.parse().map_err(|_| malformed())?,
        };
        Ok(Self {
            is_encrypted,
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(PORT_DEFAULT),
            database,
            name: keys.name,
            user: keys.user,
            password: keys.password,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Broker, String> {
        let text = format!("name = \"b\"\nurl = \"{url}\"\npassword = \"hidden\"");
        toml::from_str(&text).map_err(|error| error.to_string())
    }

    #[test]
    fn url_of_redis_is_read() {
        for (url, host, port, database) in [
            ("redis://127.0.0.1", "127.0.0.1", 6_379, 0),
            ("rediss://redis.example:6380/3", "redis.example", 6_380, 3),
            ("redis://[::1]:7000/", "::1", 7_000, 0),
        ] {
            let broker = read(url).unwrap();
            let found = (&*broker.host, broker.port, broker.database);
            assert_eq!(found, (host, port, database), "{url}");
            assert_eq!(broker.is_encrypted, url.starts_with("rediss"));
            assert!(!format!("{broker:?}").contains("hidden"));
        }
    }

    #[test]
    fn other_url_is_refused_and_not_repeated() {
        for url in [
            "http://127.0.0.1",
            "127.0.0.1:6379",
            "redis://secret@127.0.0.1",
            "redis://127.0.0.1/x",
            "redis://",
            "redis://127.0.0.1?x=1",
        ] {
            let error = read(url).unwrap_err();
            assert!(error.contains("broker \"b\""), "{url}: {error}");
        }
        let named = "name = \"a/b\"\nurl = \"redis://127.0.0.1\"";
        let error = toml::from_str::<Broker>(named).unwrap_err().to_string();
        assert!(error.contains("not the name of a broker"), "{error}");
    }
}
