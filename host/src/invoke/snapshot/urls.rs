//! The function URLs of a snapshot: where each leads, and which there were until lately.

use std::sync::Arc;

use super::{Snapshot, Target};
use crate::names::FunctionName;

/// Function URLs that are gone and still told apart from those that never were.
const FORMER_URLS_MAX: usize = 1_000;

/// Where a function URL leads.
#[derive(Clone, Debug)]
pub struct UrlRoute {
    /// The function and alias.
    pub target: Target,
    /// Whether callers must sign their requests.
    pub signed: bool,
    /// The cross-origin rules, where there are any.
    pub cors: Option<Arc<Cors>>,
}

/// Cross-origin rules of a function URL.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cors {
    /// `AllowOrigins`.
    pub allow_origins: Vec<String>,
    /// `AllowMethods`.
    pub allow_methods: Vec<String>,
    /// `AllowHeaders`.
    pub allow_headers: Vec<String>,
    /// `ExposeHeaders`.
    pub expose_headers: Vec<String>,
    /// `AllowCredentials`.
    pub allow_credentials: bool,
    /// `MaxAge`, in seconds.
    pub max_age_seconds: u32,
}

impl Snapshot {
    /// Where the function URL of this id leads.
    pub fn url(&self, id: &str) -> Option<&UrlRoute> {
        self.urls.get(id)
    }

    /// Puts a function URL in the place of what had its id.
    pub fn insert_url(&mut self, id: Arc<str>, route: UrlRoute) {
        let name = route.target.name.clone();
        self.url_ids
            .entry(name)
            .or_default()
            .insert(Arc::clone(&id));
        self.urls.insert(id, route);
    }

    /// Whether there was a function URL of this id not long ago. AWS refuses those who still call one in
    /// other words than those who call what never was.
    pub fn was_url(&self, id: &str) -> bool {
        self.former_urls.iter().any(|former| former.as_ref() == id)
    }

    /// Makes `routes` the only function URLs of a function.
    pub fn replace_urls(&mut self, name: &FunctionName, routes: Vec<(Arc<str>, UrlRoute)>) {
        let before = self.url_ids.remove(name).unwrap_or_default();
        for id in &before {
            self.urls.remove(id);
        }
        routes
            .into_iter()
            .for_each(|(id, route)| self.insert_url(id, route));
        for id in before {
            if !self.urls.contains_key(&id) {
                self.former_urls.push_back(id);
            }
        }
        while self.former_urls.len() > FORMER_URLS_MAX {
            self.former_urls.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(name: &FunctionName) -> UrlRoute {
        UrlRoute {
            target: Target {
                name: name.clone(),
                qualifier: None,
            },
            signed: false,
            cors: None,
        }
    }

    #[test]
    fn the_last_thousand_urls_that_are_gone_are_remembered() {
        let name = FunctionName::parse("f").unwrap();
        let mut snapshot = Snapshot::default();
        let id = |number: usize| Arc::from(format!("id{number}"));
        for number in 0..=FORMER_URLS_MAX {
            snapshot.replace_urls(&name, vec![(id(number), route(&name))]);
        }
        let last = id(FORMER_URLS_MAX);
        assert!(snapshot.url(&last).is_some() && !snapshot.was_url(&last));
        assert!(snapshot.url("id0").is_none() && snapshot.was_url("id0"));
        snapshot.replace_urls(&name, Vec::new());
        assert!(snapshot.url(&last).is_none() && snapshot.was_url(&last));
        assert!(!snapshot.was_url("id0") && snapshot.was_url("id1"));
        assert!(!snapshot.was_url("never"));
    }
}
