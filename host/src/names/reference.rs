//! Function references: name, partial ARN or ARN, each with an optional qualifier.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{AccountId, AliasName, Error, FunctionName, Region, is_partition};

/// Qualifier of a function: `$LATEST`, a version or an alias.
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
    /// Parses `$LATEST`, a version number or an alias's name.
    ///
    /// # Errors
    /// If the text is none of these.
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

/// A function as named by a caller.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FunctionRef {
    /// Account, if the caller gave an ARN or a partial ARN.
    pub account: Option<AccountId>,
    /// Region, if the caller gave an ARN.
    pub region: Option<Region>,
    /// Function name.
    pub name: FunctionName,
    /// Qualifier after the name.
    pub qualifier: Option<Qualifier>,
}

impl FunctionRef {
    /// Parses a name, optionally preceded by `arn:aws:lambda:`, `region:`, `account:` and
    /// `function:` in
    /// this order, and optionally followed by a qualifier.
    ///
    /// # Errors
    /// If the text has another form, or a part is malformed.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if !text.contains(':') {
            return Ok(Self {
                account: None,
                region: None,
                name: FunctionName::parse(text)?,
                qualifier: None,
            });
        }
        let parts: Vec<&str> = text.split(':').collect();
        let mut rest = match parts.as_slice() {
            ["arn", partition, "lambda", rest @ ..] if is_partition(partition) => rest,
            rest => rest,
        };
        // A part counts as a prefix only if more parts follow: a function may be named like an
        // account.
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

/// Region as the service model has it in an ARN, such as `us-east-1`, `us-gov-west-1`, `us-isob-east-1` or
/// `eusc-de-east-1`.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let parts = match parts.as_slice() {
        ["eusc", parts @ ..] | parts => parts,
    };
    let (country, area, number) = match parts {
        [country, area, number] => (country, area, number),
        [country, kind, area, number] if is_isolated(kind) => (country, area, number),
        _ => return false,
    };
    let is_word = |part: &str| !part.is_empty() && part.bytes().all(|it| it.is_ascii_lowercase());
    let is_digit = |part: &str| part.len() == 1 && part.bytes().all(|it| it.is_ascii_digit());
    country.len() == 2 && is_word(country) && is_word(area) && is_digit(number)
}

/// `gov`, or `iso` with a letter or without.
fn is_isolated(kind: &str) -> bool {
    let letter = kind.strip_prefix("iso");
    let is_iso =
        letter.is_some_and(|it| it.len() < 2 && it.bytes().all(|it| it.is_ascii_lowercase()));
    kind == "gov" || is_iso
}
