//! Packages that no function and no layer uses any more are deleted, with what was made of them. One
//! that came in while a collection runs is left alone, whether or not a record names it yet.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Arrival, CodeRef, Digest, Library};

/// Packages on their way in, and those that came in since a collection began.
#[derive(Clone, Debug, Default)]
pub(super) struct Arrivals(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    expected: HashMap<Digest, u32>,
    touched: HashSet<Digest>,
}

/// One package on its way in; no longer, when dropped.
#[derive(Debug)]
pub(super) struct Expected {
    digest: Digest,
    arrivals: Arrivals,
}

/// A collection that has begun: what it may delete, if nothing that is read from now on uses it.
#[derive(Debug)]
pub struct Collection {
    library: Library,
    candidates: Vec<Digest>,
}

impl Arrivals {
    pub(super) fn expect(&self, digest: Digest) -> Expected {
        let mut state = self.lock();
        *state.expected.entry(digest).or_default() += 1;
        state.touched.insert(digest);
        Expected {
            digest,
            arrivals: self.clone(),
        }
    }

    // A std mutex: nothing awaits inside.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Expected {
    pub(super) fn of(self, code: CodeRef) -> Arrival {
        Arrival { code, _guard: self }
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        let mut state = self.arrivals.lock();
        if let Some(count) = state.expected.get_mut(&self.digest) {
            *count -= 1;
            if *count == 0 {
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
    pub fn finish(self, used: &HashSet<Digest>) -> io::Result<usize> {
        let shelves = &self.library.0;
        let mut deleted = 0;
        for digest in self
            .candidates
            .into_iter()
            .filter(|digest| !used.contains(digest))
        {
            // Held over the deletion, so that the same package cannot come in again meanwhile.
            let state = shelves.arrivals.lock();
            if !state.touched.contains(&digest) {
                shelves.trees.remove(&digest)?;
                shelves.packages.remove(&digest)?;
                deleted += 1;
            }
        }
        // A compiled component that is deleted too early is compiled again when it is needed.
        for artifact in std::fs::read_dir(&shelves.artifacts)? {
            let path = artifact?.path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            let component = name.split('-').next().and_then(|hex| hex.parse().ok());
            if component.is_none_or(|digest| !used.contains(&digest)) {
                std::fs::remove_file(path)?;
            }
        }
        Ok(deleted)
    }
}
