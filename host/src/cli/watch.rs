//! Watching sources: tells when what is in them has changed, whatever editors do to files. What is made
//! of them is no source: build directories and the host's data change with every build and deployment.

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

/// Editors write a file in several steps.
const QUIET: Duration = Duration::from_millis(200);
/// Directories that never hold sources, wherever they are.
const NO_SOURCES: [&str; 2] = [".lamina", ".git"];
/// The file by which programs tell others that a directory can be made again. Cargo writes it.
const MADE: &str = "CACHEDIR.TAG";

/// Tells of changes for as long as it is kept.
pub(super) struct Watch {
    sources: Sources,
    contents: u64,
    stirred: Receiver<()>,
    watcher: Debouncer<RecommendedWatcher, RecommendedCache>,
}

/// Directories with sources.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    dirs: Vec<PathBuf>,
    ignored: Vec<PathBuf>,
}

impl Watch {
    /// Watches from now on. A change that comes before it is asked for is reported when it is.
    pub(super) fn on(sources: Sources) -> anyhow::Result<Self> {
        // One place: while a change waits to be looked at, others add nothing.
        let (stir, stirred) = channel(1);
        let watched = sources.clone();
        let tell = move |result: DebounceEventResult| {
            let matters = match &result {
                Ok(events) => events.iter().any(|event| watched.may_change(event)),
                // Some event may have been lost.
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

    /// Watches these too, if it does not yet: a manifest may have got a new dependency.
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

    /// Ready when the sources say something else than before.
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
    /// The sources in these directories, without what is in one of `ignored`.
    ///
    /// # Errors
    /// Where a directory is not there, or nothing would be left of it.
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

    /// True for an event that may be a change of theirs. A read is none: looking for changes
    /// reads them all.
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

    /// A fingerprint of all of them.
    fn contents(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let mut seen = HashSet::new();
        let mut paths = self.dirs.clone();
        while let Some(path) = paths.pop() {
            // Links may lead in circles.
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

    /// Possible sources in a directory, in order.
    fn within(&self, dir: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(dir).into_iter().flatten();
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let mut paths: Vec<PathBuf> = paths
            .filter(|path| !self.ignores(path) && !path.join(MADE).exists())
            .collect();
        paths.sort();
        paths
    }
}

/// The real path of what may not be there yet.
fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = absolute.ancestors().find_map(|ancestor| {
        let rest = absolute.strip_prefix(ancestor).ok()?;
        Some(ancestor.canonicalize().ok()?.join(rest))
    });
    // A trailing slash is no part of a name.
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
    fn only_sources_are_watched() {
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
    async fn change_before_the_question_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let dependency = tempfile::tempdir().unwrap();
        write(dir.path(), "src/lib.rs", "one");
        let mut watch = Watch::on(sources(dir.path(), &[])).unwrap();
        write(dir.path(), "src/lib.rs", "two");
        tokio::time::timeout(Duration::from_secs(30), watch.changed())
            .await
            .expect("the change is told");
        watch.also(&sources(dependency.path(), &[])).unwrap();
        write(dependency.path(), "src/lib.rs", "one");
        tokio::time::timeout(Duration::from_secs(30), watch.changed())
            .await
            .expect("so is that of a new dependency");
    }
}
