//! Syntax of filter patterns: JSON objects whose leaves are lists of rules, as in EventBridge. Records are
//! matched elsewhere.

use serde_json::{Map, Value};

use crate::payload::pattern::COMPARISONS;

/// Maximum absolute value of numbers in rules.
const NUMBER_MAX: f64 = 5e9;

/// True if the text is a filter pattern.
pub(super) fn is_pattern(text: &str) -> bool {
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => is_fields(&fields),
        _ => false,
    }
}

/// Checks the fields of a pattern, each with rules or nested fields.
fn is_fields(fields: &Map<String, Value>) -> bool {
    let is_field = |(name, value): (&String, &Value)| match (name.as_str(), value) {
        ("$or", Value::Array(branches)) if is_alternatives(branches) => {
            branches.len() > 1 && branches.iter().all(is_nested)
        }
        (_, Value::Array(rules)) => !rules.is_empty() && rules.iter().all(is_rule),
        (_, value) => is_nested(value),
    };
    !fields.is_empty() && fields.iter().all(is_field)
}

/// True for the alternatives of `$or`: objects without comparisons.
fn is_alternatives(branches: &[Value]) -> bool {
    branches.iter().all(|branch| {
        let names = branch.as_object().map(|it| it.keys());
        names.is_some_and(|mut it| !it.any(|name| COMPARISONS.contains(&name.as_str())))
    })
}

fn is_nested(value: &Value) -> bool {
    value.as_object().is_some_and(is_fields)
}

/// Checks a rule: a literal to equal, or an object with one comparison.
fn is_rule(rule: &Value) -> bool {
    match rule {
        Value::Null | Value::Bool(_) | Value::String(_) => true,
        Value::Number(_) => is_number(rule),
        Value::Array(_) => false,
        Value::Object(comparison) => {
            let mut entries = comparison.iter();
            match (entries.next(), entries.next()) {
                (Some((name, operand)), None) => is_comparison(name, operand),
                _ => false,
            }
        }
    }
}

fn is_comparison(name: &str, operand: &Value) -> bool {
    match name {
        "exists" => operand.is_boolean(),
        "prefix" | "suffix" => operand.is_string() || is_of(operand, &["equals-ignore-case"]),
        "equals-ignore-case" | "cidr" => operand.is_string(),
        "wildcard" => operand.as_str().is_some_and(is_wildcard),
        "numeric" => operand
            .as_array()
            .is_some_and(|comparison| is_numeric(comparison)),
        "anything-but" => is_anything_but(operand),
        _ => false,
    }
}

/// EventBridge refuses consecutive asterisks.
fn is_wildcard(text: &str) -> bool {
    !text.contains("**")
}

fn is_anything_but(operand: &Value) -> bool {
    match operand {
        Value::String(_) => true,
        Value::Number(_) => is_number(operand),
        Value::Array(values) => {
            let alike = values.iter().all(Value::is_string) || values.iter().all(is_number);
            !values.is_empty() && alike
        }
        operand => is_of(
            operand,
            &["prefix", "suffix", "equals-ignore-case", "wildcard"],
        ),
    }
}

/// Checks an object with one of these comparisons, of one string or several.
fn is_of(value: &Value, names: &[&str]) -> bool {
    let Some(entries) = value.as_object().filter(|entries| entries.len() == 1) else {
        return false;
    };
    entries.iter().all(|(name, operand)| {
        let is_text = match operand {
            Value::Array(texts) => !texts.is_empty() && texts.iter().all(Value::is_string),
            operand => operand.is_string(),
        };
        names.contains(&name.as_str()) && is_text
    })
}

/// `=` alone, or a lower bound, an upper bound, or both in this order.
fn is_numeric(comparison: &[Value]) -> bool {
    let operator = |at: usize| comparison.get(at).and_then(Value::as_str);
    let number = |at: usize| comparison.get(at).is_some_and(is_number);
    match comparison.len() {
        2 => matches!(operator(0), Some("=" | "<" | "<=" | ">" | ">=")) && number(1),
        4 => {
            let bounds = matches!(
                (operator(0), operator(2)),
                (Some(">" | ">="), Some("<" | "<="))
            );
            let in_order = comparison[1].as_f64() < comparison[3].as_f64();
            bounds && number(1) && number(3) && in_order
        }
        _ => false,
    }
}

fn is_number(value: &Value) -> bool {
    value
        .as_f64()
        .is_some_and(|number| number.abs() <= NUMBER_MAX)
}

#[cfg(test)]
mod tests {
    use super::is_pattern;

    #[test]
    fn valid_pattern_is_accepted() {
        for pattern in [
            r#"{"a":["b"]}"#,
            r#"{"a":["b",1,null,true,""]}"#,
            r#"{"a":{"b":{"c":[1.5]}}}"#,
            r#"{"body":{"n":[{"numeric":["=",100]}]}}"#,
            r#"{"n":[{"numeric":[">",10,"<=",20]}]}"#,
            r#"{"a":[{"exists":false}],"b":[{"prefix":"x"}]}"#,
            r#"{"a":[{"prefix":{"equals-ignore-case":"x"}}]}"#,
            r#"{"a":[{"anything-but":["b","c"]}]}"#,
            r#"{"a":[{"anything-but":[1,2]}]}"#,
            r#"{"a":[{"anything-but":{"prefix":"x"}}]}"#,
            r#"{"a":[{"anything-but":{"suffix":["x","y"]}}]}"#,
            r#"{"a":[{"wildcard":"x*y"}],"ip":[{"cidr":"10.0.0.0/24"}]}"#,
            r#"{"$or":[{"a":["b"]},{"c":[{"exists":true}]}]}"#,
            r#"{"$or":["as any other field"]}"#,
            r#"{"$or":[{"prefix":"a"},{"suffix":"z"}]}"#,
            r#"{"$or":[{"a":["b"]},{"$or":[{"c":[1]},{"d":[2]}]}]}"#,
        ] {
            assert!(is_pattern(pattern), "{pattern}");
        }
    }

    #[test]
    fn text_of_another_form_is_no_pattern() {
        for text in [
            "",
            "{",
            "[]",
            "1",
            "\"a\"",
            "null",
            "{}",
            r#"{"a":"b"}"#,
            r#"{"a":1}"#,
            r#"{"a":null}"#,
            r#"{"a":[]}"#,
            r#"{"a":{}}"#,
            r#"{"a":[["b"]]}"#,
            r#"{"a":[{}]}"#,
            r#"{"a":[{"unknown":"b"}]}"#,
            r#"{"a":[{"prefix":"b","suffix":"c"}]}"#,
            r#"{"a":[{"exists":"yes"}]}"#,
            r#"{"a":[{"numeric":["!",1]}]}"#,
            r#"{"a":[{"numeric":[">","1"]}]}"#,
            r#"{"a":[{"numeric":["<",10,">",5]}]}"#,
            r#"{"a":[{"numeric":[">",10,"<",5]}]}"#,
            r#"{"a":[{"numeric":["=",9e9]}]}"#,
            r#"{"a":[{"anything-but":["b",1]}]}"#,
            r#"{"a":[{"anything-but":[]}]}"#,
            r#"{"a":[{"wildcard":"**"}]}"#,
            r#"{"$or":[{"a":["b"]}]}"#,
            r#"{"$or":[{"prefix":"a"},{"b":["c"]}]}"#,
            r#"{"a":["b"]} trailing"#,
        ] {
            assert!(!is_pattern(text), "{text}");
        }
        let deep = format!("{}[1]{}", r#"{"a":"#.repeat(800), "}".repeat(800));
        assert!(!is_pattern(&deep));
    }
}
