//! Live state follows snapshots, and environments that leave it make way for others.

use std::thread;
use std::time::Duration;

use futures_util::FutureExt;

use super::admission::{IdleTimes, Lack};
use super::*;
use crate::invoke::pool::WarmEnvironment;
use crate::invoke::snapshot::tests::function;
use crate::names::RequestId;
use crate::sandbox::fake::{Guests, Script};
use crate::sandbox::{Environment, Setup, Variables};
use crate::telemetry::log::{self, Format, Logs};

/// A loader of a host that runs nothing.
#[derive(Debug)]
struct Nothing;

#[async_trait]
impl Loader for Nothing {
    async fn load(&self, _version: &Version) -> Result<Program, LoadError> {
        Err(LoadError::NoComponent)
    }

    fn variables(&self, _code: &Code) -> Result<Vec<(String, String)>, LoadError> {
        Ok(Vec::new())
    }
}

/// Live state of one function with a provisioned version, and the sender of its snapshots.
fn live(environments: u32) -> (Live, watch::Sender<Arc<Snapshot>>) {
    live_with(environments, 1_000)
}

fn live_with(environments: u32, burst: u32) -> (Live, watch::Sender<Arc<Snapshot>>) {
    let name = FunctionName::parse("f").unwrap();
    let mut provisioned = function(&name, None);
    provisioned.provisions = [(Qualifier::Version(1), 3)].into();
    let mut snapshot = Snapshot::default();
    snapshot.replace(&name, Some(provisioned));
    let (sender, receiver) = watch::channel(Arc::new(snapshot));
    let (loader, budgets) = (Arc::new(Nothing), Arc::new(Budgets::unlimited()));
    let clock = Clock::system();
    let live = Live::new(receiver, loader, 10, (environments, burst), budgets, clock);
    (live, sender)
}

/// Puts an idle environment into the pool of `deployment`. Its drop waits for the lock of the guests' counts, and
/// its slot is free after that.
async fn add_idle(live: &Live, deployment: &Deployment, guests: &Arc<Guests>) {
    let clock = Clock::system();
    let script = Arc::new(Script {
        package: String::new(),
        init: Duration::ZERO,
        guests: Arc::clone(guests),
    });
    let (slot, admission) = live.admit(deployment).await.unwrap();
    let logs = Logs::open(log::Config::new(None, 1 << 16), clock.clone()).unwrap();
    let log = logs.environment("g", "s", Format::Text, Vec::new());
    let setup = Setup {
        function: Arc::clone(&deployment.version.facts),
        tenant_id: None,
        memory: deployment.version.settings.memory,
        tmp: deployment.version.settings.tmp,
        file_system: None,
        extensions: None,
        variables: Variables {
            shared: Arc::new([]),
            own: Vec::new(),
            process: None,
        },
    };
    let (program, id) = (Program::Fake(script), RequestId::random(&clock));
    let (same, time) = (Arc::clone(&log), Duration::from_secs(10));
    let opened = Environment::open(&program, setup, admission, same, &id, time).await;
    let environment = WarmEnvironment {
        environment: opened.unwrap(),
        log,
        log_stream: "s".into(),
        slot,
        tenant_id: None,
        provisioned: None,
    };
    deployment.pool.give_back(environment, clock.instant());
}

/// Asserts that an admission to the only slot of a host waits while `leave` drops the environment that has it.
async fn require_wait_for(leave: impl FnOnce(&Live) + Send + 'static) {
    let (live, _sender) = live(1);
    let function = Arc::clone(
        live.snapshot()
            .function(&FunctionName::parse("f").unwrap())
            .unwrap(),
    );
    let leaving = live.deployment(&function.latest);
    let other = live.deployment(&function.versions[&1]);
    let guests = Guests::new(&Clock::system());
    add_idle(&live, &leaving, &guests).await;
    let counts = guests.counts();
    let same = live.clone();
    let leaves = thread::spawn(move || leave(&same));
    while leaving.pool.oldest(|_| true).is_some() {
        thread::yield_now();
    }
    let mut admission = Box::pin(live.admit(&other));
    let early = (&mut admission).now_or_never();
    drop(counts);
    assert!(early.is_none(), "{early:?}");
    admission.await.unwrap();
    leaves.join().unwrap();
}

#[tokio::test]
async fn admission_waits_for_eviction_of_idle_environments() {
    let times = IdleTimes {
        any: Duration::ZERO,
        large: Duration::ZERO,
        large_bytes: 0,
    };
    require_wait_for(move |live| live.reclaim(times)).await;
}

#[tokio::test]
async fn admission_waits_for_environments_of_retired_deployment() {
    require_wait_for(|live| live.follow(&Snapshot::default())).await;
}

#[test]
fn deployment_that_is_gone_asks_for_no_environments() {
    let name = FunctionName::parse("f").unwrap();
    let (live, sender) = live(10);
    let wanted = live.request_provisions(&live.snapshot());
    assert_eq!(wanted[0].provisioning.progress().requested, 3);
    // The function is deleted while its environments are being opened.
    sender.send_modify(|current| Arc::make_mut(current).replace(&name, None));
    live.follow(&live.snapshot());
    assert!(live.all().is_empty());
    assert_eq!(wanted[0].provisioning.progress().requested, 0);
}

#[test]
fn deployment_that_went_after_it_was_resolved_leaves_no_state() {
    let name = FunctionName::parse("f").unwrap();
    let (live, sender) = live(10);
    let function = live.snapshot().function(&name).cloned().unwrap();
    let resolved = Arc::clone(&function.latest);
    sender.send_modify(|current| Arc::make_mut(current).replace(&name, None));
    live.follow(&live.snapshot());
    let deployment = live.deployment(&resolved);
    assert_eq!(deployment.version.deployment, resolved.deployment);
    assert!(live.all().is_empty());
}

#[tokio::test]
async fn function_that_grows_too_fast_is_refused_whatever_its_version() {
    let (live, _sender) = live_with(100, 3);
    let function = live.snapshot();
    let function = function.function(&FunctionName::parse("f").unwrap());
    let function = Arc::clone(function.unwrap());
    let latest = live.deployment(&function.latest);
    let version = live.deployment(&function.versions[&1]);
    let first = live.admit(&latest).await.unwrap();
    let _kept = [
        live.admit(&latest).await.unwrap(),
        live.admit(&version).await.unwrap(),
    ];
    let refused = live.admit(&version).await.map(drop);
    assert_eq!(refused.unwrap_err(), Lack::Burst);
    // Provisioned environments have no part in it.
    live.admit_provisioned(&version).await.unwrap();
    drop(first);
    live.admit(&version).await.unwrap();
}
