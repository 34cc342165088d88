//! Private directories, and temporary names in them. A crash leaves temporary files and trees,
//! which are never found by digest.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Clock;
use crate::disk;

/// Prefix of temporary names.
const UNFINISHED: &str = ".unfinished-";
/// Mode bits for writing by group and others.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Distinguishes temporary names of this process.
static NEXT: AtomicU64 = AtomicU64::new(0);
/// Distinguishes temporary names of this process from those of a dead one. In a container, both have the same id.
static PROCESS: LazyLock<String> =
    LazyLock::new(|| crate::names::hex(&Clock::system().random::<8>()));

/// Creates a directory with mode 0700, whatever the umask; sets the mode of an existing one.
///
/// # Errors
/// If the directory cannot be created, or belongs to another user.
pub fn open(dir: &Path) -> io::Result<()> {
    disk::create_dir_all(dir)
}

/// True if only this user or root can write the file or directory. Symbolic links are never
/// trusted.
///
/// # Errors
/// If the metadata cannot be read.
pub fn is_trusted(path: &Path) -> io::Result<bool> {
    let found = fs::symlink_metadata(path)?;
    let own = [0, rustix::process::geteuid().as_raw()].contains(&found.uid());
    Ok(own && !found.is_symlink() && found.mode() & WRITABLE_BY_OTHERS == 0)
}

/// New temporary name.
pub fn unfinished(dir: &Path) -> PathBuf {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    dir.join(format!("{UNFINISHED}{}-{number}", *PROCESS))
}

/// True for a temporary name of this process.
pub(super) fn is_of_this_process(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let rest = name.strip_prefix(UNFINISHED);
    rest.is_some_and(|rest| rest.starts_with(PROCESS.as_str()))
}

/// All temporary files and trees in a directory.
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

/// Entry names that parse, such as digests.
pub(super) fn names<T: FromStr>(dir: &Path) -> io::Result<Vec<T>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        found.extend(name.to_str().and_then(|name| name.parse().ok()));
    }
    Ok(found)
}

/// Deletes a file or a tree without following symbolic links. A large tree takes seconds.
///
/// # Errors
/// If the deletion fails.
pub fn delete(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Flushes directory entries to the disk.
///
/// # Errors
/// Errors of the operating system.
pub fn sync(dir: &Path) -> io::Result<()> {
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
    fn opened_directory_is_private_to_owner() {
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
    fn file_writable_by_others_is_not_trusted() {
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
    fn deleting_a_link_keeps_its_target() {
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
