//! Patterns with the wildcards `*` and `?` and policy variables `${key}`.

use super::Context;

/// A parsed pattern.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Pattern(Vec<Part>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    Text(Box<str>),
    Any,
    One,
    Variable {
        /// Key in lower case.
        key: Box<str>,
        default: Option<Box<str>>,
    },
}

/// A pattern with its variables substituted.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Expanded(Vec<Glyph>);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Glyph {
    /// Character of the pattern text.
    Written(char),
    /// Character of a substituted value. It never separates ARN parts, so a caller cannot shift
    /// them.
    Filled(char),
    Any,
    One,
}

/// Metacharacters in force.
#[derive(Clone, Copy, Debug)]
pub(super) struct Syntax {
    /// `*` and `?`.
    pub(super) wildcards: bool,
    /// `${key}`; absent in policy version 2008-10-17.
    pub(super) variables: bool,
}

impl Pattern {
    /// Parses a pattern.
    pub(super) fn read(text: &str, syntax: Syntax) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let part = match next {
                '*' if syntax.wildcards => Some((Part::Any, 1)),
                '?' if syntax.wildcards => Some((Part::One, 1)),
                '$' if syntax.variables && rest.starts_with("${") => Some(variable(rest)?),
                _ => None,
            };
            let Some((part, bytes)) = part else {
                plain.push(next);
                rest = &rest[next.len_utf8()..];
                continue;
            };
            rest = &rest[bytes..];
            if let Part::Text(text) = part {
                plain.push_str(&text);
                continue;
            }
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain).into()));
            }
            parts.push(part);
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain.into()));
        }
        Ok(Self(parts))
    }

    /// True for `*`, which matches every text.
    pub(super) fn is_any(&self) -> bool {
        self.0 == [Part::Any]
    }

    /// Substitutes variables. `None` if one has no value.
    pub(super) fn expand(&self, context: &dyn Context) -> Option<Expanded> {
        let mut glyphs = Vec::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => glyphs.extend(text.chars().map(Glyph::Written)),
                Part::Any => glyphs.push(Glyph::Any),
                Part::One => glyphs.push(Glyph::One),
                Part::Variable { key, default } => {
                    let values = context.values(key).unwrap_or_default();
                    let value = match (values.as_slice(), default) {
                        ([value], _) => value.as_str(),
                        (_, Some(default)) => default,
                        _ => return None,
                    };
                    glyphs.extend(value.chars().map(Glyph::Filled));
                }
            }
        }
        Some(Expanded(glyphs))
    }
}

impl Expanded {
    /// Matches the whole text.
    pub(super) fn matches(&self, text: &str, ignores_case: bool) -> bool {
        matches(&self.0, text, ignores_case)
    }

    /// Matches an ARN part by part, so that no `*` spans a colon.
    pub(super) fn matches_arn(&self, arn: &str) -> bool {
        let parts: Vec<&str> = arn.splitn(ARN_PARTS, ':').collect();
        let patterns: Vec<&[Glyph]> = self
            .0
            .splitn(ARN_PARTS, |glyph| *glyph == Glyph::Written(':'))
            .collect();
        let mut pairs = patterns.iter().zip(&parts);
        patterns.len() == ARN_PARTS
            && parts.len() == ARN_PARTS
            && pairs.all(|(pattern, part)| matches(pattern, part, false))
    }
}

/// `arn`, partition, service, region, account, resource.
const ARN_PARTS: usize = 6;

/// Greedy match that backtracks to the last `*` only, so that time is bounded by the product of the
/// lengths.
fn matches(pattern: &[Glyph], text: &str, ignores_case: bool) -> bool {
    let same = |one: char, other: char| {
        one == other || (ignores_case && one.to_lowercase().eq(other.to_lowercase()))
    };
    let (mut at, mut rest) = (0, text);
    let mut retry: Option<(usize, &str)> = None;
    loop {
        let next = rest.chars().next();
        let fits = match (pattern.get(at), next) {
            (Some(Glyph::Any), _) => {
                retry = Some((at + 1, rest));
                at += 1;
                continue;
            }
            (None, None) => return true,
            (Some(Glyph::One), Some(_)) => true,
            (Some(Glyph::Written(wanted) | Glyph::Filled(wanted)), Some(found)) => {
                same(*wanted, found)
            }
            _ => false,
        };
        if fits {
            at += 1;
            rest = after_first(rest);
            continue;
        }
        match retry {
            Some((_, "")) | None => return false,
            Some((after_star, from)) => {
                rest = after_first(from);
                retry = Some((after_star, rest));
                at = after_star;
            }
        }
    }
}

fn after_first(text: &str) -> &str {
    let mut letters = text.chars();
    letters.next();
    letters.as_str()
}

/// Parses the variable at the start of `text`; returns it with its length in bytes.
fn variable(text: &str) -> Result<(Part, usize), String> {
    let inside = &text[2..];
    let unended = || "a variable is not ended with }".to_owned();
    let (key, after_key) = inside
        .find([',', '}'])
        .map(|end| inside.split_at(end))
        .ok_or_else(unended)?;
    let (default, rest) = match after_key.strip_prefix(',') {
        Some(after) => default_value(after).map(|(value, rest)| (Some(value), rest))?,
        None => (None, after_key),
    };
    let rest = rest.strip_prefix('}').ok_or_else(unended)?;
    let bytes = text.len() - rest.len();
    match key.trim() {
        // `${*}`, `${?}` and `${$}` are IAM's escapes for the literal characters.
        plain @ ("*" | "?" | "$") if default.is_none() => Ok((Part::Text(plain.into()), bytes)),
        key if key.contains(':') && !key.contains(char::is_whitespace) => {
            let key = key.to_lowercase().into();
            Ok((Part::Variable { key, default }, bytes))
        }
        key => Err(format!("${{{key}}} is not a variable")),
    }
}

/// Parses `'text'` (inner quotes doubled); returns it with the remaining text.
fn default_value(text: &str) -> Result<(Box<str>, &str), String> {
    let unquoted = || "the default of a variable is not in quotes".to_owned();
    let mut rest = text.trim_start().strip_prefix('\'').ok_or_else(unquoted)?;
    let mut value = String::new();
    loop {
        let (before, after) = rest.split_once('\'').ok_or_else(unquoted)?;
        value.push_str(before);
        match after.strip_prefix('\'') {
            Some(after) => {
                value.push('\'');
                rest = after;
            }
            None => return Ok((value.into(), after.trim_start())),
        }
    }
}
