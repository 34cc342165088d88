//! Sums of a budget, whatever is admitted, grows and is evicted.

use std::sync::Mutex;

use super::*;

const MIB: u64 = 1 << 20;

fn budgets(memory_mib: u64) -> Budgets {
    Budgets::new(
        memory_mib * MIB,
        memory_mib * MIB,
        Kept::new(8, crate::clock::Clock::system()),
    )
}

fn taken(budgets: &Budgets) -> u64 {
    budgets.balance(Resource::Memory).taken
}

/// Idle environments: each is a grant.
#[derive(Debug, Default)]
struct Idle(Mutex<Vec<Grant>>);

impl Evict for Idle {
    fn evict(&self, resource: Resource) -> bool {
        assert_eq!(resource, Resource::Memory);
        let mut idle = self.0.lock().unwrap();
        !idle.is_empty() && {
            drop(idle.remove(0));
            true
        }
    }
}

#[test]
fn environment_of_unknown_demand_is_admitted_with_its_size() {
    let budgets = budgets(4_096);
    let demand = Arc::default();
    let admit = || budgets.admit_memory(&demand, Mib::new(128));
    let admitted: Vec<_> = std::iter::from_fn(|| admit().ok()).collect();
    // 15 of 16 parts for new environments; half of it taken, a deployment has 14.
    assert_eq!(
        admitted.len(),
        27,
        "128 MiB each and what an environment is besides"
    );
    assert_eq!(admit().unwrap_err(), Resource::Memory);
    assert!(
        budgets.admit_memory(&Arc::default(), Mib::new(128)).is_ok(),
        "another has a part"
    );
    drop(admitted);
    assert_eq!(taken(&budgets), 0);
}

#[test]
fn first_environment_tells_what_the_next_are_admitted_with() {
    let budgets = budgets(2_048);
    let demand: Arc<Demand> = Arc::default();
    let first = budgets.admit_memory(&demand, Mib::new(10_240)).unwrap();
    assert!(
        taken(&budgets) >= 64 * MIB,
        "a 32nd, where its size is more"
    );
    first.opened(2 * MIB);
    assert!(taken(&budgets) < 3 * MIB);
    let second = budgets.admit_memory(&demand, Mib::new(10_240)).unwrap();
    assert!(taken(&budgets) < 6 * MIB);
    // The first grows in its call; from now on, others are expected to.
    assert!(first.cover(100 * MIB));
    let third = budgets.admit_memory(&demand, Mib::new(10_240)).unwrap();
    assert!(third.bytes() > 100 * MIB);
    third.opened(2 * MIB);
    assert!(
        third.bytes() > 100 * MIB,
        "until its own first call tells better"
    );
    third.settle(2 * MIB);
    assert!(third.bytes() < 3 * MIB);
    let fourth = budgets.admit_memory(&demand, Mib::new(10_240)).unwrap();
    assert!(
        fourth.bytes() < 60 * MIB,
        "what one took is forgotten by halves"
    );
    drop((first, second, third, fourth));
    assert_eq!(taken(&budgets), 0);
}

#[test]
fn growth_evicts_idle_environments_first_and_is_refused_last() {
    let budgets = budgets(64);
    let idle = Arc::new(Idle::default());
    let evictor: Weak<dyn Evict> = Arc::downgrade(&(Arc::clone(&idle) as Arc<dyn Evict>));
    budgets.set_evictor(evictor);
    for _ in 0..5 {
        let grant = budgets.admit_memory(&Arc::default(), Mib::new(1)).unwrap();
        grant.settle(0);
        assert!(grant.cover(10 * MIB));
        idle.0.lock().unwrap().push(grant);
    }
    let running = budgets.admit_memory(&Arc::default(), Mib::new(1)).unwrap();
    assert!(running.cover(30 * MIB));
    assert_eq!(
        idle.0.lock().unwrap().len(),
        3,
        "no more than is needed goes"
    );
    assert!(!running.is_refused());
    assert!(!running.cover(65 * MIB), "more than there is");
    assert_eq!(idle.0.lock().unwrap().len(), 3, "for which nothing goes");
    assert!(running.is_refused());
    assert!(running.cover(59 * MIB));
    assert_eq!(idle.0.lock().unwrap().len(), 0);
    let other = budgets.admit_memory(&Arc::default(), Mib::new(1));
    assert_eq!(
        other.unwrap_err(),
        Resource::Memory,
        "a sixteenth is for growth"
    );
    assert_eq!(budgets.balance(Resource::Memory).refusals, 1);
    drop(running);
    assert_eq!(taken(&budgets), 0);
}

#[test]
fn sum_of_concurrent_environments_stays_within_the_bound() {
    let budgets = budgets(32);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..2_000_u64 {
                    let demand = Arc::default();
                    let Ok(grant) = budgets.admit_memory(&demand, Mib::new(1)) else {
                        continue;
                    };
                    grant.opened(round % 7 * MIB / 8);
                    grant.cover(round % 13 * MIB);
                    assert!(taken(&budgets) <= 32 * MIB);
                    grant.settle(round % 5 * MIB);
                }
            });
        }
    });
    assert_eq!(taken(&budgets), 0);
}

#[test]
fn provisioned_environments_leave_a_quarter_of_the_budget() {
    let budgets = budgets(64);
    let demand: Arc<Demand> = Arc::default();
    let mut admitted = Vec::new();
    let refused = loop {
        match budgets.admit_provisioned(&demand, Mib::new(1), Mib::new(512)) {
            Ok(admission) => {
                admission.memory.opened(MIB);
                admitted.push(admission);
            }
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused, Shortage::Provisioned);
    assert!((46 * MIB..=48 * MIB).contains(&taken(&budgets)));
    let on_demand = budgets.admit(&Arc::default(), Mib::new(1), Mib::new(512));
    assert!(on_demand.is_ok());
    // Growth in a call is allowed, and ends their promise.
    let grown = &admitted[0].memory;
    assert!(!grown.is_above_provisioned() && grown.cover(5 * MIB));
    assert!(grown.is_above_provisioned());
    assert!(!on_demand.unwrap().memory.is_above_provisioned());
    grown.leave_provisioned();
    assert!(!grown.is_above_provisioned() && !admitted[1].memory.is_above_provisioned());
    drop(admitted);
    assert_eq!(taken(&budgets), 0);
    assert!(
        budgets.memory.try_provision(48 * MIB),
        "the count is 0 again"
    );
}

#[test]
fn small_environment_is_admitted_whatever_large_ones_hold() {
    let budgets = budgets(256);
    let small: Arc<Demand> = Arc::default();
    let first = budgets.admit_memory(&small, Mib::new(128)).unwrap();
    first.opened(MIB);
    drop(first);
    let large: Vec<_> = (0..4)
        .map(|_| budgets.admit_memory(&Arc::default(), Mib::new(1)).unwrap())
        .collect();
    for grant in &large {
        let _ = (1..=100).find(|mib| !grant.cover(mib * MIB));
    }
    assert!(taken(&budgets) > 240 * MIB);
    assert!(
        budgets
            .admit_memory(&Arc::default(), Mib::new(128))
            .is_err()
    );
    let second = budgets.admit_memory(&small, Mib::new(128)).unwrap();
    assert!(
        second.cover(MIB + MIB / 2),
        "and may grow, as long as it is small"
    );
    assert!(taken(&budgets) <= 256 * MIB);
}

#[test]
fn refused_growth_is_expected_of_the_next_environment() {
    let budgets = budgets(64);
    let demand = Arc::default();
    let admit = || budgets.admit_memory(&demand, Mib::new(128));
    let first = admit().unwrap();
    first.opened(MIB);
    let other = budgets.admit_memory(&Arc::default(), Mib::new(1)).unwrap();
    assert!(other.cover(40 * MIB) && !first.cover(30 * MIB));
    drop(first);
    assert_eq!(admit().unwrap_err(), Resource::Memory);
    drop(other);
    assert!(admit().is_ok());
}
