//! A function on disk: its directory, its configuration and how it is built.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::library::runtime::{self, Kind};

pub(super) mod cargo;
pub(super) mod manifest;

use cargo::Package;
use manifest::{Build, File, Manifest};

/// A function on disk.
#[derive(Clone, Debug)]
pub(super) struct Project {
    pub(super) dir: PathBuf,
    /// Function name.
    pub(super) name: String,
    /// True with a `lamina.toml`, which is the whole configuration: keys that it lacks have AWS's defaults.
    pub(super) is_declared: bool,
    pub(super) settings: Manifest,
    pub(super) source: Source,
}

/// Source of a function's package.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// A crate, built by cargo.
    Crate(Package),
    /// An artifact, made by the build command if there is one.
    Artifact {
        command: Option<String>,
        path: PathBuf,
    },
}

impl Project {
    /// Reads the functions of a directory, or makes one of a component or a package.
    pub(super) fn read(path: &Path) -> anyhow::Result<Vec<Self>> {
        if path.is_file() {
            return Ok(vec![Self::of_file(path)?]);
        }
        if !path.is_dir() {
            bail!("{} does not exist", path.display());
        }
        match manifest::read(path)? {
            Some(File::Project(manifest)) => {
                let functions = manifest.into_functions(path)?.into_iter();
                let projects = functions.map(|it| Self::of(it, true));
                distinct(projects.collect::<anyhow::Result<_>>()?, path)
            }
            Some(File::Host) | None => {
                let settings = Manifest {
                    dir: Some(path.to_owned()),
                    ..Manifest::default()
                };
                Ok(vec![Self::of(settings, false)?])
            }
        }
    }

    fn of_file(path: &Path) -> anyhow::Result<Self> {
        let name = path.file_stem().and_then(|it| it.to_str());
        Ok(Self {
            dir: parent(path),
            name: name.unwrap_or_default().to_owned(),
            is_declared: false,
            settings: Manifest::default(),
            source: Source::Artifact {
                command: None,
                path: std::path::absolute(path)?,
            },
        })
    }

    fn of(settings: Manifest, is_declared: bool) -> anyhow::Result<Self> {
        let dir = settings.dir.clone().unwrap_or_default();
        let is_crate = dir.join("Cargo.toml").is_file();
        let (source, settings, name) = match &settings.build {
            Some(build) if build.artifact.is_some() || !is_crate => {
                (built(&dir, build)?, settings, None)
            }
            _ if is_crate => {
                let (package, own) = cargo::package(&dir)?;
                let name = package.name.clone();
                let own = own.filter(|_| !is_declared).unwrap_or(settings);
                (Source::Crate(package), own, Some(name))
            }
            _ if is_managed(&settings) => (files(&dir), settings, None),
            _ => bail!(
                "{} has no Cargo.toml and no [build] in {}; make a function with `lamina new NAME`, or name its \
                 directory",
                dir.display(),
                manifest::FILE
            ),
        };
        let name = settings.name.clone().or(name);
        let name = name.map_or_else(|| directory_name(&dir), Ok)?;
        Ok(Self {
            dir,
            name,
            is_declared,
            settings,
            source,
        })
    }

    /// Directories whose changes make a new build, and what to ignore in them.
    pub(super) fn sources(&self) -> anyhow::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
        let mut dirs = vec![self.dir.clone()];
        let mut ignored = Vec::new();
        match &self.source {
            Source::Crate(_) => {
                let (dependencies, target) = cargo::dependencies(&self.dir)?;
                dirs.extend(dependencies);
                ignored.extend(target);
            }
            // The command writes the artifact.
            Source::Artifact {
                command: Some(_),
                path,
            } if *path != self.dir => ignored.push(path.clone()),
            Source::Artifact { .. } => {}
        }
        Ok((dirs, ignored))
    }

    /// Event of the first invocation.
    pub(super) fn sample_event(&self) -> anyhow::Result<String> {
        let path = self.dir.join("event.json");
        match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok("{}".to_owned()),
            read => read.with_context(|| path.display().to_string()),
        }
    }
}

/// Refuses functions of one name: the second would replace the first.
fn distinct(projects: Vec<Project>, dir: &Path) -> anyhow::Result<Vec<Project>> {
    for (at, project) in projects.iter().enumerate() {
        if projects[..at].iter().any(|it| it.name == project.name) {
            bail!(
                "{}: two functions have the name {}",
                dir.join(manifest::FILE).display(),
                project.name
            );
        }
    }
    Ok(projects)
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_owned(),
        None => PathBuf::from("/"),
    }
}

fn built(dir: &Path, build: &Build) -> anyhow::Result<Source> {
    let Some(artifact) = &build.artifact else {
        bail!(
            "[build] needs `artifact`: the component, the package or the directory that the command makes"
        );
    };
    Ok(Source::Artifact {
        command: build.command.clone(),
        path: dir.join(artifact),
    })
}

/// Source code of a managed runtime, which needs no build.
fn files(dir: &Path) -> Source {
    Source::Artifact {
        command: None,
        path: dir.to_owned(),
    }
}

fn is_managed(settings: &Manifest) -> bool {
    let runtime = settings.runtime.as_deref().and_then(runtime::find);
    runtime.is_some_and(|it| matches!(it.kind, Kind::Managed(_)))
}

fn directory_name(dir: &Path) -> anyhow::Result<String> {
    let dir = dir.canonicalize()?;
    let name = dir.file_name().and_then(|name| name.to_str());
    let name = name.map(str::to_owned);
    name.with_context(|| format!("{}: the function needs a `name`", dir.display()))
}
