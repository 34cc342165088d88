//! Layer names and ARNs: parsing, and the ARNs of this host's layers.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{AccountId, Error, Home, LayerName, Region, is_partition, is_word};

impl LayerName {
    /// Maximum length of a layer's name, in characters.
    pub const CHARS_MAX: usize = 140;

    /// Parses a bare name, without account, region or version.
    ///
    /// # Errors
    /// If the name is empty, too long or has a character a name cannot have.
    pub fn parse(name: &str) -> Result<Self, Error> {
        let fits = !name.is_empty() && name.len() <= Self::CHARS_MAX && name.bytes().all(is_word);
        fits.then(|| Self(name.into()))
            .ok_or_else(|| Error::Layer(name.to_owned()))
    }
}

/// A layer as named by a caller.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LayerRef {
    /// Owner account and region, if the caller gave an ARN.
    pub home: Option<Home>,
    /// Layer name.
    pub name: LayerName,
}

impl LayerRef {
    /// Parses `name` or `arn:aws:lambda:region:account:layer:name`.
    ///
    /// # Errors
    /// If it is neither, or one of its parts is malformed.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (home, name) = match owned(text)? {
            Some((home, name)) => (Some(home), name),
            None => (None, text),
        };
        let name = LayerName::parse(name)?;
        Ok(Self { home, name })
    }
}

/// ARN of a layer version.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct LayerVersionArn {
    /// Owner account and region.
    pub home: Home,
    /// Layer name.
    pub layer: LayerName,
    /// Version number.
    pub version: u64,
}

impl LayerVersionArn {
    /// Parses `arn:aws:lambda:region:account:layer:name:version`.
    ///
    /// # Errors
    /// If it is anything else, or one of its parts is malformed.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refused = || Error::Layer(text.to_owned());
        let (home, rest) = owned(text)?.ok_or_else(refused)?;
        let (name, version) = rest.split_once(':').ok_or_else(refused)?;
        let digits = version.bytes().all(|byte| byte.is_ascii_digit());
        let version = version.parse().ok().filter(|_| digits);
        Ok(Self {
            home,
            layer: LayerName::parse(name)?,
            version: version.ok_or_else(refused)?,
        })
    }
}

impl fmt::Display for LayerVersionArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layer = self.home.layer_arn(&self.layer);
        write!(f, "{layer}:{}", self.version)
    }
}

impl From<LayerVersionArn> for String {
    fn from(arn: LayerVersionArn) -> Self {
        arn.to_string()
    }
}

impl TryFrom<String> for LayerVersionArn {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        Self::parse(&text)
    }
}

impl Home {
    /// ARN of a layer, without version.
    pub fn layer_arn(&self, name: &LayerName) -> String {
        format!(
            "arn:aws:lambda:{}:{}:layer:{name}",
            self.region, self.account
        )
    }

    /// ARN of a layer version of this host.
    pub fn layer_version_arn(&self, layer: &LayerName, version: u64) -> LayerVersionArn {
        LayerVersionArn {
            home: self.clone(),
            layer: layer.clone(),
            version,
        }
    }
}

/// Splits a layer ARN into its owner and the remainder. `None` if the text is no ARN.
fn owned(text: &str) -> Result<Option<(Home, &str)>, Error> {
    let parts: Vec<&str> = text.splitn(7, ':').collect();
    match parts.as_slice() {
        ["arn", partition, "lambda", region, account, "layer", rest] if is_partition(partition) => {
            let region = Region::parse(region)?;
            let account = AccountId::parse(account)?;
            Ok(Some((Home { account, region }, rest)))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYER: &str = "arn:aws:lambda:eu-west-1:123456789012:layer:l";

    #[test]
    fn layer_is_parsed_from_a_name_or_an_arn() {
        assert_eq!(LayerRef::parse("a-b_1").unwrap().home, None);
        let named = LayerRef::parse(LAYER).unwrap();
        assert_eq!(named.home.unwrap().layer_arn(&named.name), LAYER);
        let long = "l".repeat(141);
        for text in [
            "",
            "a b",
            "l:1",
            "a/b",
            &long,
            &format!("{LAYER}:1"),
            "arn:aws:lambda",
        ] {
            assert!(LayerRef::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn layer_version_is_parsed_from_its_arn() {
        for number in ["1", "0", "18446744073709551615"] {
            let text = format!("{LAYER}:{number}");
            assert_eq!(LayerVersionArn::parse(&text).unwrap().to_string(), text);
        }
        for rest in [
            "",
            ":",
            ":x",
            ":+1",
            ":1:1",
            ":18446744073709551616",
            ":$LATEST",
        ] {
            assert!(
                LayerVersionArn::parse(&format!("{LAYER}{rest}")).is_err(),
                "{rest}"
            );
        }
        let legacy = "arn:aws:lambda:::awslayer:AmazonLinux1803";
        assert!(LayerVersionArn::parse(legacy).is_err());
    }
}
