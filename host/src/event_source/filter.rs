//! Filters of a mapping: which messages its function gets.

use serde_json::Value;

use crate::payload::pattern::Pattern;

/// Patterns of a mapping; a record passes if it matches one of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Filters(Vec<Pattern>);

impl Filters {
    pub(super) fn new(patterns: Option<&[String]>) -> Self {
        let patterns = patterns.unwrap_or_default().iter();
        Self(patterns.filter_map(|text| Pattern::parse(text)).collect())
    }

    /// True if a record passes. Its `body` is matched as JSON if the pattern has fields for it, and as a text if the
    /// pattern has rules for it: a body of the other form does not match.
    pub(super) fn pass(&self, record: &Value) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let text = record["body"].as_str().unwrap_or_default();
        let parsed: Option<Value> = serde_json::from_str(text)
            .ok()
            .filter(|it: &Value| it.is_object());
        self.0.iter().any(|pattern| {
            let wants_json = pattern.fields().get("body").is_some_and(Value::is_object);
            let wants_text = pattern.fields().get("body").is_some_and(Value::is_array);
            match (&parsed, wants_json, wants_text) {
                (None, true, _) | (Some(_), _, true) => false,
                (Some(parsed), true, _) => {
                    let mut record = record.clone();
                    record["body"] = parsed.clone();
                    pattern.matches(&record)
                }
                _ => pattern.matches(record),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn body_is_matched_in_the_form_that_the_pattern_has() {
        let pass = |pattern: &str, body: &str| {
            let filters = Filters::new(Some(&[pattern.to_owned()]));
            filters
                .pass(&json!({"body": body, "messageAttributes": {"kind": {"stringValue": "k"}}}))
        };
        let (json, text) = (r#"{"body":{"a":[1]}}"#, r#"{"body":["plain"]}"#);
        let attribute = r#"{"messageAttributes":{"kind":{"stringValue":["k"]}}}"#;
        for (pattern, body, expected) in [
            (json, r#"{"a":1}"#, true),
            (json, r#"{"a":2}"#, false),
            (json, "plain", false),
            (text, "plain", true),
            (text, "other", false),
            (text, r#"{"a":1}"#, false),
            (attribute, "plain", true),
            (attribute, r#"{"a":1}"#, true),
        ] {
            assert_eq!(pass(pattern, body), expected, "{pattern} {body}");
        }
        assert!(Filters::default().pass(&json!({"body": ""})));
    }
}
