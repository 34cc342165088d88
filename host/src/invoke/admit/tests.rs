//! Limits of account and functions while reserves change under calls in flight.

use proptest::prelude::*;

use super::*;

const CONCURRENCY: u32 = 10;

fn shares(revision: u64, reserved: Option<u32>, set_aside: u32) -> Shares {
    Shares {
        revision,
        reserved,
        provisioned: 0,
        set_aside,
    }
}

fn provisioning(requested: u32) -> Arc<Provisioning> {
    let provisioning = Provisioning::new(Arc::default());
    provisioning.request(requested);
    Arc::new(provisioning)
}

fn gates(count: usize) -> (Arc<Account>, Vec<Arc<Gate>>) {
    let account = Arc::new(Account::new(CONCURRENCY, u32::MAX));
    let gates = (0..count).map(|_| Arc::new(Gate::new(Arc::clone(&account))));
    (Arc::clone(&account), gates.collect())
}

#[test]
fn calls_in_flight_count_for_account_after_reserve_is_deleted() {
    let (_, gates) = gates(2);
    let none = provisioning(0);
    let reserved: Vec<_> = (0..4)
        .map(|_| gates[0].enter(shares(1, Some(4), 4), &none).unwrap())
        .collect();
    // The reserve is deleted; the function's next call moves its calls in flight to the account.
    let fifth = gates[0].enter(shares(2, None, 0), &none).unwrap();
    let mut others = Vec::new();
    while let Ok(permit) = gates[1].enter(shares(2, None, 0), &none) {
        others.push(permit);
    }
    assert_eq!(others.len(), 5, "4 + 1 + 5 are all ten");
    drop((reserved, fifth, others));
    assert_eq!(gates[0].account.in_flight.load(Ordering::Acquire), 0);
}

#[test]
fn reserve_of_older_snapshot_is_ignored() {
    let (_, gates) = gates(1);
    let none = provisioning(0);
    let _first = gates[0].enter(shares(2, Some(1), 1), &none).unwrap();
    let late = gates[0].enter(shares(1, None, 0), &none);
    assert_eq!(late.unwrap_err(), Error::Reserved);
}

#[test]
fn provisioned_concurrency_does_not_use_unreserved() {
    let (_, gates) = gates(2);
    let (three, none) = (provisioning(3), provisioning(0));
    let of = |set_aside| shares(1, None, set_aside);
    let mut others = Vec::new();
    while let Ok(permit) = gates[1].enter(of(3), &none) {
        others.push(permit);
    }
    assert_eq!(others.len(), 7);
    let own: Vec<_> = (0..3)
        .map(|_| gates[0].enter(of(3), &three).unwrap())
        .collect();
    assert_eq!(gates[0].enter(of(3), &three).unwrap_err(), Error::Account);
    drop((own, others));
}

#[derive(Clone, Debug)]
enum Step {
    Enter(usize),
    Leave(usize),
    Reserve(usize, Option<u32>),
}

fn step() -> impl Strategy<Value = Step> {
    let function = 0..3_usize;
    prop_oneof![
        4 => function.clone().prop_map(Step::Enter),
        3 => (0..20_usize).prop_map(Step::Leave),
        1 => (function, prop::option::of(0..5_u32)).prop_map(|(f, r)| Step::Reserve(f, r)),
    ]
}

proptest! {
    /// With reserves that sum up to at most the account's limit, which control ensures, no limit is
    /// ever exceeded and no ended call stays counted.
    #[test]
    fn random_history_exceeds_no_limit(steps in prop::collection::vec(step(), 1..200)) {
        let (account, gates) = gates(3);
        let none = provisioning(0);
        let mut reserves = [None; 3];
        let mut running: Vec<(usize, Permit)> = Vec::new();
        for (revision, step) in (1_u64..).zip(steps) {
            match step {
                Step::Reserve(function, reserve) => {
                    let mut next = reserves;
                    next[function] = reserve;
                    if next.iter().flatten().sum::<u32>() <= CONCURRENCY {
                        reserves = next;
                    }
                }
                Step::Leave(at) => {
                    if !running.is_empty() {
                        running.swap_remove(at % running.len());
                    }
                }
                Step::Enter(function) => {
                    let before = running.iter().filter(|(it, _)| *it == function).count();
                    let set_aside = reserves.iter().flatten().sum();
                    let shares = shares(revision, reserves[function], set_aside);
                    let entered = gates[function].enter(shares, &none);
                    if let Some(reserved) = reserves[function] {
                        prop_assert!(entered.is_err() || before < reserved as usize);
                    }
                    if let Ok(permit) = entered {
                        running.push((function, permit));
                    }
                }
            }
            prop_assert!(running.len() <= CONCURRENCY as usize);
            prop_assert_eq!(account.in_flight(), running.len() as u64);
        }
        drop(running);
        prop_assert_eq!(account.in_flight.load(Ordering::Acquire), 0);
    }
}

#[test]
fn metrics_of_deleted_qualifier_are_given_back() {
    let (_, gates) = gates(1);
    let metrics = Arc::new(QualifiedMetrics::default());
    let count = || gates[0].counted(Some(&Qualifier::Version(1)), |_| Arc::clone(&metrics));
    drop(count());
    gates[0].retain(|it| *it == Qualifier::Version(1));
    assert_eq!(Arc::strong_count(&metrics), 2, "the gate keeps them");
    gates[0].retain(|_| false);
    assert_eq!(Arc::strong_count(&metrics), 1);
    let counted = count();
    assert_eq!(counted.metrics() as *const _, Arc::as_ptr(&metrics));
}
