//! Directories that only the host's user may enter, and the names of what is unfinished in them. A
//! crash leaves unfinished files and trees; they are never found under their digests.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::disk;

/// Prefix of the names of unfinished files and directories.
const UNFINISHED: &str = ".unfinished-";
/// Permission bits that let others than the owner write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Tells unfinished files of this process apart.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Makes a directory with mode 0700, whatever the umask, or gives one that exists this mode.
///
/// # Errors
/// Where the directory cannot be made, or is another user's.
pub fn open(dir: &Path) -> io::Result<()> {
    disk::create_dir_all(dir)
}

/// Whether no user but this process's, and root, could have written a file or a directory, followed by
/// no symbolic link.
///
/// # Errors
/// Where it cannot be looked at.
pub fn is_trusted(path: &Path) -> io::Result<bool> {
    let found = fs::symlink_metadata(path)?;
    let own = [0, rustix::process::geteuid().as_raw()].contains(&found.uid());
    Ok(own && !found.is_symlink() && found.mode() & WRITABLE_BY_OTHERS == 0)
}

/// A new name for something unfinished.
pub(super) fn unfinished(dir: &Path) -> PathBuf {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    dir.join(format!("{UNFINISHED}{}-{number}", std::process::id()))
}

/// Everything that is unfinished in a directory.
pub(super) fn leftovers(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// The names in a directory that can be read as such, like digests.
pub(super) fn names<T: FromStr>(dir: &Path) -> io::Result<Vec<T>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        found.extend(name.to_str().and_then(|name| name.parse().ok()));
    }
    Ok(found)
}

/// Deletes a file or a whole tree, following no symbolic link. A large tree takes seconds.
///
/// # Errors
/// Where it cannot be deleted.
pub fn delete(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Waits until the names in a directory are on the disk.
pub(super) fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn directory_is_opened_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let new = dir.path().join("new");
        open(&new).unwrap();
        assert_eq!(mode(&new), 0o700);
        fs::set_permissions(&new, Permissions::from_mode(0o777)).unwrap();
        assert!(!is_trusted(&new).unwrap());
        open(&new).unwrap();
        assert_eq!(mode(&new), 0o700);
        assert!(is_trusted(&new).unwrap());
    }

    #[test]
    fn file_that_others_may_write_is_not_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        for (mode, expected) in [(0o600, true), (0o644, true), (0o664, false), (0o602, false)] {
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            assert_eq!(is_trusted(&file).unwrap(), expected, "{mode:o}");
        }
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(!is_trusted(&link).unwrap());
        assert!(is_trusted(&dir.path().join("missing")).is_err());
    }

    #[test]
    fn link_is_deleted_and_not_what_it_leads_to() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, kept) = (dir.path().join("tree"), dir.path().join("kept"));
        fs::create_dir(&tree).unwrap();
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("file"), "x").unwrap();
        std::os::unix::fs::symlink(&kept, tree.join("link")).unwrap();
        delete(&tree).unwrap();
        delete(&tree).unwrap();
        assert!(!tree.exists() && kept.join("file").exists());
    }
}
