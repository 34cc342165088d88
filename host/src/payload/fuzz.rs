//! Fuzz check of JSON documents: the reader takes what JSON is, finds the values that serde_json finds, and the
//! HTTP that is described in a document is HTTP that can be sent.

use bytes::Bytes;
use serde::de::IgnoredAny;

use super::json::{DEPTH_MAX, Document, Invalid, Value};

/// Checks one document.
pub fn check(input: &[u8]) {
    let bytes = Bytes::copy_from_slice(input);
    let parsed = Document::parse(bytes.clone());
    // It builds nothing, so numbers, texts and depth have no bounds for it.
    let is_json = std::str::from_utf8(input)
        .is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
    let is_bounded = depth(input) <= DEPTH_MAX;
    match &parsed {
        Ok(_) => assert!(is_json && is_bounded, "it is no JSON"),
        Err(Invalid::TooDeep) => assert!(!is_bounded, "it has {} levels", depth(input)),
        Err(error) => assert!(!is_json || error == &Invalid::TooLarge, "{error}"),
    }
    if let Ok(document) = &parsed {
        let built = serde_json::from_slice::<serde_json::Value>(input);
        if let Ok(expected) = built {
            require_same(document.root(), &expected);
        } else {
            visit(document.root());
        }
        let _ = super::http::request_of(document);
    }
    let Ok(response) = super::http::response_of(&bytes) else {
        return;
    };
    assert!(super::http::is_final(response.status()));
    let field = super::http::CONNECTION_FIELDS
        .iter()
        .find(|name| response.headers().contains_key(*name));
    assert_eq!(field, None, "the host's own field");
    let described = super::http::result_of(&response);
    let described = super::http::response_of(&described).expect("the host's own result");
    assert_eq!(described.status(), response.status());
    assert_eq!(described.body(), response.body());
}

/// The deepest nesting that brackets outside of texts make, whether or not they match.
fn depth(input: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in input {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => depth += 1,
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn require_same(value: Value<'_>, expected: &serde_json::Value) {
    use serde_json::Value as Expected;
    match expected {
        Expected::Null => assert!(value.is_null()),
        Expected::Bool(expected) => assert_eq!(value.as_bool(), Some(*expected)),
        Expected::Number(expected) => {
            let value: f64 = value.raw().parse().expect("it is a number");
            let expected = expected.as_f64().expect("it is one, too");
            // serde_json rounds the last bit of a long number as it likes.
            let is_near = (value - expected).abs() <= 4.0 * f64::EPSILON * expected.abs();
            assert!(is_near, "{value} and {expected}");
        }
        Expected::String(expected) => {
            let text = value.text().expect("it is a text");
            assert_eq!(text.decode().as_deref(), Ok(expected.as_str()));
        }
        Expected::Array(expected) => {
            let elements: Vec<_> = value.elements().expect("it is a list").collect();
            assert_eq!(elements.len(), expected.len());
            elements
                .into_iter()
                .zip(expected)
                .for_each(|(value, expected)| {
                    require_same(value, expected);
                });
        }
        Expected::Object(expected) => {
            let names = value.members().expect("it is an object");
            for (name, _) in names {
                let name = name.decode().expect("serde_json reads it");
                assert!(expected.contains_key(&*name), "{name}");
            }
            for (name, expected) in expected {
                require_same(value.member(name).expect("it is there"), expected);
            }
        }
    }
}

/// Reads all of a document that serde_json cannot build.
fn visit(root: Value<'_>) {
    let mut open = vec![(root, 0)];
    while let Some((value, depth)) = open.pop() {
        assert!(depth <= DEPTH_MAX, "{depth} levels");
        if let Some(text) = value.text() {
            let _ = text.decode();
        }
        let members = value.members().into_iter().flatten();
        let parts = members.map(|(_, value)| value);
        let parts = parts.chain(value.elements().into_iter().flatten());
        open.extend(parts.map(|value| (value, depth + 1)));
    }
}
