//! Provisioned concurrency: environments that are opened before they are needed and are not given up
//! for being idle. How many there shall be, `control` publishes.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::Invoker;
use super::admit::{Gate, Permit};
use super::lease::{Initialization, Seat};
use super::snapshot::Version;
use crate::names::RequestId;

/// How long a version whose environments do not come up is left alone.
const RETRY_PERIOD: Duration = Duration::from_secs(30);

/// How far provisioned concurrency has come.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Provision {
    /// Environments asked for.
    pub requested: u32,
    /// Environments that are there, idle or busy.
    pub available: u32,
    /// Why there are not more, where that is known.
    pub failure: Option<String>,
}

impl Provision {
    /// Environments that are there and asked for.
    pub fn ready(&self) -> u32 {
        self.available.min(self.requested)
    }
}

/// The provisioned environments of one version.
#[derive(Debug, Default)]
pub struct Provisioning {
    requested: AtomicU32,
    available: AtomicU32,
    // A std mutex: a text is put in or cloned, and nothing awaits inside.
    failure: Mutex<Option<String>>,
    is_busy: AtomicBool,
    /// Invocations that run on what is provisioned.
    gate: Arc<Gate>,
    /// Tells the provisioner that an environment was lost.
    lost: Arc<Notify>,
}

/// A provisioned environment; counted as long as this lives.
#[derive(Debug)]
pub(super) struct Counted(Arc<Provisioning>);

impl Provisioning {
    /// As it is now.
    pub fn progress(&self) -> Provision {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        Provision {
            requested: self.requested.load(Ordering::Acquire),
            available: self.available.load(Ordering::Acquire),
            failure: failure.clone(),
        }
    }

    /// Sets how many environments there shall be.
    pub fn request(&self, environments: u32) {
        if self.requested.swap(environments, Ordering::AcqRel) != environments {
            self.fail(None);
        }
    }

    /// Whether there shall be any.
    pub(super) fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Acquire) > 0
    }

    /// Takes a place among the invocations that provisioned concurrency is for, if one is free.
    pub(super) fn enter(&self) -> Option<Permit> {
        self.gate.enter(self.requested.load(Ordering::Acquire))
    }

    fn fail(&self, failure: Option<String>) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    /// Counts one more, if there are too few.
    fn count(self: &Arc<Self>) -> Option<Counted> {
        let requested = self.requested.load(Ordering::Acquire);
        let one_more = |available: u32| (available < requested).then_some(available + 1);
        let available = &self.available;
        let counted = available.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        counted.ok().map(|_| Counted(Arc::clone(self)))
    }
}

impl Counted {
    /// Whether it is one of those asked for, and not one too many.
    pub(super) fn is_wanted(&self) -> bool {
        let available = self.0.available.load(Ordering::Acquire);
        available <= self.0.requested.load(Ordering::Acquire)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.available.fetch_sub(1, Ordering::AcqRel);
        self.0.lost.notify_one();
    }
}

impl Invoker {
    /// Opens what is asked for, for ever. One task of the host's.
    pub async fn provision(&self) {
        let mut snapshots = self.0.snapshot.clone();
        loop {
            let snapshot = Arc::clone(&snapshots.borrow_and_update());
            let mut lost = Vec::new();
            for version in snapshot.provisioned() {
                lost.push(Arc::clone(&version.provisioning.lost));
                let progress = version.provisioning.progress();
                let is_short =
                    progress.available < progress.requested && progress.failure.is_none();
                if is_short && !version.provisioning.is_busy.swap(true, Ordering::AcqRel) {
                    tokio::spawn(self.clone().fill(version));
                }
            }
            let mut any_lost: futures_util::stream::FuturesUnordered<_> =
                lost.iter().map(|lost| lost.notified()).collect();
            tokio::select! {
                changed = snapshots.changed() => if changed.is_err() { return },
                Some(()) = futures_util::StreamExt::next(&mut any_lost) => {}
                () = tokio::time::sleep(RETRY_PERIOD) => {
                    for version in snapshot.provisioned() {
                        version.provisioning.fail(None);
                    }
                }
            }
        }
    }

    /// Opens environments of one version until there are enough.
    async fn fill(self, version: Arc<Version>) {
        let provisioning = &version.provisioning;
        while let Some(counted) = provisioning.count() {
            if let Err(failure) = self.fill_one(&version, counted).await {
                tracing::warn!(function = version.facts.name, failure, "not provisioned");
                provisioning.fail(Some(failure));
                break;
            }
        }
        provisioning.is_busy.store(false, Ordering::Release);
        provisioning.lost.notify_one();
    }

    async fn fill_one(&self, version: &Arc<Version>, counted: Counted) -> Result<(), String> {
        let pipeline = &self.0;
        let id = RequestId::random(&pipeline.clock);
        let opened = pipeline
            .open(version, &id, Initialization::Provisioned)
            .await;
        match opened.map_err(|error| error.to_string())? {
            Seat::Ready(mut tenant) => {
                tenant.provisioned = Some(counted);
                version.pool.give_back(tenant, pipeline.clock.instant());
                Ok(())
            }
            Seat::InitFailed { failure, .. } => Err(failure.message),
        }
    }
}
