//! Operands of conditions, parsed by operator type and compared with request values.

use std::cmp::Ordering;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Context;
use super::operator::Test;
use super::pattern::{Pattern, Syntax};

/// Operands of a condition; matching any of them is enough.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operands {
    Patterns(Vec<Pattern>),
    Numbers(Vec<f64>),
    /// Milliseconds since the Unix epoch.
    Dates(Vec<i64>),
    Flags(Vec<bool>),
    Networks(Vec<Network>),
    Bytes(Vec<Vec<u8>>),
}

/// CIDR block, such as `192.0.2.0/24`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Network {
    address: IpAddr,
    prefix_bits: u32,
}

impl Operands {
    /// Parses operands for the operator's type. The error says which operand does not fit.
    pub(super) fn read(test: Test, values: &[String], variables: bool) -> Result<Self, String> {
        let wildcards = match test {
            Test::Text { wildcards, .. } => wildcards,
            _ => true,
        };
        let syntax = Syntax {
            wildcards,
            variables,
        };
        match test {
            Test::Text { .. } | Test::Arn => {
                let patterns = values.iter().map(|value| Pattern::read(value, syntax));
                patterns.collect::<Result<_, _>>().map(Self::Patterns)
            }
            Test::Number(_) => all(values, "a number", number).map(Self::Numbers),
            Test::Date(_) => all(values, "a date and time", date).map(Self::Dates),
            Test::Flag | Test::Null => all(values, "true or false", flag).map(Self::Flags),
            Test::Address => {
                all(values, "an address or a range of them", Network::read).map(Self::Networks)
            }
            Test::Bytes => all(values, "base64", bytes).map(Self::Bytes),
        }
    }

    /// Matches a request value against the operands. `None` if the types cannot be compared.
    pub(super) fn has(&self, test: Test, found: &str, context: &dyn Context) -> Option<bool> {
        match (self, test) {
            (Self::Patterns(patterns), Test::Text { ignores_case, .. }) => {
                some_pattern(patterns, context, |it| it.matches(found, ignores_case))
            }
            (Self::Patterns(patterns), _) => {
                some_pattern(patterns, context, |it| it.matches_arn(found))
            }
            (Self::Numbers(operands), Test::Number(order)) => {
                let found = number(found)?;
                let mut orders = operands.iter().map(|it| found.total_cmp(it));
                Some(orders.any(|it| order.is_met(it)))
            }
            (Self::Dates(operands), Test::Date(order)) => {
                let found = date(found)?;
                let mut orders = operands.iter().map(|it| found.cmp(it));
                Some(orders.any(|it: Ordering| order.is_met(it)))
            }
            (Self::Flags(operands), _) => Some(operands.contains(&flag(found)?)),
            (Self::Networks(operands), _) => {
                let found = found.parse().ok()?;
                Some(operands.iter().any(|network| network.has(found)))
            }
            (Self::Bytes(operands), _) => Some(operands.contains(&bytes(found)?)),
            // Unreachable in practice: operands were parsed for the same test.
            _ => None,
        }
    }
}

/// `None` if no pattern matches for certain and one depends on unknown context.
fn some_pattern(
    patterns: &[Pattern],
    context: &dyn Context,
    matches: impl Fn(&super::pattern::Expanded) -> bool,
) -> Option<bool> {
    let mut in_doubt = false;
    for pattern in patterns {
        match pattern.expand(context) {
            Some(expanded) if matches(&expanded) => return Some(true),
            Some(_) => {}
            None => in_doubt = true,
        }
    }
    (!in_doubt).then_some(false)
}

fn all<T>(
    values: &[String],
    expected: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, String> {
    let read = |value: &String| read(value).ok_or_else(|| format!("{value:?} is not {expected}"));
    values.iter().map(read).collect()
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// ISO 8601 timestamp, bare date (midnight UTC), or seconds since the Unix epoch.
fn date(text: &str) -> Option<i64> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(at.as_millisecond());
    }
    if let Ok(day) = text.parse::<jiff::civil::Date>() {
        let midnight = day.to_datetime(jiff::civil::Time::midnight());
        let at = jiff::tz::Offset::UTC.to_timestamp(midnight).ok()?;
        return Some(at.as_millisecond());
    }
    text.parse::<i64>().ok()?.checked_mul(1_000)
}

fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

impl Network {
    fn read(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match prefix {
            Some(prefix) => prefix.parse().ok().filter(|prefix| *prefix <= bits)?,
            None => bits,
        };
        Some(Self {
            address,
            prefix_bits,
        })
    }

    fn has(&self, found: IpAddr) -> bool {
        let differing = match (self.address, found.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(found)) => {
                u128::from(own.to_bits() ^ found.to_bits()) << 96
            }
            (IpAddr::V6(own), IpAddr::V6(found)) => own.to_bits() ^ found.to_bits(),
            _ => return false,
        };
        differing.leading_zeros() >= self.prefix_bits
    }
}
