//! Deployment packages and layers: received, stored by digest, unzipped, compiled, loaded. Each
//! result is kept on disk and shared by content. Functions, versions and records are unknown here;
//! `control` says which content is in use.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::sandbox::{self, Architecture, Sandbox, TaskMount, compile};
use crate::store::blob::{Blobs, Digest};
use crate::store::object::{self, Objects};
use crate::store::tree::{InsertError, Trees};
use crate::telemetry::metrics::Queue;

mod artifact;
mod bytecode;
mod collect;
mod composition;
mod extension;
mod hold;
pub mod image;
pub mod installed;
mod intake;
mod layer;
mod layered;
mod load;
mod overlay;
pub mod package;
mod programs;
pub mod runtime;
mod turns;

pub use collect::Used;
pub use intake::{Delivery, Origin, Stored};
pub use layer::{Attachment, LayerPackage, kept_for_layers};
pub use turns::{QueueFull, Requester};

use artifact::Artifacts;
use bytecode::{Bytecode, Source};
use hold::{Hold, Holds};
use image::Registries;
use installed::Runtimes;
use programs::Programs;
use turns::{Bounds, Turns};

/// Steps of one kind that wait for their turn. A client that deploys as fast as it can has some hundred under way.
const STEPS_WAITING_MAX: usize = 512;

/// Packages that are unpacked at once. The disk is not faster with more.
const UNPACKINGS_MAX: Bounds = Bounds {
    all: 3,
    per_caller: 2,
    waiting: STEPS_WAITING_MAX,
};
/// Packages that are fetched from S3 at once. Each may take a minute.
const FETCHES_MAX: Bounds = Bounds {
    all: 4,
    per_caller: 3,
    waiting: STEPS_WAITING_MAX,
};

/// A deployment package and the component in it, as records name it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CodeRef {
    /// The package as it was uploaded, or the manifest of an image.
    pub package: Digest,
    /// Its size in bytes. Images have none, as in AWS.
    pub size_bytes: u64,
    /// The image; `None` for a package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<image::Image>,
    /// The component to run. None where the runtime is one that this host does not have.
    pub component: Option<ComponentRef>,
}

impl CodeRef {
    /// True if it is an image that is not pulled and compiled yet.
    pub fn is_unpulled(&self) -> bool {
        self.image.is_some() && self.component.is_none()
    }

    /// Path at which guests see its files.
    fn mount(&self) -> TaskMount {
        let pulled = self.image.as_ref().and_then(|it| it.pulled.as_ref());
        match pulled {
            Some(pulled) if pulled.is_file_system => TaskMount::Root,
            _ => TaskMount::Task,
        }
    }

    /// The code as the caller named it: what follows from pulling an image is left out.
    #[must_use]
    pub fn named(&self) -> Self {
        let mut named = self.clone();
        if let Some(image) = &mut named.image {
            image.pulled = None;
            named.component = None;
        }
        named
    }
}

/// A component in a package.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComponentRef {
    /// Path of its file in the package.
    pub path: String,
    /// The digest of its bytes.
    pub digest: Digest,
}

/// Requirements on a package.
#[derive(Clone, Debug)]
pub struct Requirements {
    /// The program of the function.
    pub program: RequiredProgram,
    /// The architecture to compile for.
    pub architecture: Architecture,
    /// Packages of the function's layers: their code is composed with the component.
    pub layers: Vec<Digest>,
}

/// The program of a function.
#[derive(Clone, Debug)]
pub enum RequiredProgram {
    /// A component in the package.
    Component {
        /// Names it.
        handler: String,
    },
    /// A managed runtime.
    Managed {
        /// The runtime.
        runtime: &'static runtime::Managed,
        /// Refuses the package if the runtime is not installed.
        is_required: bool,
    },
    /// None: the host lacks the runtime.
    Missing,
}

/// Error of a package that was not stored, or a program that was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The package is not allowed.
    #[error(transparent)]
    Package(#[from] package::Error),
    /// The component in it cannot be compiled.
    #[error("{0}")]
    Component(compile::Error),
    /// The package has no component.
    #[error("the function's package has no component")]
    NoComponent,
    /// The runtime of the function is not installed.
    #[error("{}", runtime::not_installed(.0))]
    NotInstalled(&'static runtime::Managed),
    /// The package could not be fetched from S3.
    #[error("the package could not be fetched: {0}")]
    Fetch(#[from] object::Error),
    /// The image could not be pulled.
    #[error(transparent)]
    Image(#[from] image::Error),
    /// Content that a record names is not on the disk.
    #[error("package {0} is not in the data directory")]
    Missing(Digest),
    /// A compiled component is not safe to run as native code.
    #[error(
        "the compiled component {0} is not loaded, since another user could have written it. Make \
         it and its directory writable to the host's user only, or delete it: the host compiles it \
         again when it starts"
    )]
    Untrusted(String),
    /// The sandbox could not load the program.
    #[error(transparent)]
    Sandbox(#[from] sandbox::Error),
    /// The disk failed.
    #[error("the data directory could not be read or written: {0}")]
    Io(#[from] std::io::Error),
    /// Too many deployments wait already.
    #[error(transparent)]
    Busy(#[from] QueueFull),
    /// A worker thread panicked.
    #[error("a worker that read the package ended early")]
    Ended,
}

/// All packages of the host; cheap to clone.
#[derive(Clone, Debug)]
pub struct Library(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    packages: Blobs,
    trees: Trees,
    artifacts: Artifacts,
    objects: Objects,
    registries: Registries,
    sandbox: Sandbox,
    unpackings: Arc<Turns>,
    fetches: Arc<Turns>,
    holds: Holds,
    programs: Programs,
    runtimes: Runtimes,
    bytecode: Bytecode,
    /// Signals a package that was refused and has left its files.
    refusals: Notify,
    leftovers: collect::Leftovers,
}

/// A package that was taken in and that no record names yet. While this lives, neither it nor its
/// component is collected.
#[derive(Debug)]
pub struct Arrival {
    /// Accepted code.
    pub code: CodeRef,
    _holds: (Hold, Option<Hold>),
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
        objects: Objects,
        registries: Registries,
    ) -> std::io::Result<Self> {
        let packages = Blobs::open(&data_dir.join("packages"))?;
        let trees = Trees::open(&data_dir.join("trees"))?;
        let mut leftovers = [packages.leftovers()?, trees.leftovers()?].concat();
        let artifacts = Artifacts::open(data_dir.join("artifacts"), sandbox.clone(), compiler)?;
        let bytecode = Bytecode::open(&data_dir.join("bytecode"))?;
        leftovers.extend(bytecode.leftovers()?);
        let runtimes = Runtimes::open(data_dir)?;
        runtimes.collect()?;
        Ok(Self(Arc::new(Inner {
            packages,
            trees,
            artifacts,
            objects,
            registries,
            sandbox,
            unpackings: Turns::new("unpack", UNPACKINGS_MAX),
            fetches: Turns::new("fetch", FETCHES_MAX),
            holds: Holds::default(),
            programs: Programs::default(),
            runtimes,
            bytecode,
            refusals: Notify::new(),
            leftovers: collect::Leftovers::new(leftovers),
        })))
    }

    /// Budgets of the environments that programs of this library run in.
    pub fn budgets(&self) -> Arc<sandbox::Budgets> {
        self.0.sandbox.budgets()
    }

    /// Registries that images are pulled from.
    fn registries(&self) -> &Registries {
        &self.0.registries
    }

    /// Unpacks and compiles a package. When this returns, all of it is durable.
    ///
    /// # Errors
    /// Where the package or its component cannot be run, with what is wrong and what to do.
    pub async fn check_in(
        &self,
        package: &Stored,
        requirements: Requirements,
    ) -> Result<Arrival, Error> {
        let arrival = self.unpack_and_compile(package, requirements).await;
        if arrival.is_err() {
            self.0.refusals.notify_one();
        }
        arrival
    }

    /// Steps of deployments under way and waiting.
    pub fn queues(&self) -> [Queue; 3] {
        let inner = &self.0;
        [&inner.fetches, &inner.unpackings, inner.artifacts.turns()].map(|it| it.gauge())
    }

    /// Asks for a collection soon: the code of something that was deleted may be unused now, and on a full disk
    /// its memory is needed.
    pub fn collect_soon(&self) {
        self.0.refusals.notify_one();
    }

    /// Waits for a package that was refused and has left its files, or for code that may be unused.
    pub async fn refused(&self) {
        self.0.refusals.notified().await;
    }

    async fn unpack_and_compile(
        &self,
        package: &Stored,
        requirements: Requirements,
    ) -> Result<Arrival, Error> {
        let source = package.source();
        let read = blocking(move || Ok(package::Package::read(source)?)).await?;
        let unpack = move |into: &Path| Ok(read.unpack(into)?);
        let requester = package.requester();
        self.make_tree(&package.hold, requester, unpack).await?;
        let (hold, size_bytes) = (package.hold.clone(), package.size_bytes());
        self.choose_and_compile(hold, size_bytes, requirements, requester)
            .await
    }

    /// Finds the component again in a package that is here, for another handler or runtime.
    ///
    /// # Errors
    /// As [`check_in`](Self::check_in).
    pub async fn choose(
        &self,
        code: &CodeRef,
        requirements: Requirements,
        requester: &Requester,
    ) -> Result<Arrival, Error> {
        let hold = self.0.holds.hold(code.package).await;
        self.choose_and_compile(hold, code.size_bytes, requirements, requester)
            .await
    }

    async fn choose_and_compile(
        &self,
        package: Hold,
        size_bytes: u64,
        requirements: Requirements,
        requester: &Requester,
    ) -> Result<Arrival, Error> {
        let (inner, digest) = (Arc::clone(&self.0), package.digest());
        let component = match requirements.program {
            RequiredProgram::Component { handler } => {
                Some(blocking(move || inner.component(&digest, &handler)).await?)
            }
            RequiredProgram::Managed {
                runtime,
                is_required,
            } => match self.runtime_artifact(runtime, requester).await {
                Err(Error::NotInstalled(_)) if !is_required => None,
                found => {
                    let (installed, artifact, _hold) = found?;
                    // Kept by the package's record: an early collection costs only the time to make it again.
                    let made =
                        self.bytecode(&installed, &artifact, digest, Source::Task, requester);
                    made.await?;
                    None
                }
            },
            RequiredProgram::Missing => None,
        };
        let code = CodeRef {
            package: digest,
            size_bytes,
            component,
            image: None,
        };
        let (architecture, layers) = (requirements.architecture, requirements.layers);
        let component = self
            .compile(&code, architecture, &layers, requester)
            .await?;
        Ok(Arrival {
            code,
            _holds: (package, component),
        })
    }

    /// Makes the tree of content that is held, if it is not here.
    async fn make_tree(
        &self,
        of: &Hold,
        requester: &Requester,
        fill: impl FnOnce(&Path) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        let (digest, turn) = (of.digest(), of.turn().await);
        let inner = Arc::clone(&self.0);
        if blocking(move || Ok(inner.trees.find(&digest)))
            .await?
            .is_some()
        {
            return Ok(());
        }
        let permit = self.0.unpackings.take(requester).await?;
        // They are the work's own: it goes on when its caller has gone away.
        let (inner, held) = (Arc::clone(&self.0), (turn, permit, of.clone()));
        blocking(move || {
            let _held = held;
            let inserted = inner.trees.insert(&digest, fill);
            inserted.map_err(|error| match error {
                InsertError::Fill(error) => error,
                InsertError::Io(error) => Error::Io(error),
            })
        })
        .await
    }

    /// Compiles a component where this engine has not: after an upgrade, nothing that was compiled before
    /// can be loaded.
    ///
    /// # Errors
    /// Where it cannot be compiled any more.
    pub async fn refresh(
        &self,
        code: &CodeRef,
        architecture: Architecture,
        layers: &[Digest],
        requester: &Requester,
    ) -> Result<(), Error> {
        let compiled = self.compile(code, architecture, layers, requester);
        compiled.await.map(drop)
    }

    /// Compiles the component that runs for this code with these packages of layers; a guard on it.
    async fn compile(
        &self,
        code: &CodeRef,
        architecture: Architecture,
        layers: &[Digest],
        requester: &Requester,
    ) -> Result<Option<Hold>, Error> {
        let Some(component) = &code.component else {
            return Ok(None);
        };
        let runnable = self.runnable(code, component, layers, requester).await?;
        let artifacts = &self.0.artifacts;
        artifacts
            .compile(runnable.digest, architecture, runnable.input, requester)
            .await?;
        Ok(Some(runnable.hold))
    }
}

impl Inner {
    fn tree(&self, package: &Digest) -> Result<std::path::PathBuf, Error> {
        self.trees.find(package).ok_or(Error::Missing(*package))
    }

    /// The component that a handler names in an unpacked package.
    fn component(&self, package: &Digest, handler: &str) -> Result<ComponentRef, Error> {
        let tree = self.tree(package)?;
        let path = package::choose(&tree, handler)?;
        let digest = Digest::read(std::fs::File::open(tree.join(&path))?)?;
        let path = path.to_string_lossy().into_owned();
        Ok(ComponentRef { path, digest })
    }
}

/// Runs work that waits for the disk or takes long off the workers that serve requests.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    #[cfg(test)]
    if crate::clock::runs_inline() {
        return work();
    }
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or(Err(Error::Ended))
}

#[cfg(test)]
impl Library {
    fn for_test(dir: &Path) -> Self {
        Self::compiled_by(dir, compile::Compiler::InProcess)
    }

    fn compiled_by(dir: &Path, compiler: compile::Compiler) -> Self {
        let scratch_dir = dir.join("scratch");
        std::fs::create_dir_all(&scratch_dir).unwrap();
        let config = sandbox::Config {
            environments_max: 1,
            memory_bytes: None,
            scratch_bytes: None,
            scratch_dir,
            egress: sandbox::Egress::default(),
            egress_near: Vec::new(),
            egress_rules: Vec::new(),
            trust: crate::outbound::Trust::default(),
            file_systems: Vec::new(),
        };
        let sandbox = Sandbox::new(config, crate::clock::Clock::system()).unwrap();
        let objects = Objects::none();
        let registries = Registries::for_test();
        Self::open(dir, sandbox, compiler, objects, registries).unwrap()
    }

    async fn received(&self, bytes: impl Into<bytes::Bytes>) -> Stored {
        let requester = Requester::new("caller", "function");
        let delivery = Delivery::new(Origin::Upload(bytes.into()), requester);
        self.receive(delivery).await.unwrap()
    }
}
