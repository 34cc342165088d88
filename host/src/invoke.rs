//! Pipeline of every invocation, from the API, function URLs, events, event sources and embedders:
//! [`Invoke`] → [`Resolved`](resolve::Resolved) → [`Admitted`](admitted::Admitted) →
//! [`Leased`](lease::Leased) → [`Finished`]. It reads functions from a [`Snapshot`](snapshot::Snapshot)
//! that `control` publishes, and never asks the store.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::names::FunctionName;
use crate::sandbox::outlet::Outlet;
use crate::sandbox::{Balance, Resource, Scheduler, Share, leave_network};
use crate::telemetry::log::Logs;
use crate::telemetry::metrics::{Budget, Gauges, Metrics, ProvisionedGauge};
use crate::telemetry::observer::Observe;

pub mod admit;
mod admitted;
pub mod blame;
mod burst;
mod initialization;
pub mod lease;
pub mod live;
mod pool;
mod prepare;
mod prewarm;
pub mod provision;
mod provisioner;
mod report;
pub mod request;
pub mod reservation;
pub mod reserve;
pub mod resolve;
mod run;
pub mod running;
mod slot;
pub mod snapshot;
mod target;
mod variables;

pub use blame::Blame;
pub use prepare::Routed;
pub use request::{Finished, Invoke, Mode};
pub use running::Running;
pub use target::Target;

use live::admission::{Eviction, IdleTimes};
use live::{Deployment, Live};
use snapshot::Snapshot;

/// Error of an invocation that did not run. A failure of the function is not an error: it is the outcome of a
/// [`Finished`] invocation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such function, version or alias, or it cannot be invoked now.
    #[error(transparent)]
    Resolve(#[from] resolve::Error),
    /// A concurrency limit is reached.
    #[error(transparent)]
    Admit(#[from] admit::Error),
    /// No environment could be made.
    #[error(transparent)]
    Lease(#[from] lease::Error),
}

/// Memory and scratch space from which on an idle environment is large.
const IDLE_LARGE_BYTES: u64 = 64 << 20;

/// Versions and aliases whose provisioned concurrency the page of metrics shows.
const PROVISIONED_GAUGES_MAX: usize = 256;

/// Settings of the pipeline.
#[derive(Clone, Debug)]
pub struct Config {
    /// Time that an idle environment is kept. Zero gives each invocation a new one.
    pub idle_timeout: Duration,
    /// Time that an idle environment is kept which holds much memory or scratch space.
    pub idle_large_timeout: Duration,
    /// The region functions see in `AWS_REGION`.
    pub region: String,
    /// The ARN of what runs functions, for `INIT_START`.
    pub runtime_version_arn: String,
    /// Scheduler of guests on the processors.
    pub scheduler: Arc<Scheduler>,
    /// Further receivers of platform events.
    pub observers: Vec<Arc<dyn Observe>>,
}

/// A handle on the pipeline; cheap to clone.
#[derive(Clone, Debug)]
pub struct Invoker(Arc<Pipeline>);

#[derive(Debug)]
struct Pipeline {
    config: Config,
    live: Live,
    logs: Logs,
    metrics: Metrics,
    clock: Clock,
}

impl Invoker {
    /// A pipeline over the functions of `live`.
    pub fn new(config: Config, live: Live, logs: Logs, metrics: Metrics, clock: Clock) -> Self {
        Self(Arc::new(Pipeline {
            config,
            live,
            logs,
            metrics,
            clock,
        }))
    }

    /// Runs one invocation to its end. It is detached from its caller: once an environment is
    /// leased, dropping the returned future lets the invocation go on, as Lambda does when a
    /// client hangs up.
    ///
    /// # Errors
    /// Where there is nothing to run or no room to run it.
    pub async fn invoke(&self, invoke: Invoke) -> Result<Finished, Error> {
        let resolved = self.resolve(invoke).await?;
        self.run(resolved).await
    }

    /// Finds the version that an invocation runs on, and makes its event. A weighted alias is drawn here,
    /// once for each invocation.
    ///
    /// # Errors
    /// Where there is nothing to run.
    pub async fn resolve(&self, invoke: Invoke) -> Result<resolve::Resolved, Error> {
        Ok(self.route(invoke).await?.prepare().await)
    }

    /// Resolves an invocation before the body of its HTTP request is read: whether that is read whole depends on the
    /// version.
    ///
    /// # Errors
    /// If there is nothing to run.
    pub async fn route(&self, invoke: Invoke) -> Result<Routed, Error> {
        let resolved = self.0.resolve(invoke).map_err(Error::from);
        let resolved = resolved.inspect_err(|it| self.0.count(it))?;
        let routed = prepare::route(&self.0.live, resolved).await;
        let routed = routed.map_err(Error::from);
        routed.inspect_err(|it| self.0.count(it))
    }

    /// Runs a resolved invocation to its end, as [`invoke`](Self::invoke) does.
    ///
    /// # Errors
    /// Where there is no room to run it.
    pub async fn run(&self, resolved: resolve::Resolved) -> Result<Finished, Error> {
        if resolved.invoke.mode == Mode::DryRun {
            return Ok(Finished::dry_run(Arc::clone(&resolved.version.label)));
        }
        let admitted = self.0.admit(resolved).map_err(Error::from);
        let admitted = admitted.inspect_err(|it| self.0.count(it))?;
        let share = self.0.share(&admitted.deployment).clone();
        share
            .run(Arc::clone(&self.0).complete(admitted, None))
            .await
    }

    /// Runs a resolved invocation until its response begins, or to its end where the response does not come
    /// as it is written.
    ///
    /// # Errors
    /// Where there is no room to run it.
    pub async fn start(&self, resolved: resolve::Resolved) -> Result<Running, Error> {
        if !resolved.invoke.streams {
            return self.run(resolved).await.map(Running::Finished);
        }
        let executed_version = Arc::clone(&resolved.version.label);
        let (outlet, intake) = Outlet::new(resolved.protocol, self.0.clock.clone());
        let admitted = self.0.admit(resolved).map_err(Error::from);
        let admitted = admitted.inspect_err(|it| self.0.count(it))?;
        let share = self.0.share(&admitted.deployment).clone();
        let work = share.run(Arc::clone(&self.0).complete(admitted, Some(outlet)));
        running::begin(executed_version, work, intake).await
    }

    /// Gives up environments that have been idle for too long, for ever. One task of the host's.
    pub async fn reclaim(&self) {
        let times = IdleTimes {
            any: self.0.config.idle_timeout,
            large: self.0.config.idle_large_timeout,
            large_bytes: IDLE_LARGE_BYTES,
        };
        let period = (times.any.min(times.large) / 4).max(Duration::from_secs(1));
        loop {
            self.0.clock.sleep(period).await;
            let live = self.0.live.clone();
            #[cfg(test)]
            if crate::clock::runs_inline() {
                live.reclaim(times);
                continue;
            }
            let _ = tokio::task::spawn_blocking(move || live.reclaim(times)).await;
        }
    }

    /// Numbers of the pipeline for the page of metrics.
    pub fn gauges(&self) -> Gauges {
        let live = &self.0.live;
        let (permits_in_use, permits_max) = live.permits();
        let budget = |resource| {
            let Balance {
                taken,
                bytes_max,
                refusals,
            } = live.balance(resource);
            Budget {
                taken,
                bytes_max,
                refusals,
            }
        };
        Gauges {
            permits_in_use,
            permits_max,
            unreserved_in_use: live.unreserved(),
            provisioned: self.provisioned_gauges(),
            memory: budget(Resource::Memory),
            scratch: budget(Resource::Scratch),
            evictions: Eviction::ALL
                .map(|it| (it.label(), live.evictions(it)))
                .into(),
            ..Gauges::default()
        }
    }

    /// Provisioned concurrency by function and qualifier.
    fn provisioned_gauges(&self) -> Vec<ProvisionedGauge> {
        let (snapshot, mut gauges) = (self.snapshot(), Vec::new());
        for function in snapshot.provisioned() {
            let name = &function.latest.facts.name;
            let Ok(parsed) = FunctionName::parse(name) else {
                continue;
            };
            for qualifier in function.provisions.keys() {
                if gauges.len() == PROVISIONED_GAUGES_MAX {
                    return gauges;
                }
                let progress = self.0.live.provision_of(&parsed, qualifier);
                gauges.push(ProvisionedGauge {
                    function: name.clone(),
                    qualifier: qualifier.to_string(),
                    requested: progress.requested.into(),
                    in_use: progress.in_use.into(),
                });
            }
        }
        gauges
    }

    /// The functions as they are now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.live.snapshot()
    }

    /// Publications, for those that follow them.
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.0.live.snapshots()
    }
}

impl Pipeline {
    /// The claim on processor time that all deployments of a function have together.
    fn share<'a>(&self, deployment: &'a Deployment) -> &'a Share {
        let facts = &deployment.version.facts;
        let made = || self.config.scheduler.share(&facts.name, facts.memory);
        deployment.share.get_or_init(made)
    }

    async fn complete(
        self: Arc<Self>,
        admitted: admitted::Admitted,
        outlet: Option<Outlet>,
    ) -> Result<Finished, Error> {
        let leased = self.lease(admitted).await.map_err(Error::from);
        let leased = leased.inspect_err(|it| self.count(it))?;
        if leased.is_large() {
            leave_network().await;
        }
        Ok(self.run(leased, outlet).await)
    }

    fn count(&self, error: &Error) {
        error.count(&self.metrics);
    }
}
