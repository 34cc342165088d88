//! JSON reader for documents that the host passes on or inspects. It accepts all of JSON, including
//! values that serde_json refuses but AWS's runtimes write: unpaired surrogates, numbers out of
//! range, and nesting up to a limit.

use std::borrow::Cow;

use bytes::Bytes;

use crate::units::PAYLOAD_BYTES_MAX;

mod approximate;
mod read;
mod scan;
mod token;

/// Nesting limit of AWS's parser.
pub const DEPTH_MAX: usize = 1_000;

/// Refusal of a document.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Invalid {
    /// Syntax error, with AWS's parser message.
    #[error("{0}")]
    Malformed(String),
    /// Nesting over the limit, with AWS's parser message.
    #[error(
        "Document nesting depth ({}) exceeds the maximum allowed ({DEPTH_MAX}, from \
         `StreamReadConstraints.getMaxNestingDepth()`)",
        DEPTH_MAX + 1
    )]
    TooDeep,
    /// Size over the limit of events and responses.
    #[error("the document is larger than {PAYLOAD_BYTES_MAX} bytes")]
    TooLarge,
}

/// Unpaired surrogate, which UTF-8 cannot represent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a text has half of a surrogate pair")]
pub struct Unpaired;

/// A JSON document, validated once by its constructor. Cheap to clone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Document(Bytes);

/// A value of a document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Value<'a>(&'a str);

/// A string, still escaped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Text<'a>(&'a str);

/// Members of an object, in order.
#[derive(Clone, Debug)]
pub struct Members<'a>(Rest<'a>);

/// Items of an array, in order.
#[derive(Clone, Debug)]
pub struct Elements<'a>(Rest<'a>);

impl Document {
    /// Validates bytes.
    ///
    /// # Errors
    /// If they are not JSON or exceed a limit.
    pub fn parse(bytes: Bytes) -> Result<Self, Invalid> {
        if bytes.len() > PAYLOAD_BYTES_MAX {
            return Err(Invalid::TooLarge);
        }
        scan::check(&bytes)?;
        Ok(Self(bytes))
    }

    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("the constructors take UTF-8 only")
    }

    /// Root value.
    pub fn root(&self) -> Value<'_> {
        Value(self.as_str().trim_matches(is_space))
    }
}

impl Default for Document {
    /// Empty object: the event of a request without a body.
    fn default() -> Self {
        Self(Bytes::from_static(b"{}"))
    }
}

impl From<serde_json::Value> for Document {
    fn from(value: serde_json::Value) -> Self {
        Self(value.to_string().into())
    }
}

impl From<Document> for Bytes {
    fn from(document: Document) -> Self {
        document.0
    }
}

impl<'a> Value<'a> {
    /// Source text of the value.
    pub fn raw(self) -> &'a str {
        self.0
    }

    /// Members, if it is an object.
    pub fn members(self) -> Option<Members<'a>> {
        Some(Members(Rest(self.0.strip_prefix('{')?)))
    }

    /// Items, if it is an array.
    pub fn elements(self) -> Option<Elements<'a>> {
        Some(Elements(Rest(self.0.strip_prefix('[')?)))
    }

    /// String, if it is one.
    pub fn text(self) -> Option<Text<'a>> {
        let inner = self.0.strip_prefix('"')?.strip_suffix('"')?;
        Some(Text(inner))
    }

    /// Boolean, if it is one.
    pub fn as_bool(self) -> Option<bool> {
        self.0.parse().ok()
    }

    pub fn is_null(self) -> bool {
        self.0 == "null"
    }

    /// Member of an object by name; of duplicates, the last.
    pub fn member(self, name: &str) -> Option<Value<'a>> {
        let named = self.members()?.filter(|(found, _)| found.is(name));
        named.last().map(|(_, value)| value)
    }
}

impl<'a> Text<'a> {
    /// Source text, still escaped and without quotes.
    pub fn raw(self) -> &'a str {
        self.0
    }

    /// Unescapes the string.
    ///
    /// # Errors
    /// If it has an unpaired surrogate.
    pub fn decode(self) -> Result<Cow<'a, str>, Unpaired> {
        if self.0.contains('\\') {
            read::unescape(self.0).map(Cow::Owned)
        } else {
            Ok(Cow::Borrowed(self.0))
        }
    }

    /// Compares the unescaped string.
    pub fn is(self, text: &str) -> bool {
        self.decode().is_ok_and(|own| own == text)
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (Text<'a>, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let name = self.0.next()?.text()?;
        Some((name, self.0.next()?))
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

/// Unread part of an object or array. The document is valid, so separators can be skipped
/// unchecked.
#[derive(Clone, Debug)]
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn next(&mut self) -> Option<Value<'a>> {
        let between = |it: char| is_space(it) || it == ',' || it == ':';
        let rest = self.0.trim_start_matches(between);
        let end = read::end_of_value(rest.as_bytes())?;
        let (value, rest) = rest.split_at(end);
        self.0 = rest;
        Some(Value(value))
    }
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests;
