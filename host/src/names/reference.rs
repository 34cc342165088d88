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
    /// Takes a name, and whatever of `arn:aws:lambda:`, `region:`, `account:` and `function:` stands
    /// before it in this order, and a qualifier after it.
    ///
    /// # Errors
    /// Where it is nothing of this form, or one of its parts is malformed.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let parts: Vec<&str> = text.split(':').collect();
        let mut rest = match parts.as_slice() {
            ["arn", partition, "lambda", rest @ ..] if partition.starts_with("aws") => rest,
            rest => rest,
        };
        // A part is only what it looks like if a name can still follow.
        let mut next = |fits: &dyn Fn(&str) -> bool| match rest {
            [first, after @ ..] if !after.is_empty() && fits(first) => {
                rest = after;
                Some(*first)
            }
            _ => None,
        };
        let region = next(&is_region).map(Region::parse).transpose()?;
        let account = next(&|it| AccountId::parse(it).is_ok());
        let account = account.map(AccountId::parse).transpose()?;
        next(&|it| it == "function");
        let (name, qualifier) = match rest {
            [name] => (name, None),
            [name, qualifier] => (name, Some(Qualifier::parse(qualifier)?)),
            _ => return Err(Error::Function(text.to_owned())),
        };
        Ok(Self {
            account,
            region,
            name: FunctionName::parse(name)?,
            qualifier,
        })
    }
}

/// Checks the form of a region's name, such as `us-east-1` or `us-gov-west-1`.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|it| it.is_ascii_lowercase());
    match parts.as_slice() {
        [country, words @ .., number] => {
            country.len() == 2
                && is_word(country)
                && !words.is_empty()
                && words.iter().all(is_word)
                && number.len() == 1
                && number.bytes().all(|it| it.is_ascii_digit())
        }
        _ => false,
    }
}
