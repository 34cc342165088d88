//! Counts of provisioned concurrency: environments asked for, available and in use.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// Progress of provisioned concurrency.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Provision {
    /// Environments asked for.
    pub requested: u32,
    /// Environments that are up, idle or busy; at most those asked for.
    pub available: u32,
    /// Invocations that run on them.
    pub in_use: u32,
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
    pub(super) is_filling: AtomicBool,
    /// Wakes the provisioner.
    pub(super) lost: Arc<Notify>,
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
            in_use: self.in_use.load(Ordering::Acquire),
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

    pub(super) fn fail(&self, failure: Option<Failure>) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    /// True if environments are missing and no failure keeps them from coming up.
    pub(super) fn is_short(&self) -> bool {
        let progress = self.progress();
        progress.available < progress.requested && progress.failure.is_none()
    }

    /// Counts one more environment, if there are too few.
    pub(super) fn count(self: &Arc<Self>) -> Option<Counted> {
        let requested = self.requested.load(Ordering::Acquire);
        increment_below(&self.available, requested).then(|| Counted {
            of: Arc::clone(self),
            is_given_up: false,
        })
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
