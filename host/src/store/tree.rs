//! Directory trees by the digest of what they were made from. What has a digest for its name is whole,
//! on the disk, and its files are read-only. All functions wait for the disk.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::blob::Digest;
use super::directory;

/// Directory trees by the digest of what they were made from.
#[derive(Debug)]
pub struct Trees(PathBuf);

/// Why a tree could not be made.
#[derive(Debug, thiserror::Error)]
pub enum InsertError<E> {
    /// Filling it failed.
    #[error("{0}")]
    Fill(E),
    /// The disk failed.
    #[error("{0}")]
    Io(io::Error),
}

impl Trees {
    /// The trees of a directory, which is made where there is none.
    ///
    /// # Errors
    /// Where the directory cannot be made.
    pub fn open(dir: &Path) -> io::Result<Self> {
        directory::open(dir)?;
        Ok(Self(dir.to_owned()))
    }

    /// Trees that a killed process left half made or half deleted.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    pub fn leftovers(&self) -> io::Result<Vec<PathBuf>> {
        directory::leftovers(&self.0)
    }

    /// The tree made from this content, if it is here.
    pub fn find(&self, digest: &Digest) -> Option<PathBuf> {
        Some(self.path(digest)).filter(|path| path.is_dir())
    }

    /// The place of a tree, whether or not it is there.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.0.join(digest.to_string())
    }

    /// Makes a tree: `fill` gets an empty directory. It is on the disk, whole, when this returns.
    ///
    /// # Errors
    /// Where `fill` or the disk fails; then there is no tree.
    pub fn insert<E>(
        &self,
        digest: &Digest,
        fill: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<(), InsertError<E>> {
        let unfinished = directory::unfinished(&self.0);
        let made = DirBuilder::new().mode(0o700).create(&unfinished);
        made.map_err(InsertError::Io)?;
        let filled = fill(&unfinished).map_err(InsertError::Fill);
        let kept = filled.and_then(|()| self.keep(&unfinished, digest).map_err(InsertError::Io));
        if kept.is_err() {
            // A directory that cannot be deleted now is deleted after the next start.
            let _ = directory::delete(&unfinished);
        }
        kept
    }

    fn keep(&self, unfinished: &Path, digest: &Digest) -> io::Result<()> {
        protect(unfinished)?;
        sync_tree(unfinished)?;
        match fs::rename(unfinished, self.path(digest)) {
            // Another call has made the same tree meanwhile.
            Err(_) if self.find(digest).is_some() => directory::delete(unfinished),
            Err(error) => Err(error),
            Ok(()) => directory::sync(&self.0),
        }
    }

    /// Digests of everything that is here.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    pub fn list(&self) -> io::Result<Vec<Digest>> {
        directory::names(&self.0)
    }

    /// Takes a tree out of its place with one rename, if it is here, and returns where it is now. The
    /// caller deletes it: a tree that is half deleted is never found.
    ///
    /// # Errors
    /// Where it cannot be renamed.
    pub fn set_aside(&self, digest: &Digest) -> io::Result<Option<PathBuf>> {
        let unfinished = directory::unfinished(&self.0);
        match fs::rename(self.path(digest), &unfinished) {
            Ok(()) => Ok(Some(unfinished)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Makes every file of a tree read-only. Directories stay writable to their owner: guests cannot
/// write through their mounts, and renaming a directory needs it. Symbolic links have no mode of their
/// own, and what they lead to is not this tree's.
fn protect(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            protect(&path)?;
        } else if kind.is_file() {
            let executable = entry.metadata()?.permissions().mode() & 0o111 != 0;
            let mode = if executable { 0o555 } else { 0o444 };
            fs::set_permissions(&path, Permissions::from_mode(mode))?;
        }
    }
    Ok(())
}

/// Waits until a tree is on the disk, with all else that its file system has to write: file by file,
/// a tree of thousands would take thousands of turns of the disk.
#[cfg(target_os = "linux")]
fn sync_tree(dir: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(dir)?)?)
}

/// Waits until a tree is on the disk, file by file: this system knows nothing better.
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
    use super::*;

    #[test]
    fn tree_appears_whole_or_not_at_all() {
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
    fn link_out_of_a_tree_changes_nothing_there() {
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
