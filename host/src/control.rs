//! Lambda's resources and their rules: what may be created, how it changes, what is published to
//! the data plane. It knows nothing of HTTP or AWS's wire shapes, and never touches an environment.

use std::sync::Arc;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::config::Runtimes;
use crate::invoke::live::{Live, Loader};
use crate::invoke::snapshot::Snapshot;
use crate::library::Library;
use crate::names::Home;
use crate::store::{self, Records};

pub mod alias;
pub mod behaviour;
pub mod code_signing;
mod code_storage;
mod commit;
pub mod concurrency;
pub mod configuration;
pub mod destination;
pub mod event_invoke;
pub mod event_source;
mod family;
pub mod function;
pub mod layer;
mod ledger;
mod lifecycle;
mod loader;
mod origin;
pub mod permission;
mod publication;
mod publisher;
pub mod record;
mod revision;
mod rules;
pub mod tags;
pub mod update;
mod upkeep;
pub mod url;
pub mod vault;
pub mod version;

use lifecycle::Jobs;
use publisher::Publisher;
use vault::Vault;

/// Why a change or a read was refused. The text is AWS's own where AWS has one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A member's value is not allowed, alone or beside others.
    #[error("{0}")]
    Invalid(String),
    /// The same, where AWS does not say whose fault it is.
    #[error("{0}")]
    InvalidUntyped(String),
    /// The resource does not exist.
    #[error("{0}")]
    NotFound(String),
    /// No concurrency is provisioned for the version or alias.
    #[error("No Provisioned Concurrency Config found for this function")]
    NotProvisioned,
    /// The resource exists already, or is in a state that does not allow this.
    #[error("{0}")]
    Conflict(String),
    /// The resource is being changed, and does not take another change until that is done.
    #[error("{0}")]
    InUse(String),
    /// The caller's `RevisionId` is not the resource's.
    #[error("{0}")]
    Precondition(String),
    /// The caller may not have this.
    #[error("{0}")]
    Denied(String),
    /// The account's code storage is used up.
    #[error("{0}")]
    CodeStorageExceeded(String),
    /// The package is larger than packages may be.
    #[error("{0}")]
    PackageTooLarge(String),
    /// A policy would be longer than policies may be.
    #[error("{0}")]
    PolicyTooLong(String),
    /// The code signing configuration that a function has or shall have does not exist.
    #[error("{0}")]
    CodeSigningConfigNotFound(String),
    /// The package has no signature that counts, and its function's configuration asks for one.
    #[error("{0}")]
    CodeVerificationFailed(String),
    /// The package is signed and is not what was signed.
    #[error("{0}")]
    InvalidCodeSignature(String),
    /// The request is well-formed and this host cannot do it yet.
    #[error("{0}")]
    Unsupported(String),
    /// The store failed; nothing was changed.
    #[error("the store failed")]
    Store(#[source] store::Error),
    /// A worker of this host failed; nothing was changed.
    #[error("{0}")]
    Internal(String),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Conflict(_) => Self::Conflict(
                "The resource was changed by another request at the same time. Try again.".into(),
            ),
            error => Self::Store(error),
        }
    }
}

/// What the control plane is built with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The account and region of every ARN.
    pub home: Home,
    /// How long a change stays visible as in progress. Clients written for AWS rely on seeing it.
    pub settle: std::time::Duration,
    /// What becomes of functions whose runtime this host does not have.
    pub runtimes: Runtimes,
    /// Invocations at once in the account.
    pub concurrency: u32,
    /// Environments that may live at once on this host.
    pub environments: u32,
    /// Bytes of all packages of the account.
    pub code_bytes_max: u64,
    /// Whose signatures can be checked.
    pub signing_profiles: code_signing::profile::Profiles,
}

/// The control plane; cheap to clone.
#[derive(Clone, Debug)]
pub struct Control(Arc<Plane>);

#[derive(Debug)]
struct Plane {
    config: Config,
    records: Arc<dyn Records>,
    library: Library,
    code_storage: code_storage::CodeStorage,
    vault: Arc<Vault>,
    publisher: Arc<Publisher>,
    live: Live,
    jobs: Jobs,
    clock: Clock,
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.publisher.close();
    }
}

impl Control {
    /// Reads every function of the store, publishes them, and resumes the jobs that a stop of the process
    /// had cut short.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn open(
        config: Config,
        records: Arc<dyn Records>,
        library: Library,
        vault: Vault,
        loader: Option<Arc<dyn Loader>>,
        clock: Clock,
    ) -> Result<Self, Error> {
        let (snapshot, snapshots) = watch::channel(Arc::<Snapshot>::default());
        let vault = Arc::new(vault);
        let loader = loader.unwrap_or_else(|| loader::loader(&library, &vault));
        let live = Live::new(
            snapshots,
            loader,
            config.concurrency,
            config.environments,
            clock.clone(),
        );
        let control = Self(Arc::new(Plane {
            config,
            records,
            library,
            code_storage: code_storage::CodeStorage::default(),
            vault,
            publisher: Publisher::new(snapshot),
            live,
            jobs: Jobs::default(),
            clock,
        }));
        control.publish_all().await?;
        control.resume_event_source_mappings().await?;
        let plane = &control.0;
        let (publisher, clock) = (Arc::clone(&plane.publisher), plane.clock.clone());
        tokio::spawn(publisher::run(publisher, Arc::downgrade(plane), clock));
        Ok(control)
    }

    /// Live state of the functions, for the data plane.
    pub fn live(&self) -> &Live {
        &self.0.live
    }

    /// The account and region of every ARN.
    pub fn home(&self) -> &Home {
        &self.0.config.home
    }

    /// What opens sealed environment variables.
    pub fn vault(&self) -> &Vault {
        &self.0.vault
    }

    /// The packages and compiled components.
    pub fn library(&self) -> &Library {
        &self.0.library
    }
}
