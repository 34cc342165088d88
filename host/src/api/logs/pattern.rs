//! Filter patterns of terms: `word` is required, one of `?these` is required, `-word` is excluded.

use super::Fault;
use crate::telemetry::log::Pattern;

pub(super) fn parse(text: &str) -> Result<Pattern, Fault> {
    let text = text.trim();
    if text.starts_with('{') || text.starts_with('[') || text.starts_with('%') {
        return Err(Fault::invalid(
            "This host knows filter patterns of words only: word, \"a phrase\", ?one ?of, -without.",
        ));
    }
    let mut pattern = Pattern::default();
    let mut rest = text;
    while !rest.is_empty() {
        let (list, after) = if let Some(after) = rest.strip_prefix('?') {
            (&mut pattern.any, after)
        } else if let Some(after) = rest.strip_prefix('-') {
            (&mut pattern.none, after)
        } else {
            (&mut pattern.all, rest)
        };
        let (word, after) = word(after)?;
        list.push(word.to_owned());
        rest = after.trim_start();
    }
    Ok(pattern)
}

fn word(text: &str) -> Result<(&str, &str), Fault> {
    if let Some(quoted) = text.strip_prefix('"') {
        return quoted
            .split_once('"')
            .ok_or_else(|| Fault::invalid("The filter pattern has an open quote."));
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    Ok(text.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pattern_of_words_is_parsed() {
        let pattern = parse(r#"ERROR "two words" ?a ?"b c" -skip"#).unwrap();
        assert_eq!(pattern.all, ["ERROR", "two words"]);
        assert_eq!(pattern.any, ["a", "b c"]);
        assert_eq!(pattern.none, ["skip"]);
        assert!(parse("").unwrap().all.is_empty());
    }

    #[test]
    fn pattern_of_words_that_are_not_ascii_is_parsed() {
        let pattern = parse("Fehler \u{dc}bung ?\u{fc} -\u{1F973}").unwrap();
        assert_eq!(pattern.all, ["Fehler", "\u{dc}bung"]);
        assert_eq!(pattern.any, ["\u{fc}"]);
        assert_eq!(pattern.none, ["\u{1F973}"]);
    }

    #[test]
    fn pattern_of_another_kind_is_refused() {
        for text in ["{ $.level = \"x\" }", "[ip, user]", "\"open", "%re%"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
