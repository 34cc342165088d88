//! Values of expressions.

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
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Missing => None,
            Self::Number(number) => Some(number.to_string()),
            Self::Text(text) => Some(text.clone()),
            Self::Time(millis) => {
                let time = jiff::Timestamp::from_millisecond(*millis).ok()?;
                Some(time.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string())
            }
        }
    }

    /// Order of two values: as numbers where both are, else as texts. Missing values are first.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        match (self.number(), other.number()) {
            (Some(one), Some(other)) => one.total_cmp(&other),
            _ => self.text().cmp(&other.text()),
        }
    }

    pub(super) fn truth(is_true: bool) -> Self {
        Self::Number(if is_true { 1.0 } else { 0.0 })
    }
}
