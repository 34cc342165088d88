//! The many ways a caller may name a function: name, partial ARN, ARN, each with a qualifier or not.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{AccountId, AliasName, Error, FunctionName, Region};

/// Which code of a function is meant.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
pub enum Qualifier {
    /// The unpublished version.
    Latest,
    /// A published version.
    Version(u64),
    /// An alias.
    Alias(AliasName),
}

impl Qualifier {
    /// Takes `$LATEST`, a version number or an alias's name.
    ///
    /// # Errors
    /// Where it is none of these.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text == "$LATEST" {
            return Ok(Self::Latest);
        }
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let number = text
                .parse()
                .map_err(|_| Error::Qualifier(text.to_owned()))?;
            return Ok(Self::Version(number));
        }
        AliasName::parse(text).map(Self::Alias)
    }
}

impl fmt::Display for Qualifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("$LATEST"),
            Self::Version(number) => write!(f, "{number}"),
            Self::Alias(name) => write!(f, "{name}"),
        }
    }
}

/// A function as a caller named it. Account and region are there if the caller gave them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FunctionRef {
    /// The account, of an ARN or a partial ARN.
    pub account: Option<AccountId>,
    /// The region, of an ARN.
    pub region: Option<Region>,
    /// The function.
    pub name: FunctionName,
    /// The qualifier after the name, if there was one.
    pub qualifier: Option<Qualifier>,
}

impl FunctionRef {
    /// Takes `name`, `name:qualifier`, `account:function:name[:qualifier]`, `function:name[:qualifier]`
    /// or `arn:aws:lambda:region:account:function:name[:qualifier]`.
    ///
    /// # Errors
    /// Where it is none of these, or one of its parts is malformed.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refused = || Error::Function(text.to_owned());
        let parts: Vec<&str> = text.split(':').collect();
        let (region, account, rest) = match parts.as_slice() {
            [
                "arn",
                partition,
                "lambda",
                region,
                account,
                "function",
                rest @ ..,
            ] if partition.starts_with("aws") => (
                Some(Region::parse(region)?),
                Some(AccountId::parse(account)?),
                rest,
            ),
            [account, "function", rest @ ..] if AccountId::parse(account).is_ok() => {
                (None, Some(AccountId::parse(account)?), rest)
            }
            ["function", rest @ ..] if !rest.is_empty() => (None, None, rest),
            rest => (None, None, rest),
        };
        let (name, qualifier) = match rest {
            [name] => (name, None),
            [name, qualifier] => (name, Some(Qualifier::parse(qualifier)?)),
            _ => return Err(refused()),
        };
        Ok(Self {
            account,
            region,
            name: FunctionName::parse(name)?,
            qualifier,
        })
    }
}
