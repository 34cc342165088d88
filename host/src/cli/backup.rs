//! `lamina backup` and `lamina restore`: copies of a data directory, consistent while its host runs.
//!
//! The database is copied as of one moment. Packages are named by their digest and never change; they are copied before
//! and after the database, and the whole is repeated if one was added or deleted meanwhile.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, bail};
use clap::Args;
use serde::{Deserialize, Serialize};

use super::{Ended, host_config, output};
use crate::clock::Clock;
use crate::disk;
use crate::store::blob::Digest;
use crate::store::sqlite::backup;

/// Description of a backup. It is written last: a directory without it is no backup.
const DESCRIPTION: &str = "backup.json";
/// Directories of content named by its digest.
const PACKAGES: [&str; 2] = ["packages", "trees"];
/// Directory of the large bodies of queued events.
const BODIES: &str = "events";
/// Entries that are not copied: the copied database and its side files, files of the running process, and what is made
/// again at the start.
const LEFT_OUT: [&str; 9] = [
    "artifacts",
    "events",
    "lamina.db",
    "lamina.db-shm",
    "lamina.db-wal",
    "lock",
    "packages",
    "reserve",
    "scratch",
];
/// Attempts to find the packages unchanged from beginning to end.
const ATTEMPTS_MAX: usize = 50;
/// Prefix of the names of unfinished files and trees.
const UNFINISHED: &str = ".unfinished-";

/// Copy a data directory. The host may be running.
#[derive(Args, Clone, Debug)]
pub(super) struct Backup {
    /// Directory to create. It has the host's key and its logs: keep it as safe as the data directory.
    to: PathBuf,
    #[command(flatten)]
    data: DataDir,
}

/// Make a data directory from a backup.
#[derive(Args, Clone, Debug)]
pub(super) struct Restore {
    /// Directory made by `lamina backup`.
    from: PathBuf,
    #[command(flatten)]
    data: DataDir,
}

/// Data directory of a host.
#[derive(Args, Clone, Debug)]
struct DataDir {
    /// Configuration file [default: ./lamina.toml, if it exists].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory [default: ./.lamina].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Description {
    /// Version of the program that made the backup.
    version: String,
    made_at: String,
}

impl DataDir {
    fn path(&self) -> anyhow::Result<PathBuf> {
        if let Some(dir) = &self.data_dir {
            return Ok(dir.clone());
        }
        Ok(host_config::read(self.config.as_deref(), Path::new("."))?.data_dir)
    }
}

impl Backup {
    pub(super) fn run(self) -> anyhow::Result<Ended> {
        let from = self.data.path()?;
        if !from.join("lamina.db").is_file() {
            bail!(
                "{} is not a data directory: it has no lamina.db",
                from.display()
            );
        }
        disk::create_dir(&self.to)
            .with_context(|| format!("{} cannot be created", self.to.display()))?;
        let _progress = output::spinner(&format!("Copying {}", from.display()));
        copy_consistently(&from, &self.to)?;
        for entry in entries(&from)? {
            if !LEFT_OUT.iter().any(|it| *it == entry) && !PACKAGES.iter().any(|it| *it == entry) {
                copy_all(&from.join(&entry), &self.to.join(&entry))?;
            }
        }
        let description = Description {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            made_at: Clock::system().now().iso8601(),
        };
        let path = self.to.join(DESCRIPTION);
        fs::write(&path, serde_json::to_vec(&description)?)?;
        sync(&self.to)?;
        output::line(&self.to.display().to_string());
        Ok(Ended::Well)
    }
}

impl Restore {
    pub(super) fn run(self) -> anyhow::Result<Ended> {
        let to = self.data.path()?;
        let path = self.from.join(DESCRIPTION);
        let text = fs::read(&path)
            .with_context(|| format!("{} is not a whole backup", self.from.display()))?;
        let description: Description =
            serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
        if to.is_dir() && !entries(&to)?.is_empty() {
            bail!("{} is not empty; nothing was written", to.display());
        }
        let _progress = output::spinner(&format!("Checking {}", self.from.display()));
        backup::check(&self.from).with_context(|| format!("{} is damaged", self.from.display()))?;
        check_packages(&self.from.join("packages"))?;
        disk::create_data_dir(&to).with_context(|| to.display().to_string())?;
        // The database last: without it, an interrupted restore is no data directory.
        let files = entries(&self.from)?.into_iter();
        let files = files.filter(|it| it != DESCRIPTION && it != "lamina.db");
        for entry in files.chain(["lamina.db".to_owned()]) {
            copy_all(&self.from.join(&entry), &to.join(&entry))?;
        }
        sync(&to)?;
        output::note(&format!(
            "restored the backup of {} (version {}); components are compiled again when the host starts",
            description.made_at, description.version
        ));
        output::line(&to.display().to_string());
        Ok(Ended::Well)
    }
}

/// Copies the database with the packages and the bodies that it names.
fn copy_consistently(from: &Path, to: &Path) -> anyhow::Result<()> {
    for _ in 0..ATTEMPTS_MAX {
        let before = PACKAGES.map(|name| changed_at(&from.join(name)));
        for name in PACKAGES {
            copy_all(&from.join(name), &to.join(name))?;
        }
        backup::copy(from, to).context("the database could not be copied")?;
        copy_all(&from.join(BODIES), &to.join(BODIES))?;
        if PACKAGES.map(|name| changed_at(&from.join(name))) == before {
            backup::drop_ended_events(to).context("the copied queue could not be completed")?;
            return Ok(());
        }
    }
    bail!("functions are deployed or deleted all the time; try again when that has ended")
}

/// Time of the last creation or deletion in a directory.
fn changed_at(dir: &Path) -> Option<SystemTime> {
    fs::metadata(dir).and_then(|it| it.modified()).ok()
}

/// Names of the entries of a directory.
fn entries(dir: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let name = entry?.file_name().into_string();
        names.push(name.map_err(|name| anyhow::anyhow!("{name:?} is not a name of the host's"))?);
    }
    Ok(names)
}

/// Copies a file or a directory with its modes. What exists already is kept; what is deleted meanwhile is left out.
fn copy_all(from: &Path, to: &Path) -> anyhow::Result<()> {
    let found = match fs::symlink_metadata(from) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        found => found.with_context(|| from.display().to_string())?,
    };
    if found.is_symlink() {
        if fs::symlink_metadata(to).is_err() {
            std::os::unix::fs::symlink(fs::read_link(from)?, to)?;
        }
        return Ok(());
    }
    if !found.is_dir() {
        return copy_file(from, to, found.len());
    }
    if !to.is_dir() {
        disk::create_dir(to).with_context(|| to.display().to_string())?;
    }
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(|| from.display().to_string())?,
    };
    for entry in entries {
        let name = entry?.file_name();
        if !name.to_string_lossy().starts_with(UNFINISHED) {
            copy_all(&from.join(&name), &to.join(&name))?;
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path, bytes: u64) -> anyhow::Result<()> {
    if fs::metadata(to).is_ok_and(|it| it.size() == bytes) {
        return Ok(());
    }
    let _ = fs::remove_file(to);
    match disk::copy(from, to) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        copied => copied.with_context(|| from.display().to_string()),
    }
}

/// Checks that each package has the digest that is its name.
fn check_packages(dir: &Path) -> anyhow::Result<()> {
    for name in entries(dir)? {
        let path = dir.join(&name);
        let digest = Digest::read(fs::File::open(&path)?);
        let digest = digest.with_context(|| path.display().to_string())?;
        if digest.to_string() != name {
            bail!("{} is damaged: its digest is {digest}", path.display());
        }
    }
    Ok(())
}

/// Makes all that was written durable.
fn sync(dir: &Path) -> anyhow::Result<()> {
    let dir = fs::File::open(dir)?;
    Ok(rustix::fs::syncfs(&dir)?)
}
