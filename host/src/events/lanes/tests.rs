//! Turns, shares and back-off of lanes.

use super::*;

const START: Timestamp = Timestamp::from_millis(1_000_000);

fn after(seconds: u64) -> Timestamp {
    START.after(Duration::from_secs(seconds))
}

fn lane(name: &str) -> Lane {
    name.into()
}

/// Lanes of this many slots, in which each of these names has items without end.
fn lanes(slots: u32, names: &[&str]) -> Lanes {
    let mut lanes = Lanes::new(slots);
    for name in names {
        lanes.wake(&lane(name), START, START);
    }
    lanes
}

/// Claims once, all that is allowed; the lane has more.
fn claim(lanes: &mut Lanes, now: Timestamp) -> Option<(String, u32)> {
    match lanes.next(now) {
        Next::Claim(lane, limit) => {
            lanes.claimed(&lane, limit, Some(now), now);
            Some((lane.to_string(), limit))
        }
        Next::Wait(_) => None,
    }
}

/// Claims until nothing more is allowed; returns the slots of each lane.
fn fill(lanes: &mut Lanes) -> HashMap<String, u32> {
    let mut held = HashMap::new();
    while let Some((lane, taken)) = claim(lanes, START) {
        *held.entry(lane).or_default() += taken;
    }
    held
}

#[test]
fn lanes_take_turns() {
    let mut lanes = lanes(1_000, &["a", "b", "c"]);
    let turns: Vec<_> = (0..6).filter_map(|_| claim(&mut lanes, START)).collect();
    let names: Vec<&str> = turns.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["a", "b", "c", "a", "b", "c"]);
}

#[test]
fn busy_lanes_leave_slots_for_the_next_one() {
    let mut one = lanes(1_000, &["a"]);
    assert_eq!(fill(&mut one)["a"], 800);
    let names: Vec<String> = (0..40).map(|number| number.to_string()).collect();
    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
    let mut many = lanes(1_000, &names);
    let held = fill(&mut many);
    assert_eq!(held.len(), 40);
    let (least, most) = (held.values().min(), held.values().max());
    assert!(*most.unwrap() <= 2 * least.unwrap(), "{held:?}");
    many.wake(&lane("late"), START, START);
    assert!(matches!(many.next(START), Next::Claim(it, _) if it == lane("late")));
}

#[test]
fn freed_slot_lets_a_lane_that_held_its_share_go_on() {
    let mut lanes = lanes(10, &["a"]);
    assert_eq!(fill(&mut lanes)["a"], 8);
    lanes.finished(&lane("a"), Verdict::Done, START);
    assert_eq!(claim(&mut lanes, START), Some(("a".into(), 1)));
}

#[test]
fn refused_lane_pauses_one_second_to_five_minutes() {
    let mut lanes = lanes(100, &["a"]);
    let mut now = START;
    for seconds in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
        let (_, taken) = claim(&mut lanes, now).expect("it is due");
        for _ in 0..taken {
            lanes.finished(&lane("a"), Verdict::Refused(Scope::Function), now);
        }
        assert_eq!(claim(&mut lanes, now), None);
        now = now.after(Duration::from_secs(seconds));
        let early = Timestamp::from_millis(now.millis() - 1);
        assert_eq!(lanes.next(early), Next::Wait(Some(now)), "{seconds}");
    }
    // One item tries; its success lifts the pause.
    assert_eq!(claim(&mut lanes, now), Some(("a".into(), 1)));
    lanes.finished(&lane("a"), Verdict::Done, now);
    assert_eq!(claim(&mut lanes, now), Some(("a".into(), 2)));
}

#[test]
fn lane_with_items_in_flight_waits_for_one_to_end() {
    let mut lanes = lanes(100, &["a"]);
    let (_, taken) = claim(&mut lanes, START).unwrap();
    // As with three reserved invocations.
    for _ in 3..taken {
        lanes.finished(&lane("a"), Verdict::Refused(Scope::Function), START);
    }
    assert_eq!(lanes.next(START), Next::Wait(None));
    lanes.finished(&lane("a"), Verdict::Done, START);
    assert_eq!(claim(&mut lanes, START), Some(("a".into(), 1)));
}

#[test]
fn refused_lane_delays_no_other() {
    let mut lanes = lanes(100, &["a", "b"]);
    let (_, taken) = claim(&mut lanes, START).unwrap();
    for _ in 0..taken {
        lanes.finished(&lane("a"), Verdict::Refused(Scope::Function), START);
    }
    assert!(matches!(claim(&mut lanes, START), Some((name, _)) if name == "b"));
}

#[test]
fn item_that_comes_during_a_claim_is_not_missed() {
    let mut lanes = lanes(100, &["a"]);
    assert!(matches!(lanes.next(START), Next::Claim(..)));
    // Due at the time of the claim, and committed after its read.
    lanes.wake(&lane("a"), START, START);
    lanes.claimed(&lane("a"), 0, None, START);
    assert!(matches!(lanes.next(START), Next::Claim(..)));
}

#[test]
fn refusal_of_a_lane_in_line_pauses_it() {
    let mut lanes = lanes(100, &["a"]);
    let Next::Claim(name, _) = lanes.next(START) else {
        panic!("it is due");
    };
    lanes.claimed(&name, 1, Some(START), START);
    lanes.finished(&name, Verdict::Refused(Scope::Function), START);
    assert_eq!(lanes.next(START), Next::Wait(Some(after(1))));
}

#[test]
fn due_time_ahead_is_waited_for_and_an_empty_lane_forgotten() {
    let mut lanes = lanes(100, &[]);
    lanes.wake(&lane("a"), after(60), START);
    assert_eq!(lanes.next(START), Next::Wait(Some(after(60))));
    // An earlier item comes before it.
    lanes.wake(&lane("a"), after(5), START);
    assert_eq!(lanes.next(START), Next::Wait(Some(after(5))));
    assert!(matches!(lanes.next(after(5)), Next::Claim(..)));
    lanes.claimed(&lane("a"), 0, Some(after(60)), after(5));
    assert_eq!(lanes.next(after(5)), Next::Wait(Some(after(60))));
    assert!(matches!(lanes.next(after(60)), Next::Claim(..)));
    lanes.claimed(&lane("a"), 0, None, after(60));
    assert_eq!(lanes.next(after(60)), Next::Wait(None));
    assert!(lanes.names().is_empty());
}

/// Lanes of which the first holds 10 items, as many as the host has environments for, and the second is refused.
fn full(names: [&str; 2], scope: Scope) -> Lanes {
    let mut lanes = lanes(1_000, &names);
    let (first, second) = (lane(names[0]), lane(names[1]));
    assert!(matches!(lanes.next(START), Next::Claim(it, _) if it == first));
    lanes.claimed(&first, 10, Some(START), START);
    assert!(matches!(lanes.next(START), Next::Claim(it, _) if it == second));
    lanes.claimed(&second, 1, Some(START), START);
    lanes.finished(&second, Verdict::Refused(scope), START);
    // The first is refused more too.
    assert!(matches!(lanes.next(START), Next::Claim(it, _) if it == first));
    lanes.claimed(&first, 1, Some(START), START);
    lanes.finished(&first, Verdict::Refused(scope), START);
    assert_eq!(lanes.next(START), Next::Wait(Some(after(1))));
    lanes
}

#[test]
fn freed_environment_goes_to_a_lane_that_has_none() {
    for (names, scope, is_ceded) in [
        (["invoke/f", "invoke/g"], Scope::Host, true),
        (["invoke/f", "invoke/g"], Scope::Function, false),
        (["invoke/f", "invoke/f:live"], Scope::Function, true),
    ] {
        let mut lanes = full(names, scope);
        let (first, second) = (lane(names[0]), lane(names[1]));
        lanes.finished(&first, Verdict::Done, START);
        let next = claim(&mut lanes, START);
        if !is_ceded {
            assert_eq!(next, Some((first.to_string(), 1)), "{names:?} {scope:?}");
            continue;
        }
        assert_eq!(next, Some((second.to_string(), 1)), "{names:?} {scope:?}");
        assert_eq!(claim(&mut lanes, START), None);
        // Refused all the same, it takes no other before its pause of two seconds ends.
        lanes.finished(&second, Verdict::Refused(scope), START);
        lanes.finished(&first, Verdict::Done, START);
        assert!(matches!(claim(&mut lanes, START), Some((it, _)) if it == *first));
        assert_eq!(lanes.next(START), Next::Wait(Some(after(2))));
    }
}
