//! TOML documents that are parsed strictly after secrets were put in. Errors have line and column, and neither the text
//! nor its values: they may be secrets.

use serde::Deserialize;
use serde::de::{DeserializeOwned, Error as _};
use toml::Spanned;
use toml::de::{DeTable, Deserializer};

/// Error in a TOML text.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct Located {
    message: String,
    /// From 1. `None` for a document that is made of several texts.
    line_and_column: Option<(usize, usize)>,
}

/// A TOML text whose values can be replaced before it is read as a type.
#[derive(Clone, Debug)]
pub(crate) struct Document<'a> {
    text: &'a str,
    pub(crate) table: Spanned<DeTable<'a>>,
}

impl std::fmt::Display for Located {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some((line, column)) = self.line_and_column {
            write!(f, "line {line}, column {column}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl Located {
    pub(crate) fn new(text: &str, error: &toml::de::Error) -> Self {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line_and_column = before.map(|before| {
            let line = before.matches('\n').count() + 1;
            let last = before.rsplit('\n').next().unwrap_or_default();
            (line, last.chars().count() + 1)
        });
        Self {
            message: without_value(error.message()),
            line_and_column,
        }
    }
}

/// serde quotes values of a wrong type: `invalid type: integer `7`, expected a string`.
fn without_value(message: &str) -> String {
    let is_quoting = ["invalid type: ", "invalid value: ", "invalid length "];
    let quote = message.find(['`', '"']).zip(message.rfind(", expected "));
    match quote {
        Some((from, to)) if from < to && is_quoting.iter().any(|it| message.starts_with(it)) => {
            format!("{}{}", message[..from].trim_end(), &message[to..])
        }
        _ => message.to_owned(),
    }
}

impl<'a> Document<'a> {
    /// Parses the syntax.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Located> {
        match DeTable::parse(text) {
            Ok(table) => Ok(Self { text, table }),
            Err(error) => Err(Located::new(text, &error)),
        }
    }

    /// Reads the document as a type.
    pub(crate) fn read<T: DeserializeOwned>(self) -> Result<T, Located> {
        let read = T::deserialize(Deserializer::from(self.table));
        read.map_err(|error| Located::new(self.text, &error))
    }
}

/// Reads a TOML text as a type.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Located> {
    Document::parse(text)?.read()
}

/// Reads a text that is not empty, such as a secret of a template that was filled in.
pub(super) fn not_empty<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    if text.is_empty() {
        return Err(D::Error::custom("the value is empty"));
    }
    Ok(text)
}

/// Reads a number of this size at least.
pub(super) fn at_least<'de, const MIN: u64, T, D>(from: D) -> Result<T, D::Error>
where
    T: Copy + Deserialize<'de> + Into<u64>,
    D: serde::Deserializer<'de>,
{
    let number = T::deserialize(from)?;
    if number.into() < MIN {
        return Err(D::Error::custom(format!("the minimum is {MIN}")));
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only errors are looked at")]
    struct Read {
        #[serde(default)]
        secret: String,
        #[serde(default)]
        number: u32,
    }

    #[test]
    fn error_has_its_position_and_no_value() {
        for (text, expected) in [
            ("\nbogus = 1", "line 2, column 1: unknown field `bogus`"),
            (
                "secret = 123456",
                "line 1, column 10: invalid type: integer, expected a string",
            ),
            (
                "number = \"hidden\"",
                "line 1, column 10: invalid type: string, expected u32",
            ),
            ("secret = \"hidden", "line 1, column "),
            ("secret = hidden", "line 1, column 10: "),
        ] {
            let error = parse::<Read>(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
            assert!(
                !error.contains("hidden") && !error.contains("123456"),
                "{error}"
            );
        }
    }
}
