//! Directory trees laid over one another: the layers of a function become the one tree it sees at
//! `/opt`. No byte is copied; the files of the new tree are those of the old ones under more names.

use std::ffi::OsString;
use std::fs::{self, FileType};
use std::io;
use std::path::{Path, PathBuf};

/// Lays trees into an empty directory in order, each over those before it: directories are joined, and
/// anything else gives way to what the later tree has in its place.
pub(super) fn overlay(trees: &[PathBuf], into: &Path) -> io::Result<()> {
    trees.iter().try_for_each(|tree| lay_over(tree, into))
}

fn lay_over(from: &Path, into: &Path) -> io::Result<()> {
    for (name, is_dir) in entries(from)? {
        let (source, place) = (from.join(&name), into.join(&name));
        let there_is_dir = match found(&place)? {
            Some(there) if there.is_dir() && is_dir => true,
            Some(there) => {
                clear(&place, there)?;
                false
            }
            None => false,
        };
        if is_dir {
            if !there_is_dir {
                fs::create_dir(&place)?;
            }
            lay_over(&source, &place)?;
        } else {
            link(&source, &place)?;
        }
    }
    Ok(())
}

fn clear(place: &Path, there: FileType) -> io::Result<()> {
    if there.is_dir() {
        fs::remove_dir_all(place)
    } else {
        fs::remove_file(place)
    }
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

fn found(place: &Path) -> io::Result<Option<FileType>> {
    match fs::symlink_metadata(place) {
        Ok(metadata) => Ok(Some(metadata.file_type())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Another name for a file. A file system may have none to give, or no more for this file; then a
/// copy has to do.
fn link(source: &Path, place: &Path) -> io::Result<()> {
    match fs::hard_link(source, place) {
        Err(error) => {
            tracing::debug!(%error, path = %source.display(), "a file could only be copied");
            fs::copy(source, place).map(drop)
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
    fn later_trees_lie_on_top() {
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
            // What gave way does not come back.
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
    fn nothing_is_copied_and_everything_counted() {
        let dir = tempfile::tempdir().unwrap();
        let source = tree(&dir.path().join("1"), &[("a/b", "12345"), ("c", "678")]);
        let into = dir.path().join("into");
        fs::create_dir(&into).unwrap();
        overlay(std::slice::from_ref(&source), &into).unwrap();
        let inode = |path: PathBuf| fs::metadata(path).unwrap().ino();
        assert_eq!(inode(source.join("a/b")), inode(into.join("a/b")));
        assert_eq!(bytes_of(&into).unwrap(), 8);
    }
}
