//! Values of expressions.

use std::borrow::Cow;
use std::cmp::Ordering;

/// Value of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Missing field, or a function of one.
    Missing,
    Number(f64),
    Text(String),
    /// Milliseconds since the Unix epoch.
    Time(i64),
}

impl Value {
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Missing => false,
            Self::Number(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty() && text != "false",
            Self::Time(_) => true,
        }
    }

    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Missing => None,
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok().filter(|it: &f64| it.is_finite()),
            Self::Time(millis) => Some(*millis as f64),
        }
    }

    /// Text in results; `None` for a missing value.
    pub(super) fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Missing => None,
            Self::Number(number) => Some(number.to_string().into()),
            Self::Text(text) => Some(text.as_str().into()),
            Self::Time(millis) => {
                let time = jiff::Timestamp::from_millisecond(*millis).ok()?;
                Some(time.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string().into())
            }
        }
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Missing | Self::Number(_) | Self::Time(_) => 0,
        }
    }

    /// Total order, as sorting needs it: missing values, then numbers, also in texts, then other texts.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        match (self.number(), other.number()) {
            // 0 and -0 are equal.
            (Some(one), Some(other)) => (one + 0.0).total_cmp(&(other + 0.0)),
            (Some(_), None) if *other == Self::Missing => Ordering::Greater,
            (None, Some(_)) if *self == Self::Missing => Ordering::Less,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => self.text().cmp(&other.text()),
        }
    }

    /// The same value, with a number in a text as a number, so that many comparisons parse it once.
    pub(super) fn sortable(self) -> Self {
        self.number().map_or(self, Self::Number)
    }

    pub(super) fn truth(is_true: bool) -> Self {
        Self::Number(if is_true { 1.0 } else { 0.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_mixed_values_is_total() {
        let text = |it: &str| Value::Text(it.to_owned());
        let sorted = [
            Value::Missing,
            text("-1"),
            Value::Number(2.0),
            text("10"),
            Value::Time(11),
            text(""),
            text("1x"),
            text("a"),
        ];
        for (at, one) in sorted.iter().enumerate() {
            for (other_at, other) in sorted.iter().enumerate() {
                assert_eq!(one.compare(other), at.cmp(&other_at), "{one:?} {other:?}");
                let (one, other) = (one.clone().sortable(), other.clone().sortable());
                assert_eq!(one.compare(&other), at.cmp(&other_at), "{one:?} {other:?}");
            }
        }
        assert!(Value::Number(-0.0).compare(&Value::Number(0.0)).is_eq());
    }
}
