//! Syntax of expressions, from the operators that bind least to those that bind most. A chain of operators becomes one
//! list, so that only parentheses, arguments and lists nest: the stack bounds their depth, and nothing else.

use super::{Parsed, Parser};
use crate::api::logs::insights::aggregate::Aggregate;
use crate::api::logs::insights::expression::{Calculation, Comparison, Expression};
use crate::api::logs::insights::function::Function;
use crate::api::logs::insights::value::Value;

/// Depth of nested expressions.
const DEPTH_MAX: usize = 100;

impl Parser<'_> {
    pub(super) fn expression(&mut self) -> Parsed<Expression> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.reader.wrong("the query is nested too deeply"));
        }
        let first = self.conjunction()?;
        let expression = self.chain(first, "or", Self::conjunction, Expression::Any)?;
        self.depth -= 1;
        Ok(expression)
    }

    fn conjunction(&mut self) -> Parsed<Expression> {
        let first = self.negation()?;
        self.chain(first, "and", Self::negation, Expression::All)
    }

    /// Terms with a keyword between them.
    fn chain(
        &mut self,
        first: Expression,
        keyword: &str,
        term: fn(&mut Self) -> Parsed<Expression>,
        whole: fn(Vec<Expression>) -> Expression,
    ) -> Parsed<Expression> {
        let mut all = vec![first];
        while self.reader.keyword(keyword) {
            all.push(term(self)?);
        }
        Ok(match all.len() {
            1 => all.remove(0),
            _ => whole(all),
        })
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
        const COMPARISONS: [(&str, Comparison); 6] = [
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
            ("=", Comparison::Equal),
        ];
        let left = self.sum()?;
        if self.reader.eat("=~") {
            return self.pattern(left);
        }
        if let Some((_, comparison)) = COMPARISONS.iter().find(|(it, _)| self.reader.eat(it)) {
            let sides = Box::new([left, self.sum()?]);
            return Ok(Expression::Compare(*comparison, sides));
        }
        let is_negated = self.reader.keyword("not");
        let found = if self.reader.keyword("like") {
            self.pattern(left)?
        } else if self.reader.keyword("in") {
            Expression::In(Box::new(left), self.members()?)
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

    /// Right side of `in`.
    fn members(&mut self) -> Parsed<Vec<Expression>> {
        if !self.reader.eat("[") {
            return Err(self.reader.unexpected());
        }
        let mut all = vec![self.expression()?];
        while self.reader.eat(",") {
            all.push(self.expression()?);
        }
        match self.reader.eat("]") {
            true => Ok(all),
            false => Err(self.reader.unexpected()),
        }
    }

    /// Right side of `like` and `=~`.
    fn pattern(&mut self, left: Expression) -> Parsed<Expression> {
        if let Some(pattern) = self.reader.regex() {
            let pattern = self.compiled(&pattern)?;
            return Ok(Expression::Matches(Box::new(left), pattern));
        }
        match self.reader.string() {
            Some(part) => Ok(Expression::Contains(Box::new(left), part)),
            None => Err(self.reader.unexpected()),
        }
    }

    fn sum(&mut self) -> Parsed<Expression> {
        const SUMS: [(&str, Calculation); 2] =
            [("+", Calculation::Add), ("-", Calculation::Subtract)];
        self.calculation(&SUMS, Self::product)
    }

    fn product(&mut self) -> Parsed<Expression> {
        const PRODUCTS: [(&str, Calculation); 3] = [
            ("*", Calculation::Multiply),
            ("/", Calculation::Divide),
            ("%", Calculation::Modulo),
        ];
        self.calculation(&PRODUCTS, Self::power)
    }

    /// Terms with operators of one rank between them.
    fn calculation(
        &mut self,
        operators: &[(&str, Calculation)],
        term: fn(&mut Self) -> Parsed<Expression>,
    ) -> Parsed<Expression> {
        let first = term(self)?;
        let mut rest = Vec::new();
        while let Some((_, operator)) = operators.iter().find(|(it, _)| self.reader.eat(it)) {
            rest.push((*operator, term(self)?));
        }
        Ok(match rest.is_empty() {
            true => first,
            false => Expression::Calculate(Box::new(first), rest),
        })
    }

    fn power(&mut self) -> Parsed<Expression> {
        let base = self.primary()?;
        if !self.reader.eat("^") {
            return Ok(base);
        }
        let exponent = (Calculation::Power, self.primary()?);
        Ok(Expression::Calculate(Box::new(base), vec![exponent]))
    }

    pub(super) fn primary(&mut self) -> Parsed<Expression> {
        if self.reader.eat("(") {
            let inner = self.expression()?;
            self.close()?;
            return Ok(inner);
        }
        if self.reader.eat("-") {
            let number = self.number()?;
            return Ok(Expression::Constant(Value::Number(-number)));
        }
        if let Some(text) = self.reader.string() {
            return Ok(Expression::Constant(Value::Text(text)));
        }
        if self.reader.peek_digit() {
            let number = self.number()?;
            return Ok(Expression::Constant(Value::Number(number)));
        }
        let from = self.reader.position();
        let name = self.name()?;
        match self.reader.eat("(") {
            true => self.call(&name, from),
            false => Ok(Expression::Field(name)),
        }
    }

    fn number(&mut self) -> Parsed<f64> {
        let number = self.reader.number();
        number.ok_or_else(|| self.reader.unexpected())
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
        let arguments = self.arguments()?;
        if let Some(function) = Function::named(&name) {
            return Ok(Expression::Call(function, arguments));
        }
        // Nothing is evaluated here: the percentile is a number, or the call is wrong.
        let percent = match arguments.get(1) {
            Some(Expression::Constant(value)) => value.number(),
            _ => None,
        };
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

    /// Arguments of a call, and its closing parenthesis.
    fn arguments(&mut self) -> Parsed<Vec<Expression>> {
        let mut all = Vec::new();
        if !self.reader.peek(")") {
            all.push(self.expression()?);
            while self.reader.eat(",") {
                all.push(self.expression()?);
            }
        }
        self.close()?;
        Ok(all)
    }

    fn close(&mut self) -> Parsed<()> {
        match self.reader.eat(")") {
            true => Ok(()),
            false => Err(self.reader.unexpected()),
        }
    }
}
