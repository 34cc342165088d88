//! Seeded simulation of publication, admission, pools and provisioning: random histories of changes and
//! invocations, with clients that leave, reads that fail and processes that end, in virtual time against a
//! fake sandbox. At any moment, the data plane has what the store says, within every limit; at rest, nothing
//! is left over. A failure prints the seed that repeats its history:
//!
//! `LAMINA_SIMULATION_SEED=7` runs that history alone and prints its trace; `LAMINA_SIMULATION_HISTORIES=n`
//! runs so many random ones in place of the few of the tests.

mod call;
mod check;
mod dice;
mod hang_up;
mod host;
mod operation;
mod records;
mod scaling;
mod start;
mod subjects;
mod truth;
mod world;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use tokio::runtime::Runtime;

use call::{Call, End, MILLIS_MAX};
use dice::Dice;
use host::Limits;
use operation::{Change, Operation};
use subjects::{PACKAGES, Qualified, Subjects};
use world::Done;

use crate::clock::{self, Clock};
use crate::store::memory::Memory;

pub use hang_up::HangUp;
pub use subjects::package;
pub use world::World;

/// Histories with fixed seeds in one run of the tests.
const HISTORIES: u64 = 60;
/// Steps of one history.
const STEPS: usize = 80;
/// The most polls after which a client leaves.
const POLLS_MAX: usize = 24;
/// Invocations of one burst.
const BURST_MAX: usize = 150;

fn variable(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "a long run is asked for by hand")]
    let asked = std::env::var(name).ok()?;
    Some(asked.parse().expect("it is a number"))
}

/// Ends of requests, and how many there were of each.
type Tally = BTreeMap<Done, u32>;

#[test]
fn random_histories_end_with_the_data_plane_as_the_store_says() {
    let subjects = subjects();
    let mut tally = Tally::new();
    if let Some(seed) = variable("LAMINA_SIMULATION_SEED") {
        run(seed, &subjects, true, &mut tally);
        return;
    }
    let random = || u64::from_le_bytes(Clock::system().random());
    if let Some(histories) = variable("LAMINA_SIMULATION_HISTORIES") {
        (0..histories).for_each(|_| run(random(), &subjects, false, &mut tally));
        eprintln!("{histories} histories: {tally:?}");
        return;
    }
    (1..=HISTORIES).for_each(|seed| run(seed, &subjects, false, &mut tally));
    run(random(), &subjects, false, &mut tally);
    // Else the histories would show nothing.
    let ends = [
        End::Answered,
        End::Trapped,
        End::NotStarted,
        End::NotFound,
        End::NotActive,
        End::OverReserved,
        End::OverAccount,
        End::Full,
    ];
    let ends = ends.map(Done::Called).into_iter();
    for done in ends.chain([Done::Changed, Done::Refused, Done::Left, Done::Cut]) {
        assert!(tally.contains_key(&done), "{done:?} is not in {tally:?}");
    }
}

#[test]
fn history_of_one_seed_repeats() {
    let subjects = subjects();
    for seed in 1..=3 {
        let trace = || simulate(seed, &subjects, false, &mut Tally::new());
        assert_eq!(trace(), trace(), "history {seed} differs from itself");
    }
}

/// Packages are kept from one history to the next: all are here before the first, which would differ else.
fn subjects() -> Subjects {
    let subjects = Subjects::new();
    clock::run_inline();
    runtime().block_on(async {
        let mut world = World::new().await;
        for package in 0..PACKAGES {
            let (function, publish) = (package, false);
            let change = Change::Create { package, publish };
            world.change(Operation { function, change }, usize::MAX);
        }
        world.come_to_rest().await;
    });
    subjects
}

/// Runs a history; where it fails, says which.
fn run(seed: u64, subjects: &Subjects, is_printed: bool, tally: &mut Tally) {
    let work = AssertUnwindSafe(|| simulate(seed, subjects, is_printed, tally));
    if let Err(panic) = std::panic::catch_unwind(work) {
        eprintln!("LAMINA_SIMULATION_SEED={seed} repeats the history that failed");
        std::panic::resume_unwind(panic);
    }
}

/// A runtime whose time passes when everything waits for it.
pub fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let built = builder.enable_all().start_paused(true).build();
    built.expect("a runtime can be had")
}

/// Runs a history, and gives back its trace.
fn simulate(seed: u64, subjects: &Subjects, is_printed: bool, tally: &mut Tally) -> u64 {
    clock::run_inline();
    let (trace, ends) = runtime().block_on(history(seed, subjects, is_printed));
    for (done, count) in ends {
        *tally.entry(done).or_default() += count;
    }
    trace
}

async fn history(seed: u64, subjects: &Subjects, is_printed: bool) -> (u64, Tally) {
    let dice = Dice::new(seed);
    let limits = Limits {
        concurrency: dice.pick(&[105, 120, 200]),
        environments: dice.pick(&[4, 12, 250]),
        burst: dice.pick(&[6, 1_000]),
    };
    let memory = Memory::default();
    let mut world = World::open(seed, limits, memory, subjects, is_printed).await;
    for _ in 0..STEPS {
        step(&mut world, &dice).await;
        let pause = Duration::from_millis(dice.below(400) as u64);
        world.clock.sleep(pause).await;
        world.check().await;
    }
    world.come_to_rest().await;
    world.check_rest().await;
    world.restart().await;
    world.come_to_rest().await;
    world.check_rest().await;
    (world.truth.trace(), world.tally)
}

async fn step(world: &mut World, dice: &Dice) {
    let patience = || match dice.one_in(3) {
        true => dice.below(POLLS_MAX),
        false => usize::MAX,
    };
    match dice.below(100) {
        0..3 => world.restart().await,
        3..6 => world.records().fail_reads_for(dice.below(8)),
        6..8 => world.records().fail_reads_after_commit(dice.below(8)),
        8..12 => world.planes().guests.counts().failing = 1 + dice.few(3),
        12..16 => {
            let call = draw(dice, world);
            (0..dice.below(BURST_MAX)).for_each(|_| world.call(call, patience()));
        }
        16..40 => world.call(draw(dice, world), patience()),
        _ => world.change(Operation::draw(dice, &world.subjects), patience()),
    }
}

/// An invocation, mostly of a function that there is.
fn draw(dice: &Dice, world: &World) -> Call {
    let all = 0..world.subjects.functions().len();
    let snapshot = world.planes().invoker.snapshot();
    let is_there = |it: &usize| snapshot.function(world.subjects.name(*it)).is_some();
    let there: Vec<usize> = all.clone().filter(is_there).collect();
    let function = match there.is_empty() || dice.one_in(8) {
        true => dice.below(all.len()),
        false => dice.pick(&there),
    };
    let version = 1 + dice.below(3) as u64;
    let of = [
        Qualified::Latest,
        Qualified::Version(version),
        Qualified::Alias,
    ];
    Call {
        function,
        of: dice.pick(&[of[0], of[0], of[1], of[2]]),
        millis: dice.below(MILLIS_MAX),
        trap: dice.one_in(8),
    }
}
