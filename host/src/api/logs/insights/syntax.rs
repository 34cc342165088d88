//! Syntax of Logs Insights: a query becomes commands.

use std::sync::Arc;

use super::expression::Expression;
use super::pattern::{PATTERNS_MAX, Pattern, escape};
use super::reader::{Reader, SyntaxError};

mod operators;

/// Most rows of a result.
pub(super) const ROWS_MAX: usize = 10_000;

/// An expression with its name in the results.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) expression: Expression,
    pub(super) name: Arc<str>,
}

/// A command of a query.
#[derive(Clone, Debug)]
pub(super) enum Command {
    Fields(Vec<Named>),
    Display(Vec<Named>),
    Filter(Expression),
    Parse {
        field: Expression,
        pattern: Pattern,
        /// Groups of the pattern with the fields that they set.
        names: Vec<(usize, Arc<str>)>,
    },
    Stats {
        results: Vec<Named>,
        by: Vec<Named>,
    },
    /// True sorts descending.
    Sort(Vec<(Expression, bool)>),
    Limit(usize),
    Dedup(Vec<Named>),
}

type Parsed<T> = Result<T, SyntaxError>;

/// Parses a query.
pub(super) fn parse(text: &str) -> Parsed<Vec<Command>> {
    let mut parser = Parser {
        reader: Reader::new(text),
        depth: 0,
        patterns: 0,
    };
    let mut commands = Vec::new();
    loop {
        // A pipe may begin the query.
        if parser.reader.eat("|") || parser.reader.is_at_end() {
            if parser.reader.is_at_end() {
                return Ok(commands);
            }
            continue;
        }
        commands.push(parser.command()?);
        if !parser.reader.is_at_end() && !parser.reader.peek("|") {
            return Err(parser.reader.unexpected());
        }
    }
}

struct Parser<'a> {
    reader: Reader<'a>,
    /// Depth of nested expressions.
    depth: usize,
    /// Regular expressions so far.
    patterns: usize,
}

impl Parser<'_> {
    fn command(&mut self) -> Parsed<Command> {
        let word = self.reader.word().unwrap_or_default().to_lowercase();
        Ok(match word.as_str() {
            "fields" => Command::Fields(self.list()?),
            "display" => Command::Display(self.list()?),
            "filter" => Command::Filter(self.expression()?),
            "parse" => self.parse_command()?,
            "stats" => {
                let results = self.list()?;
                let by = match self.reader.keyword("by") {
                    true => self.list()?,
                    false => Vec::new(),
                };
                Command::Stats { results, by }
            }
            "sort" => self.sort()?,
            "limit" | "head" => self.limit()?,
            "dedup" => Command::Dedup(self.list()?),
            _ => return Err(self.reader.unknown_command(&word)),
        })
    }

    fn sort(&mut self) -> Parsed<Command> {
        let mut all = Vec::new();
        loop {
            let expression = self.expression()?;
            let is_descending = self.reader.keyword("desc");
            if !is_descending {
                self.reader.keyword("asc");
            }
            all.push((expression, is_descending));
            if !self.reader.eat(",") {
                return Ok(Command::Sort(all));
            }
        }
    }

    fn limit(&mut self) -> Parsed<Command> {
        let limit = self.reader.number().filter(|it| *it >= 1.0);
        let limit = limit.ok_or_else(|| self.reader.unexpected())?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it is 1 at least, and rounded down"
        )]
        let limit = limit as usize;
        Ok(Command::Limit(limit.min(ROWS_MAX)))
    }

    fn list(&mut self) -> Parsed<Vec<Named>> {
        let mut all = Vec::new();
        loop {
            let from = self.reader.position();
            let expression = self.expression()?;
            let text = self.reader.since(from);
            let name = match self.reader.keyword("as") {
                true => self.name()?,
                false => text,
            };
            let name = name.into();
            all.push(Named { expression, name });
            if !self.reader.eat(",") {
                return Ok(all);
            }
        }
    }

    fn name(&mut self) -> Parsed<String> {
        let name = self.reader.name();
        name.ok_or_else(|| self.reader.unexpected())
    }

    /// `parse FIELD "a * b *" as x, y`, or a regular expression with named groups.
    fn parse_command(&mut self) -> Parsed<Command> {
        let field = self.primary()?;
        if let Some(pattern) = self.reader.regex() {
            let pattern = self.compiled(&pattern)?;
            let names = pattern.groups();
            return Ok(Command::Parse {
                field,
                pattern,
                names,
            });
        }
        let glob = self.reader.string();
        let glob = glob.ok_or_else(|| self.reader.unexpected())?;
        let mut names = Vec::new();
        if self.reader.keyword("as") {
            names.push(self.name()?);
            while self.reader.eat(",") {
                names.push(self.name()?);
            }
        }
        let parts: Vec<_> = glob.split('*').map(escape).collect();
        if parts.len() != names.len() + 1 {
            return Err(self.reader.wrong("parse needs one name for each *"));
        }
        // The last one takes the rest, if the pattern ends with it.
        let pattern = match glob.ends_with('*') {
            true => parts[..parts.len() - 1].join("(.*?)") + "(.*)",
            false => parts.join("(.*?)"),
        };
        let pattern = self.compiled(&format!("(?s){pattern}"))?;
        let names = names.into_iter().map(Arc::from);
        Ok(Command::Parse {
            field,
            pattern,
            names: (1..).zip(names).collect(),
        })
    }

    fn compiled(&mut self, pattern: &str) -> Parsed<Pattern> {
        self.patterns += 1;
        if self.patterns > PATTERNS_MAX {
            let text = format!("a query has {PATTERNS_MAX} regular expressions at most");
            return Err(self.reader.wrong(&text));
        }
        let built = Pattern::new(pattern);
        built.map_err(|error| self.reader.wrong(&format!("/{pattern}/: {error}")))
    }
}
