//! The engines and their settings. Those that shape compiled code are apart from those that only
//! place instances in memory, so that a child process compiles what this one can load.

use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use wasmtime::component::Linker;
use wasmtime::{
    Config as EngineConfig, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
};

use super::budget::Budgets;
use super::descriptors::Descriptors;
use super::egress::Reach;
use super::engine_kind::Each;
use super::filesystem::{AccessPoints, Kept};
use super::guest::Guest;
use super::network::HostNetwork;
use super::program::Entries;
use super::scheduler::Scheduler;
use super::stack::{ASYNC_STACK_BYTES, PageMap};
use super::turnover::{self, Turnover};
use super::{Architecture, Config, EngineKind, Error, Target, capability, deadline};
use crate::clock::Clock;
use crate::outbound::dial::Dialer;

/// Interpreters recurse deeply: with the default of 512 KiB, CPython and QuickJS trap.
pub(super) const WASM_STACK_BYTES: usize = 8 << 20;

/// Limits on one component. Nearly all bring one memory, two tables and a few core modules: their
/// own, their adapters, their shims. An interpreter has a core module for each of its libraries, and
/// composed components add up. Every environment finds room for this much, so that a host that has
/// a place for it can always open it.
pub(super) const CORE_INSTANCES_PER_COMPONENT_MAX: u32 = 100;
pub(super) const TABLES_PER_COMPONENT_MAX: u32 = 32;
pub(super) const MEMORIES_PER_COMPONENT_MAX: u32 = 8;
/// Extensions of a function, as in AWS.
pub(super) const EXTENSIONS_MAX: u32 = 10;
const INSTANCE_BYTES_MAX: usize = 4 << 20;
/// Entries of one table; the function tables of interpreters have some ten thousand.
pub(super) const TABLE_ELEMENTS_MAX: usize = 100_000;
/// Bytes of its tables that a freed slot keeps, cleared by hand. Of memories it keeps nothing: the first pages of
/// guests are the far end of their stack, and the rest is given back anyway.
const TABLE_KEEP_BYTES: usize = 128 << 10;

/// Stack of a guest in the concurrent engine: twice the engine's own default, which such guests are built for. It is small
/// because it counts in the host's budget as if it were used: a guest suspends its tasks without calling the host.
const CONCURRENT_STACK_BYTES: usize = 1 << 20;
const CONCURRENT_ASYNC_STACK_BYTES: usize = 3 << 20;
/// Stacks that one guest of the concurrent engine may have suspended: of its task that blocks, and of the engine's worker.
const CONCURRENT_STACKS: u32 = 2;
/// Bytes that the stacks of a guest of the concurrent engine count for.
pub(super) const CONCURRENT_STACKS_BYTES: u64 =
    CONCURRENT_STACKS as u64 * CONCURRENT_STACK_BYTES as u64;
/// Slots for each environment of the concurrent engine. The stacks are one for its start more. Few components have more
/// memories than one; where they run out, starts are refused in this engine alone.
const CONCURRENT_MEMORY_SLOTS: u32 = 2;
const CONCURRENT_STACK_SLOTS: u32 = CONCURRENT_STACKS + 1;

/// The engines of a host, and the names of what they depend on, for each target.
#[derive(Debug)]
pub(super) struct Engines {
    pub(super) shared: Each<Arc<Shared>>,
    here: Each<String>,
    x86_64: Each<String>,
    arm64: Each<String>,
}

/// Bytes of its stack that a freed slot keeps, cleared by hand; most guests use less.
const STACK_KEEP_BYTES: usize = 32 << 10;

/// Parts that all programs of an engine share.
pub(super) struct Shared {
    pub(super) kind: EngineKind,
    pub(super) engine: Engine,
    pub(super) linker: Linker<Guest>,
    pub(super) turnover: Turnover,
    pub(super) entries: Entries,
    /// Pages in which stacks are counted.
    pub(super) pages: Arc<PageMap>,
    pub(super) resources: Arc<Resources>,
}

/// Resources of the host for the guests of all engines.
#[derive(Debug)]
pub(super) struct Resources {
    pub(super) config: Config,
    pub(super) clock: Clock,
    pub(super) budgets: Arc<Budgets>,
    pub(super) pages: Arc<PageMap>,
    pub(super) descriptors: Arc<Descriptors>,
    pub(super) access_points: AccessPoints,
    pub(super) network: Arc<HostNetwork>,
    pub(super) scheduler: Arc<Scheduler>,
}

impl Engines {
    pub(super) fn start(config: Config, clock: Clock) -> Result<Self, Error> {
        let failed = |error: wasmtime::Error| Error::Engine(format!("{error:#}"));
        crate::disk::create_dir_all(&config.scratch_dir).map_err(|source| Error::Mount {
            path: config.scratch_dir.clone(),
            source,
        })?;
        let engines = pooled(config.environments_max).map_err(failed)?;
        let started = |error: std::io::Error| Error::Engine(error.to_string());
        let scheduler = Arc::new(Scheduler::start().map_err(started)?);
        deadline::tick(engines.all(), scheduler.ticks()).map_err(started)?;
        let resources = Resources::new(config, clock, scheduler).map_err(started)?;
        let resources = Arc::new(resources);
        let shared = |kind| Shared::new(engines.get(kind), kind, &resources).map(Arc::new);
        let names = |target| Each::make(|kind| compiling(target, kind).map(|it| named(&it)));
        Ok(Self {
            shared: Each::make(shared).map_err(failed)?,
            here: Each::make(|kind| Ok::<_, Error>(named(engines.get(kind))))?,
            x86_64: names(Target::Any(Architecture::X86_64)).map_err(failed)?,
            arm64: names(Target::Any(Architecture::Arm64)).map_err(failed)?,
        })
    }

    pub(super) fn scheduler(&self) -> Arc<Scheduler> {
        Arc::clone(&self.resources().scheduler)
    }

    pub(super) fn clock(&self) -> Clock {
        self.resources().clock.clone()
    }

    pub(super) fn budgets(&self) -> Arc<Budgets> {
        Arc::clone(&self.resources().budgets)
    }

    /// Resources shared by all engines.
    fn resources(&self) -> &Resources {
        &self.shared.get(EngineKind::Copied).resources
    }

    pub(super) fn compatibility(&self, target: Target, kind: EngineKind) -> &str {
        let names = match target {
            Target::Here => &self.here,
            Target::Any(Architecture::X86_64) => &self.x86_64,
            Target::Any(Architecture::Arm64) => &self.arm64,
        };
        names.get(kind)
    }
}

impl Shared {
    fn new(
        engine: &Engine,
        kind: EngineKind,
        resources: &Arc<Resources>,
    ) -> wasmtime::Result<Self> {
        Ok(Self {
            kind,
            engine: engine.clone(),
            linker: capability::linker(engine, kind)?,
            turnover: Turnover::new(engine)?,
            entries: Entries::default(),
            pages: match kind {
                EngineKind::Copied | EngineKind::Mapped => Arc::clone(&resources.pages),
                // Its stacks count in full.
                EngineKind::Concurrent => Arc::new(PageMap::none()),
            },
            resources: Arc::clone(resources),
        })
    }
}

impl Resources {
    fn new(config: Config, clock: Clock, scheduler: Arc<Scheduler>) -> std::io::Result<Self> {
        let reach = Reach::new(config.egress, &config.egress_near, &config.egress_rules);
        let dialer = Dialer::new(config.trust.clone(), clock.clone());
        let descriptors = Arc::new(Descriptors::of_this_process());
        let network = HostNetwork::new(reach, dialer, Arc::clone(&descriptors), clock.clone());
        let kept = Kept::of_this_process(clock.clone());
        Ok(Self {
            budgets: Arc::new(Budgets::open(&config, kept)?),
            pages: Arc::new(PageMap::open()),
            access_points: AccessPoints::new(&config.file_systems, &descriptors),
            descriptors,
            network: Arc::new(network),
            scheduler,
            config,
            clock,
        })
    }
}

/// An engine that only compiles. It has no slots, and refuses to load what would not go into one. That of
/// another machine refuses to load anything.
pub(super) fn compiling(target: Target, kind: EngineKind) -> wasmtime::Result<Engine> {
    let mut config = code_settings(kind);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(slots(1, 0, 0)));
    if let Target::Any(architecture) = target {
        // This also turns off whatever not every processor can do.
        config.target(architecture.triple())?;
    }
    Engine::new(&config)
}

fn named(engine: &Engine) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Settings of the compiler. Everything that is not needed is off: each proposal is code
/// that a hostile component could reach.
fn code_settings(kind: EngineKind) -> EngineConfig {
    let is_concurrent = kind == EngineKind::Concurrent;
    let (wasm_stack_bytes, async_stack_bytes) = if is_concurrent {
        (CONCURRENT_STACK_BYTES, CONCURRENT_ASYNC_STACK_BYTES)
    } else {
        (WASM_STACK_BYTES, ASYNC_STACK_BYTES)
    };
    let mut config = EngineConfig::new();
    config
        .concurrency_support(is_concurrent)
        .wasm_component_model_async(is_concurrent)
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .memory_init_cow(kind != EngineKind::Copied)
        .max_wasm_stack(wasm_stack_bytes)
        .async_stack_size(async_stack_bytes)
        // Less for secrecy than to give back what a guest that recursed has left.
        .async_stack_zeroing(true)
        .wasm_component_model(true)
        .wasm_memory64(false)
        .wasm_relaxed_simd(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false);
    config
}

/// Engines whose instances live in slots made beforehand; or, where the machine does not have
/// the address space for them, such that allocate each anew, ten times slower. Either may have all the
/// environments of the host, so each has places for them all.
fn pooled(environments: u32) -> wasmtime::Result<Each<Engine>> {
    let warn = |error: wasmtime::Error, consequence: &str| {
        tracing::warn!(
            environments,
            error = format!("{error:#}"),
            "the address space is short: {consequence}. Raise the limit on virtual memory \
             (ulimit -v) or lower limits.environments"
        );
    };
    match Each::make(|kind| pool(kind, environments, MEMORIES_PER_COMPONENT_MAX)) {
        Ok(engines) => return Ok(engines),
        Err(error) => warn(
            error,
            "functions with more than one memory may find no room, and their callers get status 429",
        ),
    }
    match Each::make(|kind| pool(kind, environments, 1)) {
        Ok(engines) => return Ok(engines),
        Err(error) => warn(
            error,
            "environments are not pooled but allocated anew, which is much slower",
        ),
    }
    Each::make(|kind| Engine::new(&code_settings(kind)))
}

fn pool(
    kind: EngineKind,
    environments: u32,
    memories_per_environment: u32,
) -> wasmtime::Result<Engine> {
    let (memories_max, stacks) = match kind {
        EngineKind::Copied | EngineKind::Mapped => (memories_per_environment, 1),
        EngineKind::Concurrent => (CONCURRENT_MEMORY_SLOTS, CONCURRENT_STACK_SLOTS),
    };
    let memories = environments
        .saturating_mul(memories_per_environment.min(memories_max))
        .max(MEMORIES_PER_COMPONENT_MAX);
    let mut slots = slots(environments, memories, turnover::pending_max());
    let stacks = environments.saturating_mul(stacks);
    slots.total_stacks(stacks.saturating_add(turnover::pending_max()));
    let mut config = code_settings(kind);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(slots));
    Engine::new(&config)
}

/// Slots cost address space until they are used: a memory 4 GiB, a table 1.6 MB, a stack 10 MiB. Core
/// instances are only counted. Of the 128 TiB of x86_64, the engines take 72 for 1,000 environments; from about
/// 1,800 on, they have one memory for each. `pending` more memories and stacks are for those of ended guests that
/// wait in a batch: another core cannot flush it, and would find no slot for an environment that was admitted.
fn slots(environments: u32, memories: u32, pending: u32) -> PoolingAllocationConfig {
    let mut slots = PoolingAllocationConfig::default();
    slots
        // Extensions are components beside the function's. They are only counted.
        .total_component_instances(environments.saturating_mul(1 + EXTENSIONS_MAX))
        .total_core_instances(environments.saturating_mul(CORE_INSTANCES_PER_COMPONENT_MAX))
        .total_memories(memories.saturating_add(pending))
        .total_tables(environments.saturating_mul(TABLES_PER_COMPONENT_MAX))
        .total_stacks(environments.saturating_mul(2).saturating_add(pending))
        .max_memories_per_module(MEMORIES_PER_COMPONENT_MAX)
        .max_tables_per_module(TABLES_PER_COMPONENT_MAX)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT_MAX)
        .max_memories_per_component(MEMORIES_PER_COMPONENT_MAX)
        .max_tables_per_component(TABLES_PER_COMPONENT_MAX)
        .max_component_instance_size(INSTANCE_BYTES_MAX)
        .max_core_instance_size(INSTANCE_BYTES_MAX)
        .table_elements(TABLE_ELEMENTS_MAX)
        .decommit_batch_size(turnover::BATCH)
        .table_keep_resident(TABLE_KEEP_BYTES)
        .async_stack_keep_resident(STACK_KEEP_BYTES)
        .max_unused_warm_slots(environments);
    slots
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
