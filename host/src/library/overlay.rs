//! Directory trees laid over one another: the layers of a function become the one tree it sees at
//! `/opt`. No byte is copied; the files of the new tree are those of the old ones under more names.
//! Symbolic links are carried over as they are and never followed.

use std::ffi::OsString;
use std::fs::{self, FileType};
use std::io;
use std::path::{Path, PathBuf};

use crate::disk;
use crate::store::directory;

/// Lays trees into an empty directory in order, each over those before it: directories are joined, and
/// anything else gives way to what the later tree has in its place.
pub(super) fn overlay(trees: &[PathBuf], into: &Path) -> io::Result<()> {
    trees.iter().try_for_each(|tree| lay_over(tree, into))
}

fn lay_over(from: &Path, into: &Path) -> io::Result<()> {
    for (name, is_dir) in entries(from)? {
        let (source, target) = (from.join(&name), into.join(&name));
        let has_dir = match found(&target)? {
            Some(there) if there.is_dir() && is_dir => true,
            Some(_) => {
                directory::delete(&target)?;
                false
            }
            None => false,
        };
        if is_dir {
            if !has_dir {
                disk::create_dir(&target)?;
            }
            lay_over(&source, &target)?;
        } else {
            link(&source, &target)?;
        }
    }
    Ok(())
}

/// The names in a directory, and which are directories. They are read before any of them is visited,
/// so that one directory is open at a time, however deep a tree is.
fn entries(dir: &Path) -> io::Result<Vec<(OsString, bool)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        entries.push((entry.file_name(), entry.file_type()?.is_dir()));
    }
    Ok(entries)
}

fn found(path: &Path) -> io::Result<Option<FileType>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata.file_type())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Another name for a file or a symbolic link. A file system may have none to give, or no more for this
/// file; then a copy has to do.
fn link(source: &Path, target: &Path) -> io::Result<()> {
    if found(source)?.is_some_and(|kind| kind.is_symlink()) {
        // Some systems give a second name to what a link leads to.
        return std::os::unix::fs::symlink(fs::read_link(source)?, target);
    }
    match fs::hard_link(source, target) {
        Err(error) => {
            tracing::debug!(%error, path = %source.display(), "a file could only be copied");
            disk::copy(source, target)
        }
        Ok(()) => Ok(()),
    }
}

/// The bytes of all files of a tree.
pub(super) fn bytes_of(tree: &Path) -> io::Result<u64> {
    let mut bytes: u64 = 0;
    let mut dirs = vec![tree.to_owned()];
    while let Some(dir) = dirs.pop() {
        for (name, is_dir) in entries(&dir)? {
            let path = dir.join(name);
            if is_dir {
                dirs.push(path);
            } else {
                bytes = bytes.saturating_add(fs::symlink_metadata(path)?.len());
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    /// A tree with these files in it. A name that ends in a slash is an empty directory.
    fn tree(at: &Path, files: &[(&str, &str)]) -> PathBuf {
        for (name, content) in files {
            let path = at.join(name);
            if name.ends_with('/') {
                fs::create_dir_all(path).unwrap();
            } else {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, content).unwrap();
            }
        }
        at.to_owned()
    }

    /// Every file and empty directory below.
    fn shown(dir: &Path, prefix: &str) -> Vec<String> {
        let mut shown = Vec::new();
        for (name, is_dir) in entries(dir).unwrap() {
            let path = dir.join(&name);
            let name = format!("{prefix}{}", name.to_str().unwrap());
            match (is_dir, fs::read_to_string(&path)) {
                (true, _) if entries(&path).unwrap().is_empty() => shown.push(name + "/"),
                (true, _) => shown.extend(self::shown(&path, &format!("{name}/"))),
                (false, content) => shown.push(format!("{name}={}", content.unwrap())),
            }
        }
        shown.sort();
        shown
    }

    #[test]
    fn later_tree_replaces_earlier_files() {
        type Files<'a> = &'a [(&'a str, &'a str)];
        let cases: [(&[Files<'_>], &[&str]); 6] = [
            (&[&[("a", "1")], &[("a", "2")]], &["a=2"]),
            (
                &[&[("d/a", "1"), ("d/b", "1")], &[("d/b", "2"), ("d/c", "2")]],
                &["d/a=1", "d/b=2", "d/c=2"],
            ),
            // A file in the place of a directory, and a directory in the place of a file.
            (&[&[("x/a", "1"), ("x/b/c", "1")], &[("x", "2")]], &["x=2"]),
            (&[&[("x", "1")], &[("x/a", "2")]], &["x/a=2"]),
            // A shadowed file stays hidden.
            (
                &[&[("x/a", "1")], &[("x", "2")], &[("x/b", "3")]],
                &["x/b=3"],
            ),
            (
                &[&[("e/", ""), ("f/", "")], &[("e/a", "2")]],
                &["e/a=2", "f/"],
            ),
        ];
        for (trees, expected) in cases {
            let dir = tempfile::tempdir().unwrap();
            let laid: Vec<PathBuf> = trees
                .iter()
                .enumerate()
                .map(|(at, files)| tree(&dir.path().join(at.to_string()), files))
                .collect();
            let into = dir.path().join("into");
            fs::create_dir(&into).unwrap();
            overlay(&laid, &into).unwrap();
            assert_eq!(shown(&into, ""), expected, "{trees:?}");
        }
    }

    #[test]
    fn files_are_linked_and_counted() {
        let dir = tempfile::tempdir().unwrap();
        let source = tree(&dir.path().join("1"), &[("a/b", "12345"), ("c", "678")]);
        let into = dir.path().join("into");
        fs::create_dir(&into).unwrap();
        overlay(std::slice::from_ref(&source), &into).unwrap();
        let inode = |path: PathBuf| fs::metadata(path).unwrap().ino();
        assert_eq!(inode(source.join("a/b")), inode(into.join("a/b")));
        assert_eq!(bytes_of(&into).unwrap(), 8);
    }

    #[test]
    fn symbolic_link_is_carried_over_unfollowed() {
        let dir = tempfile::tempdir().unwrap();
        let (outside, into) = (dir.path().join("outside"), dir.path().join("into"));
        tree(&outside, &[("secret", "x")]);
        let one = tree(&dir.path().join("1"), &[("real", "1")]);
        std::os::unix::fs::symlink(&outside, one.join("lib")).unwrap();
        std::os::unix::fs::symlink("real", one.join("same")).unwrap();
        // A later directory in the place of a link is the directory, not what the link leads to.
        let two = tree(&dir.path().join("2"), &[("lib/new", "2")]);
        fs::create_dir(&into).unwrap();
        overlay(&[one.clone(), two], &into).unwrap();
        assert_eq!(fs::read_link(into.join("same")).unwrap(), Path::new("real"));
        assert_eq!(fs::read_to_string(into.join("lib/new")).unwrap(), "2");
        assert!(!outside.join("new").exists());
        assert_eq!(
            bytes_of(&one).unwrap(),
            1 + 4 + outside.as_os_str().len() as u64
        );
    }
}
