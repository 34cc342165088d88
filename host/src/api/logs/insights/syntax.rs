//! Syntax of Logs Insights: a query becomes commands.

use fancy_regex::{Regex, RegexBuilder};

use super::expression::{Aggregate, Expression, Function, Operator};
use super::reader::{Reader, SyntaxError};
use super::value::Value;

/// Depth of parentheses and operators.
const DEPTH_MAX: usize = 100;
/// Steps that a regular expression may take for one message; beyond, it does not match.
const REGEX_STEPS_MAX: usize = 100_000;
/// Most rows of a result.
pub(super) const ROWS_MAX: usize = 10_000;

/// An expression with its name in the results.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) expression: Expression,
    pub(super) name: String,
}

/// A command of a query.
#[derive(Clone, Debug)]
pub(super) enum Command {
    Fields(Vec<Named>),
    Display(Vec<Named>),
    Filter(Expression),
    Parse {
        field: Expression,
        regex: Regex,
        names: Vec<String>,
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
    depth: usize,
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
            "sort" => {
                let mut all = Vec::new();
                loop {
                    let expression = self.expression()?;
                    let is_descending = self.reader.keyword("desc");
                    if !is_descending {
                        self.reader.keyword("asc");
                    }
                    all.push((expression, is_descending));
                    if !self.reader.eat(",") {
                        break Command::Sort(all);
                    }
                }
            }
            "limit" | "head" => {
                let limit = self.reader.number().filter(|it| *it >= 1.0);
                let limit = limit.ok_or_else(|| self.reader.unexpected())?;
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "it is 1 at least, and rounded down"
                )]
                let limit = limit as usize;
                Command::Limit(limit.min(ROWS_MAX))
            }
            "dedup" => Command::Dedup(self.list()?),
            _ => return Err(self.reader.unknown_command(&word)),
        })
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
            let regex = self.compiled(&pattern)?;
            let names = regex.capture_names().flatten().map(str::to_owned).collect();
            return Ok(Command::Parse {
                field,
                regex,
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
        let parts: Vec<_> = glob.split('*').map(fancy_regex::escape).collect();
        if parts.len() != names.len() + 1 {
            return Err(self.reader.wrong("parse needs one name for each *"));
        }
        // The last one takes the rest, if the pattern ends with it.
        let pattern = match glob.ends_with('*') {
            true => parts[..parts.len() - 1].join("(.*?)") + "(.*)",
            false => parts.join("(.*?)"),
        };
        let regex = self.compiled(&format!("(?s){pattern}"))?;
        Ok(Command::Parse {
            field,
            regex,
            names,
        })
    }

    fn compiled(&self, pattern: &str) -> Parsed<Regex> {
        let built = RegexBuilder::new(pattern)
            .backtrack_limit(REGEX_STEPS_MAX)
            .build();
        built.map_err(|error| self.reader.wrong(&format!("/{pattern}/: {error}")))
    }

    fn expression(&mut self) -> Parsed<Expression> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.reader.wrong("the query is nested too deeply"));
        }
        let mut left = self.conjunction()?;
        while self.reader.keyword("or") {
            left = binary(Operator::Or, left, self.conjunction()?);
        }
        self.depth -= 1;
        Ok(left)
    }

    fn conjunction(&mut self) -> Parsed<Expression> {
        let mut left = self.negation()?;
        while self.reader.keyword("and") {
            left = binary(Operator::And, left, self.negation()?);
        }
        Ok(left)
    }

    fn negation(&mut self) -> Parsed<Expression> {
        let mut is_negated = false;
        while self.reader.keyword("not") {
            is_negated = !is_negated;
        }
        let inner = self.comparison()?;
        Ok(match is_negated {
            true => Expression::Not(Box::new(inner)),
            false => inner,
        })
    }

    fn comparison(&mut self) -> Parsed<Expression> {
        let left = self.sum()?;
        const OPERATORS: [(&str, Operator); 6] = [
            ("!=", Operator::NotEqual),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
            ("=", Operator::Equal),
        ];
        if self.reader.eat("=~") {
            return self.pattern(left);
        }
        if let Some((_, operator)) = OPERATORS.iter().find(|(it, _)| self.reader.eat(it)) {
            return Ok(binary(*operator, left, self.sum()?));
        }
        let is_negated = self.reader.keyword("not");
        let found = if self.reader.keyword("like") {
            self.pattern(left)?
        } else if self.reader.keyword("in") {
            let is_open = self.reader.eat("[");
            if !is_open {
                return Err(self.reader.unexpected());
            }
            let mut all = vec![self.expression()?];
            while self.reader.eat(",") {
                all.push(self.expression()?);
            }
            if !self.reader.eat("]") {
                return Err(self.reader.unexpected());
            }
            Expression::In(Box::new(left), all)
        } else if is_negated {
            return Err(self.reader.unexpected());
        } else {
            left
        };
        Ok(match is_negated {
            true => Expression::Not(Box::new(found)),
            false => found,
        })
    }

    /// Right side of `like` and `=~`.
    fn pattern(&mut self, left: Expression) -> Parsed<Expression> {
        if let Some(pattern) = self.reader.regex() {
            return Ok(Expression::Matches(
                Box::new(left),
                self.compiled(&pattern)?,
            ));
        }
        match self.reader.string() {
            Some(part) => Ok(Expression::Contains(Box::new(left), part)),
            None => Err(self.reader.unexpected()),
        }
    }

    fn sum(&mut self) -> Parsed<Expression> {
        let mut left = self.product()?;
        loop {
            let operator = match () {
                () if self.reader.eat("+") => Operator::Add,
                () if self.reader.eat("-") => Operator::Subtract,
                () => return Ok(left),
            };
            left = binary(operator, left, self.product()?);
        }
    }

    fn product(&mut self) -> Parsed<Expression> {
        let mut left = self.power()?;
        loop {
            let operator = match () {
                () if self.reader.eat("*") => Operator::Multiply,
                () if self.reader.eat("/") => Operator::Divide,
                () if self.reader.eat("%") => Operator::Modulo,
                () => return Ok(left),
            };
            left = binary(operator, left, self.power()?);
        }
    }

    fn power(&mut self) -> Parsed<Expression> {
        let left = self.primary()?;
        Ok(match self.reader.eat("^") {
            true => binary(Operator::Power, left, self.primary()?),
            false => left,
        })
    }

    fn primary(&mut self) -> Parsed<Expression> {
        if self.reader.eat("(") {
            let inner = self.expression()?;
            return match self.reader.eat(")") {
                true => Ok(inner),
                false => Err(self.reader.unexpected()),
            };
        }
        if self.reader.eat("-") {
            let zero = Expression::Constant(Value::Number(0.0));
            let inner = self.number()?;
            return Ok(binary(Operator::Subtract, zero, inner));
        }
        if let Some(text) = self.reader.string() {
            return Ok(Expression::Constant(Value::Text(text)));
        }
        if self.reader.peek_digit() {
            return self.number();
        }
        let from = self.reader.position();
        let name = self.name()?;
        match self.reader.eat("(") {
            true => self.call(&name, from),
            false => Ok(Expression::Field(name)),
        }
    }

    fn number(&mut self) -> Parsed<Expression> {
        match self.reader.number() {
            Some(number) => Ok(Expression::Constant(Value::Number(number))),
            None => Err(self.reader.unexpected()),
        }
    }

    /// A call, after its opening parenthesis.
    fn call(&mut self, name: &str, from: usize) -> Parsed<Expression> {
        let name = name.to_lowercase();
        if name == "bin" {
            let period = self.reader.period();
            let period = period.ok_or_else(|| self.reader.unexpected())?;
            self.close()?;
            let time = Expression::Field("@timestamp".to_owned());
            return Ok(Expression::Call(Function::Bin(period), vec![time]));
        }
        if name == "count" && self.reader.eat("*") {
            self.close()?;
            return Ok(Expression::Aggregate(Aggregate::Count, None));
        }
        let mut arguments = Vec::new();
        if !self.reader.peek(")") {
            arguments.push(self.expression()?);
            while self.reader.eat(",") {
                arguments.push(self.expression()?);
            }
        }
        self.close()?;
        if let Some(function) = function(&name) {
            return Ok(Expression::Call(function, arguments));
        }
        let percent = arguments
            .get(1)
            .map(|it| it.of_row(&super::row::Row::default()));
        let percent = percent.and_then(|it| it.number());
        let aggregate = match (name.as_str(), arguments.len(), percent) {
            ("count", 0 | 1, _) => Aggregate::Count,
            ("count_distinct", 1, _) => Aggregate::CountDistinct,
            ("avg", 1, _) => Aggregate::Avg,
            ("max", 1, _) => Aggregate::Max,
            ("min", 1, _) => Aggregate::Min,
            ("sum", 1, _) => Aggregate::Sum,
            ("pct" | "percentile", 2, Some(percent)) => Aggregate::Pct(percent),
            _ => return Err(self.reader.unknown_function(&name, from)),
        };
        let argument = arguments.into_iter().next().map(Box::new);
        Ok(Expression::Aggregate(aggregate, argument))
    }

    fn close(&mut self) -> Parsed<()> {
        match self.reader.eat(")") {
            true => Ok(()),
            false => Err(self.reader.unexpected()),
        }
    }
}

fn binary(operator: Operator, one: Expression, other: Expression) -> Expression {
    Expression::Binary(operator, Box::new(one), Box::new(other))
}

fn function(name: &str) -> Option<Function> {
    Some(match name {
        "abs" => Function::Abs,
        "ceil" => Function::Ceil,
        "coalesce" => Function::Coalesce,
        "concat" => Function::Concat,
        "floor" => Function::Floor,
        "ispresent" => Function::IsPresent,
        "replace" => Function::Replace,
        "strcontains" => Function::StrContains,
        "strlen" => Function::StrLen,
        "substr" => Function::Substr,
        "tolower" | "lower" => Function::ToLower,
        "toupper" | "upper" => Function::ToUpper,
        "trim" => Function::Trim,
        _ => return None,
    })
}
