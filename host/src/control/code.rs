//! Deployment packages on their way to becoming programs: checked, stored by digest, unpacked,
//! compiled, loaded. Each step is kept on disk and shared by every function with the same bytes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::{Error, package};
use crate::invoke::snapshot::{LoadError, ProgramSource};
use crate::sandbox::{self, Program, Sandbox, compile};
use crate::store::blob::{Blobs, Digest, Trees};

mod collect;
mod layer;
mod overlay;

pub use layer::{Attachment, LayerPackage, LayerUse};

/// Compilations that run at once. Each takes a core and some hundred MiB for its whole time.
const COMPILATIONS_MAX: usize = 2;

/// A deployment package and the component in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CodeRef {
    /// The package as it was uploaded.
    pub package: Digest,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Where in the package the component is.
    pub component_path: String,
    /// The component.
    pub component: Digest,
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
    arrivals: collect::Arrivals,
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
        Ok(Self(Arc::new(Shelves {
            packages: Blobs::open(&data_dir.join("packages"))?,
            trees: Trees::open(&data_dir.join("trees"))?,
            artifacts,
            sandbox,
            compiler,
            compilations: Semaphore::new(COMPILATIONS_MAX),
            arrivals: collect::Arrivals::default(),
        })))
    }

    /// Takes in a package: when this returns it is durable, unpacked and compiled.
    ///
    /// # Errors
    /// Where the package or its component cannot be run, with what is wrong and what to do.
    pub async fn check_in(&self, bytes: Bytes, handler: &str) -> Result<Arrival, Error> {
        let digest = Digest::of(&bytes);
        let arrival = self.0.arrivals.expect(digest);
        let (shelves, handler) = (Arc::clone(&self.0), handler.to_owned());
        let code = blocking(move || shelves.unpack(digest, &bytes, &handler)).await?;
        self.0.compile(&code).await?;
        Ok(arrival.of(code))
    }

    /// Finds the component again in a package that is here, for another handler.
    ///
    /// # Errors
    /// As [`check_in`](Self::check_in).
    pub async fn choose(&self, code: &CodeRef, handler: &str) -> Result<CodeRef, Error> {
        let (shelves, handler, code) = (Arc::clone(&self.0), handler.to_owned(), code.clone());
        let code =
            blocking(move || shelves.choose(code.package, code.size_bytes, &handler)).await?;
        self.0.compile(&code).await?;
        Ok(code)
    }

    /// Compiles a component again where this engine has not: after an upgrade, nothing that was
    /// compiled before is any good.
    ///
    /// # Errors
    /// Where it cannot be compiled any more.
    pub async fn refresh(&self, code: &CodeRef) -> Result<(), Error> {
        self.0.compile(code).await.map(drop)
    }

    /// The package as it was uploaded.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub async fn package(&self, digest: Digest) -> Result<Option<Bytes>, Error> {
        let shelves = Arc::clone(&self.0);
        blocking(move || shelves.packages.get(&digest).map_err(io)).await
    }

    /// What loads this code, with these layers, when it is first run.
    pub fn source(&self, code: &CodeRef, layers: &[LayerUse]) -> Box<dyn ProgramSource> {
        Box::new(Source {
            library: self.clone(),
            code: code.clone(),
            layers: LayerUse::packages(layers),
        })
    }
}

/// A package that was taken in and that no record names yet. While this lives, it is not collected.
#[derive(Debug)]
pub struct Arrival {
    /// What came in.
    pub code: CodeRef,
    _guard: collect::Expected,
}

impl Shelves {
    fn unpack(&self, digest: Digest, bytes: &Bytes, handler: &str) -> Result<CodeRef, Error> {
        let read = package::Package::read(bytes.clone()).map_err(refused)?;
        if self.trees.tree(&digest).is_none() {
            self.trees
                .insert(&digest, |into| read.unpack(into))
                .map_err(|error| match error {
                    crate::store::blob::InsertError::Fill(error) => refused(error),
                    crate::store::blob::InsertError::Io(error) => io(error),
                })?;
        }
        let size_bytes = u64::try_from(bytes.len()).expect("a length fits in 64 bits");
        let code = self.choose(digest, size_bytes, handler)?;
        self.packages.put(bytes).map_err(io)?;
        Ok(code)
    }

    fn choose(&self, package: Digest, size_bytes: u64, handler: &str) -> Result<CodeRef, Error> {
        let tree = self.tree(&package)?;
        let path = package::choose(&tree, handler).map_err(refused)?;
        let component = Digest::of(&std::fs::read(&path).map_err(io)?);
        let inside = path.strip_prefix(&tree).unwrap_or(&path);
        let component_path = inside.to_string_lossy().into_owned();
        Ok(CodeRef {
            package,
            size_bytes,
            component_path,
            component,
        })
    }

    async fn compile(&self, code: &CodeRef) -> Result<PathBuf, Error> {
        let artifact = self.artifact(code);
        if tokio::fs::try_exists(&artifact).await.map_err(io)? {
            return Ok(artifact);
        }
        let _turn = self
            .compilations
            .acquire()
            .await
            .expect("the semaphore is never closed");
        let component = self.tree(&code.package)?.join(&code.component_path);
        match compile::compile(&self.compiler, &component, &artifact).await {
            Ok(_) => Ok(artifact),
            Err(error) if error.is_callers_fault() => Err(Error::Invalid(error.to_string())),
            Err(error) => Err(Error::Internal(error.to_string())),
        }
    }

    fn tree(&self, package: &Digest) -> Result<PathBuf, Error> {
        let missing = || Error::Internal(format!("package {package} is not in the data directory"));
        self.trees.tree(package).ok_or_else(missing)
    }

    /// A compiled component is good for one engine only, so the engine is part of its name.
    fn artifact(&self, code: &CodeRef) -> PathBuf {
        let engine = self.sandbox.compatibility();
        self.artifacts
            .join(format!("{}-{engine}.cwasm", code.component))
    }
}

#[derive(Debug)]
struct Source {
    library: Library,
    code: CodeRef,
    /// The packages of its layers, in order.
    layers: Vec<Digest>,
}

#[async_trait]
impl ProgramSource for Source {
    async fn load(&self) -> Result<Program, LoadError> {
        let Self {
            library,
            code,
            layers,
        } = self;
        let shelves = &library.0;
        let artifact = shelves.compile(code).await.map_err(unloadable)?;
        let task_dir = shelves.tree(&code.package).map_err(unloadable)?;
        let opt_dir = library.opt_dir(layers.clone()).await.map_err(unloadable)?;
        let source = sandbox::Source { task_dir, opt_dir };
        shelves.sandbox.load(&artifact, source).map_err(unloadable)
    }
}

fn unloadable(error: impl std::error::Error + Send + Sync + 'static) -> LoadError {
    LoadError(Box::new(error))
}

fn refused(error: package::Error) -> Error {
    match error {
        package::Error::Io(error) => io(error),
        error => Error::Invalid(error.to_string()),
    }
}

fn io(error: std::io::Error) -> Error {
    Error::Internal(format!(
        "the data directory could not be read or written: {error}"
    ))
}

/// Files are read and written off the workers that serve requests.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let ended = |_| Error::Internal("a worker that read the package ended early".into());
    tokio::task::spawn_blocking(work).await.map_err(ended)?
}
