//! Function reference on the command line: name, partial ARN or ARN, with an optional qualifier.
//! The host validates account and region.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::names::FunctionRef;

/// Characters left unencoded in paths and queries.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// A function reference with its qualifier.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct FunctionArgument {
    /// Bare name.
    pub(super) name: String,
    /// Reference without qualifier, as a path segment.
    segment: String,
    qualifier: Option<String>,
}

impl FunctionArgument {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let named = FunctionRef::parse(text).map_err(|error| error.to_string())?;
        let qualifier = named.qualifier.map(|it| it.to_string());
        let bare = match &qualifier {
            // Qualifier as written: `007` means version 7.
            Some(_) => text.rsplit_once(':').map_or(text, |(bare, _)| bare),
            None => text,
        };
        Ok(Self {
            name: named.name.to_string(),
            segment: utf8_percent_encode(bare, PLAIN).to_string(),
            qualifier,
        })
    }

    /// The reference with its qualifier, as one path segment.
    pub(super) fn reference(&self) -> String {
        match &self.qualifier {
            Some(qualifier) => {
                let qualifier = utf8_percent_encode(qualifier, PLAIN);
                format!("{}%3A{qualifier}", self.segment)
            }
            None => self.segment.clone(),
        }
    }

    /// Path of the function itself.
    pub(super) fn own_path(&self) -> String {
        format!("/2015-03-31/functions/{}{}", self.segment, self.query())
    }

    /// Path of a sub-resource such as `configuration` or `invocations`.
    pub(super) fn path(&self, part: &str) -> String {
        format!(
            "/2015-03-31/functions/{}/{part}{}",
            self.segment,
            self.query()
        )
    }

    fn query(&self) -> String {
        match &self.qualifier {
            Some(qualifier) => format!("?Qualifier={}", utf8_percent_encode(qualifier, PLAIN)),
            None => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_reference_is_encoded_as_path() {
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
            let named = FunctionArgument::parse(text).unwrap();
            assert_eq!(named.name, "f");
            assert_eq!(named.path("x"), format!("/2015-03-31/functions/{path}"));
        }
        assert!(
            FunctionArgument::parse("f:g:h:i")
                .unwrap_err()
                .contains("`f:g:h:i`")
        );
        assert!(FunctionArgument::parse("a/../b").is_err());
    }
}
