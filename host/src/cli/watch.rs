//! Watching a crate's sources: tells when what is in them has changed, whatever editors do to files.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::RecursiveMode;
use notify_debouncer_full::{DebounceEventResult, new_debouncer};
use tokio::sync::mpsc::{Receiver, channel};

/// Editors write a file in several steps.
const QUIET: Duration = Duration::from_millis(200);
/// What is made rather than written.
const IGNORED: [&str; 3] = ["target", ".lamina", ".git"];

/// Tells of changes for as long as it is kept.
pub(super) struct Watch {
    dir: PathBuf,
    contents: u64,
    stirred: Receiver<()>,
    _watcher: Box<dyn std::any::Any + Send>,
}

impl Watch {
    pub(super) fn on(dir: &Path) -> anyhow::Result<Self> {
        // One place: while a change waits to be looked at, others add nothing.
        let (stir, stirred) = channel(1);
        let mut watcher = new_debouncer(QUIET, None, move |_: DebounceEventResult| {
            let _ = stir.try_send(());
        })?;
        watcher.watch(dir, RecursiveMode::Recursive)?;
        let contents = contents(dir);
        Ok(Self {
            dir: dir.to_owned(),
            contents,
            stirred,
            _watcher: Box::new(watcher),
        })
    }

    /// Ready when the sources say something else than before.
    pub(super) async fn changed(&mut self) {
        while self.stirred.recv().await.is_some() {
            let contents = contents(&self.dir);
            if contents != self.contents {
                self.contents = contents;
                return;
            }
        }
        std::future::pending().await
    }
}

/// A fingerprint of all sources.
fn contents(dir: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        let entries = fs::read_dir(dir)
            .into_iter()
            .flatten()
            .filter_map(Result::ok);
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let ignored = path
                .file_name()
                .is_some_and(|name| IGNORED.iter().any(|it| name == *it));
            if ignored {
                continue;
            }
            if path.is_dir() {
                dirs.push(path);
            } else {
                path.hash(&mut hasher);
                fs::read(&path).unwrap_or_default().hash(&mut hasher);
            }
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sources_count() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("src")).unwrap();
        fs::write(dir.path().join("src/lib.rs"), "one").unwrap();
        let before = contents(dir.path());
        fs::create_dir_all(dir.path().join("target/release")).unwrap();
        fs::write(dir.path().join("target/release/x"), "made").unwrap();
        fs::write(dir.path().join("src/lib.rs"), "one").unwrap();
        assert_eq!(contents(dir.path()), before);
        fs::write(dir.path().join("src/lib.rs"), "two").unwrap();
        assert_ne!(contents(dir.path()), before);
    }
}
