//! Batched decommit of ended guests' memory. Each decommit interrupts every core that runs the
//! host, so regions are collected in batches. Large guests fill their batch at once, so that their
//! memory does not wait for others to end.

use wasmtime::{Engine, Instance, Module, Store};

use super::engine::TABLES_PER_COMPONENT_MAX;

/// Regions per batch. Each memory, stack and table of a guest is one region, even an empty table.
/// Each core may have one pending batch per engine.
pub(super) const BATCH: usize = 64;

/// Regions that may wait in batches at once.
pub(super) fn pending_max() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(cores.saturating_mul(BATCH)).unwrap_or(u32::MAX)
}

/// Guests from this size on flush their batch. Smaller ones hold at most this much per region.
const LARGE_BYTES: u64 = 2 << 20;

/// Tables of the filler module.
const TABLES: usize = 32;
const _: () = assert!(TABLES <= TABLES_PER_COMPONENT_MAX as usize && BATCH.is_multiple_of(TABLES));

/// Filler module of empty tables: `(module (table 0 funcref) ...)`.
fn tables() -> Vec<u8> {
    let count = u8::try_from(TABLES).expect("there are few");
    let section = [4, 1 + 3 * count, count];
    [
        b"\0asm\x01\0\0\0",
        section.as_slice(),
        &[0x70, 0, 0].repeat(TABLES),
    ]
    .concat()
}

/// Fills batches to flush them.
pub(super) struct Turnover {
    engine: Engine,
    /// Filler module; `None` without a pooling allocator, where nothing is deferred.
    tables: Option<Module>,
}

impl Turnover {
    pub(super) fn new(engine: &Engine) -> wasmtime::Result<Self> {
        let is_pooled = engine.pooling_allocator_metrics().is_some();
        let tables = is_pooled.then(|| Module::new(engine, tables()));
        Ok(Self {
            engine: engine.clone(),
            tables: tables.transpose()?,
        })
    }

    /// Call after a guest's store was dropped, on the same thread, with the bytes it may have left.
    pub(super) fn ended(&self, left_bytes: u64) {
        let is_large = left_bytes >= LARGE_BYTES;
        let Some(tables) = self.tables.as_ref().filter(|_| is_large) else {
            return;
        };
        for _ in 0..BATCH / TABLES {
            let mut store = Store::new(&self.engine, ());
            // Without a free slot, the engine flushes by itself.
            if Instance::new(&mut store, tables, &[]).is_err() {
                return;
            }
        }
    }
}
