//! Functions of the rows of a group.

use std::cmp::Ordering;

use super::value::Value;

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

impl Aggregate {
    /// Value for the values of the rows, without missing ones.
    pub(super) fn value(self, values: Vec<Value>) -> Value {
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

/// Number of rows or values.
pub(super) fn count(number: usize) -> Value {
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
