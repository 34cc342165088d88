//! Fuzz check of filter patterns: they agree with a reader of single characters. The first line of an input
//! is the pattern, the rest is the message.

use super::pattern;

/// Checks one pattern against one message.
pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let (pattern, message) = text.split_once('\n').unwrap_or((text, ""));
    let expected = Words::read(pattern);
    match (pattern::parse(pattern), expected) {
        (Ok(parsed), Some(words)) => {
            let expected = words.take(message);
            assert_eq!(
                parsed.takes(message),
                expected,
                "{pattern:?} on {message:?}"
            );
        }
        (Ok(parsed), None) => panic!("{pattern:?} is taken: {parsed:?}"),
        (Err(_), Some(_)) => panic!("{pattern:?} is refused"),
        (Err(_), None) => {}
    }
}

/// Words with the mark before each.
struct Words(Vec<(Option<char>, String)>);

impl Words {
    fn read(pattern: &str) -> Option<Self> {
        let letters: Vec<char> = pattern.trim().chars().collect();
        if matches!(letters.first(), Some('{' | '[' | '%')) {
            return None;
        }
        let (mut words, mut at) = (Vec::new(), 0);
        while at < letters.len() {
            if letters[at].is_whitespace() {
                at += 1;
                continue;
            }
            let mark = Some(letters[at]).filter(|it| matches!(it, '?' | '-'));
            at += usize::from(mark.is_some());
            let is_quoted = letters.get(at) == Some(&'"');
            at += usize::from(is_quoted);
            let mut word = String::new();
            let mut is_closed = !is_quoted;
            while let Some(letter) = letters.get(at) {
                if is_quoted && *letter == '"' {
                    is_closed = true;
                    at += 1;
                    break;
                }
                if !is_quoted && letter.is_whitespace() {
                    break;
                }
                word.push(*letter);
                at += 1;
            }
            if !is_closed {
                return None;
            }
            words.push((mark, word));
        }
        Some(Self(words))
    }

    fn take(&self, message: &str) -> bool {
        let has = |word: &str| {
            let (word, message) = (word.as_bytes(), message.as_bytes());
            word.is_empty() || message.windows(word.len()).any(|part| part == word)
        };
        let of = |mark: Option<char>| self.0.iter().filter(move |it| it.0 == mark);
        let is_any = of(Some('?')).count() == 0 || of(Some('?')).any(|(_, word)| has(word));
        of(None).all(|(_, word)| has(word)) && is_any && !of(Some('-')).any(|(_, word)| has(word))
    }
}
