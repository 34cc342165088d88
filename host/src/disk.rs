//! Files and directories that only the host's user may read: packages, logs, `/tmp`s of guests and keys. Modes
//! are set explicitly, because a umask is the caller's and may allow anything.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Mode of a directory of the host.
pub const DIR_MODE: u32 = 0o700;
/// Mode of a file of the host.
pub const FILE_MODE: u32 = 0o600;
/// Mode of an immutable file.
const FINAL_MODE: u32 = 0o400;
/// Mode of an immutable executable file.
const FINAL_EXECUTABLE_MODE: u32 = 0o500;

/// Makes a directory of the host and its missing parents, and closes it to others where it exists. Existing
/// parents are left as they are: they may be shared, as `/tmp` is.
///
/// # Errors
/// Errors of the operating system.
pub fn create_dir_all(dir: &Path) -> io::Result<()> {
    make_dirs(dir)?;
    if fs::metadata(dir)?.permissions().mode() & 0o777 != DIR_MODE {
        fs::set_permissions(dir, Permissions::from_mode(DIR_MODE))?;
    }
    Ok(())
}

/// Makes a data directory and its missing parents. One that exists keeps its mode: its owner may have chosen
/// it, and everything that the host makes inside is closed to others.
///
/// # Errors
/// Errors of the operating system.
pub fn create_data_dir(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    create_dir_all(dir)
}

fn make_dirs(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIR_MODE).create(dir)
}

/// Makes a directory of the host that must not exist yet.
///
/// # Errors
/// Errors of the operating system.
pub fn create_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().mode(DIR_MODE).create(dir)
}

/// Options that create a file of the host with its mode.
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(FILE_MODE);
    options
}

/// Makes a file of the host that must not exist yet, for writing.
///
/// # Errors
/// Errors of the operating system.
pub fn create_new(path: &Path) -> io::Result<fs::File> {
    options().write(true).create_new(true).open(path)
}

/// Makes a file executable for the host's user.
///
/// # Errors
/// Errors of the operating system.
pub fn make_executable(file: &fs::File) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(DIR_MODE))
}

/// Makes a file read-only and keeps it executable. The path must be no symbolic link.
///
/// # Errors
/// Errors of the operating system.
pub fn make_final(path: &Path) -> io::Result<()> {
    let can_run = fs::symlink_metadata(path)?.permissions().mode() & 0o111 != 0;
    let mode = if can_run {
        FINAL_EXECUTABLE_MODE
    } else {
        FINAL_MODE
    };
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Copies a file with its mode.
///
/// # Errors
/// Errors of the operating system.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = fs::File::open(from)?;
    let mut made = create_new(to)?;
    io::copy(&mut source, &mut made)?;
    made.set_permissions(source.metadata()?.permissions())
}

/// Makes an existing file private, such as one of an earlier release. A missing file is no error.
///
/// # Errors
/// Errors of the operating system.
pub fn close_to_others(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if found.permissions().mode() & 0o077 == 0 => Ok(()),
        Ok(_) => fs::set_permissions(path, Permissions::from_mode(FILE_MODE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn directory_made_or_found_is_closed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let made = dir.path().join("a/b");
        create_dir_all(&made).unwrap();
        assert_eq!((mode(&made), mode(&dir.path().join("a"))), (0o700, 0o700));
        fs::set_permissions(&made, Permissions::from_mode(0o777)).unwrap();
        create_dir_all(&made).unwrap();
        assert_eq!(mode(&made), 0o700);
    }

    #[test]
    fn data_directory_that_exists_keeps_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o750)).unwrap();
        create_data_dir(dir.path()).unwrap();
        assert_eq!(mode(dir.path()), 0o750);
    }

    #[test]
    fn file_that_is_final_keeps_what_can_be_run() {
        let dir = tempfile::tempdir().unwrap();
        let (plain, run) = (dir.path().join("plain"), dir.path().join("run"));
        create_new(&plain).unwrap();
        make_executable(&create_new(&run).unwrap()).unwrap();
        for path in [&plain, &run] {
            make_final(path).unwrap();
        }
        assert_eq!((mode(&plain), mode(&run)), (0o400, 0o500));
        let copied = dir.path().join("copied");
        copy(&run, &copied).unwrap();
        assert_eq!(mode(&copied), 0o500);
    }

    #[test]
    fn file_is_made_and_kept_closed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        create_new(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        fs::set_permissions(&path, Permissions::from_mode(0o664)).unwrap();
        close_to_others(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        close_to_others(&dir.path().join("none")).unwrap();
    }
}
