//! The memory of guests that have ended is given back in batches, since each time it is, every core
//! that runs the host is interrupted. A batch fills as guests end; so that what a large guest held
//! does not wait for others to end, this fills it at once.

use wasmtime::{Engine, Instance, Module, Store};

use super::engine::TABLES_PER_COMPONENT_MAX;

/// Regions that are given back together. Each memory of a guest is one, its stack, and each of its tables,
/// even an empty one. On as many cores, as many batches may wait, of each engine.
pub(super) const BATCH: usize = 64;
/// A guest from this size on does not wait. Smaller ones hold at most this much for each region of a batch.
const LARGE_BYTES: u64 = 2 << 20;

/// Tables of the module that fills a batch.
const TABLES: usize = 32;
const _: () = assert!(TABLES <= TABLES_PER_COMPONENT_MAX as usize && BATCH.is_multiple_of(TABLES));

/// A module of empty tables: `(module (table 0 funcref) ...)`.
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

/// Fills batches.
pub(super) struct Turnover {
    engine: Engine,
    /// None where memories are not kept for others, and nothing waits.
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

    /// To be called where a guest's store was dropped, on the same thread, with what the guest may have left.
    pub(super) fn ended(&self, left_bytes: u64) {
        let is_large = left_bytes >= LARGE_BYTES;
        let Some(tables) = self.tables.as_ref().filter(|_| is_large) else {
            return;
        };
        for _ in 0..BATCH / TABLES {
            let mut store = Store::new(&self.engine, ());
            // Where there is no slot left, the engine gives back what waits, and nothing is to be done.
            if Instance::new(&mut store, tables, &[]).is_err() {
                return;
            }
        }
    }
}
