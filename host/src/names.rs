//! Names and ARNs of Lambda's resources, parsed once. Existence of resources is `control`'s
//! concern.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::Clock;

#[cfg(test)]
pub mod fuzz;
mod layer;
mod reference;
#[cfg(test)]
mod tests;

pub use layer::{LayerRef, LayerVersionArn};
pub use reference::{FunctionRef, Qualifier};

/// Syntax error of a name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// Not a function name, partial ARN or ARN.
    #[error("`{0}` is not a function name, partial ARN or ARN")]
    Function(String),
    /// Not a version number, alias or `$LATEST`.
    #[error("`{0}` is not a version number, an alias or $LATEST")]
    Qualifier(String),
    /// Not a layer's name or ARN, or not the ARN of a layer's version.
    #[error("`{0}` is not the name or ARN of a layer or the ARN of a layer's version")]
    Layer(String),
    /// Not twelve digits.
    #[error("`{0}` is not an account id: twelve digits are expected")]
    Account(String),
    /// Not the name of a region.
    #[error("`{0}` is not the name of a region, such as us-east-1")]
    Region(String),
    /// Not the id of a request.
    #[error("`{0}` is not the id of a request: a UUID is expected")]
    RequestId(String),
    /// Not the name of a user.
    #[error("`{0}` is not the name of a user: 1 to 64 letters, digits and _+=,.@- are expected")]
    User(String),
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $name(Arc<str>);

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self, Error> {
                Self::parse(&text)
            }
        }

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name! {
    /// A function's name: 1 to 64 letters, digits, hyphens and underscores.
    FunctionName
}
name! {
    /// An alias's name: 1 to 128 letters, digits, hyphens and underscores, not a number.
    AliasName
}
name! {
    /// A layer's name: 1 to 140 letters, digits, hyphens and underscores.
    LayerName
}
name! {
    /// An AWS account id: twelve digits.
    AccountId
}
name! {
    /// A region's name, such as `us-east-1`.
    Region
}
name! {
    /// The name of an IAM user: 1 to 64 letters, digits and `_+=,.@-`.
    UserName
}

impl FunctionName {
    /// The longest name of a function, in characters.
    pub const CHARS_MAX: usize = 64;

    /// Parses a bare name, without account, region or qualifier.
    ///
    /// # Errors
    /// If the name is empty, too long or has a character a name cannot have.
    pub fn parse(name: &str) -> Result<Self, Error> {
        let fits = !name.is_empty() && name.len() <= Self::CHARS_MAX && name.bytes().all(is_word);
        fits.then(|| Self(name.into()))
            .ok_or_else(|| Error::Function(name.to_owned()))
    }
}

impl AliasName {
    /// Parses an alias's name.
    ///
    /// # Errors
    /// If the name is empty, too long, a number, or has a character an alias cannot have.
    pub fn parse(name: &str) -> Result<Self, Error> {
        let number = name.bytes().all(|byte| byte.is_ascii_digit());
        let fits = !number && name.len() <= 128 && name.bytes().all(is_word);
        fits.then(|| Self(name.into()))
            .ok_or_else(|| Error::Qualifier(name.to_owned()))
    }
}

impl AccountId {
    /// Parses twelve digits.
    ///
    /// # Errors
    /// If the text is anything else.
    pub fn parse(id: &str) -> Result<Self, Error> {
        let fits = id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit());
        fits.then(|| Self(id.into()))
            .ok_or_else(|| Error::Account(id.to_owned()))
    }
}

impl Region {
    /// Parses a region's name. Any name of AWS's form is accepted, because the host stands for the
    /// region.
    ///
    /// # Errors
    /// If the name is empty, longer than 32 characters or has other characters than lower-case
    /// letters, digits and hyphens.
    pub fn parse(name: &str) -> Result<Self, Error> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = !name.is_empty() && name.len() <= 32 && name.bytes().all(plain);
        fits.then(|| Self(name.into()))
            .ok_or_else(|| Error::Region(name.to_owned()))
    }
}

impl UserName {
    /// Parses a user's name.
    ///
    /// # Errors
    /// If the name is empty, too long or has a character it cannot have.
    pub fn parse(name: &str) -> Result<Self, Error> {
        let fits = !name.is_empty() && name.len() <= 64 && name.chars().all(Self::may_have);
        fits.then(|| Self(name.into()))
            .ok_or_else(|| Error::User(name.to_owned()))
    }

    /// Characters allowed in a user's name.
    pub fn may_have(letter: char) -> bool {
        letter.is_ascii_alphanumeric() || "_+=,.@-".contains(letter)
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// Checks the partition of an ARN. The service model takes an ARN without one, too.
fn is_partition(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'-';
    let rest = text.strip_prefix("aws");
    text.is_empty() || rest.is_some_and(|rest| rest.bytes().all(is_letter))
}

/// Account and region of a host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Home {
    /// Account that owns every function of this host.
    pub account: AccountId,
    /// Region in every ARN of this host.
    pub region: Region,
}

impl Home {
    /// ARN of a function, unqualified.
    pub fn function_arn(&self, name: &FunctionName) -> String {
        format!(
            "arn:aws:lambda:{}:{}:function:{name}",
            self.region, self.account
        )
    }

    /// ARN of a function, qualified if a qualifier is given.
    pub fn arn_at(&self, name: &FunctionName, qualifier: Option<&Qualifier>) -> String {
        qualifier.map_or_else(
            || self.function_arn(name),
            |qualifier| self.qualified_arn(name, qualifier),
        )
    }

    /// ARN of one version or alias of a function.
    pub fn qualified_arn(&self, name: &FunctionName, qualifier: &Qualifier) -> String {
        format!("{}:{qualifier}", self.function_arn(name))
    }
}

/// Request id of an invocation or API call: a random UUID, the same in headers, logs and context.
#[derive(Clone, Copy, Eq, PartialEq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RequestId([u8; 36]);

impl From<RequestId> for String {
    fn from(id: RequestId) -> Self {
        id.as_str().to_owned()
    }
}

impl TryFrom<String> for RequestId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        let bytes = <[u8; 36]>::try_from(text.as_bytes());
        let bytes = bytes.ok().filter(|it| it.is_ascii());
        bytes.map(Self).ok_or(Error::RequestId(text))
    }
}

impl RequestId {
    pub fn random(clock: &Clock) -> Self {
        let mut bytes = clock.random::<16>();
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let mut text = [b'-'; 36];
        let mut at = 0;
        for (index, byte) in bytes.into_iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                at += 1;
            }
            text[at] = hex_digit(byte >> 4);
            text[at + 1] = hex_digit(byte & 0x0f);
            at += 2;
        }
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("an id is made of ASCII only")
    }
}

fn hex_digit(nibble: u8) -> u8 {
    b"0123456789abcdef"[usize::from(nibble)]
}

/// Lower-case hexadecimal, the form of digests and stream names.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    let digit = |nibble| char::from(hex_digit(nibble));
    for byte in bytes {
        text.extend([digit(byte >> 4), digit(byte & 0x0f)]);
    }
    text
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
