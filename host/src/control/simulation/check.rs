//! Checks of a world: at any moment, and at rest.

use std::collections::HashSet;
use std::time::Duration;

use super::call::MILLIS_MAX;
use super::world::World;
use crate::control::event_source::mapping::MappingRecord;
use crate::control::ledger::{self, Ledger};
use crate::control::record::decode;
use crate::control::{event_source, function_records};
use crate::invoke::snapshot::Snapshot;
use crate::names::{FunctionName, Qualifier};
use crate::sandbox::Resource;
use crate::sandbox::fake::Begun;
use crate::store::Records as _;

/// The longest time from the admission of an invocation to its end: an `init`, and the call.
const LIFE_MAX: Duration = Duration::from_millis(MILLIS_MAX as u64 + 300);

impl World {
    /// Holds at any moment at which everything has gone on that needs no time.
    pub(super) async fn check(&mut self) {
        self.settle().await;
        let planes = self.planes();
        let snapshot = planes.invoker.snapshot();
        for name in self.subjects.functions() {
            planes.require_true(name, snapshot.function(name));
        }
        self.check_ledger().await;
        self.check_limits();
        self.check_deployments(&snapshot);
    }

    /// The account's sums are those of the functions, and within its limits.
    async fn check_ledger(&self) {
        let mut sums = Ledger::default();
        for name in self.subjects.functions() {
            let found = function_records::read(&*self.memory, name).await;
            let found = found.expect("memory does not fail");
            found.iter().for_each(|it| sums.add(it.shares()));
        }
        let ledger = ledger::read(&*self.memory).await;
        let (ledger, _) = ledger.expect("memory does not fail");
        assert_eq!(ledger, sums, "the ledger is not the sum of the functions");
        let limits = self.host.limits;
        assert!(
            ledger.set_aside + 100 <= limits.concurrency,
            "too much is set aside: {ledger:?} of {limits:?}"
        );
        assert!(
            ledger.provisioned <= limits.environments - limits.environments.div_ceil(10),
            "too much is provisioned: {ledger:?} of {limits:?}"
        );
    }

    fn check_limits(&self) {
        let mut counts = self.planes().guests.counts();
        let begun = std::mem::take(&mut counts.begun);
        let (environments, most) = (counts.environments_max, self.host.limits.environments);
        drop(counts);
        assert!(environments <= most, "{environments} environments at once");
        begun.iter().for_each(|it| self.check_begun(it));
    }

    fn check_begun(&self, begun: &Begun) {
        let all: u32 = begun.running.values().sum();
        let most = self.host.limits.concurrency;
        let at = begun.at.iso8601();
        assert!(all <= most, "{at}: {all} invocations at once: {begun:?}");
        let (of_it, reserve) = (begun.running[&begun.function], self.reserve_lately(begun));
        assert!(
            of_it <= reserve,
            "{at}: more than {reserve} at once: {begun:?}"
        );
    }

    /// The largest reserve of the function in the life of any of its invocations that ran then.
    fn reserve_lately(&self, begun: &Begun) -> u32 {
        let name = FunctionName::parse(&begun.function).expect("it is a name");
        let span = LIFE_MAX + self.records().visible_max();
        let states = self.truth.states_until(&name, begun.at, span);
        let states = states.into_iter().flatten();
        let all = self.host.limits.concurrency;
        let reserves = states.map(|function| function.reserved.unwrap_or(all));
        reserves.max().unwrap_or(all)
    }

    fn check_deployments(&self, snapshot: &Snapshot) {
        let mut seen = HashSet::new();
        for (deployment, is_published) in self.planes().control.live().deployments(snapshot) {
            assert!(is_published, "{deployment} is live and not published");
            assert!(seen.insert(deployment));
        }
    }

    async fn check_mappings(&self, snapshot: &Snapshot) {
        let found = self.memory.list(event_source::KIND, "", None, usize::MAX);
        for record in found.await.expect("memory does not fail") {
            let mapping: MappingRecord = decode(&record).expect("it is sound");
            let is_settling = mapping.state.is_settling();
            assert!(!is_settling, "a mapping is {:?} for ever", mapping.state);
            let shown = snapshot.mapping(&mapping.id).map(|it| &**it);
            assert_eq!(
                shown,
                Some(&mapping.published()),
                "a mapping is out of date"
            );
        }
    }

    /// Holds where nothing is under way: everything that was begun has ended and left nothing behind.
    pub async fn check_rest(&mut self) {
        self.check().await;
        let plane = &self.planes().control.0;
        let live = &plane.live;
        let snapshot = live.snapshot();
        let mut ready = 0;
        for name in self.subjects.functions() {
            let found = function_records::read(&*self.memory, name).await;
            let found = found.expect("memory does not fail");
            let is_settling = found.is_some_and(|it| it.record.is_settling());
            assert!(!is_settling, "{name} is in progress for ever");
            let now = self.truth.states(name, Duration::ZERO).pop().flatten();
            assert_eq!(
                snapshot.function(name),
                now.as_ref(),
                "{name} is out of date"
            );
            let requests = now.map(|it| it.provision_requests()).unwrap_or_default();
            for (number, environments) in requests {
                let progress = live.provision_of(name, &Qualifier::Version(number));
                assert_eq!(
                    progress.available, environments,
                    "{name}:{number} {progress:?}"
                );
                ready += environments;
            }
        }
        assert!(plane.jobs.are_done(), "a job is left");
        assert!(plane.publisher.is_idle(), "a publication is left");
        assert_eq!(plane.code_storage.granted(), 0, "code storage is granted");
        self.check_mappings(&snapshot).await;
        assert_eq!(live.in_flight(), 0, "a permit was not given back");
        let all = self.host.limits.environments;
        assert_eq!(
            live.free_slots(),
            (all - ready) as usize,
            "a slot was not given back"
        );
        if ready == 0 {
            let budgets = plane.library.budgets();
            let taken = [Resource::Memory, Resource::Scratch].map(|it| budgets.balance(it).taken);
            assert_eq!(taken, [0, 0], "memory or scratch space was not given back");
        }
        let counts = self.planes().guests.counts().clone();
        assert_eq!(
            counts.environments, ready,
            "environments live that nobody asked for"
        );
        assert_eq!(
            counts.running.values().sum::<u32>(),
            0,
            "a guest is running"
        );
        let former = self.former.iter().map(|it| it.counts().environments);
        assert_eq!(
            former.sum::<u32>(),
            0,
            "a process that ended has environments"
        );
    }
}
