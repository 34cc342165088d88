//! Limits on allocations for a guest: its memories together, its tables, and their numbers. All of them count in
//! the host's budget of memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use wasmtime::ResourceLimiterAsync;

use super::budget::Grant;
use super::engine::{
    CORE_INSTANCES_PER_COMPONENT_MAX, MEMORIES_PER_COMPONENT_MAX, TABLE_ELEMENTS_MAX,
    TABLES_PER_COMPONENT_MAX, WASM_STACK_BYTES,
};
use super::scheduler::leave_network;
use super::stack::{PageMap, Stack};
use crate::units::Mib;

/// Guests with as much memory do not run on workers of the network. The engine fills and copies memory in one go,
/// which no tick interrupts: 64 MiB take some ten milliseconds, 4 GiB take seconds.
const LARGE_BYTES: u64 = 64 << 20;
/// Bytes of a table's element: a pointer.
const ELEMENT_BYTES: u64 = size_of::<usize>() as u64;

/// Memory of an environment, for those who do not hold its store.
#[derive(Debug)]
pub(super) struct MemoryUsage {
    memory_bytes: AtomicU64,
    table_bytes: AtomicU64,
    /// Bytes of the host's own tables for the guest, beyond those that every guest may fill.
    held_bytes: AtomicU64,
    refused: AtomicBool,
    deep: AtomicBool,
    stack: Stack,
    /// Bytes of the stack that count, until the end of the call.
    stack_bytes: AtomicU64,
    /// Memory of all guests of its environment, if there are several.
    together: Option<Arc<Together>>,
    /// Its part of the host's memory.
    grant: Grant,
}

/// Memory of all guests of an environment with extensions.
#[derive(Debug, Default)]
pub(super) struct Together(AtomicU64);

impl Together {
    /// Counts growth within a bound; false beyond it.
    pub(super) fn grow(&self, more: u64, bytes_max: u64) -> bool {
        let grown = |bytes: u64| bytes.checked_add(more).filter(|it| *it <= bytes_max);
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, grown)
            .is_ok()
    }

    pub(super) fn shrink(&self, bytes: u64) {
        self.0.fetch_sub(bytes, Ordering::AcqRel);
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// The bound that a guest's memory reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    /// The environment's own, its `MemorySize`.
    Environment,
    /// The budget of all environments together.
    Host,
}

/// Limits of one environment, as the engine asks for them.
#[derive(Debug)]
pub(super) struct Limits {
    memory_bytes_max: u64,
    usage: Arc<MemoryUsage>,
}

impl MemoryUsage {
    pub(super) fn new(grant: Grant, pages: &Arc<PageMap>) -> Self {
        Self {
            memory_bytes: AtomicU64::new(0),
            table_bytes: AtomicU64::new(0),
            held_bytes: AtomicU64::new(0),
            refused: AtomicBool::new(false),
            deep: AtomicBool::new(false),
            stack: Stack::new(pages),
            stack_bytes: AtomicU64::new(0),
            together: None,
            grant,
        }
    }

    /// Counts its memory together with that of other guests.
    pub(super) fn together(mut self, together: &Arc<Together>) -> Self {
        self.together = Some(Arc::clone(together));
        self
    }

    /// Memory of the environment: of this guest, and of those beside it.
    pub(super) fn environment_bytes(&self) -> u64 {
        let together = self.together.as_ref().map(|it| it.bytes());
        together.unwrap_or_else(|| self.memory_bytes())
    }

    /// Its part of the host's memory.
    pub(super) fn grant(&self) -> &Grant {
        &self.grant
    }

    /// All linear memories together. They never shrink, so this is also their peak.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Ordering::Relaxed)
    }

    /// All bytes of the guest that count in the host's budget.
    fn host_bytes(&self) -> u64 {
        let more = [&self.table_bytes, &self.held_bytes, &self.stack_bytes];
        let more = more.map(|it| it.load(Ordering::Relaxed));
        self.memory_bytes() + more.iter().sum::<u64>()
    }

    /// Counts bytes of the host's own tables; false if the budget has no more.
    fn hold(&self, bytes: u64) -> bool {
        let before = self.held_bytes.load(Ordering::Relaxed);
        if bytes > before && !self.grow(bytes - before) {
            return false;
        }
        if bytes != before {
            self.held_bytes.store(bytes, Ordering::Relaxed);
            self.grant.fit(self.host_bytes());
        }
        true
    }

    /// Notes the stack of the guest that calls a host function.
    pub(super) fn note_stack(&self) {
        self.stack.note();
    }

    /// Counts the stack of a suspended guest; false if the budget has no more.
    pub(super) fn hold_stack(&self) -> bool {
        let bytes = self.stack.taken_bytes();
        let before = self.stack_bytes.load(Ordering::Relaxed);
        if bytes <= before {
            return true;
        }
        let is_counted = self.grow(bytes - before);
        if is_counted {
            self.stack_bytes.store(bytes, Ordering::Relaxed);
        }
        is_counted
    }

    /// Ends the count of the stack, which the engine takes back at the end of a call. Returns the counted bytes.
    pub(super) fn free_stack(&self) -> u64 {
        self.stack.forget();
        let bytes = self.stack_bytes.load(Ordering::Relaxed);
        if bytes > 0 {
            self.stack_bytes.store(0, Ordering::Relaxed);
            self.grant.fit(self.host_bytes());
        }
        bytes
    }

    /// True for a guest that must not run on a worker of the network.
    pub(super) fn is_large(&self) -> bool {
        self.memory_bytes() >= LARGE_BYTES
    }

    /// True if it is provisioned, and provisioned environments have grown beyond all that they may hold.
    pub(super) fn is_above_provisioned(&self) -> bool {
        self.grant.is_above_provisioned()
    }

    /// Bytes that count for it in the host's budget.
    pub(super) fn granted_bytes(&self) -> u64 {
        self.grant.bytes()
    }

    /// Begins anew, for a new instance in the same environment.
    pub(super) fn reset(&self) {
        if let Some(together) = &self.together {
            together.shrink(self.memory_bytes());
        }
        self.memory_bytes.store(0, Ordering::Relaxed);
        self.table_bytes.store(0, Ordering::Relaxed);
        self.held_bytes.store(0, Ordering::Relaxed);
        self.refused.store(false, Ordering::Relaxed);
        self.deep.store(false, Ordering::Relaxed);
        self.stack.forget();
        self.stack_bytes.store(0, Ordering::Relaxed);
        self.grant.fit(0);
    }

    /// The instance is gone; the next call makes another.
    pub(super) fn freed(&self) {
        self.grant.fit(0);
    }

    /// Ends the time in which the environment counts with what it was admitted with.
    pub(super) fn opened(&self) {
        self.grant.opened(self.host_bytes());
    }

    /// The environment has served its first call.
    pub(super) fn settle(&self) {
        self.grant.settle(self.host_bytes());
    }

    /// The guest and its memories are gone.
    pub(super) fn release(&self) {
        self.grant.release();
    }

    /// Clears the per-call flag of refused growth; memory is kept.
    pub(super) fn begin_call(&self) {
        self.refused.store(false, Ordering::Relaxed);
        self.grant.forget_refusal();
    }

    /// The guest has used all of its stack.
    pub(super) fn went_deep(&self) {
        self.deep.store(true, Ordering::Relaxed);
    }

    /// Bytes that wait to be given back to the system after its end: its memories, and its stack if it used all of
    /// it.
    pub(super) fn left_bytes(&self) -> u64 {
        let stack = if self.deep.load(Ordering::Relaxed) {
            WASM_STACK_BYTES as u64
        } else {
            self.stack_bytes.load(Ordering::Relaxed)
        };
        self.memory_bytes() + stack
    }

    /// The bound that refused the guest memory in this call, if one did.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        if self.grant.is_refused() {
            return Some(Refusal::Host);
        }
        let refused = self.refused.load(Ordering::Relaxed);
        refused.then_some(Refusal::Environment)
    }

    /// Counts growth in the host's budget before it happens; false if the budget has no more.
    fn grow(&self, more: u64) -> bool {
        self.grant.cover(self.host_bytes().saturating_add(more))
    }
}

impl Limits {
    pub(super) fn new(memory: Mib, usage: Arc<MemoryUsage>) -> Self {
        Self {
            memory_bytes_max: memory.bytes(),
            usage,
        }
    }

    /// Notes the stack of the guest that calls a host function.
    pub(super) fn note_stack(&self) {
        self.usage.note_stack();
    }

    /// Bytes of `MemorySize` that its memories have not taken.
    pub(super) fn left_bytes(&self) -> u64 {
        self.memory_bytes_max
            .saturating_sub(self.usage.environment_bytes())
    }

    /// Counts more memory; false if a bound refuses it.
    fn grow_memory(&self, more: u64) -> bool {
        let usage = &self.usage;
        let total = usage.memory_bytes().saturating_add(more);
        let fits = match &usage.together {
            None => total <= self.memory_bytes_max,
            Some(together) => together.grow(more, self.memory_bytes_max),
        };
        if !fits {
            usage.refused.store(true, Ordering::Relaxed);
            return false;
        }
        let allowed = usage.grow(more);
        if allowed {
            usage.memory_bytes.store(total, Ordering::Relaxed);
        } else if let Some(together) = &usage.together {
            together.shrink(more);
        }
        allowed
    }

    /// Counts bytes of the host's own tables for the guest; false if the host's budget has no more.
    pub(super) fn hold(&self, bytes: u64) -> bool {
        self.usage.hold(bytes)
    }
}

#[async_trait::async_trait]
impl ResourceLimiterAsync for Limits {
    async fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.note_stack();
        let allowed = self.grow_memory(bytes(desired.saturating_sub(current)));
        if self.usage.is_large() {
            leave_network().await;
        }
        Ok(allowed)
    }

    async fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = bytes(desired.saturating_sub(current)).saturating_mul(ELEMENT_BYTES);
        let allowed = desired <= TABLE_ELEMENTS_MAX && self.usage.grow(more);
        if allowed {
            self.usage.table_bytes.fetch_add(more, Ordering::Relaxed);
        }
        Ok(allowed)
    }

    fn instances(&self) -> usize {
        count(CORE_INSTANCES_PER_COMPONENT_MAX)
    }

    fn tables(&self) -> usize {
        count(TABLES_PER_COMPONENT_MAX)
    }

    fn memories(&self) -> usize {
        count(MEMORIES_PER_COMPONENT_MAX)
    }
}

fn bytes(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// An environment has one component.
fn count(per_component: u32) -> usize {
    usize::try_from(per_component).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::sandbox::budget::Resource;
    use crate::sandbox::scheduler::on_network;

    const MIB: usize = 1 << 20;

    fn usage(budget_mib: u64) -> Arc<MemoryUsage> {
        let grant = Grant::of(Resource::Memory, budget_mib << 20);
        Arc::new(MemoryUsage::new(grant, &Arc::new(PageMap::open())))
    }

    #[test]
    fn all_memories_count_together() {
        let usage = usage(100);
        let limits = Limits::new(Mib::new(2), Arc::clone(&usage));
        assert!(limits.grow_memory(1 << 20) && limits.grow_memory(1 << 20));
        assert!(!limits.grow_memory(1));
        assert_eq!(usage.refusal(), Some(Refusal::Environment));
        assert_eq!(usage.memory_bytes(), 2 << 20);
    }

    #[tokio::test]
    async fn growth_beyond_the_hosts_budget_is_refused() {
        let usage = usage(4);
        let mut limits = Limits::new(Mib::new(100), Arc::clone(&usage));
        assert!(limits.memory_growing(0, 2 * MIB, None).await.unwrap());
        assert!(limits.table_growing(0, 1_000, None).await.unwrap());
        assert_eq!(usage.host_bytes(), (2 << 20) + 8_000);
        assert!(limits.hold(1 << 20) && !limits.hold(2 << 20));
        usage.begin_call();
        assert!(limits.hold(0) && limits.hold(1 << 20));
        assert!(!limits.memory_growing(2 * MIB, 4 * MIB, None).await.unwrap());
        assert_eq!(usage.refusal(), Some(Refusal::Host));
        usage.begin_call();
        assert_eq!(usage.refusal(), None);
        usage.release();
        assert_eq!(usage.granted_bytes(), 0);
    }

    #[test]
    fn refusal_belongs_to_its_call() {
        let usage = usage(100);
        let limits = Limits::new(Mib::new(1), Arc::clone(&usage));
        assert!(limits.grow_memory(1 << 20) && !limits.grow_memory(1 << 20));
        usage.begin_call();
        assert_eq!(usage.refusal(), None);
        assert_eq!(usage.memory_bytes(), 1 << 20, "the memory is still there");
    }

    #[test]
    fn guest_with_a_large_memory_leaves_the_network() {
        let mut limits = Limits::new(Mib::new(1_000), usage(1_000));
        let mut context = Context::from_waker(Waker::noop());
        let mut small = limits.memory_growing(0, 63 * MIB, None);
        let (polled, leaves) = on_network(|| small.as_mut().poll(&mut context));
        assert!(matches!(polled, Poll::Ready(Ok(true))) && !leaves);
        drop(small);
        let mut large = limits.memory_growing(63 * MIB, 64 * MIB, None);
        let (polled, leaves) = on_network(|| large.as_mut().poll(&mut context));
        assert!(polled.is_pending() && leaves, "it grows elsewhere");
        let polled = large.as_mut().poll(&mut context);
        assert!(matches!(polled, Poll::Ready(Ok(true))));
        drop(large);
        let mut elsewhere = limits.memory_growing(64 * MIB, 65 * MIB, None);
        let polled = elsewhere.as_mut().poll(&mut context);
        assert!(matches!(polled, Poll::Ready(Ok(true))), "it has left");
        drop(elsewhere);
    }
}
