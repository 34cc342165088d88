//! Values as serde_json has them, for comparisons only: halves of surrogate pairs become U+FFFD, and numbers out of range the
//! nearest ones.

use serde_json::{Map, Number, Value as Plain};

use super::{Value, read};

/// Levels of a value. Patterns, which serde_json reads, have fewer, and each level takes stack and a pass over its text.
const DEPTH_MAX: usize = 128;

impl Value<'_> {
    /// The nearest value of serde_json. Objects and lists below 128 levels, which no pattern reaches, are null.
    pub fn approximate(self) -> Plain {
        self.approximate_to(DEPTH_MAX)
    }

    fn approximate_to(self, levels: usize) -> Plain {
        if let Some(members) = self.members() {
            let Some(below) = levels.checked_sub(1) else {
                return Plain::Null;
            };
            let members =
                members.map(|(name, value)| (text(name.raw()), value.approximate_to(below)));
            return Plain::Object(members.collect::<Map<_, _>>());
        }
        if let Some(elements) = self.elements() {
            let Some(below) = levels.checked_sub(1) else {
                return Plain::Null;
            };
            return Plain::Array(elements.map(|it| it.approximate_to(below)).collect());
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

    #[test]
    fn deepest_document_is_approximated_to_128_levels() {
        let text = "[".repeat(1_000) + &"]".repeat(1_000);
        let document = Document::parse(text.into()).unwrap();
        let expected = "[".repeat(128) + "null" + &"]".repeat(128);
        assert_eq!(document.root().approximate().to_string(), expected);
    }
}
