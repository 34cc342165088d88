//! Deployment packages on their way to becoming programs: checked, stored by digest, unpacked,
//! compiled, loaded. Each step is kept on disk and shared by every function with the same bytes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, Semaphore};

use super::configuration::Configuration;
use super::{Error, package, rules};
use crate::invoke::live::LoadError;
use crate::invoke::snapshot;
use crate::sandbox::{self, Architecture, Program, Sandbox, compile};
use crate::store::blob::{Blobs, Digest, InsertError, Trees};

mod artifact;
mod collect;
mod layer;
mod overlay;

pub use collect::Used;
pub use layer::{Attachment, LayerPackage, LayerUse};

/// Compilations that run at once. Each takes a core and some hundred MiB for its whole time.
const COMPILATIONS_MAX: usize = 2;

/// Packages that are unpacked at once. The disk is not faster with more, and whoever has many shall
/// not keep it from everyone else.
const UNPACKINGS_MAX: usize = 2;

/// A deployment package and the component in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CodeRef {
    /// The package as it was uploaded.
    pub package: Digest,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// The component to run. None where the runtime is one that this host does not have.
    pub component: Option<ComponentRef>,
}

impl CodeRef {
    /// The code of a published version. The size of its package is not among it.
    pub(super) fn of(code: &snapshot::Code) -> Self {
        Self {
            package: code.package,
            size_bytes: 0,
            component: code.component.as_ref().map(|it| ComponentRef {
                path: it.path.as_ref().to_owned(),
                digest: it.digest,
            }),
        }
    }
}

/// A component in a package.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComponentRef {
    /// Where in the package it is.
    pub path: String,
    /// The digest of its bytes.
    pub digest: Digest,
}

/// All packages of the host; cheap to clone.
#[derive(Clone, Debug)]
pub struct Library(Arc<Shelves>);

#[derive(Debug)]
struct Shelves {
    packages: Blobs,
    trees: Trees,
    artifacts: PathBuf,
    sandbox: Sandbox,
    compiler: compile::Compiler,
    compilations: Semaphore,
    unpackings: Arc<Semaphore>,
    arrivals: collect::Arrivals,
    leftovers: Notify,
    told_of_foreign: AtomicBool,
}

impl Library {
    /// The library in a data directory.
    ///
    /// # Errors
    /// Where the directory cannot be made or read.
    pub fn open(
        data_dir: &Path,
        sandbox: Sandbox,
        compiler: compile::Compiler,
    ) -> std::io::Result<Self> {
        let artifacts = data_dir.join("artifacts");
        std::fs::create_dir_all(&artifacts)?;
        artifact::tidy(&artifacts)?;
        Ok(Self(Arc::new(Shelves {
            packages: Blobs::open(&data_dir.join("packages"))?,
            trees: Trees::open(&data_dir.join("trees"))?,
            artifacts,
            sandbox,
            compiler,
            compilations: Semaphore::new(COMPILATIONS_MAX),
            unpackings: Arc::new(Semaphore::new(UNPACKINGS_MAX)),
            arrivals: collect::Arrivals::default(),
            leftovers: Notify::new(),
            told_of_foreign: AtomicBool::new(false),
        })))
    }

    /// Takes in a package: when this returns it is durable, unpacked and compiled.
    ///
    /// # Errors
    /// Where the package or its component cannot be run, with what is wrong and what to do.
    pub async fn check_in(
        &self,
        bytes: Bytes,
        configuration: &Configuration,
    ) -> Result<Arrival, Error> {
        let taken = self.take_in(bytes, configuration).await;
        if taken.is_err() {
            self.0.leftovers.notify_one();
        }
        taken
    }

    /// Waits for a package that was refused and may have left its files.
    pub(super) async fn left_over(&self) {
        self.0.leftovers.notified().await;
    }

    async fn take_in(&self, bytes: Bytes, configuration: &Configuration) -> Result<Arrival, Error> {
        let digest = Digest::of(&bytes);
        let arrival = self.0.arrivals.expect(digest);
        let package = bytes.clone();
        let read = blocking(move || package::Package::read(package).map_err(refused)).await?;
        let unpack = move |into: &Path| read.unpack(into).map_err(refused);
        self.make_tree(&arrival, unpack).await?;
        let (shelves, handler) = (Arc::clone(&self.0), wanted(configuration));
        let code = blocking(move || shelves.keep(digest, &bytes, handler.as_deref())).await?;
        self.compiled(arrival, code, configuration.architecture)
            .await
    }

    /// Makes the tree of something that comes in, if it is not here.
    async fn make_tree(
        &self,
        of: &collect::Expected,
        fill: impl FnOnce(&Path) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        let digest = of.digest();
        let turn = of.turn().await;
        if self.0.trees.tree(&digest).is_some() {
            return Ok(());
        }
        let place = Arc::clone(&self.0.unpackings).acquire_owned().await;
        let place = place.expect("the semaphore is never closed");
        let shelves = Arc::clone(&self.0);
        blocking(move || {
            // They are the work's own: it goes on when its caller has gone away.
            let _held = (turn, place);
            let inserted = shelves.trees.insert(&digest, fill);
            inserted.map_err(|error| match error {
                InsertError::Fill(error) => error,
                InsertError::Io(error) => io(error),
            })
        })
        .await
    }

    /// Finds the component again in a package that is here, for another handler or runtime.
    ///
    /// # Errors
    /// As [`check_in`](Self::check_in).
    pub async fn choose(
        &self,
        code: &CodeRef,
        configuration: &Configuration,
    ) -> Result<Arrival, Error> {
        let arrival = self.0.arrivals.expect(code.package);
        let (shelves, handler) = (Arc::clone(&self.0), wanted(configuration));
        let (package, size_bytes) = (code.package, code.size_bytes);
        let choose = move || shelves.choose(package, size_bytes, handler.as_deref());
        let code = blocking(choose).await?;
        self.compiled(arrival, code, configuration.architecture)
            .await
    }

    /// Compiles what came in.
    async fn compiled(
        &self,
        package: collect::Expected,
        code: CodeRef,
        architecture: Architecture,
    ) -> Result<Arrival, Error> {
        let component = code.component.as_ref();
        let component = component.map(|it| self.0.arrivals.expect(it.digest));
        self.0.compile(&code, architecture).await?;
        Ok(Arrival {
            code,
            _guards: (package, component),
        })
    }

    /// Compiles a component again where this engine has not: after an upgrade, nothing that was
    /// compiled before is any good.
    ///
    /// # Errors
    /// Where it cannot be compiled any more.
    pub async fn refresh(&self, code: &CodeRef, architecture: Architecture) -> Result<(), Error> {
        self.0.compile(code, architecture).await
    }

    /// The package as it was uploaded.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub async fn package(&self, digest: Digest) -> Result<Option<Bytes>, Error> {
        let shelves = Arc::clone(&self.0);
        blocking(move || shelves.packages.get(&digest).map_err(io)).await
    }

    /// Loads this code, compiled anew if need be, with these packages of layers.
    ///
    /// # Errors
    /// Where it cannot be loaded.
    pub(super) async fn load(
        &self,
        code: &CodeRef,
        architecture: Architecture,
        layers: &[Digest],
    ) -> Result<Program, LoadError> {
        let shelves = &self.0;
        let artifact = shelves.runnable(code, architecture).await;
        let artifact = artifact
            .map_err(unloadable)?
            .ok_or(LoadError::NoComponent)?;
        let source = sandbox::Source {
            task_dir: shelves.tree(&code.package).map_err(unloadable)?,
            opt_dir: self.opt_dir(layers.to_vec()).await.map_err(unloadable)?,
        };
        shelves.sandbox.load(&artifact, source).map_err(unloadable)
    }
}

/// A package that was taken in and that no record names yet. While this lives, neither it nor what was
/// compiled of it is collected.
#[derive(Debug)]
pub struct Arrival {
    /// What came in.
    pub code: CodeRef,
    _guards: (collect::Expected, Option<collect::Expected>),
}

impl Shelves {
    /// Keeps a package that is unpacked, if there is a component in it.
    fn keep(&self, digest: Digest, bytes: &Bytes, handler: Option<&str>) -> Result<CodeRef, Error> {
        let size_bytes = u64::try_from(bytes.len()).expect("a length fits in 64 bits");
        let code = self.choose(digest, size_bytes, handler)?;
        self.packages.put(bytes).map_err(io)?;
        Ok(code)
    }

    fn choose(
        &self,
        package: Digest,
        size_bytes: u64,
        handler: Option<&str>,
    ) -> Result<CodeRef, Error> {
        let component = handler.map(|handler| {
            let tree = self.tree(&package)?;
            let path = package::choose(&tree, handler).map_err(refused)?;
            let digest = Digest::of(&std::fs::read(&path).map_err(io)?);
            let inside = path.strip_prefix(&tree).unwrap_or(&path);
            let path = inside.to_string_lossy().into_owned();
            Ok::<_, Error>(ComponentRef { path, digest })
        });
        Ok(CodeRef {
            package,
            size_bytes,
            component: component.transpose()?,
        })
    }

    fn tree(&self, package: &Digest) -> Result<PathBuf, Error> {
        let missing = || Error::Internal(format!("package {package} is not in the data directory"));
        self.trees.tree(package).ok_or_else(missing)
    }
}

/// The handler that names the component; None where the runtime is not one of components.
fn wanted(configuration: &Configuration) -> Option<String> {
    let runs = rules::is_component_runtime(&configuration.runtime);
    runs.then(|| configuration.handler.clone())
}

fn unloadable(error: impl std::error::Error + Send + Sync + 'static) -> LoadError {
    LoadError::Failed(Box::new(error))
}

pub(super) fn refused(error: package::Error) -> Error {
    match error {
        package::Error::Io(error) => io(error),
        error @ package::Error::ZippedTooLarge => Error::PackageTooLarge(error.to_string()),
        error => Error::Invalid(error.to_string()),
    }
}

fn io(error: std::io::Error) -> Error {
    Error::Internal(format!(
        "the data directory could not be read or written: {error}"
    ))
}

/// Files are read and written off the workers that serve requests.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let ended = |_| Error::Internal("a worker that read the package ended early".into());
    tokio::task::spawn_blocking(work).await.map_err(ended)?
}

#[cfg(test)]
impl Library {
    fn for_test(dir: &Path) -> Self {
        let scratch_dir = dir.join("scratch");
        std::fs::create_dir_all(&scratch_dir).unwrap();
        let config = sandbox::Config {
            environments_max: 1,
            scratch_dir,
            egress: sandbox::Egress::default(),
        };
        let sandbox = Sandbox::new(config, crate::clock::Clock::system()).unwrap();
        Self::open(dir, sandbox, compile::Compiler::InProcess).unwrap()
    }
}
