//! Expressions of Logs Insights, and their values for one row or for the rows of a group.

use super::aggregate::{Aggregate, count};
use super::budget::{Budget, Stop};
use super::function::Function;
use super::pattern::Pattern;
use super::row::Row;
use super::value::Value;

/// Memory of a value in a list, beside its text: itself, and its number or text where the list is sorted.
const VALUE_BYTES: usize = 3 * size_of::<Value>();

/// An expression. Chains of operators are lists, so that its depth is that of its parentheses.
#[derive(Clone, Debug)]
pub(super) enum Expression {
    Field(String),
    Constant(Value),
    Call(Function, Vec<Expression>),
    Aggregate(Aggregate, Option<Box<Expression>>),
    Not(Box<Expression>),
    /// True if all are.
    All(Vec<Expression>),
    /// True if any is.
    Any(Vec<Expression>),
    Compare(Comparison, Box<[Expression; 2]>),
    /// Calculation from left to right.
    Calculate(Box<Expression>, Vec<(Calculation, Expression)>),
    Matches(Box<Expression>, Pattern),
    Contains(Box<Expression>, String),
    In(Box<Expression>, Vec<Expression>),
}

/// Comparison of two values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Comparison {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    NotEqual,
}

/// Calculation with two numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Calculation {
    Add,
    Divide,
    Modulo,
    Multiply,
    Power,
    Subtract,
}

/// Rows that an expression is evaluated for.
#[derive(Clone, Copy, Debug)]
struct Scope<'a> {
    row: &'a Row,
    group: &'a [Row],
    budget: &'a Budget<'a>,
}

impl Expression {
    /// Value for a row.
    pub(super) fn of_row(&self, row: &Row, budget: &Budget<'_>) -> Result<Value, Stop> {
        self.of_group(row, &[], budget)
    }

    /// Value for the rows of a group. Fields are those of `named`: the group's keys and earlier results.
    pub(super) fn of_group(
        &self,
        named: &Row,
        group: &[Row],
        budget: &Budget<'_>,
    ) -> Result<Value, Stop> {
        let used = budget.used();
        let value = self.value(Scope {
            row: named,
            group,
            budget,
        })?;
        // Its operands are freed, and its own bytes are charged by the caller that keeps it.
        budget.release_to(used);
        Ok(value)
    }

    fn value(&self, scope: Scope<'_>) -> Result<Value, Stop> {
        let Scope { row, group, budget } = scope;
        budget.work(0)?;
        let value = match self {
            Self::Field(name) => row.get(name, budget)?,
            Self::Constant(value) => value.clone(),
            Self::Call(function, arguments) => {
                let arguments: Result<Vec<_>, _> =
                    arguments.iter().map(|it| it.value(scope)).collect();
                // It charges its text before it makes it.
                return function.value(&arguments?, budget);
            }
            Self::Aggregate(_, None) => count(group.len()),
            Self::Aggregate(aggregate, Some(argument)) => {
                aggregate.value(argument.of_rows(group, budget)?)
            }
            Self::Not(inner) => Value::truth(!inner.value(scope)?.is_true()),
            Self::All(all) => Value::truth(!Self::has(all, scope, false)?),
            Self::Any(all) => Value::truth(Self::has(all, scope, true)?),
            Self::Compare(comparison, sides) => {
                let (one, other) = (sides[0].value(scope)?, sides[1].value(scope)?);
                Value::truth(comparison.holds(&one, &other))
            }
            Self::Calculate(first, rest) => {
                let mut value = first.value(scope)?;
                for (calculation, other) in rest {
                    value = calculation.value(&value, &other.value(scope)?);
                }
                value
            }
            Self::Matches(inner, pattern) => match inner.value(scope)?.text() {
                Some(text) => Value::truth(pattern.is_match(&text, budget)?),
                None => Value::truth(false),
            },
            Self::Contains(inner, part) => {
                let value = inner.value(scope)?;
                Value::truth(value.text().is_some_and(|text| text.contains(part)))
            }
            Self::In(inner, all) => Self::is_in(&inner.value(scope)?, all, scope)?,
        };
        budget.charge(value.bytes())?;
        Ok(value)
    }

    /// Values for rows, without missing ones. Charged until the expression that they are a part of has its value.
    fn of_rows(&self, rows: &[Row], budget: &Budget<'_>) -> Result<Vec<Value>, Stop> {
        let mut values = Vec::new();
        for row in rows {
            let value = self.of_row(row, budget)?;
            if value != Value::Missing {
                budget.charge(VALUE_BYTES + value.bytes())?;
                values.push(value);
            }
        }
        Ok(values)
    }

    /// True if one of the expressions is true, or false. Those after it are not evaluated.
    fn has(all: &[Self], scope: Scope<'_>, wanted: bool) -> Result<bool, Stop> {
        for one in all {
            if one.value(scope)?.is_true() == wanted {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_in(value: &Value, all: &[Self], scope: Scope<'_>) -> Result<Value, Stop> {
        let mut is_in = false;
        for one in all {
            is_in |= value.compare(&one.value(scope)?).is_eq();
        }
        Ok(Value::truth(is_in && *value != Value::Missing))
    }
}

impl Comparison {
    fn holds(self, one: &Value, other: &Value) -> bool {
        let order = one.compare(other);
        // A missing field equals nothing, and differs from everything.
        let is_known = *one != Value::Missing && *other != Value::Missing;
        match self {
            Self::Equal => is_known && order.is_eq(),
            Self::NotEqual => !is_known || order.is_ne(),
            Self::Less => is_known && order.is_lt(),
            Self::LessOrEqual => is_known && order.is_le(),
            Self::Greater => is_known && order.is_gt(),
            Self::GreaterOrEqual => is_known && order.is_ge(),
        }
    }
}

impl Calculation {
    fn value(self, one: &Value, other: &Value) -> Value {
        let Some((one, other)) = one.number().zip(other.number()) else {
            return Value::Missing;
        };
        let result = match self {
            Self::Add => one + other,
            Self::Subtract => one - other,
            Self::Multiply => one * other,
            Self::Divide => one / other,
            Self::Modulo => one % other,
            Self::Power => one.powf(other),
        };
        match result.is_finite() {
            true => Value::Number(result),
            false => Value::Missing,
        }
    }
}
