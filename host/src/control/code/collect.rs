//! Packages that no function and no layer uses any more are deleted, with what was made of them. One
//! that came in while a collection runs is left alone, whether or not a record names it yet.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{CodeRef, Digest, Library, Shelves};
use crate::sandbox::{Architecture, compile};

/// Packages and components on their way in, and those that came in since a collection began.
#[derive(Clone, Debug, Default)]
pub(super) struct Arrivals(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    expected: HashMap<Digest, Coming>,
    touched: HashSet<Digest>,
}

/// How often one package is on its way in at once.
#[derive(Debug)]
struct Coming {
    count: u32,
    /// One permit: they follow one another.
    turn: Arc<Semaphore>,
}

impl Default for Coming {
    fn default() -> Self {
        Self {
            count: 0,
            turn: Arc::new(Semaphore::new(1)),
        }
    }
}

/// One package on its way in; no longer, when dropped.
#[derive(Debug)]
pub(super) struct Expected {
    digest: Digest,
    turn: Arc<Semaphore>,
    arrivals: Arrivals,
}

/// A collection that has begun: what it may delete, if nothing that is read from now on uses it.
#[derive(Debug)]
pub struct Collection {
    library: Library,
    candidates: Vec<Digest>,
}

/// What records name, and a collection leaves alone.
#[derive(Debug, Default)]
pub struct Used {
    digests: HashSet<Digest>,
    /// Components that are compiled for machines of an architecture.
    compiled: HashSet<(Digest, Architecture)>,
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

impl Arrivals {
    pub(super) fn expect(&self, digest: Digest) -> Expected {
        let mut state = self.lock();
        let coming = state.expected.entry(digest).or_default();
        coming.count += 1;
        let turn = Arc::clone(&coming.turn);
        state.touched.insert(digest);
        Expected {
            digest,
            turn,
            arrivals: self.clone(),
        }
    }

    // A std mutex: nothing awaits inside.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Expected {
    pub(super) fn digest(&self) -> Digest {
        self.digest
    }

    /// The turn to make something of this package. Whoever else brings the same one waits for it.
    pub(super) async fn turn(&self) -> OwnedSemaphorePermit {
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        turn.expect("the semaphore is never closed")
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        let mut state = self.arrivals.lock();
        if let Some(coming) = state.expected.get_mut(&self.digest) {
            coming.count -= 1;
            if coming.count == 0 {
                state.expected.remove(&self.digest);
            }
        }
    }
}

impl Library {
    /// Begins a collection. Read which packages are in use after this, never before.
    ///
    /// # Errors
    /// Where the data directory cannot be read.
    pub fn begin_collection(&self) -> io::Result<Collection> {
        let mut state = self.0.arrivals.lock();
        let State { expected, touched } = &mut *state;
        *touched = expected.keys().copied().collect();
        // A package that was refused has left its tree.
        let mut candidates = self.0.packages.list()?;
        candidates.extend(self.0.trees.list()?);
        candidates.sort_unstable();
        candidates.dedup();
        Ok(Collection {
            library: self.clone(),
            candidates,
        })
    }
}

impl Collection {
    /// Deletes what is not in `used`: packages, their trees, and compiled components. Returns the
    /// number of packages deleted. Blocks on files.
    ///
    /// # Errors
    /// Where a file cannot be deleted; the rest is left for the next collection.
    pub fn finish(self, used: &Used) -> io::Result<usize> {
        let shelves = &self.library.0;
        let mut deleted = 0;
        for digest in self
            .candidates
            .into_iter()
            .filter(|digest| !used.digests.contains(digest))
        {
            // Held over the deletion, so that the same package cannot come in again meanwhile.
            let state = shelves.arrivals.lock();
            if !state.touched.contains(&digest) {
                shelves.trees.remove(&digest)?;
                shelves.packages.remove(&digest)?;
                deleted += 1;
            }
        }
        shelves.delete_artifacts(used)?;
        Ok(deleted)
    }
}

impl Shelves {
    /// Deletes compiled components that no version needs, and those for machines of another kind where
    /// no version asks for such machines any more.
    fn delete_artifacts(&self, used: &Used) -> io::Result<()> {
        for artifact in std::fs::read_dir(&self.artifacts)? {
            let artifact = artifact?;
            if compile::is_unfinished(&artifact.file_name()) {
                continue;
            }
            let origin = artifact.file_name().to_str().and_then(|it| self.origin(it));
            // Held over the deletion: what comes in meanwhile counts on what was compiled before.
            let state = self.arrivals.lock();
            let needed = origin.is_some_and(|(component, architecture)| {
                used.needs(component, architecture) || state.touched.contains(&component)
            });
            if !needed {
                std::fs::remove_file(artifact.path())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_package_is_unpacked_once_at_a_time() {
        let arrivals = Arrivals::default();
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        let (first, second, apart) = (
            arrivals.expect(one),
            arrivals.expect(one),
            arrivals.expect(other),
        );
        let turn = first.turn().await;
        assert!(apart.turn().now_or_never().is_some());
        assert!(second.turn().now_or_never().is_none());
        drop(turn);
        assert!(second.turn().now_or_never().is_some());
        // A turn is held by whoever works, even if nobody waits for the work any more.
        let turn = first.turn().await;
        drop(first);
        assert!(arrivals.expect(one).turn().now_or_never().is_none());
        drop((turn, second, apart));
        assert!(arrivals.lock().expected.is_empty());
    }
}
