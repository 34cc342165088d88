//! Resource-based policies of one function, by qualifier.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Policy;
use crate::names::Qualifier;

/// Resource-based policies of one function, by qualifier.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attached(BTreeMap<Option<Qualifier>, Arc<Policy>>);

impl Attached {
    /// Adds or replaces the policy of a qualifier.
    pub fn insert(&mut self, qualifier: Option<Qualifier>, policy: Policy) {
        self.0.insert(qualifier, Arc::new(policy));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if any policy has a Deny.
    pub fn has_denials(&self) -> bool {
        self.0.values().any(|policy| policy.has_denials())
    }

    /// Policies that apply to a request with this qualifier. The unqualified policy always
    /// applies, because its wildcards may cover versions and aliases.
    pub fn over<'a>(&'a self, qualifier: Option<&Qualifier>) -> Vec<&'a Policy> {
        let own = self.0.get(&None);
        let qualified = qualifier.and_then(|it| self.0.get(&Some(it.clone())));
        own.into_iter().chain(qualified).map(Arc::as_ref).collect()
    }
}
