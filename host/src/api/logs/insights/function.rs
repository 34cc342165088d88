//! Functions of one row.

use super::budget::{Budget, Stop};
use super::value::Value;

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

impl Function {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "abs" => Self::Abs,
            "ceil" => Self::Ceil,
            "coalesce" => Self::Coalesce,
            "concat" => Self::Concat,
            "floor" => Self::Floor,
            "ispresent" => Self::IsPresent,
            "replace" => Self::Replace,
            "strcontains" => Self::StrContains,
            "strlen" => Self::StrLen,
            "substr" => Self::Substr,
            "tolower" | "lower" => Self::ToLower,
            "toupper" | "upper" => Self::ToUpper,
            "trim" => Self::Trim,
            _ => return None,
        })
    }

    /// Value for arguments. A text is charged before it is made, because it may be much longer than they are.
    pub(super) fn value(self, arguments: &[Value], budget: &Budget<'_>) -> Result<Value, Stop> {
        let first = arguments.first().unwrap_or(&Value::Missing);
        budget.work(first.bytes())?;
        let number = |calculation: fn(f64) -> f64| {
            let number = first.number();
            Ok(number.map_or(Value::Missing, |it| Value::Number(calculation(it))))
        };
        match self {
            Self::Abs => number(f64::abs),
            Self::Ceil => number(f64::ceil),
            Self::Floor => number(f64::floor),
            Self::Coalesce => {
                let present = arguments.iter().find(|it| **it != Value::Missing);
                let present = present.unwrap_or(&Value::Missing);
                budget.charge(present.bytes())?;
                Ok(present.clone())
            }
            Self::Concat => concat(arguments, budget),
            Self::IsPresent => Ok(Value::truth(*first != Value::Missing)),
            Self::Replace => replace(arguments, budget),
            Self::StrContains => {
                let part = arguments.get(1).and_then(Value::text).unwrap_or_default();
                let text = first.text();
                Ok(Value::truth(text.is_some_and(|it| it.contains(&*part))))
            }
            Self::StrLen => {
                let chars = first.text().map(|it| it.chars().count());
                Ok(chars.map_or(Value::Missing, |it| Value::Number(it as f64)))
            }
            Self::Substr => {
                let (from, length) = (position(arguments.get(1)), position(arguments.get(2)));
                let (from, length) = (from.unwrap_or(0), length.unwrap_or(usize::MAX));
                of_text(first, budget, |it| {
                    it.chars().skip(from).take(length).collect()
                })
            }
            Self::ToLower => of_text(first, budget, str::to_lowercase),
            Self::ToUpper => of_text(first, budget, str::to_uppercase),
            Self::Trim => of_text(first, budget, |it| it.trim().to_owned()),
            Self::Bin(period) => Ok(match first {
                Value::Time(millis) => Value::Time(millis - millis.rem_euclid(period)),
                _ => Value::Missing,
            }),
        }
    }
}

/// Text made from another, at most three times as long: the most that a change of case adds.
fn of_text(
    value: &Value,
    budget: &Budget<'_>,
    change: impl FnOnce(&str) -> String,
) -> Result<Value, Stop> {
    let Some(text) = value.text() else {
        return Ok(Value::Missing);
    };
    budget.charge(3 * text.len())?;
    Ok(Value::Text(change(&text)))
}

fn concat(arguments: &[Value], budget: &Budget<'_>) -> Result<Value, Stop> {
    let mut all = String::new();
    for text in arguments.iter().filter_map(Value::text) {
        budget.charge(text.len())?;
        all.push_str(&text);
    }
    Ok(Value::Text(all))
}

fn replace(arguments: &[Value], budget: &Budget<'_>) -> Result<Value, Stop> {
    let text = |at: usize| arguments.get(at).and_then(Value::text);
    let Some(whole) = text(0) else {
        return Ok(Value::Missing);
    };
    let (from, to) = (text(1).unwrap_or_default(), text(2).unwrap_or_default());
    let added = whole.matches(&*from).count().saturating_mul(to.len());
    budget.charge(whole.len().saturating_add(added))?;
    Ok(Value::Text(whole.replace(&*from, &to)))
}

fn position(value: Option<&Value>) -> Option<usize> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "positions are small, and negative ones are 0"
    )]
    value?.number().map(|it| it.max(0.0) as usize)
}
