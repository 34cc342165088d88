//! Condition operator names, such as `ForAnyValue:StringNotLikeIfExists`, parsed into parts.

use std::cmp::Ordering;

/// A condition operator.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Operator {
    pub(super) quantifier: Option<Quantifier>,
    pub(super) test: Test,
    /// `Not...`: the test must fail.
    pub(super) negated: bool,
    /// `...IfExists`: a missing key passes.
    pub(super) if_exists: bool,
}

/// Prefix `ForAnyValue:` or `ForAllValues:`, for multi-valued keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Quantifier {
    Any,
    All,
}

/// Comparison type of an operator.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Test {
    Text { ignores_case: bool, wildcards: bool },
    Number(Order),
    Date(Order),
    Flag,
    Bytes,
    Address,
    Arn,
    Null,
}

/// Ordering of the request value relative to the operand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operator {
    /// Parses an operator name.
    pub(super) fn read(name: &str) -> Option<Self> {
        let (quantifier, rest) = match name.split_once(':') {
            Some(("ForAnyValue", rest)) => (Some(Quantifier::Any), rest),
            Some(("ForAllValues", rest)) => (Some(Quantifier::All), rest),
            Some(_) => return None,
            None => (None, name),
        };
        let (bare, if_exists) = match rest.strip_suffix("IfExists") {
            Some(bare) => (bare, true),
            None => (rest, false),
        };
        let (test, negated) = test(bare)?;
        // `Null` tests for the key itself, so quantifiers and `IfExists` make no sense with it.
        let absurd = test == Test::Null && (if_exists || quantifier.is_some());
        (!absurd).then_some(Self {
            quantifier,
            test,
            negated,
            if_exists,
        })
    }
}

fn test(bare: &str) -> Option<(Test, bool)> {
    let text = |ignores_case, wildcards| Test::Text {
        ignores_case,
        wildcards,
    };
    Some(match bare {
        "StringEquals" => (text(false, false), false),
        "StringNotEquals" => (text(false, false), true),
        "StringEqualsIgnoreCase" => (text(true, false), false),
        "StringNotEqualsIgnoreCase" => (text(true, false), true),
        "StringLike" => (text(false, true), false),
        "StringNotLike" => (text(false, true), true),
        "Bool" => (Test::Flag, false),
        "BinaryEquals" => (Test::Bytes, false),
        "IpAddress" => (Test::Address, false),
        "NotIpAddress" => (Test::Address, true),
        "ArnEquals" | "ArnLike" => (Test::Arn, false),
        "ArnNotEquals" | "ArnNotLike" => (Test::Arn, true),
        "Null" => (Test::Null, false),
        _ => {
            let number = bare.strip_prefix("Numeric");
            let (order, negated) = order(number.or_else(|| bare.strip_prefix("Date"))?)?;
            match number {
                Some(_) => (Test::Number(order), negated),
                None => (Test::Date(order), negated),
            }
        }
    })
}

fn order(name: &str) -> Option<(Order, bool)> {
    Some(match name {
        "Equals" => (Order::Equal, false),
        "NotEquals" => (Order::Equal, true),
        "LessThan" => (Order::Less, false),
        "LessThanEquals" => (Order::LessOrEqual, false),
        "GreaterThan" => (Order::Greater, false),
        "GreaterThanEquals" => (Order::GreaterOrEqual, false),
        _ => return None,
    })
}

impl Order {
    /// True if the request value's ordering relative to the operand satisfies this.
    pub(super) fn is_met(self, found: Ordering) -> bool {
        match self {
            Self::Equal => found.is_eq(),
            Self::Less => found.is_lt(),
            Self::LessOrEqual => found.is_le(),
            Self::Greater => found.is_gt(),
            Self::GreaterOrEqual => found.is_ge(),
        }
    }
}
