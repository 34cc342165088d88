//! A compiled component linked to its imports, shared by all environments of a version.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use wasmtime::component::{Component, InstancePre};

use super::filesystem::Mounts;
use super::guest::Guest;
use super::network::ProgramLookups;
use super::{Artifact, Error, Interface, adapter, engine};

/// Files of a program.
#[derive(Clone, Debug)]
pub struct ProgramFiles {
    /// Directory mounted read-only at `task_mount`.
    pub task_dir: PathBuf,
    /// Path of it in guests.
    pub task_mount: TaskMount,
    /// Directory mounted read-only at `/opt`, if the function has layers.
    pub opt_dir: Option<PathBuf>,
    /// Files of the managed runtime that runs the package.
    pub runtime: Option<RuntimeFiles>,
    /// Extensions that run beside the function.
    pub extensions: Vec<ProgramExtension>,
    /// Dropped with the program and its last environment, which tells its owner that the files are
    /// unused.
    #[expect(dead_code, reason = "only its drop matters")]
    pub guard: Arc<dyn Any + Send + Sync>,
}

/// Path at which guests see the files of a program.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TaskMount {
    /// `/var/task`, of packages.
    #[default]
    Task,
    /// `/`, of images that are file systems.
    Root,
}

impl TaskMount {
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Task => "/var/task",
            Self::Root => "/",
        }
    }
}

impl ProgramFiles {
    /// Files of an extension of this program.
    pub(super) fn without_extensions(&self) -> Self {
        Self {
            runtime: None,
            extensions: Vec::new(),
            ..self.clone()
        }
    }
}

/// An extension of a layer.
#[derive(Clone, Debug)]
pub struct ProgramExtension {
    /// Name of its file, without `.wasm`.
    pub name: Arc<str>,
    /// Its compiled component.
    pub artifact: Artifact,
}

/// A managed runtime, apart from its component.
#[derive(Clone, Debug)]
pub struct RuntimeFiles {
    /// Language and version, such as `python:3.14.0`.
    pub version: Arc<str>,
    /// Directory of the standard library.
    pub library_dir: PathBuf,
    /// Path at which guests see that, read-only.
    pub mount: &'static str,
    /// Directories of compiled files of the function, and their paths in guests, read-only.
    pub compiled: Vec<(PathBuf, &'static str)>,
    /// Form of its failures.
    pub failures: Failures,
}

/// Managed runtimes by the form of their failures.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failures {
    /// That of AWS's Python runtime.
    Python,
    /// That of AWS's Node.js runtime.
    Node,
}

/// A component ready for instantiation; cheap to clone.
#[derive(Clone)]
pub struct Program(pub(super) Arc<Loaded>);

/// Weak reference to a program.
#[derive(Clone)]
pub struct WeakProgram(Weak<Loaded>);

pub(super) struct Loaded {
    pub(super) shared: Arc<engine::Shared>,
    pub(super) entry: Arc<Entry>,
    /// Version of the managed runtime.
    pub(super) runtime_version: Option<Arc<str>>,
    /// Form of its failures.
    pub(super) failures: Option<Failures>,
    pub(super) mounts: Arc<Mounts>,
    /// Extensions that run beside it; none for most programs.
    pub(super) extensions: Vec<LoadedExtension>,
    pub(super) lookups: Arc<ProgramLookups>,
}

/// An extension ready for instantiation.
pub(super) struct LoadedExtension {
    pub(super) name: Arc<str>,
    pub(super) loaded: Arc<Loaded>,
}

/// Entry point of a component, by interface.
pub(super) enum Entry {
    Handler(adapter::handler::Pre),
    Streaming(adapter::streaming::Pre),
    CustomRuntime(adapter::command::Pre),
    Http(adapter::http::Pre),
    HttpService(adapter::http_service::Pre),
    Extension(adapter::command::Pre),
    Command(adapter::command::Pre),
}

impl Program {
    pub(super) fn load(
        shared: Arc<engine::Shared>,
        artifact: &Path,
        source: ProgramFiles,
        extensions: Vec<LoadedExtension>,
    ) -> Result<Self, Error> {
        let entry = shared
            .entries
            .shared(artifact, || link(&shared, artifact))?;
        let runtime_version = source.runtime.as_ref().map(|it| Arc::clone(&it.version));
        let failures = source.runtime.as_ref().map(|it| it.failures);
        let resources = &shared.resources;
        let scratch_dir = resources.config.scratch_dir.clone();
        let kept = Arc::clone(&resources.budgets.kept);
        let mounts = Arc::new(Mounts::new(source, scratch_dir, kept));
        Ok(Self(Arc::new(Loaded {
            shared,
            entry,
            runtime_version,
            failures,
            mounts,
            extensions,
            lookups: Arc::new(ProgramLookups::new()),
        })))
    }

    pub(super) fn as_extension(&self, name: &Arc<str>) -> LoadedExtension {
        LoadedExtension {
            name: Arc::clone(name),
            loaded: Arc::clone(&self.0),
        }
    }

    /// Weak reference to this program.
    pub fn downgrade(&self) -> WeakProgram {
        WeakProgram(Arc::downgrade(&self.0))
    }

    /// Language and version of its managed runtime.
    pub fn runtime_version(&self) -> Option<&str> {
        self.0.runtime_version.as_deref()
    }

    /// True if extensions run beside it.
    pub fn has_extensions(&self) -> bool {
        !self.0.extensions.is_empty()
    }

    /// Interface of the component.
    pub fn interface(&self) -> Interface {
        match &*self.0.entry {
            Entry::Handler(_) => Interface::Handler,
            Entry::Streaming(_) => Interface::StreamingHandler,
            Entry::CustomRuntime(_) => Interface::CustomRuntime,
            Entry::Http(_) => Interface::Http,
            Entry::HttpService(_) => Interface::HttpService,
            Entry::Extension(_) => Interface::Extension,
            Entry::Command(_) => Interface::Command,
        }
    }
}

impl WeakProgram {
    /// The program, if still in use.
    pub fn upgrade(&self) -> Option<Program> {
        self.0.upgrade().map(Program)
    }

    /// True if the program is still in use.
    pub fn is_loaded(&self) -> bool {
        self.0.strong_count() > 0
    }
}

/// Loads a component and links it to its imports.
fn link(shared: &engine::Shared, artifact: &Path) -> Result<Entry, Error> {
    let failed = |error: wasmtime::Error| Error::Load {
        path: artifact.to_owned(),
        problem: format!("{error:#}"),
    };
    let component = deserialize(shared, artifact).map_err(failed)?;
    let interface = Interface::of(&component).map_err(|error| Error::Load {
        path: artifact.to_owned(),
        problem: error.to_string(),
    })?;
    let pre = shared.linker.instantiate_pre(&component).map_err(failed)?;
    Entry::new(interface, pre).map_err(failed)
}

/// Linked components in use, by artifact: programs that differ in their files alone share one, as all functions of a
/// managed runtime do.
#[derive(Default)]
pub(super) struct Entries(Mutex<HashMap<PathBuf, Weak<Entry>>>);

impl Entries {
    fn shared(
        &self,
        artifact: &Path,
        link: impl FnOnce() -> Result<Entry, Error>,
    ) -> Result<Arc<Entry>, Error> {
        // Held while it is linked, which takes milliseconds: of many functions that start together, one maps the code.
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get(artifact).and_then(Weak::upgrade) {
            return Ok(entry);
        }
        entries.retain(|_, entry| entry.strong_count() > 0);
        let entry = Arc::new(link()?);
        entries.insert(artifact.to_owned(), Arc::downgrade(&entry));
        Ok(entry)
    }
}

#[expect(
    unsafe_code,
    reason = "precompiled code can only be loaded by vouching for it"
)]
fn deserialize(shared: &engine::Shared, artifact: &Path) -> wasmtime::Result<Component> {
    // SAFETY: the file is one that `compile` made: it alone writes to the artifacts directory of
    // the data directory, by renaming a finished file into place. It is never changed afterwards.
    unsafe { Component::deserialize_file(&shared.engine, artifact) }
}

impl Entry {
    /// # Errors
    /// If the component does not export the whole interface.
    pub(super) fn new(interface: Interface, pre: InstancePre<Guest>) -> wasmtime::Result<Self> {
        Ok(match interface {
            Interface::Handler => Self::Handler(adapter::handler::Pre::new(pre)?),
            Interface::StreamingHandler => Self::Streaming(adapter::streaming::Pre::new(pre)?),
            Interface::CustomRuntime => Self::CustomRuntime(adapter::command::Pre::new(pre)?),
            Interface::Http => Self::Http(adapter::http::Pre::new(pre)?),
            Interface::HttpService => Self::HttpService(adapter::http_service::Pre::new(pre)?),
            Interface::Extension => Self::Extension(adapter::command::Pre::new(pre)?),
            Interface::Command => Self::Command(adapter::command::Pre::new(pre)?),
        })
    }
}

impl fmt::Debug for WeakProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakProgram")
            .field("is_loaded", &self.is_loaded())
            .finish()
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("interface", &self.interface())
            .finish_non_exhaustive()
    }
}
