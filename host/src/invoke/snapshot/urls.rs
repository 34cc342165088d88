//! The function URLs of a snapshot, and the ids of the last ones that were deleted.

use std::sync::Arc;

use super::{Function, Snapshot, Target};
use crate::names::FunctionName;

/// Ids of deleted function URLs that are remembered.
const FORMER_URLS_MAX: usize = 1_000;

/// The route of a function URL.
#[derive(Clone, Debug, PartialEq)]
pub struct UrlRoute {
    /// The function and alias.
    pub target: Target,
    /// Callers must sign their requests.
    pub signed: bool,
    /// True for streamed responses.
    pub streams: bool,
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
    /// The route of the function URL of this id.
    pub fn url(&self, id: &str) -> Option<&UrlRoute> {
        self.functions.get(self.urls.get(id)?)?.urls.get(id)
    }

    /// The function URL of a function or alias, with its id.
    pub fn url_of(&self, target: &Target) -> Option<(&Arc<str>, &UrlRoute)> {
        let mut urls = self.functions.get(&target.name)?.urls.iter();
        urls.find(|(_, route)| route.target.qualifier == target.qualifier)
    }

    /// True for the id of a function URL that was deleted not long ago. AWS refuses calls to one in other words
    /// than calls to an id that never existed.
    pub fn was_url(&self, id: &str) -> bool {
        self.former_urls.iter().any(|former| former.as_ref() == id)
    }

    pub(super) fn replace_urls(
        &mut self,
        name: &FunctionName,
        old: Option<&Function>,
        new: Option<&Function>,
    ) {
        let before = old.into_iter().flat_map(|it| it.urls.keys());
        for id in before {
            let stays = new.is_some_and(|new| new.urls.contains_key(id));
            if !stays {
                self.urls.remove(id);
                self.former_urls.push_back(Arc::clone(id));
            }
        }
        for id in new.into_iter().flat_map(|it| it.urls.keys()) {
            self.urls.insert(Arc::clone(id), name.clone());
        }
        while self.former_urls.len() > FORMER_URLS_MAX {
            self.former_urls.pop_front();
        }
    }
}
