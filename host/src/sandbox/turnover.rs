//! The memory of guests that have ended is given back in batches, since each time it is, every core
//! that runs the host is interrupted. A batch fills as guests end; so that what a large guest held
//! does not wait for others to end, this fills it at once.

use wasmtime::{Engine, Instance, Module, Store};

/// Memories that are given back together. On as many cores, as many batches may wait.
pub(super) const BATCH: usize = 16;
/// A guest from this size on does not wait. Smaller ones hold at most this much for each place of a batch.
const LARGE_BYTES: u64 = 4 << 20;

/// A module of one memory with one page, which is never touched: `(module (memory 1))`.
const ONE_MEMORY: &[u8] = b"\0asm\x01\0\0\0\x05\x03\x01\0\x01";

/// Fills batches.
pub(super) struct Turnover {
    engine: Engine,
    /// None where memories are not kept for others, and nothing waits.
    one_memory: Option<Module>,
}

impl Turnover {
    pub(super) fn new(engine: &Engine) -> wasmtime::Result<Self> {
        let is_pooled = engine.pooling_allocator_metrics().is_some();
        let one_memory = is_pooled.then(|| Module::new(engine, ONE_MEMORY));
        Ok(Self {
            engine: engine.clone(),
            one_memory: one_memory.transpose()?,
        })
    }

    /// To be called where a guest's store was dropped, on the same thread, with what its memories were.
    pub(super) fn ended(&self, memory_bytes: u64) {
        let Some(one_memory) = self
            .one_memory
            .as_ref()
            .filter(|_| memory_bytes >= LARGE_BYTES)
        else {
            return;
        };
        for _ in 0..BATCH {
            let mut store = Store::new(&self.engine, ());
            // Where there is no slot left, the engine gives back what waits, and nothing is to be done.
            if Instance::new(&mut store, one_memory, &[]).is_err() {
                return;
            }
        }
    }
}
