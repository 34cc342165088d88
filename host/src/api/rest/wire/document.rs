//! Parser of request bodies that keeps only members of the model. As a generic tree, a body of 56
//! MiB would take
//! 4.6 GB.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::check::{Location, Rejection, Shape};

/// Values of a request in all structures, lists and maps. AWS's longest lists have hundreds; each
/// value takes about a hundred bytes in memory, however short it is in the body.
pub(super) const VALUES_MAX: usize = 16_384;

static TEXT: Shape = Shape::String {
    min: None,
    max: None,
    pattern: None,
    values: &[],
};

/// Members of a body by the model. An empty body is an empty document.
pub(super) fn read(shape: &Shape, body: &[u8]) -> Result<Map<String, Value>, Rejection> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    let budget = Cell::new(VALUES_MAX);
    match parse(Kept::Shape(shape), body, &budget) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err(Rejection::NotAnObject),
        Err(_) if budget.get() == 0 => Err(Rejection::TooMany(VALUES_MAX)),
        Err(error) => Err(Rejection::NotJson(error.to_string())),
    }
}

/// A string member of a body, without keeping the rest. Of duplicates the last counts, as in
/// [`read`].
pub(in super::super) fn text_member(body: &[u8], name: &str) -> Option<String> {
    let budget = Cell::new(VALUES_MAX);
    let mut read = parse(Kept::Member(name), body, &budget).ok()?;
    match read.get_mut(name)?.take() {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn parse(wanted: Kept<'_>, body: &[u8], budget: &Cell<usize>) -> serde_json::Result<Value> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = Seed { wanted, budget }.deserialize(&mut reader)?;
    reader.end().map(|()| value)
}

/// Part of a value to keep.
#[derive(Clone, Copy)]
enum Kept<'a> {
    Shape(&'a Shape),
    /// String member of an object.
    Member(&'a str),
}

/// Deserializer seed of a value. Of a value of a wrong type only the type is kept, which is all
/// that validation needs.
#[derive(Clone, Copy)]
struct Seed<'a> {
    wanted: Kept<'a>,
    budget: &'a Cell<usize>,
}

impl<'a> Seed<'a> {
    fn of(self, shape: &'a Shape) -> Self {
        Self {
            wanted: Kept::Shape(shape),
            ..self
        }
    }

    /// Seed of a member, if it is kept.
    fn member(self, name: &str) -> Option<Self> {
        match self.wanted {
            Kept::Member(wanted) => (wanted == name).then(|| self.of(&TEXT)),
            Kept::Shape(Shape::Structure(members)) => {
                let is_it = |it: &&super::check::Member| {
                    it.name == name && matches!(it.location, Location::Body)
                };
                members.iter().find(is_it).map(|it| self.of(it.shape))
            }
            Kept::Shape(Shape::Map { value, .. }) => Some(self.of(value)),
            Kept::Shape(_) => None,
        }
    }

    fn item(self) -> Option<Self> {
        match self.wanted {
            Kept::Shape(Shape::List { member, .. }) => Some(self.of(member)),
            _ => None,
        }
    }

    fn spend<E: Error>(self) -> Result<(), E> {
        let left = self.budget.get().checked_sub(1);
        self.budget.set(left.unwrap_or_default());
        left.map(drop).ok_or_else(|| E::custom("too many values"))
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(match self.wanted {
            Kept::Shape(Shape::String { .. } | Shape::Blob { .. }) => text.into(),
            _ => Value::String(String::new()),
        })
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<Value, S::Error> {
        let mut kept = Vec::new();
        if let Some(seed) = self.item() {
            while let Some(value) = items.next_element_seed(seed)? {
                self.spend()?;
                kept.push(value);
            }
        } else {
            while items.next_element::<IgnoredAny>()?.is_some() {}
        }
        Ok(Value::Array(kept))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<Value, M::Error> {
        let mut kept = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            match self.member(&name) {
                None => drop(members.next_value::<IgnoredAny>()?),
                Some(seed) => {
                    self.spend()?;
                    kept.insert(name, members.next_value_seed(seed)?);
                }
            }
        }
        Ok(Value::Object(kept))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::rest::wire::Operation;

    fn read(body: &str) -> Result<Value, Rejection> {
        let shape = Operation::UpdateFunctionConfiguration.input();
        super::read(shape, body.as_bytes()).map(Value::Object)
    }

    #[test]
    fn only_model_members_are_kept() {
        let body = r#"{"Timeout": 3, "": {"Timeout": [1]}, "Environment": {"Variables": {"A": "b"}, "X": 1},
            "Layers": ["a", "b"], "FunctionName": "in the path", "Timeout": 4}"#;
        let expected = json!({
            "Timeout": 4, "Environment": {"Variables": {"A": "b"}}, "Layers": ["a", "b"],
        });
        assert_eq!(read(body), Ok(expected));
        assert_eq!(read("null"), Ok(json!({})));
        assert_eq!(read(""), Ok(json!({})));
        for wrong in ["[]", "1", r#""x""#, "true"] {
            assert_eq!(read(wrong), Err(Rejection::NotAnObject), "{wrong}");
        }
        for broken in ["{", "{}x", r#"{"a":}"#, r#"{"Timeout":3,}"#] {
            assert!(
                matches!(read(broken), Err(Rejection::NotJson(_))),
                "{broken}"
            );
        }
    }

    #[test]
    fn value_of_wrong_type_keeps_type_only() {
        let body =
            r#"{"Timeout": [1, 2], "Layers": {"a": 1}, "Environment": "text", "Handler": [[]]}"#;
        let expected = json!({"Timeout": [], "Layers": {}, "Environment": "", "Handler": []});
        assert_eq!(read(body), Ok(expected));
    }

    #[test]
    fn values_of_request_are_limited() {
        let layers =
            |count: usize| format!(r#"{{"Layers": ["x"{}]}}"#, r#","x""#.repeat(count - 1));
        assert!(read(&layers(VALUES_MAX - 1)).is_ok());
        let too_many = Err(Rejection::TooMany(VALUES_MAX));
        assert_eq!(read(&layers(VALUES_MAX)), too_many);
        let made_up = format!("[{}0]", r#"{"":0},"#.repeat(VALUES_MAX));
        assert_eq!(read(&format!(r#"{{"X": {made_up}}}"#)), Ok(json!({})));
    }

    #[test]
    fn last_duplicate_text_member_counts() {
        let found = |body: &str| text_member(body.as_bytes(), "A");
        assert_eq!(
            found(r#"{"A":"x","B":[{"A":"y"}],"\u0041":"z"}"#),
            Some("z".into())
        );
        assert_eq!(found(r#"{"A":"x","A":[1]}"#), None);
        assert_eq!(found(r#"["A"]"#), None);
        assert_eq!(found(""), None);
    }
}
