//! Reads the words, numbers, texts and symbols of a query. Comments go from `#` to the end of the line.

/// A query that cannot be parsed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{problem} at line {line} and position {column}")]
pub(super) struct SyntaxError {
    problem: String,
    line: usize,
    column: usize,
}

/// Position in a query.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&mut self) -> &'a str {
        loop {
            let rest = &self.text[self.at..];
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with('#') {
                return trimmed;
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    pub(super) fn is_at_end(&mut self) -> bool {
        self.rest().is_empty()
    }

    pub(super) fn peek(&mut self, symbol: &str) -> bool {
        self.rest().starts_with(symbol)
    }

    pub(super) fn peek_digit(&mut self) -> bool {
        self.rest().starts_with(|it: char| it.is_ascii_digit())
    }

    /// Takes a symbol, if it is next.
    pub(super) fn eat(&mut self, symbol: &str) -> bool {
        let is_next = self.peek(symbol);
        if is_next {
            self.at += symbol.len();
        }
        is_next
    }

    /// Takes a word: letters, digits and `@ _ . $`.
    pub(super) fn word(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        let is_part = |it: char| it.is_alphanumeric() || matches!(it, '@' | '_' | '.' | '$');
        let length = rest.find(|it| !is_part(it)).unwrap_or(rest.len());
        let starts = rest.starts_with(|it: char| is_part(it) && !it.is_ascii_digit());
        if !starts {
            return None;
        }
        self.at += length;
        Some(&rest[..length])
    }

    /// Takes a keyword in any case, if it is next.
    pub(super) fn keyword(&mut self, keyword: &str) -> bool {
        let before = self.at;
        let is_next = self
            .word()
            .is_some_and(|it| it.eq_ignore_ascii_case(keyword));
        if !is_next {
            self.at = before;
        }
        is_next
    }

    /// Takes the name of a field: a word, or anything in backquotes.
    pub(super) fn name(&mut self) -> Option<String> {
        if !self.peek("`") {
            return self.word().map(str::to_owned);
        }
        let inside = &self.rest()[1..];
        let end = inside.find('`')?;
        self.at += end + 2;
        Some(inside[..end].to_owned())
    }

    /// Takes a number without a sign.
    pub(super) fn number(&mut self) -> Option<f64> {
        let rest = self.rest();
        let is_part = |it: char| it.is_ascii_digit() || it == '.';
        let length = rest.find(|it| !is_part(it)).unwrap_or(rest.len());
        let number = rest[..length].parse().ok()?;
        self.at += length;
        Some(number)
    }

    /// Takes a text in single or double quotes.
    pub(super) fn string(&mut self) -> Option<String> {
        let quote = self
            .rest()
            .chars()
            .next()
            .filter(|it| matches!(it, '"' | '\''))?;
        self.quoted(quote)
    }

    /// Takes a regular expression between slashes.
    pub(super) fn regex(&mut self) -> Option<String> {
        let rest = self.rest();
        let inside = rest.strip_prefix('/')?;
        let mut is_escaped = false;
        let end = inside.find(|it| {
            let is_end = it == '/' && !is_escaped;
            is_escaped = it == '\\' && !is_escaped;
            is_end
        })?;
        self.at += end + 2;
        Some(inside[..end].replace("\\/", "/"))
    }

    fn quoted(&mut self, quote: char) -> Option<String> {
        let rest = self.rest();
        let mut text = String::new();
        let mut letters = rest.char_indices().skip(1);
        while let Some((at, letter)) = letters.next() {
            match letter {
                '\\' => text.push(letters.next()?.1),
                letter if letter == quote => {
                    self.at += at + quote.len_utf8();
                    return Some(text);
                }
                letter => text.push(letter),
            }
        }
        None
    }

    /// Takes a period such as `5m`, in milliseconds.
    pub(super) fn period(&mut self) -> Option<i64> {
        const UNITS: [(&str, i64); 12] = [
            ("milliseconds", 1),
            ("ms", 1),
            ("seconds", 1_000),
            ("second", 1_000),
            ("s", 1_000),
            ("minutes", 60_000),
            ("minute", 60_000),
            ("m", 60_000),
            ("hours", 3_600_000),
            ("h", 3_600_000),
            ("d", 86_400_000),
            ("w", 604_800_000),
        ];
        let number = self.number().filter(|it| *it >= 1.0)?;
        let unit = self.word()?;
        let (_, millis) = UNITS.iter().find(|(it, _)| *it == unit)?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a cast of a number that is too large saturates"
        )]
        let number = number as i64;
        number.checked_mul(*millis)
    }

    pub(super) fn position(&mut self) -> usize {
        self.rest();
        self.at
    }

    /// Text from a position to here.
    pub(super) fn since(&self, from: usize) -> String {
        self.text[from..self.at].trim_end().to_owned()
    }

    pub(super) fn unexpected(&mut self) -> SyntaxError {
        let found = match self.rest().chars().next() {
            Some(found) => format!("unexpected symbol found {found}"),
            None => "unexpected end of the query".to_owned(),
        };
        self.wrong(&found)
    }

    pub(super) fn unknown_command(&mut self, word: &str) -> SyntaxError {
        self.wrong(&format!("unknown command {word}"))
    }

    pub(super) fn unknown_function(&self, name: &str, from: usize) -> SyntaxError {
        let text = format!("{name} is unknown, or has other arguments");
        Self {
            text: self.text,
            at: from,
        }
        .wrong(&text)
    }

    pub(super) fn wrong(&self, problem: &str) -> SyntaxError {
        let before = &self.text[..self.at];
        let line_start = before.rfind('\n').map_or(0, |it| it + 1);
        SyntaxError {
            problem: problem.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}
