//! `lamina backup` and `lamina restore`: copies of a data directory, consistent while its host runs.
//!
//! The database is copied as of one moment. Packages are named by their digest and never change; they are copied before
//! and after the database, and the whole is repeated if one was added or deleted meanwhile.
//! `backup.json` lists all files with their digests, so that a restore finds what is missing or damaged.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, bail};
use clap::Args;
use serde::{Deserialize, Serialize};

use super::data_dir::{self, BODIES, DATABASE, KEPT, PACKAGES};
use super::new_dir::{NewDir, require_outside};
use super::{Ended, host_config, output};
use crate::clock::Clock;
use crate::disk;
use crate::store::sqlite::backup;

mod contents;

use contents::Contents;

/// Description of a backup. It is written last: a directory without it is no backup.
const DESCRIPTION: &str = "backup.json";
/// Name of the database in a restore that has not finished. The data directory has no database until all else is
/// durable.
const UNFINISHED_DATABASE: &str = "lamina.db.unfinished";
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
    /// Configuration file [env: LAMINA_CONFIG] [default: ./lamina.toml, if it exists].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory [default: `data_dir` of the configuration file, else ./.lamina].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Description {
    /// Version of the program that made the backup.
    version: String,
    made_at: String,
    contents: Contents,
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
        data_dir::require_database(&from)?;
        require_outside(&self.to, &from)?;
        if fs::symlink_metadata(&self.to).is_ok() {
            bail!("{} exists; nothing was written", self.to.display());
        }
        let made = NewDir::at(&self.to)?;
        disk::create_dir(&self.to)
            .with_context(|| format!("{} cannot be created", self.to.display()))?;
        let _progress = output::spinner(&format!("Copying {}", from.display()));
        copy_consistently(&from, &self.to)?;
        for entry in entries(&from)? {
            if KEPT.contains(&entry.as_str()) {
                copy_all(&from.join(&entry), &self.to.join(&entry))?;
            } else if !data_dir::is_known(&entry) {
                output::note(&format!("{entry} is not of the host and was not copied"));
            }
        }
        self.describe()?;
        made.keep();
        output::line(&self.to.display().to_string());
        Ok(Ended::Well)
    }

    /// Describes the copy, once all of it is on the disk.
    fn describe(&self) -> anyhow::Result<()> {
        sync(&self.to)?;
        let contents = Contents::of(&self.to, DESCRIPTION)?;
        for package in contents.damaged_packages() {
            output::note(&format!(
                "package {package} of the host is damaged: deploy its function again"
            ));
        }
        let description = Description {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            made_at: Clock::system().now().iso8601(),
            contents,
        };
        let mut file = disk::create_new(&self.to.join(DESCRIPTION))?;
        serde_json::to_writer(&mut file, &description)?;
        sync(&self.to)
    }
}

impl Restore {
    pub(super) fn run(self) -> anyhow::Result<Ended> {
        let to = self.data.path()?;
        let description = self.description()?;
        require_outside(&to, &self.from)?;
        let made = NewDir::at(&to)?;
        let _progress = output::spinner(&format!("Checking {}", self.from.display()));
        let damaged = || format!("the backup {} is damaged", self.from.display());
        let found = Contents::of(&self.from, DESCRIPTION)?;
        let compared = description.contents.require_equal(&found);
        compared.with_context(damaged)?;
        backup::check(&self.from).with_context(damaged)?;
        disk::create_data_dir(&to).with_context(|| to.display().to_string())?;
        for entry in PACKAGES.iter().chain(&KEPT).chain([&BODIES]) {
            copy_all(&self.from.join(entry), &to.join(entry))?;
        }
        let database = to.join(UNFINISHED_DATABASE);
        copy_all(&self.from.join(DATABASE), &database)?;
        sync(&to)?;
        fs::rename(&database, to.join(DATABASE))?;
        sync(&to)?;
        made.keep();
        output::note(&format!(
            "restored the backup of {} (version {}); components are compiled again when the host starts",
            description.made_at, description.version
        ));
        output::line(&to.display().to_string());
        Ok(Ended::Well)
    }

    fn description(&self) -> anyhow::Result<Description> {
        let path = self.from.join(DESCRIPTION);
        match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => bail!(
                "{} is not a whole backup: it has no {DESCRIPTION}",
                self.from.display()
            ),
            text => {
                let text = text.with_context(|| format!("{} cannot be read", path.display()))?;
                serde_json::from_slice(&text)
                    .with_context(|| format!("{} is damaged", path.display()))
            }
        }
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

/// Copies a file or a directory with its modes. Existing files are kept; files deleted meanwhile are left out.
fn copy_all(from: &Path, to: &Path) -> anyhow::Result<()> {
    let found = match fs::symlink_metadata(from) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
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
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
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
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        copied => copied.with_context(|| from.display().to_string()),
    }
}

/// Makes all that was written durable.
fn sync(dir: &Path) -> anyhow::Result<()> {
    let dir = fs::File::open(dir)?;
    Ok(rustix::fs::syncfs(&dir)?)
}
