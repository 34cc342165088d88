//! Entries of a stream: as Redis sends them, and as functions get them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, json};

use crate::clock::Timestamp;
use crate::outbound::redis::Value;

/// An entry.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// `<milliseconds>-<number>`.
    pub(super) id: String,
    pub(super) added: Timestamp,
    /// Deliveries to a function so far, this one included.
    pub(super) attempts: u32,
    /// Size in memory.
    pub(super) bytes: usize,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Entry {
    /// Entries of a response: a list of pairs of identifier and fields. One without fields was deleted meanwhile.
    pub(super) fn read_all(found: &Value, attempts: impl Fn(&str) -> u32) -> Vec<Self> {
        let read = |entry: &Value| {
            let [id, fields] = items(entry) else {
                return None;
            };
            let id = String::from_utf8(bytes(id)?.to_vec()).ok()?;
            let pairs = items(fields).chunks_exact(2);
            let pairs = pairs.map(|it| Some((bytes(&it[0])?.to_vec(), bytes(&it[1])?.to_vec())));
            let fields: Vec<_> = pairs.collect::<Option<_>>()?;
            if fields.is_empty() {
                return None;
            }
            let millis = id.split('-').next()?.parse().ok()?;
            Some(Self {
                attempts: attempts(&id),
                added: Timestamp::from_millis(millis),
                bytes: fields
                    .iter()
                    .map(|(name, value)| name.len() + value.len())
                    .sum(),
                id,
                fields,
            })
        };
        items(found).iter().filter_map(read).collect()
    }

    /// Record of the function's event. Fields that are not UTF-8 are in base64, apart; of repeated ones the last counts.
    pub(super) fn record(&self, arn: &str, region: &str, key: &str) -> serde_json::Value {
        let (mut texts, mut binaries) = (Map::new(), Map::new());
        for (name, value) in &self.fields {
            let name = String::from_utf8_lossy(name).into_owned();
            match std::str::from_utf8(value) {
                Ok(text) => texts.insert(name, text.into()),
                Err(_) => binaries.insert(name, STANDARD.encode(value).into()),
            };
        }
        json!({
            "messageId": self.id,
            "eventSource": "lamina:redis",
            "eventSourceARN": arn,
            "awsRegion": region,
            "stream": key,
            "timestamp": self.added.millis(),
            "approximateReceiveCount": self.attempts,
            "fields": texts,
            "binaryFields": binaries,
        })
    }
}

/// Items of a list; none of anything else.
pub(super) fn items(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        _ => &[],
    }
}

/// Bytes of a string.
pub(super) fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn entry_is_read_and_shown() {
        let binary = Value::BulkString(vec![0xff]);
        let fields = Value::Array(vec![text("kind"), text("order"), text("raw"), binary]);
        let deleted = Value::Array(vec![text("6-0"), Value::Nil]);
        let found = Value::Array(vec![Value::Array(vec![text("5-1"), fields]), deleted]);
        let read = Entry::read_all(&found, |_| 2);
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].bytes, 13);
        assert_eq!(
            read[0].record("arn:s", "us-east-1", "s"),
            json!({"messageId": "5-1", "eventSource": "lamina:redis", "eventSourceARN": "arn:s",
                "awsRegion": "us-east-1", "stream": "s", "timestamp": 5, "approximateReceiveCount": 2,
                "fields": {"kind": "order"}, "binaryFields": {"raw": "/w=="}})
        );
        assert!(Entry::read_all(&Value::Nil, |_| 1).is_empty());
    }
}
