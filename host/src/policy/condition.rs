//! One condition of a statement: a key of the request, an operator, and the values it is compared
//! with.

use super::Facts;
use super::compare::Wanted;
use super::operator::{Operator, Quantifier, Test};

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Condition {
    /// In lower case.
    key: Box<str>,
    rule: Rule,
}

#[derive(Clone, Debug, PartialEq)]
enum Rule {
    Known(Operator, Wanted),
    /// Whatever the operator of this name would ask.
    Unknown(Box<str>),
}

impl Condition {
    /// Reads a condition; what is wrong with it where it is none.
    pub(super) fn read(
        operator: &str,
        key: &str,
        values: &[String],
        variables: bool,
    ) -> Result<Self, String> {
        let rule = match Operator::read(operator) {
            Some(known) => Rule::Known(known, Wanted::read(known.test, values, variables)?),
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

    /// Whether it holds of a request. None where that cannot be known.
    pub(super) fn holds(&self, facts: &dyn Facts) -> Option<bool> {
        let Rule::Known(operator, wanted) = &self.rule else {
            return None;
        };
        let values = facts.values(&self.key)?;
        match (operator.test, wanted) {
            (Test::Null, Wanted::Flags(flags)) => Some(flags.contains(&values.is_empty())),
            _ if values.is_empty() => Some(operator.holds_of_nothing()),
            _ => operator.holds(wanted, &values, facts),
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

    fn holds(&self, wanted: &Wanted, values: &[String], facts: &dyn Facts) -> Option<bool> {
        let fits = |value: &String| wanted.has(self.test, value, facts);
        match self.quantifier {
            Some(Quantifier::Any) => {
                some(values, |value| fits(value).map(|fits| fits != self.negated))
            }
            Some(Quantifier::All) => {
                some(values, |value| fits(value).map(|fits| fits == self.negated))
                    .map(|fails| !fails)
            }
            // Without a quantifier a key of several values passes by any; to be unlike the wanted,
            // none of them may be like it.
            None => some(values, fits).map(|fits| fits != self.negated),
        }
    }
}

/// Whether any value passes. None where none does for certain and one might.
fn some(values: &[String], passes: impl Fn(&String) -> Option<bool>) -> Option<bool> {
    let outcomes: Vec<Option<bool>> = values.iter().map(passes).collect();
    if outcomes.contains(&Some(true)) {
        return Some(true);
    }
    (!outcomes.contains(&None)).then_some(false)
}
