//! Garbage collection of packages, trees and artifacts that no record uses (`control` reads those)
//! and no guard holds. No lock is held during deletion.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::{CodeRef, Digest, Error, Library, blocking, composition, extension};
use crate::sandbox::Architecture;
use crate::store::directory;

/// A collection in progress, with the digests that may be deleted if no record read from now on
/// uses them.
#[derive(Debug)]
pub struct Collection {
    library: Library,
    candidates: Vec<Digest>,
}

/// Content used by records.
#[derive(Debug, Default)]
pub struct Used {
    digests: HashSet<Digest>,
    /// Components with artifacts for an architecture.
    compiled: HashSet<(Digest, Architecture)>,
}

/// Temporary files and trees of a killed process. The first collection deletes them, because a
/// large tree would delay the start.
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
    /// Marks code of a version and architecture, with these packages of layers, as used.
    pub fn code(&mut self, code: &CodeRef, architecture: Architecture, layers: &[Digest]) {
        self.packages([code.package]);
        if let Some(component) = &code.component {
            let composed = composition::digest(component.digest, layers);
            for digest in [Some(component.digest), composed].into_iter().flatten() {
                self.digests.insert(digest);
                self.compiled.insert((digest, architecture));
            }
        }
    }

    /// Marks packages, or merged trees, as used.
    pub fn packages(&mut self, packages: impl IntoIterator<Item = Digest>) {
        self.digests.extend(packages);
    }

    /// True if a version needs the component compiled for this machine (`None`) or for an
    /// architecture.
    fn needs(&self, component: Digest, architecture: Option<Architecture>) -> bool {
        match architecture {
            None => self.digests.contains(&component),
            Some(architecture) => self.compiled.contains(&(component, architecture)),
        }
    }
}

impl Library {
    /// Starts a collection. Read the records after this call, never before.
    ///
    /// # Errors
    /// If the data directory cannot be read.
    pub async fn begin_collection(&self) -> Result<Collection, Error> {
        let library = self.clone();
        blocking(move || {
            let inner = &library.0;
            // Before the listing, so that content added from now on is kept.
            inner.holds.begin_collection();
            // A refused package may have left a tree only.
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
    /// Deletes packages, trees and artifacts that are neither in `used` nor held. Returns the
    /// number of packages deleted.
    ///
    /// # Errors
    /// If a file cannot be deleted; the rest is left for the next collection.
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
            inner.bytecode.delete(&digest)?;
            let tree = inner.trees.set_aside(&digest)?;
            inner.packages.remove(&digest)?;
            // The package may be added again while its old tree is deleted.
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
    /// Deletes artifacts that no version needs, including those of an architecture that no version
    /// has any more.
    fn delete_artifacts(&self, used: &Used) -> io::Result<()> {
        let extensions = self.extensions_in_use(used)?;
        for found in self.artifacts.list()? {
            match found.origin {
                Some((component, None)) if extensions.contains(&component) => {}
                Some((component, architecture)) if used.needs(component, architecture) => {}
                Some((component, _)) => {
                    // Held during the deletion: a concurrent add relies on existing artifacts.
                    if let Some(_doom) = self.holds.doom(component) {
                        directory::delete(&found.path)?;
                    }
                }
                None => directory::delete(&found.path)?,
            }
        }
        Ok(())
    }

    /// Components of extensions in the layers of versions.
    fn extensions_in_use(&self, used: &Used) -> io::Result<HashSet<Digest>> {
        let mut components = HashSet::new();
        for digest in &used.digests {
            let found = extension::find(&self.trees.path(digest))?;
            components.extend(found.iter().map(|it| it.digest));
        }
        Ok(components)
    }
}
