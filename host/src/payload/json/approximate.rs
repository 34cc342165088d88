//! Values as serde_json has them, for comparisons only: halves of surrogate pairs become U+FFFD, and numbers out of range the
//! nearest ones.

use serde_json::{Map, Number, Value as Plain};

use super::{Value, read};

impl Value<'_> {
    /// The nearest value of serde_json.
    pub fn approximate(self) -> Plain {
        if let Some(members) = self.members() {
            let members = members.map(|(name, value)| (text(name.raw()), value.approximate()));
            return Plain::Object(members.collect::<Map<_, _>>());
        }
        if let Some(elements) = self.elements() {
            return Plain::Array(elements.map(Value::approximate).collect());
        }
        if let Some(own) = self.text() {
            return Plain::String(text(own.raw()));
        }
        match (self.raw(), self.as_bool()) {
            (_, Some(truth)) => Plain::Bool(truth),
            ("null", None) => Plain::Null,
            (digits, None) => number(digits),
        }
    }
}

fn text(raw: &str) -> String {
    read::unescape(raw).unwrap_or_else(|_| read::unescape_lossy(raw))
}

fn number(digits: &str) -> Plain {
    if let Ok(number) = digits.parse::<Number>() {
        return Plain::Number(number);
    }
    let number: f64 = digits.parse().unwrap_or_default();
    let finite = number.clamp(f64::MIN, f64::MAX);
    Number::from_f64(finite).map_or(Plain::Null, Plain::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::payload::Document;

    #[test]
    fn document_that_serde_json_refuses_is_approximated() {
        let text = r#"{"a":[1,-2.5,1e999,-1e999,true,null],"b":"x\ud83dy","c\ude00":"\ud83d\ude00\n","d":{}}"#;
        assert!(serde_json::from_str::<serde_json::Value>(text).is_err());
        let document = Document::parse(text.into()).unwrap();
        let expected = json!({"a": [1, -2.5, f64::MAX, f64::MIN, true, null], "b": "x\u{fffd}y",
            "c\u{fffd}": "\u{1f600}\n", "d": {}});
        assert_eq!(document.root().approximate(), expected);
    }
}
