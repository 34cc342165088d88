//! Live state of deployments: warm environments, permits, loaded programs, provisioned concurrency.
//! Entries are made when a deployment first runs, and dropped when no snapshot has it any more.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use async_trait::async_trait;
use dashmap::DashMap;
use tokio::sync::{Notify, OnceCell, watch};

use super::admit::{Account, Gate};
use super::pool::Pool;
use super::provision::{Provision, Provisioning};
use super::slot::Slots;
use super::snapshot::{Code, Snapshot, Version};
use crate::clock::Clock;
use crate::names::{FunctionName, Qualifier};
use crate::sandbox::{Balance, Budgets, Demand, Program, Resource, Share};
use admission::Departures;

pub mod admission;
#[cfg(test)]
mod tests;

/// Error of a version's code that could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Its runtime is not one of this host's; the text says which are.
    #[error("{0}")]
    Runtime(String),
    /// There is no component in its package.
    #[error("the function's package has no component")]
    NoComponent,
    /// The host failed.
    #[error("the function's code could not be loaded: {0}")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Loads the code of versions.
#[async_trait]
pub trait Loader: fmt::Debug + Send + Sync {
    /// Loads the program of a version.
    async fn load(&self, version: &Version) -> Result<Program, LoadError>;

    /// The author's environment variables, opened.
    fn variables(&self, code: &Code) -> Result<Vec<(String, String)>, LoadError>;
}

/// Live state of all deployments; cheap to clone.
#[derive(Clone, Debug)]
pub struct Live(Arc<State>);

#[derive(Debug)]
struct State {
    snapshot: watch::Receiver<Arc<Snapshot>>,
    // No guard of either map is held across an await.
    deployments: DashMap<Arc<str>, Arc<Deployment>>,
    gates: DashMap<FunctionName, Arc<Gate>>,
    account: Arc<Account>,
    slots: Slots,
    budgets: Arc<Budgets>,
    evictions: admission::Evictions,
    departures: Departures,
    loader: Arc<dyn Loader>,
    /// Wakes the provisioner: an environment was lost, or a fill has ended.
    lost: Arc<Notify>,
    clock: Clock,
}

/// Live state of one deployment.
#[derive(Debug)]
pub(super) struct Deployment {
    pub(super) version: Arc<Version>,
    /// Its idle environments.
    pub(super) pool: Pool,
    /// Its provisioned concurrency.
    pub(super) provisioning: Arc<Provisioning>,
    /// Counts the invocations of its function.
    pub(super) gate: Arc<Gate>,
    /// Lambda's own environment variables that all its environments share.
    pub(super) variables: OnceLock<Arc<[(String, String)]>>,
    /// The processor time of its function; none before the first call.
    pub(super) share: OnceLock<Share>,
    /// Demand of its environments for memory and scratch space.
    pub(super) demand: Arc<Demand>,
    program: OnceCell<Program>,
    loader: Arc<dyn Loader>,
}

impl Live {
    pub(super) fn account(&self) -> &Account {
        &self.0.account
    }

    /// Permits in use in the account, and their bound.
    pub(super) fn permits(&self) -> (u64, u64) {
        let account = &self.0.account;
        (account.in_flight(), account.concurrency().into())
    }

    /// Permits of unreserved concurrency in use.
    pub(super) fn unreserved(&self) -> u64 {
        self.0.account.unreserved()
    }

    /// Numbers of one of the host's budgets.
    pub(super) fn balance(&self, resource: Resource) -> Balance {
        self.0.budgets.balance(resource)
    }

    /// Live state over `snapshot`, with at most `environments` environments, within `budgets`, and `concurrency`
    /// invocations at once; a function grows by `burst` environments in ten seconds.
    pub fn new(
        snapshot: watch::Receiver<Arc<Snapshot>>,
        loader: Arc<dyn Loader>,
        concurrency: u32,
        (environments, burst): (u32, u32),
        budgets: Arc<Budgets>,
        clock: Clock,
    ) -> Self {
        let live = Self(Arc::new(State {
            snapshot,
            deployments: DashMap::new(),
            gates: DashMap::new(),
            account: Arc::new(Account::new(concurrency, burst)),
            slots: Slots::new(environments),
            budgets: Arc::clone(&budgets),
            evictions: admission::Evictions::default(),
            departures: Departures::default(),
            loader,
            lost: Arc::default(),
            clock,
        }));
        // Weak, since environments hold their part of the budgets.
        let state: Weak<State> = Arc::downgrade(&live.0);
        budgets.set_evictor(state);
        live
    }

    /// The functions as they are now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.0.snapshot.borrow())
    }

    pub(super) fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.0.snapshot.clone()
    }

    pub(super) fn lost(&self) -> &Notify {
        &self.0.lost
    }

    /// The live state of a version's deployment, made where there is none.
    pub(super) fn deployment(&self, version: &Arc<Version>) -> Arc<Deployment> {
        if let Some(found) = self.0.deployments.get(&version.deployment) {
            return Arc::clone(&found);
        }
        let key = Arc::clone(&version.deployment);
        let made = self.0.deployments.entry(key);
        let made = Arc::clone(&made.or_insert_with(|| Arc::new(self.open(version))));
        // The version may have gone since the caller resolved it, and `follow` with it: nothing else
        // would drop the entry.
        if !self.snapshot().has(version) {
            self.retire(&made);
        }
        made
    }

    fn open(&self, version: &Arc<Version>) -> Deployment {
        let name = FunctionName::parse(&version.facts.name).expect("a version has a valid name");
        let gate = self.0.gates.entry(name);
        let gate = gate.or_insert_with(|| Arc::new(Gate::new(Arc::clone(&self.0.account))));
        Deployment {
            version: Arc::clone(version),
            pool: Pool::default(),
            provisioning: Arc::new(Provisioning::new(Arc::clone(&self.0.lost))),
            gate: Arc::clone(&gate),
            variables: OnceLock::new(),
            share: OnceLock::new(),
            demand: Arc::default(),
            program: OnceCell::new(),
            loader: Arc::clone(&self.0.loader),
        }
    }

    /// Drops the state of deployments that `snapshot` does not have; busy environments go when they return.
    pub(super) fn follow(&self, snapshot: &Snapshot) {
        for deployment in self.all() {
            if !snapshot.has(&deployment.version) {
                self.retire(&deployment);
            }
        }
        let is_used = |name: &FunctionName, gate: &Arc<Gate>| {
            let function = snapshot.function(name);
            if let Some(function) = function {
                gate.retain(|qualifier| function.has(qualifier));
            }
            Arc::strong_count(gate) > 1 || function.is_some()
        };
        self.0.gates.retain(|name, gate| is_used(name, gate));
    }

    fn retire(&self, deployment: &Arc<Deployment>) {
        let key = &deployment.version.deployment;
        let same = |_: &Arc<str>, it: &Arc<Deployment>| Arc::ptr_eq(it, deployment);
        self.0.deployments.remove_if(key, same);
        // A fill under way ends; else it would open environments for a closed pool, for ever.
        deployment.provisioning.request(0);
        let departure = self.departures().begin();
        admission::drop_apart(deployment.pool.close(), departure);
    }

    pub(super) fn departures(&self) -> &Departures {
        &self.0.departures
    }

    /// All deployments that have live state. Environments are dropped outside the map's guards.
    pub(super) fn all(&self) -> Vec<Arc<Deployment>> {
        self.0
            .deployments
            .iter()
            .map(|it| Arc::clone(&it))
            .collect()
    }

    /// Invocations in flight.
    #[cfg(test)]
    pub fn in_flight(&self) -> u64 {
        self.0.account.in_flight()
    }

    /// Deployments with live state, and whether a snapshot has them.
    #[cfg(test)]
    pub fn deployments(&self, snapshot: &Snapshot) -> Vec<(Arc<str>, bool)> {
        let all = self.all().into_iter().map(|it| Arc::clone(&it.version));
        all.map(|it| (Arc::clone(&it.deployment), snapshot.has(&it)))
            .collect()
    }

    /// Progress of the provisioned concurrency of a version or alias.
    pub fn provision_of(&self, name: &FunctionName, qualifier: &Qualifier) -> Provision {
        let snapshot = self.snapshot();
        let version = snapshot
            .function(name)
            .and_then(|function| function.provisioned_version(qualifier));
        let live = version.and_then(|it| self.0.deployments.get(&it.deployment));
        live.map(|it| it.provisioning.progress())
            .unwrap_or_default()
    }
}

impl Deployment {
    /// Its program, loaded now if it was not before.
    ///
    /// # Errors
    /// The program cannot be loaded; the next call tries again.
    pub(super) async fn program(&self) -> Result<&Program, LoadError> {
        let load = || self.loader.load(&self.version);
        self.program.get_or_try_init(load).await
    }

    /// The author's environment variables.
    pub(super) fn chosen_variables(&self) -> Result<Vec<(String, String)>, LoadError> {
        self.loader.variables(&self.version.code)
    }
}
