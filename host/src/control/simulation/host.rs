//! One simulated process: both planes over records that outlive it, with a fake sandbox.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tempfile::TempDir;
use tokio_util::task::AbortOnDropHandle;

use super::records::Unreliable;
use super::truth::Truth;
use crate::clock::Clock;
use crate::config::{self, Runtimes};
use crate::control::code_signing::profile::Profiles;
use crate::control::vault::Vault;
use crate::control::{self, Control};
use crate::invoke::live::{LoadError, Loader};
use crate::invoke::snapshot::{Code, Function, Version};
use crate::invoke::{self, Invoker};
use crate::library::Library;
use crate::library::image::Registries;
use crate::names::{FunctionName, Home};
use crate::sandbox::compile::Compiler;
use crate::sandbox::fake::{Guests, Script};
use crate::sandbox::{self, Egress, Program, Sandbox, Scheduler};
use crate::store::memory::Memory;
use crate::store::object::Objects;
use crate::telemetry::log::{self, Logs};
use crate::telemetry::metrics::Metrics;

const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Memory and scratch space of guests, more than a history uses.
const BUDGET_BYTES: u64 = 1 << 50;
const INIT: Duration = Duration::from_millis(200);

/// Limits of a world.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) concurrency: u32,
    pub(super) environments: u32,
    pub(super) burst: u32,
}

/// A process.
pub(super) struct Host {
    pub(super) planes: Planes,
    pub(super) limits: Limits,
    _tasks: [AbortOnDropHandle<()>; 2],
}

/// Client view of a process; cheap to clone.
#[derive(Clone)]
pub(super) struct Planes {
    pub(super) clock: Clock,
    pub(super) truth: Arc<Truth>,
    pub(super) records: Arc<Unreliable>,
    pub(super) guests: Arc<Guests>,
    pub(super) control: Control,
    pub(super) invoker: Invoker,
    pub(super) logs: Logs,
}

/// Fake programs for all code.
#[derive(Debug)]
struct Fakes(Arc<Guests>);

#[async_trait]
impl Loader for Fakes {
    async fn load(&self, version: &Version) -> Result<Program, LoadError> {
        Ok(Program::Fake(Arc::new(Script {
            package: version.code.package.to_string(),
            init: INIT,
            guests: Arc::clone(&self.0),
        })))
    }

    fn variables(&self, _code: &Code) -> Result<Vec<(String, String)>, LoadError> {
        Ok(Vec::new())
    }
}

impl Planes {
    /// Asserts that the data plane may show this state of a function now.
    pub(super) fn require_true(&self, name: &FunctionName, shown: Option<&Arc<Function>>) {
        let span = self.records.visible_max();
        assert!(
            self.truth.allows(name, shown, span),
            "{name} is shown as {shown:#?}, and was in the last {span:?} {:#?}",
            self.truth.states(name, span)
        );
    }
}

impl Host {
    pub(super) async fn open(
        memory: &Arc<Memory>,
        truth: &Arc<Truth>,
        limits: Limits,
        clock: &Clock,
    ) -> Self {
        let records = Arc::new(Unreliable::new(memory, truth, clock));
        let guests = Guests::new(clock);
        let loader: Arc<dyn Loader> = Arc::new(Fakes(Arc::clone(&guests)));
        let shared = |it: &Shared| {
            let path = it.dir.path().to_owned();
            (path, it.library.clone(), Arc::clone(&it.scheduler))
        };
        let (dir, library, scheduler) = SHARED.with(shared);
        let vault = Vault::open(&dir, &**memory, clock);
        let vault = vault.await.expect("the directory is writable");
        let (config, same) = (config(limits), Arc::clone(&records));
        let opened = Control::open(config, same, library, vault, Some(loader), clock.clone());
        let control = opened.await.expect("reads do not fail yet");
        let pipeline = invoke::Config {
            idle_timeout: IDLE_TIMEOUT,
            idle_large_timeout: IDLE_TIMEOUT,
            region: "us-east-1".into(),
            runtime_version_arn: String::new(),
            scheduler,
            observers: Vec::new(),
        };
        let logs = log::Config::new(None, 1 << 16);
        let logs = Logs::open(logs, clock.clone()).expect("they are in memory");
        let (live, metrics) = (control.live().clone(), Metrics::default());
        let same = logs.clone();
        let invoker = Invoker::new(pipeline, live, same, metrics, clock.clone());
        let follow = invoker.clone();
        let follow = tokio::spawn(async move { follow.follow().await });
        let reclaim = invoker.clone();
        let reclaim = tokio::spawn(async move { reclaim.reclaim().await });
        Self {
            planes: Planes {
                clock: clock.clone(),
                truth: Arc::clone(truth),
                records,
                guests,
                control,
                invoker,
                logs,
            },
            limits,
            _tasks: [follow, reclaim].map(AbortOnDropHandle::new),
        }
    }
}

pub(super) fn home() -> Home {
    let settings = config::Config::default();
    Home {
        account: settings.account_id,
        region: settings.region,
    }
}

fn config(limits: Limits) -> control::Config {
    control::Config {
        signing_profiles: Profiles::read(&[], &home()).expect("there are none"),
        home: home(),
        settle: Duration::from_millis(500),
        runtimes: Runtimes::Accept,
        concurrency: limits.concurrency,
        environments: limits.environments,
        burst: limits.burst,
        code_bytes_max: u64::MAX,
    }
}

/// One library and one engine for all worlds of a test: packages are kept by their digests.
struct Shared {
    dir: TempDir,
    library: Library,
    scheduler: Arc<Scheduler>,
}

thread_local! {
    static SHARED: Shared = Shared::open();
}

impl Shared {
    fn open() -> Self {
        let dir = tempfile::tempdir().expect("a directory can be had");
        let sandbox = sandbox::Config {
            environments_max: 1,
            memory_bytes: Some(BUDGET_BYTES),
            scratch_dir: dir.path().join("scratch"),
            scratch_bytes: Some(BUDGET_BYTES),
            egress: Egress::default(),
            egress_near: Vec::new(),
            egress_rules: Vec::new(),
            trust: crate::outbound::Trust::default(),
            file_systems: Vec::new(),
        };
        std::fs::create_dir_all(&sandbox.scratch_dir).expect("the directory is writable");
        let sandbox = Sandbox::new(sandbox, Clock::system()).expect("the engine starts");
        let (scheduler, objects) = (sandbox.scheduler(), Objects::none());
        let library = Library::open(
            dir.path(),
            sandbox,
            Compiler::InProcess,
            objects,
            Registries::for_test(),
        );
        Self {
            library: library.expect("the directory is writable"),
            dir,
            scheduler,
        }
    }
}
