//! Content-addressed directory trees. A tree named by its digest is complete and durable, and its
//! files are read-only. All functions block on the disk.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::blob::Digest;
use super::directory;
use crate::disk;

/// Directory trees, addressed by the digest of their source.
#[derive(Debug)]
pub struct Trees(PathBuf);

/// Failure to create a tree.
#[derive(Debug, thiserror::Error)]
pub enum InsertError<E> {
    /// `fill` failed.
    #[error("{0}")]
    Fill(E),
    /// I/O error.
    #[error("{0}")]
    Io(io::Error),
}

impl Trees {
    /// Opens a directory, and creates it if it is missing.
    ///
    /// # Errors
    /// If the directory cannot be created.
    pub fn open(dir: &Path) -> io::Result<Self> {
        directory::open(dir)?;
        Ok(Self(dir.to_owned()))
    }

    /// Temporary trees of a killed process, half written or half deleted.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn leftovers(&self) -> io::Result<Vec<PathBuf>> {
        directory::leftovers(&self.0)
    }

    /// Path of an existing tree.
    pub fn find(&self, digest: &Digest) -> Option<PathBuf> {
        Some(self.path(digest)).filter(|path| path.is_dir())
    }

    /// Path of a tree, whether it exists or not.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.0.join(digest.to_string())
    }

    /// Creates a tree: `fill` populates an empty directory. The tree is complete and durable on
    /// return.
    ///
    /// # Errors
    /// If `fill` fails or on I/O errors; no tree is created then.
    pub fn insert<E>(
        &self,
        digest: &Digest,
        fill: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<(), InsertError<E>> {
        let unfinished = directory::unfinished(&self.0);
        disk::create_dir(&unfinished).map_err(InsertError::Io)?;
        let filled = fill(&unfinished).map_err(InsertError::Fill);
        let kept = filled.and_then(|()| self.keep(&unfinished, digest).map_err(InsertError::Io));
        if kept.is_err() {
            // Leftovers are deleted on the next start.
            let _ = directory::delete(&unfinished);
        }
        kept
    }

    fn keep(&self, unfinished: &Path, digest: &Digest) -> io::Result<()> {
        protect(unfinished)?;
        sync_tree(unfinished)?;
        match fs::rename(unfinished, self.path(digest)) {
            // A concurrent call created the same tree.
            Err(_) if self.find(digest).is_some() => directory::delete(unfinished),
            Err(error) => Err(error),
            Ok(()) => directory::sync(&self.0),
        }
    }

    /// Digests of all trees.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn list(&self) -> io::Result<Vec<Digest>> {
        directory::names(&self.0)
    }

    /// Renames a tree to a temporary name and returns that, for the caller to delete. A
    /// half-deleted tree is thus never found by digest.
    ///
    /// # Errors
    /// If it cannot be renamed.
    pub fn set_aside(&self, digest: &Digest) -> io::Result<Option<PathBuf>> {
        let unfinished = directory::unfinished(&self.0);
        match fs::rename(self.path(digest), &unfinished) {
            Ok(()) => Ok(Some(unfinished)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Makes the files of a tree read-only. Directories stay writable for the owner: renaming one
/// requires it, and guests cannot write through their mounts. Symbolic links are skipped, as chmod
/// would follow them out of the tree.
fn protect(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            protect(&path)?;
        } else if kind.is_file() {
            disk::make_final(&path)?;
        }
    }
    Ok(())
}

/// Flushes a tree with one syncfs. One fsync per file would take thousands of disk round trips for
/// a large tree.
#[cfg(target_os = "linux")]
fn sync_tree(dir: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(dir)?)?)
}

/// Flushes a tree file by file: this system has no syncfs.
#[cfg(not(target_os = "linux"))]
fn sync_tree(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            sync_tree(&entry.path())?;
        } else if kind.is_file() {
            File::open(entry.path())?.sync_all()?;
        }
    }
    directory::sync(dir)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn tree_is_created_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let trees = Trees::open(dir.path()).unwrap();
        let digest = Digest::of(b"x");
        let failed = trees.insert(&digest, |into| {
            fs::write(into.join("half"), "written").unwrap();
            Err("the package is damaged")
        });
        assert!(matches!(
            failed,
            Err(InsertError::Fill("the package is damaged"))
        ));
        assert_eq!(trees.find(&digest), None);
        let fill = |into: &Path| -> Result<(), io::Error> {
            fs::create_dir(into.join("sub"))?;
            fs::write(into.join("sub/file"), "whole")
        };
        trees.insert(&digest, fill).unwrap();
        trees.insert(&digest, fill).unwrap();
        let file = trees.find(&digest).unwrap().join("sub/file");
        assert_eq!(fs::read_to_string(&file).unwrap(), "whole");
        assert!(fs::metadata(&file).unwrap().permissions().readonly());
        let aside = trees.set_aside(&digest).unwrap().unwrap();
        assert_eq!(trees.find(&digest), None);
        assert_eq!(trees.leftovers().unwrap(), std::slice::from_ref(&aside));
        directory::delete(&aside).unwrap();
        assert_eq!(trees.set_aside(&digest).unwrap(), None);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn file_behind_symbolic_link_keeps_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs::write(&outside, "x").unwrap();
        fs::set_permissions(&outside, Permissions::from_mode(0o600)).unwrap();
        let trees = Trees::open(&dir.path().join("trees")).unwrap();
        let digest = Digest::of(b"x");
        let fill = |into: &Path| std::os::unix::fs::symlink(&outside, into.join("link"));
        trees.insert(&digest, fill).unwrap();
        let mode = fs::metadata(&outside).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
    }
}
