//! Access to values and strings of a valid document.

use super::Unpaired;

/// Unescapes a valid string.
pub(super) fn unescape(text: &str) -> Result<String, Unpaired> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\\') {
        plain.push_str(before);
        let mut letters = escape.chars();
        let letter = letters.next().unwrap_or_default();
        rest = letters.as_str();
        match letter {
            'b' => plain.push('\u{8}'),
            'f' => plain.push('\u{c}'),
            'n' => plain.push('\n'),
            'r' => plain.push('\r'),
            't' => plain.push('\t'),
            'u' => {
                let (unit, after) = unit(rest).ok_or(Unpaired)?;
                rest = after;
                let low = if (0xD800..0xDC00).contains(&unit) {
                    let (low, after) = rest
                        .strip_prefix("\\u")
                        .and_then(self::unit)
                        .ok_or(Unpaired)?;
                    rest = after;
                    Some(low)
                } else {
                    None
                };
                let units = std::iter::once(unit).chain(low);
                let mut decoded = char::decode_utf16(units);
                plain.push(decoded.next().and_then(Result::ok).ok_or(Unpaired)?);
            }
            other => plain.push(other),
        }
    }
    plain.push_str(rest);
    Ok(plain)
}

/// Unescapes a valid string; halves of surrogate pairs become U+FFFD.
pub(super) fn unescape_lossy(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\") {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = if rest.starts_with("\\u") { 6 } else { 2 };
        // A pair is two escapes.
        let pair = rest.get(..12).and_then(|pair| unescape(pair).ok());
        let (decoded, used) = match (rest.get(..length).map(unescape), pair) {
            (Some(Ok(decoded)), _) => (decoded, length),
            (_, Some(pair)) if length == 6 => (pair, 12),
            _ => (char::REPLACEMENT_CHARACTER.to_string(), length),
        };
        plain.push_str(&decoded);
        rest = rest.get(used..).unwrap_or_default();
    }
    plain.push_str(rest);
    plain
}

/// UTF-16 unit of four hexadecimal digits, and the remaining text.
fn unit(text: &str) -> Option<(u16, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    Some((u16::from_str_radix(digits, 16).ok()?, rest))
}

/// Length of the value at the start of `bytes`, in a valid document; `None` if none starts there.
pub(super) fn end_of_value(bytes: &[u8]) -> Option<usize> {
    match bytes.first()? {
        b'"' => end_of_text(bytes),
        b'{' | b'[' => end_of_parts(bytes),
        b'}' | b']' => None,
        _ => {
            let ends =
                |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n');
            Some(bytes.iter().position(ends).unwrap_or(bytes.len()))
        }
    }
}

fn end_of_parts(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0_usize);
    loop {
        match bytes.get(at)? {
            b'"' => {
                at += end_of_text(&bytes[at..])?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

/// Length of the string at the start of `bytes`.
fn end_of_text(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}
