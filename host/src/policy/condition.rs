//! One condition of a statement: key, operator and operands.

use super::Context;
use super::compare::Operands;
use super::operator::{Operator, Quantifier, Test};

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Condition {
    /// Key in lower case.
    key: Box<str>,
    rule: Rule,
}

#[derive(Clone, Debug, PartialEq)]
enum Rule {
    Known(Operator, Operands),
    /// Operator name that IAM does not have; evaluates as unknown.
    Unknown(Box<str>),
}

impl Condition {
    /// Parses a condition.
    pub(super) fn read(
        operator: &str,
        key: &str,
        values: &[String],
        variables: bool,
    ) -> Result<Self, String> {
        let rule = match Operator::read(operator) {
            Some(known) => Rule::Known(known, Operands::read(known.test, values, variables)?),
            None => Rule::Unknown(operator.into()),
        };
        Ok(Self {
            key: key.to_lowercase().into(),
            rule,
        })
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn unknown_operator(&self) -> Option<&str> {
        match &self.rule {
            Rule::Known(..) => None,
            Rule::Unknown(name) => Some(name),
        }
    }

    /// Evaluates the condition. `None` if it depends on unknown context.
    pub(super) fn holds(&self, context: &dyn Context) -> Option<bool> {
        let Rule::Known(operator, operands) = &self.rule else {
            return None;
        };
        let values = context.values(&self.key)?;
        match (operator.test, operands) {
            (Test::Null, Operands::Flags(flags)) => Some(flags.contains(&values.is_empty())),
            _ if values.is_empty() => Some(operator.holds_of_nothing()),
            _ => operator.holds(operands, &values, context),
        }
    }
}

impl Operator {
    fn holds_of_nothing(&self) -> bool {
        match self.quantifier {
            _ if self.if_exists => true,
            Some(Quantifier::All) => true,
            Some(Quantifier::Any) => false,
            None => self.negated,
        }
    }

    fn holds(&self, operands: &Operands, values: &[String], context: &dyn Context) -> Option<bool> {
        let fits = |value: &String| operands.has(self.test, value, context);
        match self.quantifier {
            Some(Quantifier::Any) => {
                some(values, |value| fits(value).map(|fits| fits != self.negated))
            }
            Some(Quantifier::All) => {
                some(values, |value| fits(value).map(|fits| fits == self.negated))
                    .map(|fails| !fails)
            }
            // Without a quantifier, a multi-valued key passes if any value does; a negated operator
            // needs all values to differ.
            None => some(values, fits).map(|fits| fits != self.negated),
        }
    }
}

/// `None` if no value passes for certain and one might.
fn some(values: &[String], passes: impl Fn(&String) -> Option<bool>) -> Option<bool> {
    let outcomes: Vec<Option<bool>> = values.iter().map(passes).collect();
    if outcomes.contains(&Some(true)) {
        return Some(true);
    }
    (!outcomes.contains(&None)).then_some(false)
}
