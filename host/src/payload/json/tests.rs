//! Accepted documents, look-ups in them, and messages for malformed ones.

use super::*;

fn parsed(document: &[u8]) -> Result<Document, Invalid> {
    Document::parse(Bytes::copy_from_slice(document))
}

fn document(text: &str) -> Document {
    parsed(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Message with positions shortened to `line:column`.
fn message(document: &[u8]) -> String {
    let text = parsed(document).map_or_else(|error| error.to_string(), |_| "none".into());
    text.replace(
        "[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: ",
        "[",
    )
    .replace(", column: ", ":")
    .replace(
        "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')",
        "(...)",
    )
}

/// Documents with AWS's message.
const MESSAGES: &[(&[u8], &str)] = &[
    (
        b"hello",
        "Unrecognized token 'hello': was expecting (...)\n at [1:6]",
    ),
    (
        b"nul",
        "Unrecognized token 'nul': was expecting (...)\n at [1:4]",
    ),
    (
        b" trueish ",
        "Unrecognized token 'trueish': was expecting (...)\n at [1:10]",
    ),
    (b"n\x87", "Invalid UTF-8 start byte 0x87\n at [1:3]"),
    (b"\"\xC3(\"", "Invalid UTF-8 middle byte 0x28\n at [1:4]"),
    (
        b"\x99",
        "Unexpected character ((CTRL-CHAR, code 153)): expected a valid value (...)\n at [1:1]",
    ),
    (
        b"{'a': 1}",
        "Unexpected character (''' (code 39)): was expecting double-quote to start field \
         name\n at [1:2]",
    ),
    (
        b"{\"a\":1,\n}",
        "Unexpected character ('}' (code 125)): was expecting double-quote to start field \
         name\n at [2:1]",
    ),
    (
        b"{\"a\" 1}",
        "Unexpected character ('1' (code 49)): was expecting a colon to separate field name \
         and value\n at [1:6]",
    ),
    (
        b"[1 2]",
        "Unexpected character ('2' (code 50)): was expecting comma to separate Array \
         entries\n at [1:4]",
    ),
    (
        b" {\"a\":[1",
        "Unexpected end-of-input: expected close marker for Array (start marker at [1:7])\n \
         at [1:9]",
    ),
    (
        b"{\"a\":",
        "Unexpected end-of-input within/between Object entries\n at [1:6]",
    ),
    (b"\"a", "Unexpected end-of-input in VALUE_STRING\n at [1:3]"),
    (b"{\"a", "Unexpected end-of-input in field name\n at [1:4]"),
    (
        b"[1}",
        "Unexpected close marker '}': expected ']' (for Array starting at [1:1])\n at [1:3]",
    ),
    (
        b"\"a\tb\"",
        "Illegal unquoted character ((CTRL-CHAR, code 9)): has to be escaped using backslash \
         to be included in string value\n at [1:3]",
    ),
    (
        b"\"\\x\"",
        "Unrecognized character escape 'x' (code 120)\n at [1:3]",
    ),
    (
        b"[01]",
        "Invalid numeric value: Leading zeroes not allowed\n at [1:3]",
    ),
    (
        b"-a",
        "Unexpected character ('a' (code 97)) in numeric value: expected digit (0-9) to \
         follow minus sign, for valid numeric value\n at [1:2]",
    ),
    (
        b"12a",
        "Unexpected character ('a' (code 97)): Expected space separating root-level \
         values\n at [1:3]",
    ),
];

#[test]
fn malformed_document_has_awss_parser_message() {
    for (document, expected) in MESSAGES {
        let shown = String::from_utf8_lossy(document);
        assert_eq!(message(document), *expected, "{shown}");
    }
}

#[test]
fn malformed_document_without_awss_message_is_refused() {
    for document in [
        &b""[..],
        b" ",
        b"-",
        b"1.",
        b"1e",
        b"{} {}",
        b"1 2",
        b"[1]]",
        b"\xEF\xBB\xBF{}",
        b"{\0}\0",
        b"\"\xED\xA0\x80\"",
        b"\"\xC0\x80\"",
        b"\"a\xC3",
        b"nullx",
        b"[1,]",
        b"{\"a\":}",
        b"NaN",
        b"\"a\nb\"",
        b"\"0123456\x07\"",
    ] {
        let shown = String::from_utf8_lossy(document);
        assert!(parsed(document).is_err(), "{shown}");
    }
}

#[test]
fn document_beyond_serde_json_is_accepted() {
    let levels = "[".repeat(DEPTH_MAX) + &"]".repeat(DEPTH_MAX);
    for text in [
        r#""\ud83d""#,
        r#"{"\udc00": "\ud83d\u0041"}"#,
        "1e999",
        "-0.5e+3",
        "123456789012345678901234567890.5",
        " null ",
        r#"{"a": 1, "a": 2}"#,
        "\"\\u00e9 \u{1F973} and plain text beyond eight bytes \u{e9}\u{e9}\"",
        "{\"a\": [1, {\"b\": [true, false, null]}], \"c\": {}}",
        &levels,
    ] {
        let taken = document(text);
        assert_eq!(taken.as_str(), text);
    }
}

#[test]
fn document_over_1000_levels_is_refused() {
    let levels = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert_eq!(
        parsed(levels(DEPTH_MAX + 1).as_bytes()),
        Err(Invalid::TooDeep)
    );
    assert_eq!(
        parsed("[".repeat(2_000_000).as_bytes()),
        Err(Invalid::TooDeep)
    );
    let objects = "{\"a\":".repeat(DEPTH_MAX + 1);
    assert_eq!(parsed(objects.as_bytes()), Err(Invalid::TooDeep));
}

#[test]
fn document_over_response_limit_is_refused() {
    let text = format!("\"{}\"", "x".repeat(PAYLOAD_BYTES_MAX - 2));
    assert!(parsed(text.as_bytes()).is_ok());
    let larger = format!("{text} ");
    assert_eq!(parsed(larger.as_bytes()), Err(Invalid::TooLarge));
}

#[test]
fn member_is_found_among_values_of_all_types() {
    let text = r#" { "a\"{" : [1, "]}", {"b": "}"}] , "c":{"d":[[]],"e":-1.5e3} ,"f":true,"g":null,"h":"\u0068","f":false } "#;
    let document = document(text);
    let root = document.root();
    let raw = |name: &str| root.member(name).map(Value::raw);
    assert_eq!(raw("a\"{"), Some(r#"[1, "]}", {"b": "}"}]"#));
    assert_eq!(raw("c"), Some(r#"{"d":[[]],"e":-1.5e3}"#));
    assert_eq!(raw("f"), Some("false"), "the last of a name counts");
    assert!(root.member("g").is_some_and(Value::is_null));
    assert_eq!(raw("b"), None);
    let names: Vec<_> = root.members().into_iter().flatten().collect();
    assert_eq!(names.len(), 6);
    let list: Vec<_> = root
        .member("a\"{")
        .and_then(Value::elements)
        .unwrap()
        .collect();
    assert_eq!(list.len(), 3);
    assert_eq!(list[1].text().unwrap().decode().unwrap(), "]}");
    let inner = root.member("c").and_then(|it| it.member("e"));
    assert_eq!(inner.map(Value::raw), Some("-1.5e3"));
    assert!(root.text().is_none() && root.elements().is_none());
}

#[test]
fn empty_object_and_array_have_no_values() {
    for text in ["{}", "{ }", "[]", "[ \n ]"] {
        let document = document(text);
        let root = document.root();
        let members = root.members().map_or(0, Iterator::count);
        let elements = root.elements().map_or(0, Iterator::count);
        assert_eq!(members + elements, 0, "{text}");
    }
}

#[test]
fn string_is_unescaped_and_unpaired_surrogate_is_an_error() {
    for (text, expected) in [
        (r#""plain""#, Ok("plain")),
        (r#""\b\f\n\r\t\"\\\/""#, Ok("\u{8}\u{c}\n\r\t\"\\/")),
        (r#""a\u00e9\ud83e\udd73z""#, Ok("a\u{e9}\u{1F973}z")),
        (r#""\\ud83d""#, Ok("\\ud83d")),
        (r#""cut \ud83d""#, Err(Unpaired)),
        (r#""\udd73 cut""#, Err(Unpaired)),
        (r#""\ud83e\ud83e\udd73""#, Err(Unpaired)),
        (r#""\ud83e\n""#, Err(Unpaired)),
    ] {
        let document = document(text);
        let decoded = document.root().text().unwrap().decode();
        assert_eq!(decoded.as_deref(), expected.as_deref(), "{text}");
    }
}

/// Accepted documents end where serde_json says, and reading them never fails.
#[test]
fn mutated_document_never_panics() {
    let whole = "{\"a\": [1.5e3, \"\\u00e9\u{e9}\\n\", true], \"b\": {\"c\": -0}}\n".as_bytes();
    for end in 0..whole.len() {
        let _ = parsed(&whole[..end]);
        for byte in 0..=255 {
            let changed = [&whole[..end], &[byte][..], &whole[end..]].concat();
            let is_json = std::str::from_utf8(&changed)
                .is_ok_and(|it| serde_json::from_str::<serde::de::IgnoredAny>(it).is_ok());
            let taken = parsed(&changed);
            let shown = String::from_utf8_lossy(&changed);
            assert_eq!(taken.is_ok(), is_json, "{shown}");
            if let Ok(document) = taken {
                let members = document.root().members().into_iter().flatten();
                members.for_each(|(name, value)| drop((name.decode(), value.elements())));
            }
        }
    }
}
