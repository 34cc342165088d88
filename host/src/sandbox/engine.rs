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

use super::guest::{self, Guest};
use super::turnover::{self, Turnover};
use super::{Architecture, Config, Error, MemoryImage, Target, deadline};
use crate::clock::Clock;

/// Interpreters recurse deeply: with the default of 512 KiB, CPython and QuickJS trap.
const WASM_STACK_BYTES: usize = 8 << 20;
/// The stack a guest and the host functions it calls run on; virtual until touched.
const ASYNC_STACK_BYTES: usize = 10 << 20;

/// What one component may bring. Nearly all bring one memory, two tables and a few core modules: their
/// own, their adapters, their shims. An interpreter has a core module for each of its libraries, and
/// composed components add up. Every environment finds room for this much, so that a host that has
/// a place for it can always open it.
pub(super) const CORE_INSTANCES_PER_COMPONENT_MAX: u32 = 100;
pub(super) const TABLES_PER_COMPONENT_MAX: u32 = 32;
pub(super) const MEMORIES_PER_COMPONENT_MAX: u32 = 8;
const INSTANCE_BYTES_MAX: usize = 4 << 20;
/// Entries of one table; the function tables of interpreters have some ten thousand.
pub(super) const TABLE_ELEMENTS_MAX: usize = 100_000;
/// What of its tables a freed slot keeps, cleared by hand. Of memories it keeps nothing: the first pages of
/// guests are the far end of their stack, and the rest is given back anyway.
const TABLE_KEEP_BYTES: usize = 128 << 10;

/// The engines of a host, for each kind of memory image.
#[derive(Debug)]
pub(super) struct Engines {
    copying: Arc<Shared>,
    mapping: Arc<Shared>,
    compatibility: Compatibility,
}

/// What every program of an engine shares.
pub(super) struct Shared {
    pub(super) engine: Engine,
    pub(super) linker: Linker<Guest>,
    pub(super) turnover: Turnover,
    pub(super) config: Config,
    pub(super) clock: Clock,
}

/// Names what compiled code depends on, for each target.
#[derive(Debug)]
struct Compatibility {
    here: Names,
    x86_64: Names,
    arm64: Names,
}

/// For each kind of memory image.
#[derive(Debug)]
struct Names {
    copied: String,
    mapped: String,
}

impl Engines {
    pub(super) fn start(config: Config, clock: Clock) -> Result<Self, Error> {
        let failed = |error: wasmtime::Error| Error::Engine(format!("{error:#}"));
        std::fs::create_dir_all(&config.scratch_dir).map_err(|source| Error::Mount {
            path: config.scratch_dir.clone(),
            source,
        })?;
        let [copying, mapping] = pooled(config.environments_max).map_err(failed)?;
        deadline::tick([&copying, &mapping]).map_err(|error| Error::Engine(error.to_string()))?;
        let shared = |engine| Shared::new(engine, &config, &clock).map(Arc::new);
        Ok(Self {
            copying: shared(copying).map_err(failed)?,
            mapping: shared(mapping).map_err(failed)?,
            compatibility: Compatibility::find().map_err(failed)?,
        })
    }

    /// What runs components with such images.
    pub(super) fn that(&self, image: MemoryImage) -> &Arc<Shared> {
        match image {
            MemoryImage::Copied => &self.copying,
            MemoryImage::Mapped => &self.mapping,
        }
    }

    pub(super) fn compatibility(&self, target: Target, image: MemoryImage) -> &str {
        let compatibility = &self.compatibility;
        let names = match target {
            Target::Here => &compatibility.here,
            Target::Any(Architecture::X86_64) => &compatibility.x86_64,
            Target::Any(Architecture::Arm64) => &compatibility.arm64,
        };
        match image {
            MemoryImage::Copied => &names.copied,
            MemoryImage::Mapped => &names.mapped,
        }
    }
}

impl Shared {
    fn new(engine: Engine, config: &Config, clock: &Clock) -> wasmtime::Result<Self> {
        Ok(Self {
            linker: guest::linker(&engine)?,
            turnover: Turnover::new(&engine)?,
            engine,
            config: config.clone(),
            clock: clock.clone(),
        })
    }
}

impl Compatibility {
    fn find() -> wasmtime::Result<Self> {
        Ok(Self {
            here: Names::with(Target::Here)?,
            x86_64: Names::with(Target::Any(Architecture::X86_64))?,
            arm64: Names::with(Target::Any(Architecture::Arm64))?,
        })
    }
}

impl Names {
    fn with(target: Target) -> wasmtime::Result<Self> {
        let with = |image| compiling(target, image).map(|it| named(&it));
        Ok(Self {
            copied: with(MemoryImage::Copied)?,
            mapped: with(MemoryImage::Mapped)?,
        })
    }
}

/// An engine that only compiles. It has no slots, and refuses to load what would not go into one. That of
/// another machine refuses to load anything.
pub(super) fn compiling(target: Target, image: MemoryImage) -> wasmtime::Result<Engine> {
    let mut config = code_settings(image);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(slots(1, 0)));
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

/// What the compiler needs to know. Everything that is not needed is off: each proposal is code
/// that a hostile component could reach.
fn code_settings(image: MemoryImage) -> EngineConfig {
    let mut config = EngineConfig::new();
    config
        .concurrency_support(false)
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .memory_init_cow(image == MemoryImage::Mapped)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(ASYNC_STACK_BYTES)
        .wasm_component_model(true)
        .wasm_memory64(false)
        .wasm_relaxed_simd(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false);
    config
}

/// Engines whose instances live in slots made beforehand; or, where the machine does not have
/// the address space for them, such that allocate each anew, ten times slower.
fn pooled(environments: u32) -> wasmtime::Result<[Engine; 2]> {
    let warn = |error: wasmtime::Error, consequence: &str| {
        tracing::warn!(
            environments,
            error = format!("{error:#}"),
            "the address space is short: {consequence}. Raise the limit on virtual memory \
             (ulimit -v) or lower limits.environments"
        );
    };
    match both(|image| pool(image, environments, MEMORIES_PER_COMPONENT_MAX)) {
        Ok(engines) => return Ok(engines),
        Err(error) => warn(
            error,
            "functions with more than one memory may find no room, and their callers get status 429",
        ),
    }
    match both(|image| pool(image, environments, 1)) {
        Ok(engines) => return Ok(engines),
        Err(error) => warn(
            error,
            "environments are not pooled but allocated anew, which is much slower",
        ),
    }
    both(|image| Engine::new(&code_settings(image)))
}

/// Either may have all the environments of the host, so each has places for them all.
fn both(engine: impl Fn(MemoryImage) -> wasmtime::Result<Engine>) -> wasmtime::Result<[Engine; 2]> {
    Ok([engine(MemoryImage::Copied)?, engine(MemoryImage::Mapped)?])
}

fn pool(
    image: MemoryImage,
    environments: u32,
    memories_per_environment: u32,
) -> wasmtime::Result<Engine> {
    let memories = environments
        .saturating_mul(memories_per_environment)
        .max(MEMORIES_PER_COMPONENT_MAX);
    let slots = slots(environments, memories);
    let mut config = code_settings(image);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(slots));
    Engine::new(&config)
}

/// Slots cost address space until they are used: a memory 4 GiB, a table 1.6 MB, a stack 10 MiB. Core
/// instances are only counted. Of the 128 TiB of x86_64, both engines take 64 for 1,000 environments; from about
/// 2,000 on, they have one memory for each.
fn slots(environments: u32, memories: u32) -> PoolingAllocationConfig {
    let mut slots = PoolingAllocationConfig::default();
    slots
        .total_component_instances(environments)
        .total_core_instances(environments.saturating_mul(CORE_INSTANCES_PER_COMPONENT_MAX))
        .total_memories(memories)
        .total_tables(environments.saturating_mul(TABLES_PER_COMPONENT_MAX))
        .total_stacks(environments)
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
        .max_unused_warm_slots(environments);
    slots
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
