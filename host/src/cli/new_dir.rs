//! Directory under construction: a command that fails removes all that it made.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// Directory that a command fills. Removed when dropped, unless it is kept.
#[derive(Debug)]
pub(super) struct NewDir {
    dir: PathBuf,
    /// Topmost missing parent. `None` if the directory exists and is empty: it may be a mount, and stays.
    missing: Option<PathBuf>,
    is_kept: bool,
}

impl NewDir {
    /// Directory that is missing or empty.
    pub(super) fn at(dir: &Path) -> anyhow::Result<Self> {
        let missing = match fs::read_dir(dir) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    bail!("{} is not empty; nothing was written", dir.display());
                }
                None
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Some(topmost_missing(dir)?),
            Err(error) => return Err(error).with_context(|| dir.display().to_string()),
        };
        Ok(Self {
            dir: dir.to_owned(),
            missing,
            is_kept: false,
        })
    }

    /// Keeps the directory: it is whole.
    pub(super) fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for NewDir {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        // Errors are ignored: the command reports why it failed.
        if let Some(missing) = &self.missing {
            let _ = fs::remove_dir_all(missing);
            return;
        }
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_dir = entry.file_type().is_ok_and(|it| it.is_dir());
            let _ = match is_dir {
                true => fs::remove_dir_all(path),
                false => fs::remove_file(path),
            };
        }
    }
}

fn topmost_missing(dir: &Path) -> anyhow::Result<PathBuf> {
    let absolute = std::path::absolute(dir)?;
    let missing = absolute
        .ancestors()
        .take_while(|it| fs::symlink_metadata(it).is_err());
    let topmost = missing.last();
    let topmost = topmost.with_context(|| format!("{} is a link to nothing", dir.display()))?;
    Ok(topmost.to_owned())
}

/// Refuses a target inside the directory that is copied: the copy would contain itself, without end.
pub(super) fn require_outside(target: &Path, source: &Path) -> anyhow::Result<()> {
    let shown = || source.display().to_string();
    let source = source.canonicalize().with_context(shown)?;
    let absolute = std::path::absolute(target)?;
    let mut existing = absolute.ancestors().filter_map(|it| it.canonicalize().ok());
    if existing.next().is_some_and(|it| it.starts_with(&source)) {
        bail!(
            "{} is inside the directory {}, which is copied: choose a directory elsewhere",
            target.display(),
            shown()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_inside_its_source_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("source");
        fs::create_dir_all(source.join("sub")).unwrap();
        std::os::unix::fs::symlink(&source, dir.path().join("link")).unwrap();
        for inside in ["source", "source/new", "source/sub/a/b", "link/new"] {
            let refused = require_outside(&dir.path().join(inside), &source);
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains("is inside"), "{refused}");
        }
        require_outside(&dir.path().join("source2"), &source).unwrap();
        require_outside(&dir.path().join("other/new"), &source).unwrap();
    }

    #[test]
    fn unfinished_directory_is_removed_with_its_new_parents() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b/c");
        let made = NewDir::at(&deep).unwrap();
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("file"), "").unwrap();
        drop(made);
        assert!(!dir.path().join("a").exists());
        let made = NewDir::at(dir.path()).unwrap();
        fs::create_dir_all(&deep).unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        drop(made);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let made = NewDir::at(&deep).unwrap();
        fs::create_dir_all(&deep).unwrap();
        made.keep();
        assert!(deep.exists());
        let refused = NewDir::at(&dir.path().join("a")).unwrap_err();
        assert!(refused.to_string().contains("is not empty"), "{refused}");
        assert!(deep.exists());
    }
}
