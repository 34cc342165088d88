//! Provisioned concurrency: environments that are opened before they are needed and are not evicted for
//! being idle. Their number follows the snapshot.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::lease::{self, Initialization, Opened};
use super::live::{Deployment, Live};
use super::snapshot::Snapshot;
use super::{Blame, Error, Invoker, Pipeline};
use crate::names::RequestId;

/// Pause before a version whose environments do not come up is tried again.
const RETRY_PERIOD: Duration = Duration::from_secs(30);

/// Progress of provisioned concurrency.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Provision {
    /// Environments asked for.
    pub requested: u32,
    /// Environments that are up, idle or busy; at most those asked for.
    pub available: u32,
    /// The reason why there are not more, where it is known.
    pub failure: Option<Failure>,
}

/// Reason why a provisioned environment did not come up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Failure {
    /// The function failed in its `init`, or cannot run on this host.
    Function(String),
    /// A limit of the host or of its machine is reached.
    Capacity(String),
    /// Something of the host's own failed.
    Host(String),
}

/// The provisioned environments of one deployment.
#[derive(Debug)]
pub(super) struct Provisioning {
    requested: AtomicU32,
    available: AtomicU32,
    /// Invocations that are admitted as provisioned.
    in_use: AtomicU32,
    // A std mutex: a text is put in or cloned, and nothing awaits inside.
    failure: Mutex<Option<Failure>>,
    is_filling: AtomicBool,
    /// Wakes the provisioner.
    lost: Arc<Notify>,
}

/// The count of a provisioned environment, for as long as this lives.
#[derive(Debug)]
pub(super) struct Counted {
    of: Arc<Provisioning>,
    is_given_up: bool,
}

/// The count of an invocation that is admitted as provisioned.
#[derive(Debug)]
pub(super) struct ProvisionedPermit(Arc<Provisioning>);

/// Time at which environments that did not come up are tried again, whatever else happens until then.
#[derive(Debug)]
struct Retry {
    at: Instant,
}

impl Retry {
    fn after(now: Instant) -> Self {
        Self {
            at: now + RETRY_PERIOD,
        }
    }

    /// True if it is time; then the next period begins.
    fn is_due(&mut self, now: Instant) -> bool {
        let is_due = now >= self.at;
        if is_due {
            *self = Self::after(now);
        }
        is_due
    }
}

impl Provisioning {
    pub(super) fn new(lost: Arc<Notify>) -> Self {
        Self {
            requested: AtomicU32::new(0),
            available: AtomicU32::new(0),
            in_use: AtomicU32::new(0),
            failure: Mutex::default(),
            is_filling: AtomicBool::new(false),
            lost,
        }
    }

    pub(super) fn progress(&self) -> Provision {
        let requested = self.requested.load(Ordering::Acquire);
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        Provision {
            requested,
            // Surplus environments that are still busy are nobody's.
            available: self.available.load(Ordering::Acquire).min(requested),
            failure: failure.clone(),
        }
    }

    pub(super) fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Acquire) > 0
    }

    /// Admits an invocation as provisioned, if fewer are than there are environments asked for.
    pub(super) fn enter(self: &Arc<Self>) -> Option<ProvisionedPermit> {
        let requested = self.requested.load(Ordering::Acquire);
        increment_below(&self.in_use, requested).then(|| ProvisionedPermit(Arc::clone(self)))
    }

    pub(super) fn request(&self, environments: u32) {
        if self.requested.swap(environments, Ordering::AcqRel) != environments {
            self.fail(None);
        }
    }

    fn fail(&self, failure: Option<Failure>) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    /// True if environments are missing and no failure keeps them from coming up.
    fn is_short(&self) -> bool {
        let progress = self.progress();
        progress.available < progress.requested && progress.failure.is_none()
    }

    /// Counts one more environment, if there are too few.
    fn count(self: &Arc<Self>) -> Option<Counted> {
        let requested = self.requested.load(Ordering::Acquire);
        increment_below(&self.available, requested).then(|| Counted {
            of: Arc::clone(self),
            is_given_up: false,
        })
    }
}

impl From<lease::Error> for Failure {
    fn from(error: lease::Error) -> Self {
        let (text, is_full) = (error.to_string(), matches!(error, lease::Error::Full(_)));
        match Error::from(error).blame() {
            Blame::Function => Self::Function(text),
            _ if is_full => Self::Capacity(text),
            Blame::Caller | Blame::Host => Self::Host(text),
        }
    }
}

/// Adds one to a count that is below `limit`.
fn increment_below(count: &AtomicU32, limit: u32) -> bool {
    let more = |count: u32| (count < limit).then_some(count + 1);
    count
        .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
        .is_ok()
}

impl Counted {
    /// Uncounts the environment if there is one too many. One exchange decides: of several environments
    /// that return at once, only so many go as are too many.
    pub(super) fn give_up(&mut self) -> bool {
        let requested = self.of.requested.load(Ordering::Acquire);
        let fewer = |available: u32| (available > requested).then(|| available - 1);
        let gone = self
            .of
            .available
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, fewer);
        self.is_given_up = self.is_given_up || gone.is_ok();
        gone.is_ok()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if !self.is_given_up {
            self.of.available.fetch_sub(1, Ordering::AcqRel);
        }
        self.of.lost.notify_one();
    }
}

impl Drop for ProvisionedPermit {
    fn drop(&mut self) {
        self.0.in_use.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Live {
    /// Sets the provisioned environments of every deployment to what `snapshot` says, and evicts idle ones
    /// that are too many. Answers the deployments that shall have some.
    pub(super) fn request_provisions(&self, snapshot: &Snapshot) -> Vec<Arc<Deployment>> {
        let mut wanted: BTreeMap<Arc<str>, (Arc<Deployment>, u32)> = BTreeMap::new();
        for function in snapshot.provisioned() {
            for (number, environments) in function.provision_requests() {
                let deployment = self.deployment(&function.versions[&number]);
                let key = Arc::clone(&deployment.version.deployment);
                wanted.insert(key, (deployment, environments));
            }
        }
        for deployment in self.all() {
            let request = wanted.get(&deployment.version.deployment);
            let environments = request.map_or(0, |(_, environments)| *environments);
            deployment.provisioning.request(environments);
            let _departure = self.departures().begin();
            while let Some(surplus) = deployment.pool.evict_surplus() {
                drop(surplus);
            }
        }
        wanted.into_values().map(|(it, _)| it).collect()
    }
}

impl Invoker {
    /// Keeps live state in step with the snapshots, and opens the environments that are provisioned, for
    /// ever. One task of the host's.
    pub async fn follow(&self) {
        let live = &self.0.live;
        let mut snapshots = live.snapshots();
        let mut retry = Retry::after(self.0.clock.instant());
        loop {
            let now = self.0.clock.instant();
            let is_retry = retry.is_due(now);
            let snapshot = Arc::clone(&snapshots.borrow_and_update());
            live.follow(&snapshot);
            let wanted = live.request_provisions(&snapshot);
            for deployment in &wanted {
                let provisioning = &deployment.provisioning;
                if is_retry {
                    provisioning.fail(None);
                }
                if provisioning.is_short() && !provisioning.is_filling.swap(true, Ordering::AcqRel)
                {
                    let (pipeline, deployment) = (Arc::clone(&self.0), Arc::clone(deployment));
                    let share = pipeline.share(&deployment).clone();
                    tokio::spawn(share.run(async move { pipeline.fill(&deployment).await }));
                }
            }
            tokio::select! {
                changed = snapshots.changed() => if changed.is_err() { return },
                () = live.lost().notified() => {}
                () = self.0.clock.sleep(retry.at.saturating_duration_since(now)) => {}
            }
        }
    }
}

impl Pipeline {
    /// Opens environments of one deployment until there are enough.
    async fn fill(&self, deployment: &Deployment) {
        let provisioning = &deployment.provisioning;
        while let Some(counted) = provisioning.count() {
            if let Err(failure) = self.fill_one(deployment, counted).await {
                let function = &deployment.version.facts.name;
                tracing::warn!(
                    function,
                    ?failure,
                    "a provisioned environment did not come up"
                );
                provisioning.fail(Some(failure));
                break;
            }
        }
        provisioning.is_filling.store(false, Ordering::Release);
        provisioning.lost.notify_one();
    }

    async fn fill_one(&self, deployment: &Deployment, counted: Counted) -> Result<(), Failure> {
        let id = RequestId::random(&self.clock);
        let opened = self.open(deployment, &id, Initialization::Provisioned);
        match opened.await? {
            Opened::Ready(mut environment) => {
                environment.provisioned = Some(counted);
                deployment.pool.give_back(environment, self.clock.instant());
                Ok(())
            }
            Opened::Failed { failure, .. } => Err(Failure::Function(failure.message)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invoke::live::LoadError;
    use crate::invoke::live::slot::Lack;

    #[test]
    fn retry_comes_however_often_the_provisioner_is_woken() {
        let started = crate::clock::Clock::system().instant();
        let mut retry = Retry::after(started);
        let woken = (1..=70).map(|second| started + Duration::from_secs(second));
        let due: Vec<_> = woken.filter(|now| retry.is_due(*now)).collect();
        assert_eq!(
            due,
            [30, 60].map(|second| started + Duration::from_secs(second))
        );
    }

    #[test]
    fn limit_of_the_host_is_not_a_failure_of_the_function() {
        let failed = LoadError::Failed(Box::new(std::io::Error::other("disk")));
        let of = |error: lease::Error| Failure::from(error);
        assert!(matches!(
            of(lease::Error::Full(Lack::Memory)),
            Failure::Capacity(_)
        ));
        assert!(matches!(of(lease::Error::Load(failed)), Failure::Host(_)));
        let runtime = LoadError::Runtime("python".into());
        assert!(matches!(
            of(lease::Error::Load(runtime)),
            Failure::Function(_)
        ));
    }
}
