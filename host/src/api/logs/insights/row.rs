//! A row of a query: an event with its fields, or a group of a `stats` command.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::budget::{Budget, Stop};
use super::value::Value;
use crate::telemetry::log::Event;

/// Fields of REPORT lines, as Lambda's log groups have them, with their unit in the line.
const REPORT: [(&str, &str, &str, f64); 5] = [
    ("@duration", "Duration: ", " ms", 1.0),
    ("@billedDuration", "Billed Duration: ", " ms", 1.0),
    ("@initDuration", "Init Duration: ", " ms", 1.0),
    ("@memorySize", "Memory Size: ", " MB", 1_000_000.0),
    ("@maxMemoryUsed", "Max Memory Used: ", " MB", 1_000_000.0),
];

/// Memory of a row's first field that a command sets, beside its text: a node of the map.
const FIRST_FIELD_BYTES: usize = 640;
/// Memory of another field.
const FIELD_BYTES: usize = 128;
/// Memory of a value of a JSON document, beside its text.
const JSON_VALUE_BYTES: usize = 128;
/// Memory that documents stay parsed in. Beyond, messages are parsed at each access.
const JSON_BYTES_MAX: usize = 24 << 20;

/// A row.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    event: Option<(Arc<str>, Arc<Event>)>,
    /// Fields of commands. They hide those of the event.
    made: BTreeMap<Arc<str>, Value>,
    /// Message as JSON, parsed on first use.
    json: OnceCell<Option<Json>>,
}

impl Row {
    /// An event of a log group.
    pub(super) fn of_event(group: Arc<str>, event: Arc<Event>) -> Self {
        Self {
            event: Some((group, event)),
            ..Self::default()
        }
    }

    /// Bytes of a row of an event.
    pub(super) fn bytes_of_event(event: &Event) -> usize {
        size_of::<Self>() + size_of::<Event>() + event.message.len()
    }

    pub(super) fn set(
        &mut self,
        name: &Arc<str>,
        value: Value,
        budget: &Budget<'_>,
    ) -> Result<(), Stop> {
        let field = match self.made.is_empty() {
            true => FIRST_FIELD_BYTES,
            false => FIELD_BYTES,
        };
        budget.charge(field + value.bytes())?;
        self.made.insert(Arc::clone(name), value);
        Ok(())
    }

    pub(super) fn get(&self, name: &str, budget: &Budget<'_>) -> Result<Value, Stop> {
        if let Some(made) = self.made.get(name) {
            return Ok(made.clone());
        }
        let Some((group, event)) = &self.event else {
            return Ok(Value::Missing);
        };
        budget.work(event.message.len())?;
        let time = || Value::Time(i64::try_from(event.at.millis()).unwrap_or(i64::MAX));
        Ok(match name {
            "@message" => Value::Text(event.message.to_string()),
            "@timestamp" | "@ingestionTime" => time(),
            "@logStream" => Value::Text(event.stream.to_string()),
            "@log" => Value::Text(group.to_string()),
            "@ptr" => Value::Text(format!("{group}/{}", event.sequence)),
            "@type" | "@requestId" => of_platform(name, &event.message),
            _ => match REPORT.iter().find(|(it, ..)| *it == name) {
                Some((_, label, unit, factor)) => of_report(&event.message, label, unit, *factor),
                None => self.of_json(name, &event.message, budget),
            },
        })
    }

    /// True for an event, false for a row of `stats`.
    pub(super) fn is_event(&self) -> bool {
        self.event.is_some()
    }

    /// Order of arrival.
    pub(super) fn arrival(&self) -> (u64, u64) {
        let event = self.event.as_ref();
        event.map_or((0, 0), |(_, it)| (it.at.millis(), it.sequence))
    }

    /// Member of a JSON message by its path, such as `error.code` or `items.0`.
    fn of_json(&self, path: &str, message: &str, budget: &Budget<'_>) -> Value {
        if let Some(json) = self.json.get() {
            return json.as_ref().map_or(Value::Missing, |it| member(it, path));
        }
        if !message.starts_with('{') {
            return Value::Missing;
        }
        let parse = || serde_json::from_str::<Json>(message).ok();
        let is_separator = |it: &u8| matches!(it, b',' | b':' | b'[' | b'{');
        let separators = message.bytes().filter(is_separator);
        let bytes = message.len() + separators.count() * JSON_VALUE_BYTES;
        let json = match budget.keep_below(JSON_BYTES_MAX, bytes) {
            true => self.json.get_or_init(parse),
            false => &parse(),
        };
        json.as_ref().map_or(Value::Missing, |it| member(it, path))
    }
}

fn member(json: &Json, path: &str) -> Value {
    // A member's name may have dots itself.
    if let Some(found) = json.get(path) {
        return of_value(found);
    }
    let found = path.split('.').try_fold(json, |at, part| match at {
        Json::Array(all) => all.get(part.parse::<usize>().ok()?),
        at => at.get(part),
    });
    found.map_or(Value::Missing, of_value)
}

fn of_value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Missing,
        Json::Number(number) => number.as_f64().map_or(Value::Missing, Value::Number),
        Json::String(text) => Value::Text(text.clone()),
        other => Value::Text(other.to_string()),
    }
}

fn of_platform(name: &str, message: &str) -> Value {
    const TYPES: [&str; 3] = ["START", "END", "REPORT"];
    let line = message.split_once(" RequestId: ");
    let Some((kind, rest)) = line.filter(|(kind, _)| TYPES.contains(kind)) else {
        return Value::Missing;
    };
    let id = rest.split([' ', '\t', '\n']).next().unwrap_or_default();
    Value::Text(if name == "@type" { kind } else { id }.to_owned())
}

fn of_report(message: &str, label: &str, unit: &str, factor: f64) -> Value {
    if !message.starts_with("REPORT RequestId: ") {
        return Value::Missing;
    }
    // `Duration: ` is the end of other labels, too.
    let part = message.split('\t').find_map(|it| it.strip_prefix(label));
    let number = part.and_then(|it| it.trim_end().strip_suffix(unit)?.parse::<f64>().ok());
    number.map_or(Value::Missing, |it| Value::Number(it * factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_line_has_fields() {
        let line = "REPORT RequestId: 1-2\tDuration: 1.50 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\t\
                    Max Memory Used: 3 MB\t\n";
        let read = |name: &str| {
            let (_, label, unit, factor) = REPORT.iter().find(|(it, ..)| *it == name).unwrap();
            of_report(line, label, unit, *factor)
        };
        assert_eq!(read("@duration"), Value::Number(1.5));
        assert_eq!(read("@billedDuration"), Value::Number(2.0));
        assert_eq!(read("@memorySize"), Value::Number(128_000_000.0));
        assert_eq!(read("@initDuration"), Value::Missing);
        assert_eq!(of_platform("@type", line), Value::Text("REPORT".to_owned()));
        assert_eq!(
            of_platform("@requestId", line),
            Value::Text("1-2".to_owned())
        );
        assert_eq!(of_platform("@type", "hello"), Value::Missing);
    }
}
