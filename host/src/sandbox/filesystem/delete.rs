//! Deletion of guests' files. Guests may nest directories deeper than paths, the stack or open
//! files allow, so nothing here recurses.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Deletes a directory tree. Directories are moved to one staging directory before they are
/// emptied, so that paths stay short and one directory is open at a time.
pub(super) fn delete(root: &Path) -> io::Result<()> {
    let staging = staging(root)?;
    let mut last = 0;
    empty(root, &staging, &mut last)?;
    let mut next = 0;
    while next < last {
        next += 1;
        let dir = staging.join(next.to_string());
        empty(&dir, &staging, &mut last)?;
        fs::remove_dir(&dir)?;
    }
    fs::remove_dir(&staging)?;
    fs::remove_dir(root)
}

/// Deletes the files of a directory and moves its subdirectories to `staging` under the next
/// numbers.
fn empty(dir: &Path, staging: &Path, last: &mut u64) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        if !entry.file_type()?.is_dir() {
            fs::remove_file(&path)?;
        } else if path != staging {
            *last += 1;
            fs::rename(&path, staging.join(last.to_string()))?;
        }
    }
    Ok(())
}

/// New directory in `root`, with an unused name.
fn staging(root: &Path) -> io::Result<PathBuf> {
    let mut number = 0_u64;
    loop {
        let staging = root.join(format!(".gone-{number}"));
        match crate::disk::create_dir(&staging) {
            Ok(()) => return Ok(staging),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::{Mode, OFlags, mkdirat, openat};

    use super::*;

    #[test]
    fn tree_of_any_depth_is_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("tree");
        fs::create_dir_all(root.join(".gone-0/1")).unwrap();
        fs::write(root.join(".gone-0/1/file"), "x").unwrap();
        std::os::unix::fs::symlink(dir.path(), root.join("link")).unwrap();
        let mut at = fs::File::open(&root).unwrap();
        let long = "d".repeat(200);
        for _ in 0..100 {
            mkdirat(&at, &long, Mode::RWXU).unwrap();
            at = openat(&at, &long, OFlags::RDONLY, Mode::empty())
                .unwrap()
                .into();
        }
        fs::write(dir.path().join("kept"), "x").unwrap();
        delete(&root).unwrap();
        assert!(!root.exists());
        assert!(dir.path().join("kept").exists(), "links are not followed");
    }
}
