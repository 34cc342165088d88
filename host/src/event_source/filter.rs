//! Filters of a mapping: which messages its function gets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::invoke::snapshot::event_source::Kind;
use crate::payload::Document;
use crate::payload::pattern::Pattern;

/// Patterns of a mapping; a record passes if it matches one of them.
#[derive(Clone, Debug)]
pub(super) struct Filters {
    patterns: Vec<Pattern>,
    kind: Kind,
}

impl Filters {
    pub(super) fn new(patterns: Option<&[String]>, kind: Kind) -> Self {
        let patterns = patterns.unwrap_or_default().iter();
        Self {
            patterns: patterns.filter_map(|text| Pattern::parse(text)).collect(),
            kind,
        }
    }

    /// True if a record, in the form that functions get it, passes.
    pub(super) fn pass(&self, record: &Value) -> bool {
        if self.patterns.is_empty() {
            return true;
        }
        match self.kind {
            Kind::Kinesis => {
                // Patterns name the members of `kinesis`, with the data decoded.
                let mut record = record["kinesis"].clone();
                let data = record["data"].as_str().unwrap_or_default();
                let data = STANDARD.decode(data).unwrap_or_default();
                record["data"] = String::from_utf8_lossy(&data).into();
                self.pass_with(&record, "data")
            }
            Kind::DynamoDb | Kind::Redis => self.patterns.iter().any(|it| it.matches(record)),
            _ => self.pass_with(record, "body"),
        }
    }

    /// A member of a record is matched as JSON if the pattern has fields for it, and as a text if the pattern has
    /// rules for it: one of the other form does not match.
    fn pass_with(&self, record: &Value, member: &str) -> bool {
        let text = record[member].as_str().unwrap_or_default();
        // As `payload::json` reads it: what serde_json refuses is JSON to AWS, too.
        let parsed = Document::parse(text.to_owned().into()).ok();
        let parsed = parsed.map(|it| it.root().approximate());
        let parsed = parsed.filter(Value::is_object);
        self.patterns.iter().any(|pattern| {
            let wanted = pattern.fields().get(member);
            let wants_json = wanted.is_some_and(Value::is_object);
            let wants_text = wanted.is_some_and(Value::is_array);
            match (&parsed, wants_json, wants_text) {
                (None, true, _) | (Some(_), _, true) => false,
                (Some(parsed), true, _) => {
                    let mut record = record.clone();
                    record[member] = parsed.clone();
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
            let filters = Filters::new(Some(&[pattern.to_owned()]), Kind::Sqs);
            filters
                .pass(&json!({"body": body, "messageAttributes": {"kind": {"stringValue": "k"}}}))
        };
        let (json, text) = (r#"{"body":{"a":[1]}}"#, r#"{"body":["plain"]}"#);
        let attribute = r#"{"messageAttributes":{"kind":{"stringValue":["k"]}}}"#;
        for (pattern, body, expected) in [
            (json, r#"{"a":1}"#, true),
            (json, r#"{"a":2}"#, false),
            (json, r#"{"a":1,"cut":"\ud83d","large":1e999}"#, true),
            (json, "plain", false),
            (text, "plain", true),
            (text, "other", false),
            (text, r#"{"a":1}"#, false),
            (attribute, "plain", true),
            (attribute, r#"{"a":1}"#, true),
        ] {
            assert_eq!(pass(pattern, body), expected, "{pattern} {body}");
        }
        assert!(Filters::new(None, Kind::Sqs).pass(&json!({"body": ""})));
    }

    #[test]
    fn record_of_a_stream_is_matched_by_its_data_or_as_a_whole() {
        let kinesis = |data: &str| {
            let data = STANDARD.encode(data);
            json!({"kinesis": {"partitionKey": "k", "data": data}, "eventName": "x"})
        };
        let change = json!({"eventName": "INSERT", "dynamodb": {"Keys": {"id": {"S": "a"}}}});
        for (kind, pattern, record, expected) in [
            (
                Kind::Kinesis,
                r#"{"data":{"a":[1]}}"#,
                kinesis(r#"{"a":1}"#),
                true,
            ),
            (
                Kind::Kinesis,
                r#"{"data":{"a":[1]}}"#,
                kinesis("plain"),
                false,
            ),
            (
                Kind::Kinesis,
                r#"{"data":[{"prefix":"pl"}]}"#,
                kinesis("plain"),
                true,
            ),
            (
                Kind::Kinesis,
                r#"{"partitionKey":["k"]}"#,
                kinesis("x"),
                true,
            ),
            (
                Kind::DynamoDb,
                r#"{"eventName":["INSERT"]}"#,
                change.clone(),
                true,
            ),
            (
                Kind::DynamoDb,
                r#"{"dynamodb":{"Keys":{"id":{"S":["b"]}}}}"#,
                change,
                false,
            ),
        ] {
            let filters = Filters::new(Some(&[pattern.to_owned()]), kind);
            assert_eq!(filters.pass(&record), expected, "{pattern} {record}");
        }
    }
}
