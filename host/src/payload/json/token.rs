//! Tokens of a document: strings, literals, numbers and whitespace, with AWS's parser messages for
//! their errors.

use super::Invalid;
use super::scan::Scanner;

/// Value types, in AWS's messages.
const VALUES: &str = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";
/// Characters of an unknown literal that are quoted.
const WORD_CHARS_MAX: usize = 256;

impl Scanner<'_> {
    /// Next byte after whitespace.
    pub(super) fn after_space(&mut self) -> Result<Option<u8>, Invalid> {
        while let Some(byte) = self.next() {
            match byte {
                b' ' | b'\t' => {}
                b'\n' => self.begin_line(),
                b'\r' => {
                    self.at += usize::from(self.bytes.get(self.at) == Some(&b'\n'));
                    self.begin_line();
                }
                0..b' ' => {
                    let text = format!(
                        r"Illegal character ({}): only regular white space (\r, \n, \t) is allowed between tokens",
                        described(byte.into())
                    );
                    return Err(self.wrong(&text, 1));
                }
                b'/' => {
                    let text = "maybe a (non-standard) comment? (not recognized as one since \
                                Feature 'ALLOW_COMMENTS' not enabled for parser)";
                    return Err(self.unexpected(byte, text));
                }
                _ => return Ok(Some(byte)),
            }
        }
        Ok(None)
    }

    fn begin_line(&mut self) {
        self.line += 1;
        self.line_began = self.at;
    }

    /// Reads a string after its opening quote.
    pub(super) fn text(&mut self, token: &str, place: &str) -> Result<(), Invalid> {
        loop {
            self.pass_plain();
            let ended = |it: &Self| it.ended(&format!(" in {token}"));
            let byte = self.next().ok_or_else(|| ended(self))?;
            match byte {
                b'"' => return Ok(()),
                b'\\' => self.escape()?,
                0..b' ' => {
                    let text = format!(
                        "Illegal unquoted character ({}): has to be escaped using backslash to be \
                         included in {place}",
                        described(byte.into())
                    );
                    return Err(self.wrong(&text, 1));
                }
                0x80.. if !self.is_utf_8 => drop(self.letter(byte)?),
                _ => {}
            }
        }
    }

    /// Skips plain bytes of a string, eight at a time.
    fn pass_plain(&mut self) {
        if !self.is_utf_8 {
            return;
        }
        let (words, _) = self.bytes[self.at..].as_chunks::<8>();
        let plain = words.iter().take_while(|word| is_plain(**word)).count();
        self.at += 8 * plain;
    }

    fn escape(&mut self) -> Result<(), Invalid> {
        let ended = |it: &Self| it.ended(" in character escape sequence");
        match self.next().ok_or_else(|| ended(self))? {
            b'b' | b't' | b'n' | b'f' | b'r' | b'"' | b'/' | b'\\' => Ok(()),
            b'u' => {
                for _ in 0..4 {
                    let digit = self.next().ok_or_else(|| ended(self))?;
                    if !digit.is_ascii_hexdigit() {
                        let text = "expected a hex-digit for character escape sequence";
                        return Err(self.unexpected(digit, text));
                    }
                }
                Ok(())
            }
            byte => {
                let letter = self.letter(byte)?;
                let text = format!("Unrecognized character escape {}", described(letter));
                Err(self.wrong(&text, 1))
            }
        }
    }

    /// Reads a literal after its first letter.
    pub(super) fn word(&mut self, word: &str) -> Result<(), Invalid> {
        for (at, letter) in word.bytes().enumerate().skip(1) {
            if self.bytes.get(self.at) != Some(&letter) {
                return Err(self.unknown_word(&word[..at]));
            }
            self.at += 1;
        }
        let Some(next) = self.bytes.get(self.at).copied() else {
            return Ok(());
        };
        let began = self.at;
        if next < b'0' || next == b']' || next == b'}' {
            return Ok(());
        }
        self.at += 1;
        let is_part = is_part_of_name(self.letter(next)?);
        self.at = began;
        if is_part {
            return Err(self.unknown_word(word));
        }
        Ok(())
    }

    /// Reads the rest of an unknown literal, to quote it.
    fn unknown_word(&mut self, known: &str) -> Invalid {
        let mut word = known.to_owned();
        while let Some(byte) = self.next() {
            match self.letter(byte) {
                Err(stop) => return stop,
                Ok(letter) if !is_part_of_name(letter) => break,
                Ok(letter) => word.push(char::from_u32(letter).unwrap_or_default()),
            }
            if word.chars().count() >= WORD_CHARS_MAX {
                word.push_str("...");
                break;
            }
        }
        self.wrong(
            &format!("Unrecognized token '{word}': was expecting {VALUES}"),
            0,
        )
    }

    /// Reads a number after its first byte.
    pub(super) fn number(&mut self, first: u8) -> Result<(), Invalid> {
        let mut digit = first;
        if first == b'-' {
            digit = self.next().ok_or_else(|| self.ended(" in a number"))?;
            if !digit.is_ascii_digit() {
                let why = "expected digit (0-9) to follow minus sign, for valid numeric value";
                return Err(self.no_digit(digit, why));
            }
        }
        if digit == b'0' && self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            return Err(self.wrong("Invalid numeric value: Leading zeroes not allowed", 0));
        }
        self.digits();
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.some_digits("Decimal point not followed by a digit")?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            self.at += usize::from(matches!(self.bytes.get(self.at), Some(b'+' | b'-')));
            self.some_digits("Exponent indicator not followed by a digit")?;
        }
        match self.bytes.get(self.at).copied() {
            Some(byte) if self.is_at_root() && !byte.is_ascii_whitespace() => {
                self.at += 1;
                Err(self.unexpected(byte, "Expected space separating root-level values"))
            }
            _ => Ok(()),
        }
    }

    fn some_digits(&mut self, why: &str) -> Result<(), Invalid> {
        match self.next().ok_or_else(|| self.ended(" in a number"))? {
            b'0'..=b'9' => {
                self.digits();
                Ok(())
            }
            byte => Err(self.no_digit(byte, why)),
        }
    }

    fn digits(&mut self) {
        let rest = self.bytes[self.at..].iter();
        self.at += rest.take_while(|byte| byte.is_ascii_digit()).count();
    }

    fn no_digit(&self, byte: u8, why: &str) -> Invalid {
        let letter = described(byte.into());
        self.wrong(
            &format!("Unexpected character ({letter}) in numeric value: {why}"),
            1,
        )
    }

    /// Decodes the character that starts with this byte.
    fn letter(&mut self, first: u8) -> Result<u32, Invalid> {
        let (more, bits) = match first {
            0..0x80 => return Ok(first.into()),
            0xC0..0xE0 => (1, first & 0x1F),
            0xE0..0xF0 => (2, first & 0x0F),
            0xF0..0xF8 => (3, first & 0x07),
            _ => return Err(self.wrong(&format!("Invalid UTF-8 start byte 0x{first:x}"), 0)),
        };
        let mut letter = u32::from(bits);
        for _ in 0..more {
            let byte = self.next().ok_or_else(|| self.ended(" in a character"))?;
            if byte & 0xC0 != 0x80 {
                return Err(self.wrong(&format!("Invalid UTF-8 middle byte 0x{byte:x}"), 0));
            }
            letter = letter << 6 | u32::from(byte & 0x3F);
        }
        Ok(letter)
    }

    /// Error for a byte that starts no value.
    pub(super) fn no_value(&mut self, first: u8) -> Invalid {
        if first == b',' {
            return self.unexpected(first, "expected a value");
        }
        if char::from(first).is_alphabetic() || b"_$\xA2\xA3\xA4\xA5".contains(&first) {
            return self.unknown_word(&char::from(first).to_string());
        }
        self.unexpected(first, &format!("expected a valid value {VALUES}"))
    }

    pub(super) fn unexpected(&self, byte: u8, why: &str) -> Invalid {
        let letter = described(byte.into());
        self.wrong(&format!("Unexpected character ({letter}): {why}"), 1)
    }
}

/// True for characters of Java identifiers.
fn is_part_of_name(letter: u32) -> bool {
    match letter {
        0..=8 | 0x0E..=0x1B | 0x7F..=0x9F | 0xA2..=0xA5 | 0xAD => true,
        _ => char::from_u32(letter)
            .is_some_and(|it| it == '_' || it == '$' || it.is_alphabetic() || it.is_numeric()),
    }
}

fn described(letter: u32) -> String {
    match char::from_u32(letter) {
        Some(it) if it.is_control() => format!("(CTRL-CHAR, code {letter})"),
        Some(it) if letter > 255 => format!("'{it}' (code {letter} / 0x{letter:x})"),
        it => format!("'{}' (code {letter})", it.unwrap_or_default()),
    }
}

/// True if no byte ends a string, starts an escape or is a control character. High bits mark such
/// bytes; a borrow may mark one more, which only means a bytewise check.
fn is_plain(word: [u8; 8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let word = u64::from_ne_bytes(word);
    let below = |word: u64, bound: u8| word.wrapping_sub(ONES * u64::from(bound)) & !word & HIGH;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    is(b'"') | is(b'\\') | below(word, b' ') == 0
}
