//! Listings of layers and of their versions: in pages, the newest version first, filtered by compatibility.

use super::{About, LAYERS, LayerRecord, LayerVersionRecord, VERSIONS, order};
use crate::control::record::Page;
use crate::control::{Control, Error};
use crate::names::LayerName;

/// Records per read when filtering.
const STEP: usize = 100;

/// Filter of a listing.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// `CompatibleRuntime`.
    pub runtime: Option<String>,
    /// `CompatibleArchitecture`.
    pub architecture: Option<String>,
}

impl Filter {
    fn fits(&self, about: &About) -> bool {
        let fits = |wanted: &Option<String>, said: &Option<Vec<String>>| {
            let said = said.as_deref().unwrap_or_default();
            wanted.as_ref().is_none_or(|wanted| said.contains(wanted))
        };
        fits(&self.runtime, &about.runtimes) && fits(&self.architecture, &about.architectures)
    }

    fn is_empty(&self) -> bool {
        self.runtime.is_none() && self.architecture.is_none()
    }
}

impl Control {
    /// The newest version of each layer that passes the filter, in the order of the names.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn layers(
        &self,
        filter: &Filter,
        marker: Option<&str>,
        limit: usize,
    ) -> Result<Page<LayerVersionRecord>, Error> {
        let mut found = Vec::new();
        let mut after = marker.map(str::to_owned);
        while found.len() <= limit {
            let page = self
                .page::<LayerRecord>(LAYERS, "", after.as_deref(), STEP)
                .await?;
            for layer in page.items {
                let newest = self.layer_versions(&layer.name, filter, None, 1).await?;
                found.extend(newest.items);
                if found.len() > limit {
                    break;
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        Ok(cut(found, limit, |it| it.layer.as_str().to_owned()))
    }

    /// The versions of a layer that pass the filter, the newest first. A layer that does not exist has none.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn layer_versions(
        &self,
        layer: &LayerName,
        filter: &Filter,
        marker: Option<&str>,
        limit: usize,
    ) -> Result<Page<LayerVersionRecord>, Error> {
        let step = if filter.is_empty() { limit + 1 } else { STEP };
        let below = format!("{layer}/");
        let mut found = Vec::new();
        let mut after = marker.map(str::to_owned);
        while found.len() <= limit {
            let page = self
                .page::<LayerVersionRecord>(VERSIONS, &below, after.as_deref(), step)
                .await?;
            let wanted = page.items.into_iter().filter(|it| filter.fits(&it.about));
            found.extend(wanted);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        Ok(cut(found, limit, |it| order(it.version)))
    }
}

/// A page of items, which are more than the limit if another page follows.
fn cut<T>(mut found: Vec<T>, limit: usize, marker: impl Fn(&T) -> String) -> Page<T> {
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(marker);
    Page { items: found, next }
}
