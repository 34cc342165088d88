//! `lamina runtime`: installs managed runtimes into a data directory. Its host may be running: it finds them the next
//! time that it creates a function or loads one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Ended, Format, Printing, host_config, output};
use crate::disk;
use crate::library::installed::{Installed, Runtimes};
use crate::library::runtime::{self, Managed};
use crate::store::directory;

mod source;

/// Install runtimes, which run functions of source code.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum Runtime {
    /// Install a runtime.
    Install(Install),
    /// Build a runtime into a file, for machines without network.
    Build(Build),
    /// List the installed runtimes.
    List(List),
}

/// Install a runtime.
#[derive(Args, Clone, Debug)]
pub(super) struct Install {
    /// Runtime to install: python3.14 or nodejs22.x.
    #[arg(value_parser = known)]
    name: &'static Managed,
    /// File made by `lamina runtime build`; without it, the runtime is built from packages of PyPI and crates.io.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    #[command(flatten)]
    directory: DataDirectory,
    #[command(flatten)]
    printing: Printing,
}

/// Build a runtime into a file.
#[derive(Args, Clone, Debug)]
pub(super) struct Build {
    /// Runtime to build: python3.14 or nodejs22.x.
    #[arg(value_parser = known)]
    name: &'static Managed,
    /// File to write.
    file: PathBuf,
}

/// List the installed runtimes.
#[derive(Args, Clone, Debug)]
pub(super) struct List {
    #[command(flatten)]
    directory: DataDirectory,
    #[command(flatten)]
    printing: Printing,
}

/// Data directory of a host.
#[derive(Args, Clone, Debug)]
struct DataDirectory {
    /// Configuration file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory [default: `data_dir` of the configuration file, else ./.lamina].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// Directory of a build, deleted with its packages when the build has ended.
struct Workshop(PathBuf);

impl Runtime {
    pub(super) fn run(self, before: super::ClientOptions) -> anyhow::Result<Ended> {
        match self {
            Self::Install(install) => install.run(before),
            Self::Build(build) => {
                let file = std::path::absolute(&build.file)?;
                make(build.name, &file)?;
                output::note(&format!("{} is built: {}", build.name.name, file.display()));
                Ok(Ended::Well)
            }
            Self::List(list) => {
                let installed = list.directory.runtimes()?.list()?;
                let format = list.printing.or(before).format();
                installed.iter().for_each(|it| print(it, format));
                Ok(Ended::Well)
            }
        }
    }
}

impl Install {
    fn run(self, before: super::ClientOptions) -> anyhow::Result<Ended> {
        let runtimes = self.directory.runtimes()?;
        let installed = match &self.from {
            Some(file) => runtimes.install(self.name, file).with_context(|| {
                format!(
                    "{} was not installed from {}",
                    self.name.name,
                    file.display()
                )
            })?,
            None => {
                let workshop = Workshop::in_directory(&self.directory.data_dir()?)?;
                let file = workshop.0.join("bundle.zip");
                make(self.name, &file)?;
                runtimes.install(self.name, &file)?
            }
        };
        print(&installed, self.printing.or(before).format());
        Ok(Ended::Well)
    }
}

impl DataDirectory {
    fn data_dir(&self) -> anyhow::Result<PathBuf> {
        if let Some(dir) = &self.data_dir {
            return Ok(dir.clone());
        }
        Ok(host_config::read(self.config.as_deref(), Path::new("."))?.data_dir)
    }

    fn runtimes(&self) -> anyhow::Result<Runtimes> {
        let dir = self.data_dir()?;
        disk::create_data_dir(&dir).with_context(|| dir.display().to_string())?;
        Runtimes::open(&dir).with_context(|| dir.display().to_string())
    }
}

impl Workshop {
    fn in_directory(dir: &Path) -> anyhow::Result<Self> {
        let dir = std::path::absolute(dir)?;
        let workshop = dir.join(format!(".runtime-{}", std::process::id()));
        disk::create_dir(&workshop).with_context(|| workshop.display().to_string())?;
        Ok(Self(workshop))
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        if let Err(error) = directory::delete(&self.0) {
            output::note(&format!("{} was not deleted: {error}", self.0.display()));
        }
    }
}

/// Builds a runtime into a bundle.
fn make(managed: &Managed, bundle: &Path) -> anyhow::Result<()> {
    let parent = bundle.parent().context("the file has no directory")?;
    let workshop = Workshop::in_directory(parent)?;
    source::write(&workshop.0).context("the sources of the runtime could not be written")?;
    let script = workshop.0.join("layers/runtimes").join(managed.name);
    output::note(&format!(
        "building {} from {}",
        managed.name, managed.origin
    ));
    let mut python = Command::new("python3");
    python.arg(script.join("build.py")).arg(bundle);
    python.arg(workshop.0.join("work")).stdin(Stdio::null());
    let ended = python.status().context(
        "python3 could not be started; with no Python on this machine, build the runtime on another one with `lamina \
         runtime build` and install it with --from",
    )?;
    if !ended.success() {
        // An unfinished bundle cannot be installed.
        let _ = fs::remove_file(bundle);
        bail!(
            "{} was not built: see above. It needs python3 with venv (Debian: python3-venv) and {}",
            managed.name,
            managed.origin
        );
    }
    Ok(())
}

fn known(name: &str) -> Result<&'static Managed, String> {
    runtime::find_managed(name).ok_or_else(|| {
        let names: Vec<_> = runtime::all_managed().map(|it| it.name).collect();
        format!("the installable runtimes are {}", names.join(", "))
    })
}

fn print(installed: &Installed, format: Format) {
    let (name, language) = (installed.managed.name, installed.managed.language);
    let version = format!("{language}:{}", installed.version);
    output::line(&match format {
        Format::Text => format!("{name}  {version}"),
        Format::Json => Value::to_string(&json!({"Runtime": name, "RuntimeVersion": version})),
    });
}
