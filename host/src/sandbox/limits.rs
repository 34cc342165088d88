//! Bounds on what a guest can make the host allocate: its memories together, its tables, and how
//! many of each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use wasmtime::ResourceLimiter;

use super::engine::{
    CORE_INSTANCES_PER_COMPONENT_MAX, MEMORIES_PER_COMPONENT_MAX, TABLE_ELEMENTS_MAX,
    TABLES_PER_COMPONENT_MAX, WASM_STACK_BYTES,
};
use crate::units::Mib;

/// What an environment holds, for those who do not hold its store.
#[derive(Debug, Default)]
pub(super) struct MemoryUsage {
    memory_bytes: AtomicU64,
    refused: AtomicBool,
    deep: AtomicBool,
}

/// What an environment may hold.
#[derive(Debug)]
pub(super) struct Limits {
    memory_bytes_max: u64,
    usage: Arc<MemoryUsage>,
}

impl MemoryUsage {
    /// All linear memories together. They never shrink, so this is also their peak.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Ordering::Relaxed)
    }

    /// Begins anew, for a new instance in the same environment.
    pub(super) fn reset(&self) {
        self.memory_bytes.store(0, Ordering::Relaxed);
        self.refused.store(false, Ordering::Relaxed);
        self.deep.store(false, Ordering::Relaxed);
    }

    /// Begins another call of the same instance: its memory stays, and what it was refused before is
    /// no reason for how this call ends.
    pub(super) fn begin_call(&self) {
        self.refused.store(false, Ordering::Relaxed);
    }

    /// The guest has used all of its stack.
    pub(super) fn went_deep(&self) {
        self.deep.store(true, Ordering::Relaxed);
    }

    /// What it may leave behind: its memories, and its stack where it has used it all.
    pub(super) fn left_bytes(&self) -> u64 {
        let stack = if self.deep.load(Ordering::Relaxed) {
            WASM_STACK_BYTES as u64
        } else {
            0
        };
        self.memory_bytes() + stack
    }

    /// Whether the guest has asked for more memory than it may have.
    pub(super) fn was_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }
}

impl Limits {
    pub(super) fn new(memory: Mib, usage: Arc<MemoryUsage>) -> Self {
        Self {
            memory_bytes_max: memory.bytes(),
            usage,
        }
    }
}

impl Limits {
    /// What its memories have not taken of what it may have.
    pub(super) fn left_bytes(&self) -> u64 {
        self.memory_bytes_max
            .saturating_sub(self.usage.memory_bytes())
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = u64::try_from(desired.saturating_sub(current)).unwrap_or(u64::MAX);
        let total = self.usage.memory_bytes().saturating_add(more);
        let allowed = total <= self.memory_bytes_max;
        if allowed {
            self.usage.memory_bytes.store(total, Ordering::Relaxed);
        } else {
            self.usage.refused.store(true, Ordering::Relaxed);
        }
        Ok(allowed)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS_MAX)
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

/// An environment has one component.
fn count(per_component: u32) -> usize {
    usize::try_from(per_component).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_count_together() {
        let usage = Arc::new(MemoryUsage::default());
        let mut limits = Limits::new(Mib::new(2), Arc::clone(&usage));
        assert!(limits.memory_growing(0, 1 << 20, None).unwrap());
        assert!(limits.memory_growing(0, 1 << 20, None).unwrap());
        assert!(!limits.memory_growing(1 << 20, (1 << 20) + 1, None).unwrap());
        assert!(usage.was_refused());
        assert_eq!(usage.memory_bytes(), 2 << 20);
    }

    #[test]
    fn a_refusal_belongs_to_its_call() {
        let usage = Arc::new(MemoryUsage::default());
        let mut limits = Limits::new(Mib::new(1), Arc::clone(&usage));
        assert!(limits.memory_growing(0, 1 << 20, None).unwrap());
        assert!(!limits.memory_growing(1 << 20, 2 << 20, None).unwrap());
        usage.begin_call();
        assert!(!usage.was_refused());
        assert_eq!(usage.memory_bytes(), 1 << 20, "the memory is still there");
    }
}
