//! Control plane: Lambda's resources, their rules, and their publication to the data plane.
//! Independent of HTTP and AWS's wire shapes; it never touches an environment.

use std::sync::Arc;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::config::Runtimes;
use crate::invoke::live::{Live, Loader};
use crate::invoke::snapshot::Snapshot;
use crate::library::Library;
use crate::names::Home;
use crate::store::Records;
pub use error::Error;

pub mod alias;
pub mod autoscaling;
pub mod behaviour;
pub mod code_signing;
pub mod code_storage;
mod commit;
pub mod concurrency;
pub mod configuration;
pub mod destination;
pub mod error;
pub mod event_invoke;
pub mod event_source;
pub mod function;
mod function_records;
mod intake;
mod kind;
pub mod layer;
mod ledger;
mod lifecycle;
mod loader;
pub mod origin;
pub mod permission;
mod publication;
mod publisher;
pub mod record;
pub mod revision;
mod rules;
pub mod schedule;
#[cfg(test)]
pub mod simulation;
pub mod tags;
pub mod update;
mod upkeep;
pub mod url;
pub mod vault;
pub mod version;

use lifecycle::Jobs;
use publisher::Publisher;
use vault::Vault;

/// Configuration of the control plane.
#[derive(Clone, Debug)]
pub struct Config {
    /// The account and region of every ARN.
    pub home: Home,
    /// Minimum time that a change shows as in progress. Clients written for AWS rely on seeing it.
    pub settle: std::time::Duration,
    /// Treatment of functions whose runtime this host lacks.
    pub runtimes: Runtimes,
    /// Invocations at once in the account.
    pub concurrency: u32,
    /// Environments that may live at once on this host.
    pub environments: u32,
    /// Environments by which a function may grow in ten seconds.
    pub burst: u32,
    /// Bytes of all packages of the account.
    pub code_bytes_max: u64,
    /// Trusted signing profiles.
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
    /// `LastProcessingResult` of mappings whose pollers have processed something since the start, by id. A std mutex:
    /// no await inside.
    processed: std::sync::Mutex<std::collections::HashMap<String, String>>,
    /// Marks changes of schedules.
    schedules: watch::Sender<()>,
    autoscaling: autoscaling::Wake,
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
            (config.environments, config.burst),
            library.budgets(),
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
            processed: std::sync::Mutex::default(),
            schedules: watch::Sender::new(()),
            autoscaling: autoscaling::Wake::default(),
            clock,
        }));
        control.publish_all().await?;
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

    /// Vault of encrypted environment variables.
    pub fn vault(&self) -> &Vault {
        &self.0.vault
    }

    /// The packages and compiled components.
    pub fn library(&self) -> &Library {
        &self.0.library
    }
}
