//! The root of an image on the disk. Paths are resolved below it as a process in the image would: `..` ends at the
//! root, and absolute symbolic links begin there. Nothing else changes the tree meanwhile.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::Error;
use super::header::Header;
use crate::disk;

/// Symbolic links on one path, as Linux has it.
const LINKS_MAX: usize = 40;
/// Parts of a path with the targets of its links.
const PARTS_MAX: usize = 1_024;

/// The root directory.
pub(super) struct Root {
    dir: PathBuf,
    entries_left: usize,
}

/// Failure at a path.
#[derive(Debug)]
pub(super) enum Failure {
    Content(&'static str),
    Disk(io::Error),
}

impl Failure {
    /// Error of the entry that the path is of.
    pub(super) fn of(self, header: &Header) -> Error {
        match self {
            Self::Content(problem) => header.refused(problem),
            Self::Disk(error) => Error::Disk(error),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

impl Root {
    pub(super) fn new(dir: &Path, entries_max: usize) -> Self {
        Self {
            dir: dir.to_owned(),
            entries_left: entries_max,
        }
    }

    /// Path on the host of a resolved path.
    pub(super) fn path(&self, resolved: &Path) -> PathBuf {
        self.dir.join(resolved)
    }

    /// Counts an entry.
    pub(super) fn count(&mut self) -> Result<(), Failure> {
        let left = self.entries_left.checked_sub(1);
        self.entries_left = left.ok_or(Failure::Content("the image has too many files"))?;
        Ok(())
    }

    /// Resolves a directory, and makes it where it is missing.
    pub(super) fn directory(&mut self, path: &Path) -> Result<PathBuf, Failure> {
        let resolved = self.resolve(path, true)?;
        resolved.ok_or(Failure::Content("its directory is missing"))
    }

    /// Resolves a directory; `None` if it is missing.
    pub(super) fn existing(&mut self, path: &Path) -> Result<Option<PathBuf>, Failure> {
        self.resolve(path, false)
    }

    /// Makes a directory in the place of anything else.
    pub(super) fn make_directory(&mut self, at: &Path) -> Result<(), Failure> {
        let path = self.path(at);
        match std::fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => return Ok(()),
            Ok(_) => std::fs::remove_file(&path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        self.count()?;
        Ok(disk::create_dir(&path)?)
    }

    /// Target of a symbolic link in a resolved directory. Absolute ones are made relative: the image's root is a
    /// directory of the host, and guests see it as a mount.
    pub(super) fn link_target(&self, dir: &Path, target: &[u8]) -> PathBuf {
        let target = Path::new(OsStr::from_bytes(target));
        let Ok(below) = target.strip_prefix("/") else {
            return target.to_owned();
        };
        let mut relative: PathBuf = dir.components().map(|_| "..").collect();
        relative.push(below);
        if relative.as_os_str().is_empty() {
            relative.push(".");
        }
        relative
    }

    fn resolve(&mut self, path: &Path, create: bool) -> Result<Option<PathBuf>, Failure> {
        let mut pending: VecDeque<OsString> = parts(path).collect();
        let (mut current, mut links) = (PathBuf::new(), 0);
        while let Some(part) = pending.pop_front() {
            if part == ".." {
                current.pop();
                continue;
            }
            let next = current.join(&part);
            let on_disk = self.path(&next);
            match std::fs::symlink_metadata(&on_disk) {
                Ok(found) if found.is_dir() => current = next,
                Ok(found) if found.is_symlink() => {
                    links += 1;
                    let target = std::fs::read_link(&on_disk)?;
                    if links > LINKS_MAX || pending.len() > PARTS_MAX {
                        return Err(Failure::Content(
                            "its directory is a circle of symbolic links",
                        ));
                    }
                    for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
                        pending.push_front(part);
                    }
                }
                Ok(_) if create => {
                    return Err(Failure::Content("a file is in the place of its directory"));
                }
                Ok(_) => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    if !create {
                        return Ok(None);
                    }
                    self.count()?;
                    disk::create_dir(&on_disk)?;
                    current = next;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(current))
    }
}

/// Names and `..` of a path.
fn parts(path: &Path) -> impl Iterator<Item = OsString> + '_ {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    })
}
