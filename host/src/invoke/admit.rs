//! Admission control: concurrency limits of the account and of each function. A permit is proof of
//! admission, released on drop.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::burst::Burst;
use super::provision::{ProvisionedPermit, Provisioning};
use crate::names::Qualifier;
use crate::telemetry::metrics::{Counted, QualifiedMetrics};

mod released;

pub(super) use released::Released;

/// Concurrency limit reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// Reserved concurrency of the function.
    #[error("the function's reserved concurrency is in use")]
    Reserved,
    /// Concurrency of the account.
    #[error("the account's concurrency is in use")]
    Account,
}

/// Concurrency of the account.
#[derive(Debug)]
pub(super) struct Account {
    /// Packed counters: all in flight in the upper half, on unreserved concurrency in the lower
    /// half. One atomic keeps both limits in one exchange.
    in_flight: AtomicU64,
    concurrency: u32,
    /// Wakes callers that wait for a permit of the account.
    pub(super) released: Released,
    /// Wakes callers that wait until nothing is in flight.
    pub(super) emptied: Released,
    /// Environments by which each function may grow in ten seconds.
    burst: u32,
}

const ONE_OF_ALL: u64 = 1 << 32;
const SHARED_MASK: u64 = ONE_OF_ALL - 1;

/// Concurrency of one function, counted with and without a reserve, so that a changed reserve finds
/// the calls in flight counted.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) account: Arc<Account>,
    /// Wakes callers that wait for a permit of the function.
    pub(super) released: Released,
    /// Growth of the function's environments.
    pub(super) burst: Arc<Burst>,
    /// Metrics of invocations without a qualifier, of which most are: reading them takes no lock.
    unqualified: OnceLock<Arc<QualifiedMetrics>>,
    // std mutex: a look-up, no await inside.
    qualified: Mutex<BTreeMap<Qualifier, Arc<QualifiedMetrics>>>,
    // std mutex: a few additions, no await inside.
    state: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// Newest snapshot that set `reserved`; invocations resolved in an older one change nothing.
    revision: u64,
    reserved: Option<u32>,
    in_flight: u32,
    /// In flight without provisioned concurrency.
    on_demand: u32,
}

/// Concurrency settings of a function in one snapshot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shares {
    pub(super) revision: u64,
    pub(super) reserved: Option<u32>,
    pub(super) provisioned: u32,
    /// Sum of the account's reserved concurrency.
    pub(super) set_aside: u32,
}

/// Proof of admission.
#[derive(Debug)]
pub struct Permit {
    gate: Arc<Gate>,
    /// Share of provisioned concurrency; `None` counts as on demand.
    provisioned: Option<ProvisionedPermit>,
}

impl Account {
    pub(super) fn new(concurrency: u32, burst: u32) -> Self {
        Self {
            in_flight: AtomicU64::new(0),
            concurrency,
            released: Released::default(),
            emptied: Released::default(),
            burst,
        }
    }

    /// Counts one invocation within the limit; a `shared` one also within unreserved concurrency.
    fn enter(&self, shared: bool, set_aside: u32) -> bool {
        let left = self.concurrency.saturating_sub(set_aside);
        let more = |counts: u64| {
            let fits = counts / ONE_OF_ALL < u64::from(self.concurrency)
                && (!shared || counts & SHARED_MASK < u64::from(left));
            fits.then(|| counts + ONE_OF_ALL + u64::from(shared))
        };
        self.in_flight
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, more)
            .is_ok()
    }

    /// True if nothing is in flight any more.
    fn leave(&self, shared: bool) -> bool {
        let gone = ONE_OF_ALL + u64::from(shared);
        // Sequentially consistent with `Released`: a caller that finds no permit sees this release.
        let before = self.in_flight.fetch_sub(gone, Ordering::SeqCst);
        before / ONE_OF_ALL == 1
    }

    fn wake(&self, is_empty: bool) {
        self.released.wake_one();
        if is_empty {
            self.emptied.wake_all();
        }
    }

    pub(super) fn concurrency(&self) -> u32 {
        self.concurrency
    }

    /// Invocations on unreserved concurrency.
    pub(super) fn unreserved(&self) -> u64 {
        self.in_flight.load(Ordering::Acquire) & SHARED_MASK
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::SeqCst) / ONE_OF_ALL
    }
}

impl Gate {
    pub(super) fn new(account: Arc<Account>) -> Self {
        Self {
            burst: Arc::new(Burst::new(account.burst)),
            unqualified: OnceLock::new(),
            qualified: Mutex::default(),
            account,
            released: Released::default(),
            state: Mutex::default(),
        }
    }

    /// Admits one invocation.
    ///
    /// # Errors
    /// If the function's or the account's limit is reached.
    pub(super) fn enter(
        self: &Arc<Self>,
        shares: Shares,
        provisioning: &Arc<Provisioning>,
    ) -> Result<Permit, Error> {
        let mut counts = self.lock();
        counts.follow(shares, &self.account);
        let provisioned = provisioning.enter();
        let on_demand = provisioned.is_none();
        if let Some(reserved) = counts.reserved {
            let left = reserved.saturating_sub(shares.provisioned);
            if counts.in_flight >= reserved || (on_demand && counts.on_demand >= left) {
                return Err(Error::Reserved);
            }
        }
        let shared = on_demand && counts.reserved.is_none();
        if !self.account.enter(shared, shares.set_aside) {
            return Err(Error::Account);
        }
        counts.in_flight += 1;
        counts.on_demand += u32::from(on_demand);
        drop(counts);
        Ok(Permit {
            gate: Arc::clone(self),
            provisioned,
        })
    }

    /// Begins to count an invocation in the metrics of its qualifier. `open` makes them for the first one.
    pub(super) fn counted(
        &self,
        qualifier: Option<&Qualifier>,
        open: impl FnOnce(&Qualifier) -> Arc<QualifiedMetrics>,
    ) -> Counted {
        let qualifier = match qualifier {
            None | Some(Qualifier::Latest) => {
                let opened = || open(&Qualifier::Latest);
                return Counted::begin(self.unqualified.get_or_init(opened));
            }
            Some(qualifier) => qualifier,
        };
        let mut qualified = self
            .qualified
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = qualified.get(qualifier) {
            return Counted::begin(found);
        }
        let opened = qualified.entry(qualifier.clone());
        Counted::begin(opened.or_insert_with(|| open(qualifier)))
    }

    /// Forgets the metrics of qualifiers that do not exist any more: others may have their series then.
    pub(super) fn retain(&self, exists: impl Fn(&Qualifier) -> bool) {
        let qualified = self.qualified.lock();
        let mut qualified = qualified.unwrap_or_else(PoisonError::into_inner);
        qualified.retain(|qualifier, _| exists(qualifier));
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// Adopts a newer reserve. Calls in flight move between it and unreserved concurrency.
    fn follow(&mut self, shares: Shares, account: &Account) {
        if shares.revision <= self.revision {
            return;
        }
        let on_demand = u64::from(self.on_demand);
        match (self.reserved, shares.reserved) {
            (None, Some(_)) => drop(account.in_flight.fetch_sub(on_demand, Ordering::AcqRel)),
            (Some(_), None) => drop(account.in_flight.fetch_add(on_demand, Ordering::AcqRel)),
            _ => {}
        }
        self.revision = shares.revision;
        self.reserved = shares.reserved;
    }
}

impl Permit {
    /// True if the invocation has a share of provisioned concurrency.
    pub(super) fn is_provisioned(&self) -> bool {
        self.provisioned.is_some()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let provisioned = self.provisioned.take();
        let on_demand = provisioned.is_none();
        let mut counts = self.gate.lock();
        counts.in_flight -= 1;
        counts.on_demand -= u32::from(on_demand);
        let shared = on_demand && counts.reserved.is_none();
        let is_last = self.gate.account.leave(shared);
        drop(counts);
        // Before the wakes: a caller that is woken looks for it.
        drop(provisioned);
        self.gate.account.wake(is_last);
        // A caller on demand cannot use a provisioned permit, and would keep the wake from one that can.
        match on_demand {
            true => self.gate.released.wake_one(),
            false => self.gate.released.wake_all(),
        }
    }
}

#[cfg(test)]
mod tests;
