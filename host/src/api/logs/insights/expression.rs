//! Expressions of Logs Insights, and their values for one row or for the rows of a group.

use std::cmp::Ordering;

use fancy_regex::Regex;

use super::row::Row;
use super::value::Value;

/// An expression.
#[derive(Clone, Debug)]
pub(super) enum Expression {
    Field(String),
    Constant(Value),
    Call(Function, Vec<Expression>),
    Aggregate(Aggregate, Option<Box<Expression>>),
    Not(Box<Expression>),
    Binary(Operator, Box<Expression>, Box<Expression>),
    Matches(Box<Expression>, Regex),
    Contains(Box<Expression>, String),
    In(Box<Expression>, Vec<Expression>),
}

/// Function of one row.
#[derive(Clone, Copy, Debug)]
pub(super) enum Function {
    Abs,
    Ceil,
    Coalesce,
    Concat,
    Floor,
    IsPresent,
    Replace,
    StrContains,
    StrLen,
    Substr,
    ToLower,
    ToUpper,
    Trim,
    /// Time rounded down to a period of milliseconds.
    Bin(i64),
}

/// Function of the rows of a group.
#[derive(Clone, Copy, Debug)]
pub(super) enum Aggregate {
    Avg,
    Count,
    CountDistinct,
    Max,
    Min,
    /// Percentile.
    Pct(f64),
    Sum,
}

/// Operator of two expressions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Operator {
    Add,
    And,
    Divide,
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Modulo,
    Multiply,
    NotEqual,
    Or,
    Power,
    Subtract,
}

impl Expression {
    /// Value for a row.
    pub(super) fn of_row(&self, row: &Row) -> Value {
        self.value(row, &[])
    }

    /// Value for the rows of a group. Fields are those of `named`: the group's keys and earlier results.
    pub(super) fn of_group(&self, named: &Row, rows: &[Row]) -> Value {
        self.value(named, rows)
    }

    fn value(&self, row: &Row, group: &[Row]) -> Value {
        let of = |expression: &Self| expression.value(row, group);
        match self {
            Self::Field(name) => row.get(name),
            Self::Constant(value) => value.clone(),
            Self::Call(function, arguments) => {
                function.value(&arguments.iter().map(of).collect::<Vec<_>>())
            }
            Self::Aggregate(aggregate, argument) => aggregate.value(argument.as_deref(), group),
            Self::Not(inner) => Value::truth(!of(inner).is_true()),
            Self::Binary(operator, one, other) => operator.value(of(one), || of(other)),
            Self::Matches(inner, regex) => {
                let text = of(inner).text();
                Value::truth(text.is_some_and(|text| regex.is_match(&text).unwrap_or(false)))
            }
            Self::Contains(inner, part) => {
                Value::truth(of(inner).text().is_some_and(|text| text.contains(part)))
            }
            Self::In(inner, all) => {
                let value = of(inner);
                let is_in = all.iter().any(|it| value.compare(&of(it)).is_eq());
                Value::truth(value != Value::Missing && is_in)
            }
        }
    }
}

impl Operator {
    fn value(self, one: Value, other: impl FnOnce() -> Value) -> Value {
        match self {
            Self::And => return Value::truth(one.is_true() && other().is_true()),
            Self::Or => return Value::truth(one.is_true() || other().is_true()),
            _ => {}
        }
        let other = other();
        let order = one.compare(&other);
        // A missing field equals nothing, and differs from everything.
        let is_known = one != Value::Missing && other != Value::Missing;
        let calculate = |calculation: fn(f64, f64) -> f64| {
            let numbers = one.number().zip(other.number());
            let result = numbers.map(|(one, other)| calculation(one, other));
            let result = result.filter(|it| it.is_finite());
            result.map_or(Value::Missing, Value::Number)
        };
        match self {
            Self::Equal => Value::truth(is_known && order.is_eq()),
            Self::NotEqual => Value::truth(!is_known || order.is_ne()),
            Self::Less => Value::truth(is_known && order.is_lt()),
            Self::LessOrEqual => Value::truth(is_known && order.is_le()),
            Self::Greater => Value::truth(is_known && order.is_gt()),
            Self::GreaterOrEqual => Value::truth(is_known && order.is_ge()),
            Self::Add => calculate(|one, other| one + other),
            Self::Subtract => calculate(|one, other| one - other),
            Self::Multiply => calculate(|one, other| one * other),
            Self::Divide => calculate(|one, other| one / other),
            Self::Modulo => calculate(|one, other| one % other),
            Self::Power => calculate(f64::powf),
            Self::And | Self::Or => unreachable!("they were decided above"),
        }
    }
}

impl Function {
    fn value(self, arguments: &[Value]) -> Value {
        let first = arguments.first().unwrap_or(&Value::Missing);
        let text = |at: usize| arguments.get(at).and_then(Value::text);
        let number = |calculation: fn(f64) -> f64| {
            first
                .number()
                .map_or(Value::Missing, |it| Value::Number(calculation(it)))
        };
        let of_text = |change: &dyn Fn(&str) -> String| {
            text(0).map_or(Value::Missing, |it| Value::Text(change(&it)))
        };
        match self {
            Self::Abs => number(f64::abs),
            Self::Ceil => number(f64::ceil),
            Self::Floor => number(f64::floor),
            Self::Coalesce => {
                let present = arguments.iter().find(|it| **it != Value::Missing);
                present.cloned().unwrap_or(Value::Missing)
            }
            Self::Concat => Value::Text(arguments.iter().filter_map(Value::text).collect()),
            Self::IsPresent => Value::truth(*first != Value::Missing),
            Self::Replace => {
                let (from, to) = (text(1).unwrap_or_default(), text(2).unwrap_or_default());
                of_text(&|it| it.replace(&from, &to))
            }
            Self::StrContains => {
                let part = text(1).unwrap_or_default();
                Value::truth(text(0).is_some_and(|it| it.contains(&part)))
            }
            Self::StrLen => {
                text(0).map_or(
                    Value::Missing,
                    |it| Value::Number(it.chars().count() as f64),
                )
            }
            Self::Substr => {
                let at = |index: usize| arguments.get(index).and_then(Value::number);
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "positions are small, and negative ones are 0"
                )]
                let at = |index: usize| at(index).map(|it| it.max(0.0) as usize);
                let (from, length) = (at(1).unwrap_or(0), at(2).unwrap_or(usize::MAX));
                of_text(&|it| it.chars().skip(from).take(length).collect())
            }
            Self::ToLower => of_text(&str::to_lowercase),
            Self::ToUpper => of_text(&str::to_uppercase),
            Self::Trim => of_text(&|it| it.trim().to_owned()),
            Self::Bin(period) => match first {
                Value::Time(millis) => Value::Time(millis - millis.rem_euclid(period)),
                _ => Value::Missing,
            },
        }
    }
}

impl Aggregate {
    fn value(self, argument: Option<&Expression>, rows: &[Row]) -> Value {
        let Some(argument) = argument else {
            return count(rows.len());
        };
        let values = rows.iter().map(|row| argument.of_row(row));
        let values: Vec<Value> = values.filter(|it| *it != Value::Missing).collect();
        let numbers = || values.iter().filter_map(Value::number);
        match self {
            Self::Count => count(values.len()),
            Self::CountDistinct => {
                let mut texts: Vec<_> = values.iter().filter_map(Value::text).collect();
                texts.sort();
                texts.dedup();
                count(texts.len())
            }
            Self::Max => extreme(values, Ordering::Greater),
            Self::Min => extreme(values, Ordering::Less),
            Self::Sum => Value::Number(numbers().sum()),
            Self::Avg => match numbers().count() {
                0 => Value::Missing,
                count => Value::Number(numbers().sum::<f64>() / count as f64),
            },
            Self::Pct(percent) => {
                let mut sorted: Vec<f64> = numbers().collect();
                sorted.sort_by(f64::total_cmp);
                percentile(&sorted, percent)
            }
        }
    }
}

fn count(number: usize) -> Value {
    Value::Number(number as f64)
}

fn extreme(values: Vec<Value>, wanted: Ordering) -> Value {
    let better = |one: Value, other: Value| match other.compare(&one) == wanted {
        true => other,
        false => one,
    };
    values.into_iter().reduce(better).unwrap_or(Value::Missing)
}

/// Value at a percentile of sorted numbers.
fn percentile(sorted: &[f64], percent: f64) -> Value {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the rank is a small positive number"
    )]
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    let at = sorted.get(rank.saturating_sub(1).min(sorted.len().saturating_sub(1)));
    at.map_or(Value::Missing, |it| Value::Number(*it))
}
