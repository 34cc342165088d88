//! Regular expressions of a query. They are matched in time linear in the text: nothing interrupts a match, so one that
//! backtracks would run past the query's deadline. Therefore there are no lookarounds and no backreferences.

use std::sync::Arc;

use regex::{Captures, Regex, RegexBuilder};

use super::budget::{Budget, Stop};

/// Regular expressions of a query.
pub(super) const PATTERNS_MAX: usize = 16;
/// Memory of a compiled regular expression, and of the states that its matching caches, each.
const BYTES_MAX: usize = 256 << 10;
/// Bytes of a text that are matched; the rest is not seen. AWS's longest event has four times as many.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// A compiled regular expression.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Regex);

impl Pattern {
    /// Compiles a regular expression.
    ///
    /// # Errors
    /// If it is wrong, too large or uses an unsupported construct.
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        let built = RegexBuilder::new(pattern)
            .size_limit(BYTES_MAX)
            .dfa_size_limit(BYTES_MAX)
            .build();
        built.map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                format!("it takes more than {} KiB when compiled", BYTES_MAX >> 10)
            }
            error => {
                // The last line has the reason; those before it draw the pattern.
                let text = error.to_string();
                text.lines().last().unwrap_or_default().to_owned()
            }
        })
    }

    pub(super) fn is_match(&self, text: &str, budget: &Budget<'_>) -> Result<bool, Stop> {
        let text = seen(text, budget)?;
        Ok(self.0.is_match(text))
    }

    pub(super) fn captures<'t>(
        &self,
        text: &'t str,
        budget: &Budget<'_>,
    ) -> Result<Option<Captures<'t>>, Stop> {
        let text = seen(text, budget)?;
        Ok(self.0.captures(text))
    }

    /// Named groups with their index.
    pub(super) fn groups(&self) -> Vec<(usize, Arc<str>)> {
        let names = self.0.capture_names().enumerate();
        let named = names.filter_map(|(at, name)| Some((at, name?.into())));
        named.collect()
    }
}

/// Part of a text that is matched. Looks at the clock before each match, because a match may take a while.
fn seen<'t>(text: &'t str, budget: &Budget<'_>) -> Result<&'t str, Stop> {
    budget.check()?;
    Ok(&text[..text.floor_char_boundary(TEXT_BYTES_MAX)])
}

/// Text as a pattern of itself.
pub(super) fn escape(text: &str) -> String {
    regex::escape(text)
}
