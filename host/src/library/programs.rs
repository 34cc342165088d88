//! Loaded programs, shared by versions with the same artifact and mounts.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::sandbox::{Error, Program, ProgramFiles, WeakProgram};

/// Programs in use, by artifact and mounts.
#[derive(Debug, Default)]
pub(super) struct Programs(Mutex<HashMap<Key, WeakProgram>>);

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Key {
    artifact: PathBuf,
    task_dir: PathBuf,
    opt_dir: Option<PathBuf>,
    library_dir: Option<PathBuf>,
    compiled: Vec<(PathBuf, &'static str)>,
}

impl Programs {
    /// Loaded program of an artifact and mounts; loads it if nothing uses it yet.
    pub(super) fn shared(
        &self,
        artifact: &Path,
        source: ProgramFiles,
        load: impl FnOnce(ProgramFiles) -> Result<Program, Error>,
    ) -> Result<Program, Error> {
        let key = Key {
            artifact: artifact.to_owned(),
            task_dir: source.task_dir.clone(),
            opt_dir: source.opt_dir.clone(),
            library_dir: source.runtime.as_ref().map(|it| it.library_dir.clone()),
            compiled: source
                .runtime
                .as_ref()
                .map_or_else(Vec::new, |it| it.compiled.clone()),
        };
        if let Some(program) = self.find(&key) {
            return Ok(program);
        }
        // Loaded without the lock: of concurrent loads, the first result is kept.
        let loaded = load(source)?;
        let mut programs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        programs.retain(|_, program| program.is_loaded());
        if let Some(program) = programs.get(&key).and_then(WeakProgram::upgrade) {
            return Ok(program);
        }
        programs.insert(key, loaded.downgrade());
        Ok(loaded)
    }

    fn find(&self, key: &Key) -> Option<Program> {
        let programs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        programs.get(key).and_then(WeakProgram::upgrade)
    }
}
