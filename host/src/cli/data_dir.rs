//! Data directory of a host as its files are named: those that a backup has, and those that are made again.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, bail};

use crate::disk;

/// Database. Its presence makes a directory a data directory.
pub(super) const DATABASE: &str = "lamina.db";
/// Directories of content named by its digest.
pub(super) const PACKAGES: [&str; 2] = ["packages", "trees"];
/// Directory of the large bodies of queued events.
pub(super) const BODIES: &str = "events";
/// Content that a host needs besides its database, packages and bodies.
pub(super) const KEPT: [&str; 5] = ["bytecode", "host.key", "logs", "runtimes", "timeline"];
/// Files of the running process, and content that is made again at the start.
const REMADE: [&str; 7] = [
    "artifacts",
    "lamina.db-shm",
    "lamina.db-wal",
    "lock",
    "reserve",
    "scratch",
    "test",
];
/// Entries that come before the database: an interrupted first start, installed and compiled runtimes, the host of
/// `lamina test` and the root directory of a file system.
const EARLY: [&str; 6] = [
    "artifacts",
    "lock",
    "lost+found",
    "reserve",
    "runtimes",
    "test",
];

/// True for an entry of a data directory.
pub(super) fn is_known(name: &str) -> bool {
    let has = |names: &[&str]| names.contains(&name);
    [DATABASE, BODIES].contains(&name) || has(&PACKAGES) || has(&KEPT) || has(&REMADE)
}

/// Refuses a directory without a database.
pub(super) fn require_database(dir: &Path) -> anyhow::Result<()> {
    match fs::metadata(dir.join(DATABASE)) {
        Ok(found) if found.is_file() => Ok(()),
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be read", dir.join(DATABASE).display()))
        }
        _ => bail!(
            "{} is not a data directory: it has no {DATABASE}",
            dir.display()
        ),
    }
}

/// Makes a data directory. A directory with files of others is refused: the host would write its own between them.
pub(super) fn create(dir: &Path) -> anyhow::Result<()> {
    require_own(dir)?;
    disk::create_data_dir(dir)
        .with_context(|| format!("the data directory {} cannot be created", dir.display()))
}

/// Refuses a path that is no directory, or a directory with files of others.
pub(super) fn require_own(dir: &Path) -> anyhow::Result<()> {
    let shown = dir.display();
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            bail!("the data directory {shown} is a file")
        }
        entries => entries.with_context(|| format!("the data directory {shown} cannot be read"))?,
    };
    let names = entries.map(|it| Ok(it?.file_name().to_string_lossy().into_owned()));
    let names: Vec<String> = names.collect::<std::io::Result<_>>()?;
    if names.iter().any(|name| name == DATABASE) {
        return Ok(());
    }
    let is_strange = |name: &&String| !name.starts_with('.') && !EARLY.contains(&name.as_str());
    match names.iter().find(is_strange) {
        None => Ok(()),
        Some(name) if is_known(name) => bail!(
            "{shown} has no {DATABASE}, but {name}: a restore into it did not finish; empty it and restore again"
        ),
        Some(name) => bail!(
            "{shown} is no data directory: it has no {DATABASE}, but {name}; choose an empty directory with --data-dir"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(names: &[&str]) -> anyhow::Result<()> {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            fs::write(dir.path().join(name), "").unwrap();
        }
        create(dir.path())
    }

    #[test]
    fn directory_with_foreign_files_is_refused() {
        for names in [
            &[][..],
            &["runtimes", "artifacts", "lock", ".hidden"],
            &["x", DATABASE],
        ] {
            made(names).unwrap();
        }
        for (names, expected) in [
            (&["passwd"][..], "is no data directory"),
            (&["lock", "packages"], "did not finish"),
        ] {
            let refused = made(names).unwrap_err().to_string();
            assert!(refused.contains(expected), "{refused}");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = create(file.path()).unwrap_err().to_string();
        assert!(refused.ends_with("is a file"), "{refused}");
    }
}
