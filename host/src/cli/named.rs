//! A function as people name it on the command line: name, partial ARN or ARN, each with a qualifier or
//! not. The host judges whether it is one of its own.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::names::FunctionRef;

/// Characters that a path or a query has unencoded.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// A function that was named, and which code of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Named {
    /// Its bare name.
    pub(super) name: String,
    /// It, without the qualifier, as a part of a path.
    segment: String,
    qualifier: Option<String>,
}

impl Named {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let named = FunctionRef::parse(text).map_err(|error| error.to_string())?;
        let qualifier = named.qualifier.map(|it| it.to_string());
        let bare = match &qualifier {
            // The qualifier as it was written: `007` is version 7.
            Some(_) => text.rsplit_once(':').map_or(text, |(bare, _)| bare),
            None => text,
        };
        Ok(Self {
            name: named.name.to_string(),
            segment: utf8_percent_encode(bare, PLAIN).to_string(),
            qualifier,
        })
    }

    /// The path of one of its parts: `configuration`, `invocations`.
    pub(super) fn path(&self, part: &str) -> String {
        let query = match &self.qualifier {
            Some(qualifier) => format!("?Qualifier={}", utf8_percent_encode(qualifier, PLAIN)),
            None => String::new(),
        };
        format!("/2015-03-31/functions/{}/{part}{query}", self.segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_reference_becomes_a_path() {
        for (text, path) in [
            ("f", "f/x"),
            ("f:7", "f/x?Qualifier=7"),
            ("f:$LATEST", "f/x?Qualifier=%24LATEST"),
            ("function:f", "function%3Af/x"),
            (
                "arn:aws:lambda:us-east-1:000000000000:function:f:live",
                "arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af/x?Qualifier=live",
            ),
        ] {
            let named = Named::parse(text).unwrap();
            assert_eq!(named.name, "f");
            assert_eq!(named.path("x"), format!("/2015-03-31/functions/{path}"));
        }
        assert!(Named::parse("f:g:h:i").unwrap_err().contains("`f:g:h:i`"));
        assert!(Named::parse("a/../b").is_err());
    }
}
