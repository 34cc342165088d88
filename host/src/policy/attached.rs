//! The policies of one function: its own, and those of its versions and aliases.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Policy;
use crate::names::Qualifier;

/// The policies of one function.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attached(BTreeMap<Option<Qualifier>, Arc<Policy>>);

impl Attached {
    /// Puts a policy in the place of what this qualifier had.
    pub fn insert(&mut self, qualifier: Option<Qualifier>, policy: Policy) {
        self.0.insert(qualifier, Arc::new(policy));
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them denies anything.
    pub fn has_denials(&self) -> bool {
        self.0.values().any(|policy| policy.has_denials())
    }

    /// Those that have a say where a function is named with this qualifier. The function's own is
    /// always among them: with a wildcard it may mean its versions and aliases too.
    pub fn over<'a>(&'a self, qualifier: Option<&Qualifier>) -> Vec<&'a Policy> {
        let own = self.0.get(&None);
        let qualified = qualifier.and_then(|it| self.0.get(&Some(it.clone())));
        own.into_iter().chain(qualified).map(Arc::as_ref).collect()
    }
}
