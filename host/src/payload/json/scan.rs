//! Validation of a whole document. AWS exposes its parser's messages and users search for them, so
//! this stops at the same byte with the same message.

use smallvec::SmallVec;

use super::{DEPTH_MAX, Invalid};

/// UTF-8 byte order mark, which some programs write.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// Nesting tracked without allocation; nearly all events have less.
const SHALLOW: usize = 16;

/// Validates a document.
pub(super) fn check(document: &[u8]) -> Result<(), Invalid> {
    let begin = &document[..document.len().min(4)];
    // AWS accepts both, because its parser detects the encoding.
    if begin.starts_with(BYTE_ORDER_MARK) {
        return Err(malformed("the document begins with a byte order mark"));
    }
    if begin.contains(&0) {
        return Err(malformed("the document is not UTF-8"));
    }
    let utf_8 = std::str::from_utf8(document);
    let mut scanner = Scanner {
        bytes: document,
        at: 0,
        line: 1,
        line_began: 0,
        open: SmallVec::new(),
        is_utf_8: utf_8.is_ok(),
    };
    scanner.document()?;
    utf_8.map(drop).map_err(|error| {
        let at = error.valid_up_to();
        malformed(&format!("invalid UTF-8 after byte {at}"))
    })
}

fn malformed(problem: &str) -> Invalid {
    Invalid::Malformed(problem.to_owned())
}

/// An open object or array with its position.
struct Open {
    is_object: bool,
    line: usize,
    column: usize,
}

pub(super) struct Scanner<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) line: usize,
    pub(super) line_began: usize,
    open: SmallVec<[Open; SHALLOW]>,
    /// True for valid UTF-8, where letters need no decoding.
    pub(super) is_utf_8: bool,
}

impl Scanner<'_> {
    fn document(&mut self) -> Result<(), Invalid> {
        let empty = || malformed("the document is empty");
        let mut first = self.after_space()?.ok_or_else(empty)?;
        loop {
            let is_open = self.value(first)?;
            let mut next = if is_open { self.first_of()? } else { None };
            first = loop {
                if let Some(next) = next {
                    break next;
                }
                if self.open.is_empty() {
                    return self.end();
                }
                next = self.following()?;
            };
        }
    }

    /// Requires the end of the document after the root value.
    fn end(&mut self) -> Result<(), Invalid> {
        match self.after_space()? {
            None => Ok(()),
            Some(_) => Err(self.wrong("Unexpected content after the document", 1)),
        }
    }

    /// Reads a scalar, or opens an object or array.
    fn value(&mut self, first: u8) -> Result<bool, Invalid> {
        match first {
            b'{' | b'[' => {
                if self.open.len() == DEPTH_MAX {
                    return Err(Invalid::TooDeep);
                }
                self.open.push(Open {
                    is_object: first == b'{',
                    line: self.line,
                    column: self.column(1),
                });
                return Ok(true);
            }
            b'}' | b']' => return self.mismatched(first),
            b'"' => self.text("VALUE_STRING", "string value")?,
            b't' => self.word("true")?,
            b'f' => self.word("false")?,
            b'n' => self.word("null")?,
            b'-' | b'0'..=b'9' => self.number(first)?,
            _ => return Err(self.no_value(first)),
        }
        Ok(false)
    }

    /// First byte of the first value of an opened container; `None` if it closes at once.
    fn first_of(&mut self) -> Result<Option<u8>, Invalid> {
        let Some(byte) = self.after_space()? else {
            return Err(self.unclosed());
        };
        if self.closes(byte)? {
            return Ok(None);
        }
        self.after_name(byte).map(Some)
    }

    /// First byte of the next value; `None` if the container closes.
    fn following(&mut self) -> Result<Option<u8>, Invalid> {
        let Some(byte) = self.after_space()? else {
            return Err(self.unclosed());
        };
        if self.closes(byte)? {
            return Ok(None);
        }
        let kind = self.kind();
        if byte != b',' {
            let text = format!("was expecting comma to separate {kind} entries");
            return Err(self.unexpected(byte, &text));
        }
        let Some(byte) = self.after_space()? else {
            return Err(self.ended(&format!(" within/between {kind} entries")));
        };
        self.after_name(byte).map(Some)
    }

    /// Reads a member's name, if inside an object.
    fn after_name(&mut self, byte: u8) -> Result<u8, Invalid> {
        if !self.is_in_object() {
            return Ok(byte);
        }
        if byte != b'"' {
            let text = "was expecting double-quote to start field name";
            return Err(self.unexpected(byte, text));
        }
        self.text("field name", "name")?;
        let ended = |it: &Self| it.ended(" within/between Object entries");
        let colon = self.after_space()?.ok_or_else(|| ended(self))?;
        if colon != b':' {
            let text = "was expecting a colon to separate field name and value";
            return Err(self.unexpected(colon, text));
        }
        self.after_space()?.ok_or_else(|| ended(self))
    }

    /// True if this byte closes the innermost container.
    fn closes(&mut self, byte: u8) -> Result<bool, Invalid> {
        match (byte, self.is_in_object()) {
            (b'}', true) | (b']', false) => {
                self.open.pop();
                Ok(true)
            }
            (b'}' | b']', _) => self.mismatched(byte),
            _ => Ok(false),
        }
    }

    fn mismatched<T>(&self, byte: u8) -> Result<T, Invalid> {
        let expected = if byte == b'}' { ']' } else { '}' };
        let opened = self
            .open
            .last()
            .map_or((1, 0), |open| (open.line, open.column));
        let text = format!(
            "Unexpected close marker '{}': expected '{expected}' (for {} starting at {})",
            char::from(byte),
            self.kind(),
            place(opened.0, opened.1)
        );
        Err(self.wrong(&text, 1))
    }

    fn unclosed(&self) -> Invalid {
        let kind = self.kind();
        let opened = self.open.last().map(|open| place(open.line, open.column));
        let opened = opened.unwrap_or_default();
        self.ended(&format!(
            ": expected close marker for {kind} (start marker at {opened})"
        ))
    }

    pub(super) fn is_at_root(&self) -> bool {
        self.open.is_empty()
    }

    fn is_in_object(&self) -> bool {
        self.open.last().is_some_and(|open| open.is_object)
    }

    fn kind(&self) -> &'static str {
        match self.open.last() {
            None => "root",
            Some(open) if open.is_object => "Object",
            Some(_) => "Array",
        }
    }

    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += usize::from(byte.is_some());
        byte
    }

    /// Column of the byte read `back` bytes ago.
    fn column(&self, back: usize) -> usize {
        self.at + 1 - self.line_began - back
    }

    pub(super) fn wrong(&self, text: &str, back: usize) -> Invalid {
        let place = place(self.line, self.column(back));
        Invalid::Malformed(format!("{text}\n at {place}"))
    }

    pub(super) fn ended(&self, how: &str) -> Invalid {
        self.wrong(&format!("Unexpected end-of-input{how}"), 0)
    }
}

fn place(line: usize, column: usize) -> String {
    format!(
        "[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: {line}, \
         column: {column}]"
    )
}
