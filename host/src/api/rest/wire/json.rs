//! Conversion between validated JSON and the generated structures. Values of wrong types cannot
//! occur here and read as absent.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value};

use crate::clock::Timestamp;

/// A shape read from validated JSON.
pub(super) trait FromJson: Sized {
    fn from_json(value: Value) -> Self;
}

/// A shape written as JSON; `None` is omitted.
pub(super) trait ToJson {
    fn to_json(self) -> Option<Value>;
}

/// A map in request order.
#[derive(Clone, Debug, PartialEq)]
pub struct Entries<T>(Vec<(String, T)>);

/// Seconds since the Unix epoch, with fraction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EpochSeconds(f64);

impl EpochSeconds {
    /// The moment, unless it is before the epoch or later than a duration holds.
    pub fn timestamp(self) -> Option<Timestamp> {
        let since = Duration::try_from_secs_f64(self.0).ok()?;
        Some(Timestamp::from_millis(0).after(since))
    }
}

impl From<Timestamp> for EpochSeconds {
    fn from(at: Timestamp) -> Self {
        Self(Duration::from_millis(at.millis()).as_secs_f64())
    }
}

pub(super) fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

pub(super) fn take<T: FromJson>(members: &mut Map<String, Value>, name: &str) -> T {
    T::from_json(members.remove(name).unwrap_or_default())
}

pub(super) fn put(members: &mut Map<String, Value>, name: &str, value: impl ToJson) {
    if let Some(value) = value.to_json() {
        members.insert(name.to_owned(), value);
    }
}

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> IntoIterator for Entries<T> {
    type Item = (String, T);
    type IntoIter = std::vec::IntoIter<(String, T)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<T> FromIterator<(String, T)> for Entries<T> {
    fn from_iter<I: IntoIterator<Item = (String, T)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl<T: FromJson> FromJson for Option<T> {
    fn from_json(value: Value) -> Self {
        (!value.is_null()).then(|| T::from_json(value))
    }
}

impl<T: ToJson> ToJson for Option<T> {
    fn to_json(self) -> Option<Value> {
        self.and_then(ToJson::to_json)
    }
}

impl<T: FromJson> FromJson for Vec<T> {
    fn from_json(value: Value) -> Self {
        match value {
            Value::Array(items) => items.into_iter().map(T::from_json).collect(),
            _ => Self::new(),
        }
    }
}

impl<T: ToJson> ToJson for Vec<T> {
    fn to_json(self) -> Option<Value> {
        Some(self.into_iter().filter_map(ToJson::to_json).collect())
    }
}

impl<T: FromJson> FromJson for Entries<T> {
    fn from_json(value: Value) -> Self {
        members(value)
            .into_iter()
            .map(|(name, value)| (name, T::from_json(value)))
            .collect()
    }
}

impl<T: ToJson> ToJson for Entries<T> {
    fn to_json(self) -> Option<Value> {
        let entries = self
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.to_json()?)));
        Some(Value::Object(entries.collect()))
    }
}

impl FromJson for String {
    fn from_json(value: Value) -> Self {
        match value {
            Value::String(text) => text,
            _ => Self::new(),
        }
    }
}

impl ToJson for String {
    fn to_json(self) -> Option<Value> {
        Some(Value::String(self))
    }
}

impl FromJson for Bytes {
    fn from_json(value: Value) -> Self {
        let text = value.as_str().unwrap_or_default();
        STANDARD.decode(text).unwrap_or_default().into()
    }
}

impl ToJson for Bytes {
    fn to_json(self) -> Option<Value> {
        Some(STANDARD.encode(self).into())
    }
}

impl FromJson for EpochSeconds {
    fn from_json(value: Value) -> Self {
        Self(value.as_f64().unwrap_or_default())
    }
}

impl ToJson for EpochSeconds {
    fn to_json(self) -> Option<Value> {
        Some(self.0.into())
    }
}

macro_rules! plain {
    ($($kind:ty => $read:expr),* $(,)?) => {$(
        impl FromJson for $kind {
            fn from_json(value: Value) -> Self {
                let read: fn(&Value) -> Option<Self> = $read;
                read(&value).unwrap_or_default()
            }
        }

        impl ToJson for $kind {
            fn to_json(self) -> Option<Value> {
                Some(self.into())
            }
        }
    )*};
}

plain! {
    bool => Value::as_bool,
    i32 => |value| value.as_i64().and_then(|number| number.try_into().ok()),
    i64 => Value::as_i64,
    f64 => Value::as_f64,
}
