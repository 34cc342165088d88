//! The one reader of JSON documents that the host only passes on or looks into. It takes all of JSON,
//! also what serde_json refuses and every runtime of AWS writes: half a surrogate pair, numbers out of
//! range, and nesting up to a bound.

use std::borrow::Cow;

use bytes::Bytes;

use crate::units::PAYLOAD_BYTES_MAX;

mod read;
mod scan;
mod token;

/// Nesting that AWS's own parser follows.
pub const DEPTH_MAX: usize = 1_000;

/// Why bytes are not a document that the host takes.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Invalid {
    /// They are not JSON; the text is what AWS's parser says of them.
    #[error("{0}")]
    Malformed(String),
    /// They are nested too deeply, in the words of AWS's parser.
    #[error(
        "Document nesting depth ({}) exceeds the maximum allowed ({DEPTH_MAX}, from \
         `StreamReadConstraints.getMaxNestingDepth()`)",
        DEPTH_MAX + 1
    )]
    TooDeep,
    /// They are more than an event or a response may have.
    #[error("the document is larger than {PAYLOAD_BYTES_MAX} bytes")]
    TooLarge,
}

/// A text that has half of a surrogate pair, which UTF-8 cannot write.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a text has half of a surrogate pair")]
pub struct Unpaired;

/// A whole JSON document, checked once, by its constructor. Cheap to clone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Document(Bytes);

/// One value of a document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Value<'a>(&'a str);

/// A text, still escaped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Text<'a>(&'a str);

/// The members of an object, in order.
#[derive(Clone, Debug)]
pub struct Members<'a>(Rest<'a>);

/// The values of a list, in order.
#[derive(Clone, Debug)]
pub struct Elements<'a>(Rest<'a>);

impl Document {
    /// Checks bytes.
    ///
    /// # Errors
    /// Where they are not JSON, or not within the bounds.
    pub fn parse(bytes: Bytes) -> Result<Self, Invalid> {
        if bytes.len() > PAYLOAD_BYTES_MAX {
            return Err(Invalid::TooLarge);
        }
        scan::check(&bytes)?;
        Ok(Self(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("the constructors take UTF-8 only")
    }

    /// The outermost value.
    pub fn root(&self) -> Value<'_> {
        Value(self.as_str().trim_matches(is_space))
    }
}

impl Default for Document {
    /// The empty object, which an event without a body is.
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
    /// The value as it is written.
    pub fn raw(self) -> &'a str {
        self.0
    }

    /// The members, of an object.
    pub fn members(self) -> Option<Members<'a>> {
        Some(Members(Rest(self.0.strip_prefix('{')?)))
    }

    /// The values, of a list.
    pub fn elements(self) -> Option<Elements<'a>> {
        Some(Elements(Rest(self.0.strip_prefix('[')?)))
    }

    /// The text, of a text.
    pub fn text(self) -> Option<Text<'a>> {
        let inner = self.0.strip_prefix('"')?.strip_suffix('"')?;
        Some(Text(inner))
    }

    /// The value of a truth.
    pub fn as_bool(self) -> Option<bool> {
        self.0.parse().ok()
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.0 == "null"
    }

    /// A member of an object by its name; the last one, where several have it.
    pub fn member(self, name: &str) -> Option<Value<'a>> {
        let named = self.members()?.filter(|(found, _)| found.is(name));
        named.last().map(|(_, value)| value)
    }
}

impl<'a> Text<'a> {
    /// The characters.
    ///
    /// # Errors
    /// Where UTF-8 cannot write one of them.
    pub fn decode(self) -> Result<Cow<'a, str>, Unpaired> {
        if self.0.contains('\\') {
            read::unescape(self.0).map(Cow::Owned)
        } else {
            Ok(Cow::Borrowed(self.0))
        }
    }

    /// Whether these are its characters.
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

/// The part of an object or a list that is still to be read. The document is known to be JSON, so commas
/// and colons need no look.
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
