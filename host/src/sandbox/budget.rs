//! Memory and scratch space that all environments of a host hold together, bounded. An environment is admitted
//! with what it is expected to take, counts with what it has taken, and grows within the bound only. Where bytes
//! are short, idle environments are evicted; which, their owner says.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};

mod grant;
mod machine;
#[cfg(test)]
mod tests;

pub use grant::{Demand, Grant};

use super::Config;
use super::filesystem::Kept;
use crate::units::Mib;

/// New environments leave a sixteenth of a budget to the growth of those that run.
const GROWTH_SHARE: u64 = 16;
/// A deployment that holds half of a budget leaves an eighth of it to others.
const OTHERS_SHARE: u64 = 8;
/// An environment that takes no more than this part of a budget is small.
const SMALL_SHARE: u64 = 128;
/// Small environments have this part of a budget to themselves: a few large ones never keep them all out.
const SMALL_ONLY_SHARE: u64 = 32;
/// Provisioned environments hold three quarters of a budget at most. They are never evicted, so that the rest is all
/// that on-demand environments can count on.
const PROVISIONED_QUARTERS: u64 = 3;
/// Before any environment of a deployment has run, one is admitted with its configured memory, or with this part of
/// the budget where that is less. It holds that for the time of its `init`: a large size that is never used must not
/// evict all idle environments, nor a few slow `init`s keep all others out.
const UNKNOWN_SHARE: u64 = 32;

/// Kept directories are closed after this time at the least: where each invocation gets a new environment, they
/// are what makes that fast.
const KEPT_MIN: Duration = Duration::from_secs(10);

/// A resource with a budget.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Resource {
    /// Memories, tables and what else an environment takes of main memory.
    Memory,
    /// The files of `/tmp`s.
    Scratch,
}

/// Evicts idle environments, for a guest that runs and needs more.
pub trait Evict: fmt::Debug + Send + Sync {
    /// Evicts the environment that has been idle longest of those that hold some of a resource; false where there
    /// is none.
    fn evict(&self, resource: Resource) -> bool;
}

/// Bytes of one resource.
#[derive(Debug)]
pub(super) struct Budget {
    resource: Resource,
    bytes_max: AtomicU64,
    taken: AtomicU64,
    /// The part of `taken` of provisioned environments.
    provisioned: AtomicU64,
    refusals: AtomicU64,
    evictor: OnceLock<Weak<dyn Evict>>,
}

/// Numbers of a budget as they are now.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Balance {
    /// Bytes that environments hold or are admitted with.
    pub taken: u64,
    /// Bound on them.
    pub bytes_max: u64,
    /// Growths of guests that were refused, since the host began.
    pub refusals: u64,
}

/// The budgets of a host, and the directories that it keeps open for new environments.
#[derive(Debug)]
pub struct Budgets {
    memory: Arc<Budget>,
    scratch: Arc<Budget>,
    /// The directory whose disk bounds the scratch space, where no configuration does.
    scratch_dir: Option<PathBuf>,
    pub(super) kept: Arc<Kept>,
}

/// Bytes that keep a new environment from being admitted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shortage {
    /// The budget is used up.
    Budget(Resource),
    /// Provisioned environments hold all that they may of a budget.
    Provisioned,
}

/// Bytes that a new environment is admitted with.
#[derive(Debug)]
pub struct Admission {
    pub(super) memory: Grant,
    pub(super) scratch: Grant,
}

impl Budgets {
    /// Budgets as configured, or as the machine has it.
    ///
    /// # Errors
    /// Errors of the operating system for the disk.
    pub(super) fn open(config: &Config, kept: Kept) -> std::io::Result<Self> {
        let memory = config.memory_bytes;
        let memory = memory.unwrap_or_else(machine::guest_memory_bytes);
        let scratch = match config.scratch_bytes {
            Some(bytes) => bytes,
            None => machine::scratch_bytes(&config.scratch_dir, 0)?,
        };
        let scratch_dir = Some(&config.scratch_dir).filter(|_| config.scratch_bytes.is_none());
        Ok(Self {
            scratch_dir: scratch_dir.cloned(),
            ..Self::new(memory, scratch, kept)
        })
    }

    fn new(memory_bytes: u64, scratch_bytes: u64, kept: Kept) -> Self {
        Self {
            memory: Arc::new(Budget::new(Resource::Memory, memory_bytes)),
            scratch: Arc::new(Budget::new(Resource::Scratch, scratch_bytes)),
            scratch_dir: None,
            kept: Arc::new(kept),
        }
    }

    /// Budgets of a test that is about something else.
    #[cfg(test)]
    pub fn unlimited() -> Self {
        Self::new(
            u64::MAX,
            u64::MAX,
            Kept::new(8, crate::clock::Clock::system()),
        )
    }

    /// Admits a new environment, whose function is configured with this memory and this `/tmp`.
    ///
    /// # Errors
    /// The resource that is short.
    pub fn admit(
        &self,
        demand: &Arc<Demand>,
        memory: Mib,
        tmp: Mib,
    ) -> Result<Admission, Resource> {
        Ok(Admission {
            memory: self.admit_memory(demand, memory)?,
            scratch: Grant::admit(&self.scratch, demand, tmp.bytes())?,
        })
    }

    /// Admits a new provisioned environment.
    ///
    /// # Errors
    /// As [`admit`](Self::admit), and if provisioned environments would hold too much.
    pub fn admit_provisioned(
        &self,
        demand: &Arc<Demand>,
        memory: Mib,
        tmp: Mib,
    ) -> Result<Admission, Shortage> {
        let admission = self.admit(demand, memory, tmp).map_err(Shortage::Budget)?;
        let grants = [&admission.memory, &admission.scratch];
        if grants.into_iter().all(Grant::provision) {
            Ok(admission)
        } else {
            Err(Shortage::Provisioned)
        }
    }

    /// Admits a new guest of an environment, whose `/tmp` is there.
    ///
    /// # Errors
    /// [`Resource::Memory`], if it is short.
    pub fn admit_memory(&self, demand: &Arc<Demand>, memory: Mib) -> Result<Grant, Resource> {
        Grant::admit(&self.memory, demand, memory.bytes())
    }

    /// Names the owner of idle environments. The first one stays.
    pub fn set_evictor(&self, evictor: Weak<dyn Evict>) {
        for budget in [&self.memory, &self.scratch] {
            let _ = budget.evictor.set(evictor.clone());
        }
    }

    /// Numbers of one budget.
    pub fn balance(&self, resource: Resource) -> Balance {
        let budget = match resource {
            Resource::Memory => &self.memory,
            Resource::Scratch => &self.scratch,
        };
        Balance {
            taken: budget.taken.load(Ordering::Relaxed),
            bytes_max: budget.bytes_max(),
            refusals: budget.refusals.load(Ordering::Relaxed),
        }
    }

    /// Updates the free disk space, and closes kept directories that no new environment has used
    /// for `age`.
    pub fn refresh(&self, age: Duration) {
        self.kept.close_idle(age.max(KEPT_MIN));
        let Some(dir) = &self.scratch_dir else { return };
        match machine::scratch_bytes(dir, self.balance(Resource::Scratch).taken) {
            Ok(bytes) => self.scratch.bytes_max.store(bytes, Ordering::Relaxed),
            Err(error) => tracing::warn!(%error, "the free space of the disk is not known"),
        }
    }
}

impl Budget {
    pub(super) fn new(resource: Resource, bytes_max: u64) -> Self {
        Self {
            resource,
            bytes_max: AtomicU64::new(bytes_max),
            taken: AtomicU64::new(0),
            provisioned: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
            evictor: OnceLock::new(),
        }
    }

    fn bytes_max(&self) -> u64 {
        self.bytes_max.load(Ordering::Relaxed)
    }

    /// Counts more bytes, if the sum stays within `bytes_max`.
    fn try_take(&self, bytes: u64, bytes_max: u64) -> bool {
        let more = |taken: u64| taken.checked_add(bytes).filter(|sum| *sum <= bytes_max);
        let taken = self
            .taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        taken.is_ok()
    }

    /// Counts a guest's growth from `before` to `now`; evicts idle environments if the sum would exceed `bytes_max`.
    fn take(&self, before: u64, now: u64, bytes_max: u64) -> bool {
        loop {
            if self.try_take(now - before, bytes_max) {
                return true;
            }
            // Eviction cannot help a guest that alone exceeds the bound.
            if now > bytes_max || !self.evict() {
                self.refusals.fetch_add(1, Ordering::Relaxed);
                return false;
            }
        }
    }

    fn evict(&self) -> bool {
        let evictor = self.evictor.get().and_then(Weak::upgrade);
        evictor.is_some_and(|it| apart(|| it.evict(self.resource)))
    }

    fn give_back(&self, bytes: u64) {
        self.taken.fetch_sub(bytes, Ordering::AcqRel);
    }

    fn provisioned_max(&self) -> u64 {
        self.bytes_max() / 4 * PROVISIONED_QUARTERS
    }

    /// Counts these bytes, which are taken already, for provisioned environments, if the sum stays within their part.
    fn try_provision(&self, bytes: u64) -> bool {
        let bytes_max = self.provisioned_max();
        let more = |sum: u64| sum.checked_add(bytes).filter(|sum| *sum <= bytes_max);
        let counted = self
            .provisioned
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        counted.is_ok()
    }

    /// Bound on all for the admission of an environment with `bytes` to a deployment that holds `held`.
    fn admission_max(&self, bytes: u64, held: u64) -> u64 {
        let all = self.bytes_max();
        if bytes <= all / SMALL_SHARE {
            return all;
        }
        let share = if held > all / 2 {
            OTHERS_SHARE
        } else {
            GROWTH_SHARE
        };
        all - all / share
    }

    /// Bound on all for the growth of an environment to `bytes` whose deployment holds `held`.
    fn growth_max(&self, bytes: u64, held: u64) -> u64 {
        let all = self.bytes_max();
        if bytes <= all / SMALL_SHARE {
            return all;
        }
        let share = if held > all / 2 {
            GROWTH_SHARE
        } else {
            SMALL_ONLY_SHARE
        };
        all - all / share
    }
}

/// Frees memory or deletes files for a guest that waits inside a host function. A worker of the network leaves its
/// other tasks to another thread meanwhile: gigabytes take a while.
fn apart<T>(work: impl FnOnce() -> T) -> T {
    let flavor = Handle::try_current().map(|runtime| runtime.runtime_flavor());
    match flavor {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
