//! Filter patterns of EventBridge: whether an event matches one. `control` has checked the syntax of every pattern
//! before; a rule that is none matches nothing.

use std::net::IpAddr;

use serde_json::{Map, Value};

/// Names of comparisons. In EventBridge, `$or` is a field like any other if its alternatives have one of them.
pub const COMPARISONS: [&str; 8] = [
    "anything-but",
    "cidr",
    "equals-ignore-case",
    "exists",
    "numeric",
    "prefix",
    "suffix",
    "wildcard",
];

/// A filter pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern(Map<String, Value>);

impl Pattern {
    /// Parses a pattern. `None` for anything but a JSON object.
    pub fn parse(text: &str) -> Option<Self> {
        match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => Some(Self(fields)),
            _ => None,
        }
    }

    /// True if the event matches.
    pub fn matches(&self, event: &Value) -> bool {
        all(&self.0, Some(event))
    }

    /// Fields and rules of the pattern.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.0
    }
}

/// True if all fields match the value; `None` is a value that is not there.
fn all(fields: &Map<String, Value>, value: Option<&Value>) -> bool {
    // Of an array of objects, one must match as a whole.
    if let Some(Value::Array(elements)) = value {
        return elements.iter().any(|element| all(fields, Some(element)));
    }
    fields.iter().all(|(name, rules)| {
        if let ("$or", Some(branches)) = (name.as_str(), branches(rules)) {
            return branches.iter().any(|branch| all(branch, value));
        }
        let found = value.and_then(|value| value.as_object()?.get(name));
        match rules {
            Value::Array(rules) => rules.iter().any(|rule| leaf(rule, found)),
            Value::Object(fields) => all(fields, found),
            _ => false,
        }
    })
}

/// Alternatives of `$or`. A field of this name has literals or comparisons.
fn branches(rules: &Value) -> Option<Vec<&Map<String, Value>>> {
    let rules = rules.as_array().filter(|rules| rules.len() > 1)?;
    let branches: Vec<_> = rules.iter().map(Value::as_object).collect::<Option<_>>()?;
    let mut names = branches.iter().flat_map(|branch| branch.keys());
    let has_comparison = names.any(|name| COMPARISONS.contains(&name.as_str()));
    (!has_comparison).then_some(branches)
}

/// True if a value matches one rule; of an array, one element.
fn leaf(rule: &Value, value: Option<&Value>) -> bool {
    if let Some(expected) = comparison(rule, "exists").and_then(Value::as_bool) {
        // Objects are no leaves; an empty array has none.
        let is_there = match value {
            None | Some(Value::Object(_)) => false,
            Some(Value::Array(elements)) => !elements.is_empty(),
            Some(_) => true,
        };
        return is_there == expected;
    }
    match value {
        None => false,
        Some(Value::Array(elements)) => elements.iter().any(|element| leaf(rule, Some(element))),
        Some(value) => scalar(rule, value),
    }
}

fn comparison<'a>(rule: &'a Value, name: &str) -> Option<&'a Value> {
    rule.as_object()?.get(name)
}

fn scalar(rule: &Value, value: &Value) -> bool {
    let Some((name, operand)) = rule.as_object().and_then(|it| it.iter().next()) else {
        return is_equal(rule, value);
    };
    match name.as_str() {
        "anything-but" => !value.is_object() && anything_but(operand, value),
        "numeric" => numeric(operand, value),
        name => value
            .as_str()
            .is_some_and(|text| compare(name, operand, text)),
    }
}

/// Numbers are equal if they are written alike, as in AWS.
fn is_equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.to_string() == other.to_string(),
        (one, other) => !one.is_object() && one == other,
    }
}

/// True if a text satisfies a comparison with one operand, or one of several.
fn compare(name: &str, operand: &Value, text: &str) -> bool {
    if let Value::Array(operands) = operand {
        return operands.iter().any(|operand| compare(name, operand, text));
    }
    let folded = comparison(operand, "equals-ignore-case").and_then(Value::as_str);
    match (name, operand.as_str(), folded) {
        ("prefix", Some(prefix), _) => text.starts_with(prefix),
        ("suffix", Some(suffix), _) => text.ends_with(suffix),
        ("prefix", None, Some(prefix)) => text.to_lowercase().starts_with(&prefix.to_lowercase()),
        ("suffix", None, Some(suffix)) => text.to_lowercase().ends_with(&suffix.to_lowercase()),
        ("equals-ignore-case", Some(other), _) => text.to_lowercase() == other.to_lowercase(),
        ("wildcard", Some(pattern), _) => wildcard(pattern, text),
        ("cidr", Some(block), _) => cidr(block, text),
        _ => false,
    }
}

fn anything_but(operand: &Value, value: &Value) -> bool {
    match operand {
        Value::Array(values) => !values.iter().any(|it| is_equal(it, value)),
        Value::Object(nested) => {
            let Some(text) = value.as_str() else {
                return true;
            };
            let mut nested = nested.iter();
            nested.all(|(name, operand)| !compare(name, operand, text))
        }
        single => !is_equal(single, value),
    }
}

fn numeric(operand: &Value, value: &Value) -> bool {
    let (Some(bounds), Some(number)) = (operand.as_array(), value.as_f64()) else {
        return false;
    };
    bounds.chunks(2).all(|bound| {
        let (Some(operator), Some(limit)) = (
            bound.first().and_then(Value::as_str),
            bound.get(1).and_then(Value::as_f64),
        ) else {
            return false;
        };
        match operator {
            "=" => number.total_cmp(&limit).is_eq(),
            "<" => number < limit,
            "<=" => number <= limit,
            ">" => number > limit,
            ">=" => number >= limit,
            _ => false,
        }
    })
}

/// `*` stands for any characters; a backslash takes an asterisk or a backslash for itself.
fn wildcard(pattern: &str, text: &str) -> bool {
    let mut parts = vec![String::new()];
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, letters.peek()) {
            ('\\', Some('*' | '\\')) => {
                let literal = letters.next().expect("it was peeked");
                parts.last_mut().expect("one at least").push(literal);
            }
            ('*', _) => parts.push(String::new()),
            (letter, _) => parts.last_mut().expect("one at least").push(letter),
        }
    }
    let last = parts.pop().expect("one at least");
    let mut parts = parts.into_iter();
    let Some(first) = parts.next() else {
        return text == last;
    };
    let Some(mut rest) = text.strip_prefix(first.as_str()) else {
        return false;
    };
    // The earliest place of each part leaves the most for the others.
    for part in parts {
        match rest.find(&part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(&last)
}

/// True for an address in a block.
fn cidr(block: &str, address: &str) -> bool {
    let bits = |text: &str| match text.parse::<IpAddr>().ok()? {
        IpAddr::V4(it) => Some((u128::from(it.to_bits()), 32)),
        IpAddr::V6(it) => Some((it.to_bits(), 128)),
    };
    let (base, length) = block.split_once('/').unwrap_or((block, ""));
    let (Some((base, width)), Some((address, same))) = (bits(base), bits(address)) else {
        return false;
    };
    let length = match length {
        "" => Some(width),
        digits => digits.parse::<u32>().ok().filter(|it| *it <= width),
    };
    let Some(length) = length.filter(|_| width == same) else {
        return false;
    };
    let shift = width - length;
    base.checked_shr(shift) == address.checked_shr(shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: a pattern, events that match, events that do not.
    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of patterns")]
    fn events_match_as_in_eventbridge() {
        for (pattern, matching, others) in [
            (
                r#"{"a":["b"]}"#,
                vec![r#"{"a":"b","c":1}"#, r#"{"a":["x","b"]}"#],
                vec![r#"{"a":"B"}"#, "{}", r#"{"a":{"b":1}}"#, "[]", "1"],
            ),
            (
                r#"{"a":["b",1,null,true]}"#,
                vec![r#"{"a":1}"#, r#"{"a":null}"#, r#"{"a":true}"#],
                vec![r#"{"a":1.0}"#, r#"{"a":"1"}"#, r#"{"a":false}"#],
            ),
            (
                r#"{"a":["x"],"b":["y"]}"#,
                vec![r#"{"a":"x","b":"y"}"#],
                vec![r#"{"a":"x"}"#],
            ),
            (
                r#"{"a":{"b":["c"]}}"#,
                vec![r#"{"a":{"b":"c"}}"#, r#"{"a":[{"b":"x"},{"b":"c"}]}"#],
                vec![r#"{"a":"b"}"#, r#"{"b":"c"}"#],
            ),
            (
                r#"{"a":{"b":[1],"c":[2]}}"#,
                vec![r#"{"a":[{"b":1,"c":2}]}"#],
                vec![r#"{"a":[{"b":1},{"c":2}]}"#],
            ),
            (
                r#"{"a":[{"prefix":"x"}]}"#,
                vec![r#"{"a":"xy"}"#],
                vec![r#"{"a":"Xy"}"#, r#"{"a":1}"#],
            ),
            (
                r#"{"a":[{"prefix":{"equals-ignore-case":"x"}}]}"#,
                vec![r#"{"a":"Xy"}"#],
                vec![r#"{"a":"y"}"#],
            ),
            (
                r#"{"a":[{"suffix":".png"}]}"#,
                vec![r#"{"a":"b.png"}"#],
                vec![r#"{"a":"b.PNG"}"#],
            ),
            (
                r#"{"a":[{"equals-ignore-case":"B"}]}"#,
                vec![r#"{"a":"b"}"#],
                vec![r#"{"a":"bb"}"#],
            ),
            (
                r#"{"a":[{"exists":true}]}"#,
                vec![r#"{"a":null}"#, r#"{"a":""}"#],
                vec!["{}", r#"{"a":{"b":1}}"#, r#"{"a":[]}"#],
            ),
            (
                r#"{"a":{"b":[{"exists":false}]}}"#,
                vec!["{}", r#"{"a":1}"#, r#"{"a":{}}"#],
                vec![r#"{"a":{"b":1}}"#],
            ),
            (
                r#"{"a":[{"anything-but":"b"}]}"#,
                vec![r#"{"a":"c"}"#, r#"{"a":1}"#],
                vec![r#"{"a":"b"}"#, "{}"],
            ),
            (
                r#"{"a":[{"anything-but":["b","c"]}]}"#,
                vec![r#"{"a":"d"}"#],
                vec![r#"{"a":"c"}"#],
            ),
            (
                r#"{"a":[{"anything-but":[1,2]}]}"#,
                vec![r#"{"a":3}"#],
                vec![r#"{"a":2}"#],
            ),
            (
                r#"{"a":[{"anything-but":{"prefix":["x","y"]}}]}"#,
                vec![r#"{"a":"zx"}"#],
                vec![r#"{"a":"yz"}"#, "{}"],
            ),
            (
                r#"{"a":[{"anything-but":{"wildcard":"*/lib/*"}}]}"#,
                vec![r#"{"a":"/bin/x"}"#],
                vec![r#"{"a":"/lib/x"}"#],
            ),
            (
                r#"{"a":[{"anything-but":{"equals-ignore-case":["on"]}}]}"#,
                vec![r#"{"a":"off"}"#],
                vec![r#"{"a":"ON"}"#],
            ),
            (
                r#"{"a":[{"numeric":[">",0,"<=",5]}]}"#,
                vec![r#"{"a":5}"#, r#"{"a":0.1}"#],
                vec![r#"{"a":0}"#, r#"{"a":"1"}"#, r#"{"a":6}"#],
            ),
            (
                r#"{"a":[{"numeric":["=",3]}]}"#,
                vec![r#"{"a":3.0}"#],
                vec![r#"{"a":4}"#],
            ),
            (
                r#"{"a":[{"cidr":"10.0.0.0/24"}]}"#,
                vec![r#"{"a":"10.0.0.255"}"#],
                vec![r#"{"a":"10.0.1.0"}"#, r#"{"a":"::1"}"#, r#"{"a":"x"}"#],
            ),
            (
                r#"{"a":[{"cidr":"2001:db8::/32"}]}"#,
                vec![r#"{"a":"2001:db8:1::"}"#],
                vec![r#"{"a":"2001:db9::"}"#],
            ),
            (
                r#"{"a":[{"cidr":"0.0.0.0/0"}]}"#,
                vec![r#"{"a":"1.2.3.4"}"#],
                vec![r#"{"a":""}"#],
            ),
            (
                r#"{"$or":[{"a":["b"]},{"c":[{"exists":true}]}]}"#,
                vec![r#"{"a":"b"}"#, r#"{"c":1}"#],
                vec![r#"{"a":"c"}"#],
            ),
            (
                r#"{"$or":["as any other field"]}"#,
                vec![r#"{"$or":"as any other field"}"#],
                vec!["{}"],
            ),
            (
                r#"{"$or":[{"prefix":"a"},{"suffix":"z"}]}"#,
                vec![r#"{"$or":"ab"}"#, r#"{"$or":"yz"}"#],
                vec![r#"{"$or":"b"}"#, r#"{"prefix":"a"}"#],
            ),
            (
                r#"{"a":["x"],"$or":[{"b":[1]},{"c":{"d":[2]},"$or":[{"e":[3]},{"f":[4]}]}]}"#,
                vec![r#"{"a":"x","b":1}"#, r#"{"a":"x","c":{"d":2},"f":4}"#],
                vec![r#"{"b":1}"#, r#"{"a":"x","c":{"d":2}}"#],
            ),
            (
                r#"{"a":[{"anything-but":["b"]}]}"#,
                vec![r#"{"a":["b","c"]}"#],
                vec![r#"{"a":["b"]}"#, r#"{"a":[]}"#],
            ),
            (
                r#"{"a":[{"anything-but":{"suffix":".png"}}, {"exists":false}]}"#,
                vec![r#"{"a":"b.gif"}"#, "{}"],
                vec![r#"{"a":"b.png"}"#],
            ),
            (
                r#"{"a":[{"suffix":{"equals-ignore-case":".PNG"}}]}"#,
                vec![r#"{"a":"b.png"}"#, r#"{"a":[["c.Png"]]}"#],
                vec![r#"{"a":"png"}"#],
            ),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            let matches = |event: &str| parsed.matches(&serde_json::from_str(event).unwrap());
            for event in matching {
                assert!(matches(event), "{pattern} {event}");
            }
            for event in others {
                assert!(!matches(event), "{pattern} {event}");
            }
        }
    }

    #[test]
    fn wildcard_matches_any_characters_between_its_parts() {
        for (pattern, matching, others) in [
            ("a*c", vec!["ac", "abc", "abcbc"], vec!["abcd", "bac"]),
            ("*", vec!["", "x"], vec![]),
            ("*a*", vec!["bab", "a"], vec!["b"]),
            ("a*b*a", vec!["aba", "axbxa"], vec!["ab", "aa"]),
            (r"a\*b", vec!["a*b"], vec!["axb"]),
            (r"a\\*", vec![r"a\b"], vec!["ab"]),
            ("plain", vec!["plain"], vec!["plain "]),
        ] {
            for text in matching {
                assert!(wildcard(pattern, text), "{pattern} {text}");
            }
            for text in others {
                assert!(!wildcard(pattern, text), "{pattern} {text}");
            }
        }
    }
}
