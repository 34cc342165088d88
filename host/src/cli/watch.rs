//! File watcher for sources, tolerant of how editors save files. Build directories and the host's
//! data are excluded, because every build and deployment changes them.

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, Debouncer, RecommendedCache, new_debouncer};
use tokio::sync::mpsc::{Receiver, channel};

/// Debounce: editors write a file in several steps.
const QUIET: Duration = Duration::from_millis(200);
/// Directory names without sources.
const NO_SOURCES: [&str; 2] = [".lamina", ".git"];
/// Cache directory tag: marks directories that can be rebuilt, such as cargo's target.
const CACHE_TAG: &str = "CACHEDIR.TAG";

/// Watcher; stops when dropped.
pub(super) struct Watch {
    sources: Sources,
    contents: u64,
    stirred: Receiver<()>,
    watcher: Debouncer<RecommendedWatcher, RecommendedCache>,
}

/// Source directories.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    dirs: Vec<PathBuf>,
    ignored: Vec<PathBuf>,
}

impl Watch {
    /// Starts watching. A change before [`Watch::changed`] is called is reported by the call.
    pub(super) fn on(sources: Sources) -> anyhow::Result<Self> {
        // Capacity one: further changes coalesce with a pending one.
        let (stir, stirred) = channel(1);
        let watched = sources.clone();
        let tell = move |result: DebounceEventResult| {
            let matters = match &result {
                Ok(events) => events.iter().any(|event| watched.may_change(event)),
                // An error may mean lost events.
                Err(_) => true,
            };
            if matters {
                let _ = stir.try_send(());
            }
        };
        let watcher = new_debouncer(QUIET, None, tell)?;
        let mut watch = Self {
            sources: Sources::default(),
            contents: 0,
            stirred,
            watcher,
        };
        watch.add(&sources.dirs)?;
        watch.contents = sources.contents();
        watch.sources = sources;
        Ok(watch)
    }

    /// Adds directories, such as those of new path dependencies.
    pub(super) fn also(&mut self, sources: &Sources) -> anyhow::Result<()> {
        let is_new = |dir: &&PathBuf| !self.sources.has(dir);
        let new: Vec<PathBuf> = sources.dirs.iter().filter(is_new).cloned().collect();
        if !new.is_empty() {
            self.add(&new)?;
            self.sources.dirs.extend(new);
            self.contents = self.sources.contents();
        }
        Ok(())
    }

    fn add(&mut self, dirs: &[PathBuf]) -> anyhow::Result<()> {
        for dir in dirs {
            let watched = self.watcher.watch(dir, RecursiveMode::Recursive);
            watched.with_context(|| format!("{} cannot be watched", dir.display()))?;
        }
        Ok(())
    }

    /// Completes when the contents of the sources differ from the last call.
    pub(super) async fn changed(&mut self) {
        while self.stirred.recv().await.is_some() {
            let contents = self.sources.contents();
            if contents != self.contents {
                self.contents = contents;
                return;
            }
        }
        std::future::pending().await
    }
}

impl Sources {
    /// Sources in `dirs`, except those below `ignored`.
    ///
    /// # Errors
    /// If a directory is missing, or `ignored` covers it all.
    pub(super) fn new(dirs: &[PathBuf], ignored: &[PathBuf]) -> anyhow::Result<Self> {
        let canonical = |dir: &PathBuf| {
            let found = dir.canonicalize();
            found.with_context(|| dir.display().to_string())
        };
        let dirs = dirs
            .iter()
            .map(canonical)
            .collect::<anyhow::Result<Vec<_>>>()?;
        let made = dirs.iter().map(|dir| dir.join("target"));
        let ignored: Vec<PathBuf> = ignored.iter().map(|it| resolved(it)).chain(made).collect();
        if let Some(dir) = dirs.iter().find(|dir| ignored.contains(dir)) {
            anyhow::bail!(
                "{} has the function's sources; keep the host's data elsewhere, with --data-dir",
                dir.display()
            );
        }
        Ok(Self { dirs, ignored })
    }

    /// True if an event may be a source change. Read events are not: fingerprinting reads every
    /// file.
    fn may_change(&self, event: &Event) -> bool {
        let is_made = |path: &PathBuf| {
            let inside = path.ancestors().take_while(|it| !self.has(it));
            inside.into_iter().any(|it| self.ignores(it))
        };
        let read = matches!(event.kind, EventKind::Access(_));
        event.need_rescan() || !read && !event.paths.iter().all(is_made)
    }

    fn has(&self, dir: &Path) -> bool {
        self.dirs.iter().any(|it| it == dir)
    }

    fn ignores(&self, path: &Path) -> bool {
        let named = |name| NO_SOURCES.iter().any(|it| *it == name);
        path.file_name().is_some_and(named) || self.ignored.iter().any(|it| it == path)
    }

    /// Fingerprint of all sources.
    fn contents(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let mut seen = HashSet::new();
        let mut paths = self.dirs.clone();
        while let Some(path) = paths.pop() {
            // Symbolic links may form a cycle.
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            if real.is_dir() && seen.insert(real) {
                paths.extend(self.within(&path));
            } else if path.is_file() {
                path.hash(&mut hasher);
                fs::read(&path).unwrap_or_default().hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    /// Sorted entries of a directory that may be sources.
    fn within(&self, dir: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(dir).into_iter().flatten();
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let mut paths: Vec<PathBuf> = paths
            .filter(|path| !self.ignores(path) && !path.join(CACHE_TAG).exists())
            .collect();
        paths.sort();
        paths
    }
}

/// Canonical path, also of a file that does not exist yet.
fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = absolute.ancestors().find_map(|ancestor| {
        let rest = absolute.strip_prefix(ancestor).ok()?;
        Some(ancestor.canonicalize().ok()?.join(rest))
    });
    // Drops a trailing slash.
    found.unwrap_or(absolute).components().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, path: &str, text: &str) {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn sources(dir: &Path, ignored: &[PathBuf]) -> Sources {
        Sources::new(&[dir.to_owned()], ignored).unwrap()
    }

    #[test]
    fn change_outside_sources_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "src/lib.rs", "one");
        let data = dir.path().join("data/");
        let sources = sources(dir.path(), &[data]);
        let before = sources.contents();
        write(dir.path(), "target/release/x", "made");
        write(dir.path(), "data/lamina.db", "kept");
        write(dir.path(), ".lamina/lamina.db", "kept");
        write(dir.path(), "elsewhere/CACHEDIR.TAG", "Signature");
        write(dir.path(), "elsewhere/x", "made");
        write(dir.path(), "src/lib.rs", "one");
        std::os::unix::fs::symlink(dir.path(), dir.path().join("src/circle")).unwrap();
        assert_eq!(sources.contents(), before);
        write(dir.path(), "src/target/mod.rs", "a module");
        assert_ne!(sources.contents(), before);
        let before = sources.contents();
        write(dir.path(), "src/lib.rs", "two");
        assert_ne!(sources.contents(), before);
    }

    #[test]
    fn data_directory_that_is_the_crate_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let refused = Sources::new(&[dir.path().to_owned()], &[dir.path().to_owned()]);
        assert!(refused.unwrap_err().to_string().contains("--data-dir"));
    }

    #[tokio::test]
    async fn change_before_the_call_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let dependency = tempfile::tempdir().unwrap();
        write(dir.path(), "src/lib.rs", "one");
        let mut watch = Watch::on(sources(dir.path(), &[])).unwrap();
        write(dir.path(), "src/lib.rs", "two");
        tokio::time::timeout(Duration::from_secs(30), watch.changed())
            .await
            .expect("the change is reported");
        watch.also(&sources(dependency.path(), &[])).unwrap();
        write(dependency.path(), "src/lib.rs", "one");
        tokio::time::timeout(Duration::from_secs(30), watch.changed())
            .await
            .expect("a change of the new dependency is reported");
    }
}
