//! Function URLs as clients know them: domain, scheme and port, and custom domains.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::names::{FunctionName, FunctionRef, Qualifier};

/// Function URLs as clients know them.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Urls {
    /// Domain of function URLs: `<id>.lambda-url.<region>.<domain>`. Clients find the host below it, for example by
    /// a wildcard record. Default: `localhost`. Since 0.1.0.
    #[schemars(with = "String")]
    pub domain: UrlDomain,
    /// Scheme in function URLs: "http", or "https" where TLS ends here or at a proxy. Since 0.1.0.
    pub scheme: UrlScheme,
    /// Port in function URLs. Default: the port that the client of the Lambda API called. Since 0.1.0.
    pub port: Option<u16>,
    /// Further host names of function URLs. Since 0.1.0.
    pub domains: Vec<CustomDomain>,
}

/// Host name of a function URL of its own.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomDomain {
    /// Host name. Since 0.1.0.
    #[schemars(with = "String")]
    pub host: UrlDomain,
    /// `name` or `name:alias` of a function with a function URL, whose authorization and other settings apply.
    /// Since 0.1.0.
    #[schemars(with = "String")]
    pub function: CustomTarget,
}

/// Domain name in lower case.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct UrlDomain(String);

/// Function or alias behind a custom domain.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct CustomTarget {
    pub(crate) name: FunctionName,
    /// An alias, if any.
    pub(crate) alias: Option<Qualifier>,
}

/// Scheme of function URLs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UrlScheme {
    /// Plain HTTP.
    #[default]
    Http,
    /// HTTP over TLS.
    Https,
}

/// Malformed value of `[urls]`.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Malformed {
    /// Not a domain name.
    #[error("{0:?} is not a domain name, such as \"fn.example.com\"")]
    Domain(String),
    /// Neither a function nor an alias.
    #[error("{0:?} is not the name of a function, or a name, \":\" and an alias")]
    Target(String),
}

impl UrlDomain {
    /// The domain name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for UrlDomain {
    fn default() -> Self {
        Self("localhost".to_owned())
    }
}

impl TryFrom<String> for UrlDomain {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        let name = text.strip_suffix('.').unwrap_or(&text);
        let is_label = |label: &str| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            !label.is_empty() && label.bytes().all(fits)
        };
        match name.split('.').all(is_label) {
            true => Ok(Self(name.to_ascii_lowercase())),
            false => Err(Malformed::Domain(text)),
        }
    }
}

impl TryFrom<String> for CustomTarget {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        match FunctionRef::parse(&text) {
            Ok(FunctionRef {
                name,
                qualifier: alias @ (None | Some(Qualifier::Alias(_))),
                ..
            }) => Ok(Self { name, alias }),
            _ => Err(Malformed::Target(text)),
        }
    }
}

impl UrlScheme {
    /// The scheme in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// Port that URLs of this scheme do not name.
    pub fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_url_settings_are_refused() {
        let read = |text: &str| toml::from_str::<Urls>(text).map_err(|error| error.to_string());
        let urls = "domain = \"Fn.Example.\"\nscheme = \"https\"\nport = 8443\n\
                    [[domains]]\nhost = \"shop.example\"\nfunction = \"shop:live\"";
        let urls = read(urls).unwrap();
        assert_eq!(urls.domain.as_str(), "fn.example");
        assert_eq!(urls.domains[0].function.name.as_str(), "shop");
        assert_eq!(read("").unwrap(), Urls::default());
        for (text, expected) in [
            ("domain = \"a..b\"", "not a domain name"),
            ("domain = \"https://a\"", "not a domain name"),
            ("scheme = \"ftp\"", "unknown variant"),
            (
                "[[domains]]\nhost = \"a\"\nfunction = \"f:1\"",
                "not the name of a function",
            ),
            (
                "[[domains]]\nhost = \"a\"\nfunction = \"a b\"",
                "not the name of a function",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
