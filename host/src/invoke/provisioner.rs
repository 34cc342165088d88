//! Provisioned concurrency: environments that are opened before they are needed and are not evicted for
//! being idle. Their number follows the snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::initialization::Initialization;
use super::lease::{self, Opened};
use super::live::{Deployment, Live};
use super::provision::{Counted, Failure};
use super::snapshot::Snapshot;
use super::{Blame, Error, Invoker, Pipeline};
use crate::names::RequestId;
use crate::units::INIT_TIMEOUT;

/// Pause before a version whose environments do not come up is tried again.
const RETRY_PERIOD: Duration = Duration::from_secs(30);

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
        let initialization = Initialization::Provisioned;
        let opened = self.open(deployment, None, &id, initialization, INIT_TIMEOUT);
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
    use crate::invoke::live::admission::Lack;

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
