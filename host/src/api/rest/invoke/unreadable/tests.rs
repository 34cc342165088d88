//! What is said of documents that are no JSON, with the place where it shows.

use super::*;

/// What is said, with the places shortened to `line:column`.
fn said(document: &[u8]) -> String {
    let text = reason(document).unwrap_or_else(|| "nothing".into());
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

/// What is said of which document.
const SAID: &[(&[u8], &str)] = &[
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
fn the_first_fault_is_told_in_the_parsers_words() {
    for (document, expected) in SAID {
        let shown = String::from_utf8_lossy(document);
        assert_eq!(said(document), *expected, "{shown}");
    }
}

#[test]
fn of_what_it_can_read_it_says_nothing() {
    for document in [
        "{}",
        "[]",
        " null ",
        "-0.5e+3",
        "\"\\u00e9 \u{1F973}\"",
        "{\"a\": [1, {\"b\": [true, false, null]}], \"c\": {}}",
    ] {
        assert_eq!(reason(document.as_bytes()), None, "{document}");
    }
    assert_eq!(reason(b"\xEF\xBB\xBF{"), None, "it would skip the mark");
    assert_eq!(reason(b"\0{\0x"), None, "it would read UTF-16");
    let deep = "[".repeat(2_000_000);
    assert_eq!(reason(deep.as_bytes()), None);
}

#[test]
fn no_beginning_of_a_document_makes_it_stumble() {
    let whole = "{\"a\": [1.5e3, \"\\u00e9\u{e9}\\n\", true], \"b\": {\"c\": -0}}\n".as_bytes();
    for end in 0..whole.len() {
        let _ = reason(&whole[..end]);
        for byte in 0..=255 {
            let _ = reason(&[&whole[..end], &[byte][..], &whole[end..]].concat());
        }
    }
}
