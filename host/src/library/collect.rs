//! Collection of packages, trees and compiled components that nothing uses: no record, which `control`
//! reads, and no guard. Nothing is locked while files are deleted.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::{CodeRef, Digest, Error, Library, blocking};
use crate::sandbox::Architecture;
use crate::store::directory;

/// A collection that has begun: digests it may delete, if nothing that is read from now on uses them.
#[derive(Debug)]
pub struct Collection {
    library: Library,
    candidates: Vec<Digest>,
}

/// Content that records name.
#[derive(Debug, Default)]
pub struct Used {
    digests: HashSet<Digest>,
    /// Components that are compiled for machines of an architecture.
    compiled: HashSet<(Digest, Architecture)>,
}

/// Unfinished files and trees that a killed process left. They are deleted by the first collection,
/// since a large tree would hold up the start.
#[derive(Debug)]
pub(super) struct Leftovers(Mutex<Vec<PathBuf>>);

impl Leftovers {
    pub(super) fn new(paths: Vec<PathBuf>) -> Self {
        Self(Mutex::new(paths))
    }

    fn take(&self) -> Vec<PathBuf> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Used {
    /// Code of a version of this architecture.
    pub fn code(&mut self, code: &CodeRef, architecture: Architecture) {
        self.packages([code.package]);
        if let Some(component) = &code.component {
            self.digests.insert(component.digest);
            self.compiled.insert((component.digest, architecture));
        }
    }

    /// Packages, and trees that are made of several.
    pub fn packages(&mut self, packages: impl IntoIterator<Item = Digest>) {
        self.digests.extend(packages);
    }

    /// Whether a version needs a component that is compiled for this machine, or for an architecture.
    fn needs(&self, component: Digest, architecture: Option<Architecture>) -> bool {
        match architecture {
            None => self.digests.contains(&component),
            Some(architecture) => self.compiled.contains(&(component, architecture)),
        }
    }
}

impl Library {
    /// Begins a collection. Read which packages are in use after this, never before.
    ///
    /// # Errors
    /// Where the data directory cannot be read.
    pub async fn begin_collection(&self) -> Result<Collection, Error> {
        let library = self.clone();
        blocking(move || {
            let inner = &library.0;
            // Before the listing: what comes in from here on is not deleted.
            inner.holds.begin_collection();
            // A package that was refused may have left a tree without a package.
            let mut candidates = inner.packages.list()?;
            candidates.extend(inner.trees.list()?);
            candidates.sort_unstable();
            candidates.dedup();
            Ok(Collection {
                library,
                candidates,
            })
        })
        .await
    }
}

impl Collection {
    /// Deletes packages, their trees and compiled components that are neither in `used` nor held. Returns
    /// the number of packages deleted.
    ///
    /// # Errors
    /// Where a file cannot be deleted; the rest is left for the next collection.
    pub async fn finish(self, used: Used) -> Result<usize, Error> {
        blocking(move || Ok(self.delete(&used)?)).await
    }

    fn delete(self, used: &Used) -> io::Result<usize> {
        let inner = Arc::clone(&self.library.0);
        for leftover in inner.leftovers.take() {
            directory::delete(&leftover)?;
        }
        let unused = self.candidates.into_iter();
        let mut deleted = 0;
        for digest in unused.filter(|digest| !used.digests.contains(digest)) {
            let Some(doom) = inner.holds.doom(digest) else {
                continue;
            };
            let tree = inner.trees.set_aside(&digest)?;
            inner.packages.remove(&digest)?;
            // The package may come in again while its old tree is deleted.
            drop(doom);
            if let Some(tree) = tree {
                directory::delete(&tree)?;
            }
            deleted += 1;
        }
        inner.delete_artifacts(used)?;
        Ok(deleted)
    }
}

impl super::Inner {
    /// Deletes compiled components that no version needs, and those for machines of another kind where
    /// no version asks for such machines any more.
    fn delete_artifacts(&self, used: &Used) -> io::Result<()> {
        for found in self.artifacts.list()? {
            match found.origin {
                Some((component, architecture)) if used.needs(component, architecture) => {}
                Some((component, _)) => {
                    // Held over the deletion: what comes in meanwhile counts on what was compiled before.
                    if let Some(_doom) = self.holds.doom(component) {
                        directory::delete(&found.path)?;
                    }
                }
                None => directory::delete(&found.path)?,
            }
        }
        Ok(())
    }
}
