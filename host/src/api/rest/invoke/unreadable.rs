//! What AWS says of an event that is not JSON. AWS passes on what its parser says, and clients' users
//! search for those words; so this reads as that parser does, up to the first byte it stumbles over.
//! It does not decide whether an event is JSON: that has been found out before.

mod token;

/// What some put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// How deeply AWS's parser follows a document.
const DEPTH_MAX: usize = 1_000;

/// What is wrong with a document, if AWS's parser would find it wrong. One in another encoding than
/// plain UTF-8, it would read otherwise.
pub(super) fn reason(document: &[u8]) -> Option<String> {
    let begin = &document[..document.len().min(4)];
    if begin.starts_with(BYTE_ORDER_MARK) || begin.contains(&0) {
        return None;
    }
    let mut reader = Reader {
        bytes: document,
        at: 0,
        line: 1,
        line_began: 0,
        open: Vec::new(),
    };
    match reader.document() {
        Err(Stop::Wrong(text)) => Some(text),
        Err(Stop::Unknown) | Ok(()) => None,
    }
}

/// Why reading ends before the document does.
enum Stop {
    /// This is what is said of it.
    Wrong(String),
    /// What AWS would say is not known.
    Unknown,
}

/// An object or a list that has begun, and where.
struct Open {
    is_object: bool,
    place: String,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
    line_began: usize,
    open: Vec<Open>,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<(), Stop> {
        let mut first = self.after_space()?.ok_or(Stop::Unknown)?;
        loop {
            let is_open = self.value(first)?;
            let mut next = if is_open { self.first_of()? } else { None };
            while next.is_none() {
                if self.open.is_empty() {
                    return Ok(());
                }
                next = self.following()?;
            }
            first = next.ok_or(Stop::Unknown)?;
        }
    }

    /// Reads a value, or the beginning of one that has parts.
    fn value(&mut self, first: u8) -> Result<bool, Stop> {
        match first {
            b'{' | b'[' => {
                if self.open.len() == DEPTH_MAX {
                    return Err(Stop::Unknown);
                }
                self.open.push(Open {
                    is_object: first == b'{',
                    place: self.place(1),
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

    /// The first byte of the first value of what has just begun; none where it ends at once.
    fn first_of(&mut self) -> Result<Option<u8>, Stop> {
        let Some(byte) = self.after_space()? else {
            return Err(self.unclosed());
        };
        if self.closes(byte)? {
            return Ok(None);
        }
        self.after_name(byte).map(Some)
    }

    /// The first byte of the value that follows another; none where there is no other.
    fn following(&mut self) -> Result<Option<u8>, Stop> {
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

    /// Reads the name of a value in an object; a value in a list has none.
    fn after_name(&mut self, byte: u8) -> Result<u8, Stop> {
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

    /// Whether this byte ends what was opened last.
    fn closes(&mut self, byte: u8) -> Result<bool, Stop> {
        match (byte, self.is_in_object()) {
            (b'}', true) | (b']', false) => {
                self.open.pop();
                Ok(true)
            }
            (b'}' | b']', _) => self.mismatched(byte),
            _ => Ok(false),
        }
    }

    fn mismatched<T>(&self, byte: u8) -> Result<T, Stop> {
        let expected = if byte == b'}' { ']' } else { '}' };
        let opened = self.open.last().map(|open| open.place.as_str());
        let nowhere = place(1, 0);
        let text = format!(
            "Unexpected close marker '{}': expected '{expected}' (for {} starting at {})",
            char::from(byte),
            self.kind(),
            opened.unwrap_or(&nowhere)
        );
        Err(self.wrong(&text, 1))
    }

    fn unclosed(&self) -> Stop {
        let kind = self.kind();
        let opened = self.open.last().map_or("", |open| open.place.as_str());
        self.ended(&format!(
            ": expected close marker for {kind} (start marker at {opened})"
        ))
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

    fn next(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += usize::from(byte.is_some());
        byte
    }

    /// Where reading is, so many bytes back.
    fn place(&self, back: usize) -> String {
        place(self.line, self.at + 1 - self.line_began - back)
    }

    fn wrong(&self, text: &str, back: usize) -> Stop {
        Stop::Wrong(format!("{text}\n at {}", self.place(back)))
    }

    fn ended(&self, how: &str) -> Stop {
        self.wrong(&format!("Unexpected end-of-input{how}"), 0)
    }
}

fn place(line: usize, column: usize) -> String {
    format!(
        "[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: {line}, \
         column: {column}]"
    )
}

#[cfg(test)]
mod tests;
