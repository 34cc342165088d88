//! Target tracking, minute by minute.

use super::decision::{Measurements, decide};
use super::*;

const T: Timestamp = Timestamp::from_millis(1_000_000_000_000);

fn policy(target: f64) -> PolicyRecord {
    PolicyRecord {
        id: String::new(),
        created: T,
        tracking: TargetTracking {
            target,
            statistic: Statistic::Average,
            is_predefined: true,
            out_cooldown_seconds: None,
            in_cooldown_seconds: None,
            disable_scale_in: None,
        },
    }
}

fn record(policies: &[PolicyRecord]) -> ScalingRecord {
    let policies = policies.iter().cloned().enumerate();
    ScalingRecord {
        function: FunctionName::parse("f").unwrap(),
        qualifier: Qualifier::Version(1),
        id: String::new(),
        capacity_min: 2,
        capacity_max: 50,
        role: None,
        created: T,
        suspended: Suspended::default(),
        tags: BTreeMap::new(),
        policies: policies.map(|(at, it)| (format!("p{at}"), it)).collect(),
        actions: BTreeMap::new(),
        activities: VecDeque::new(),
        cooldowns: Cooldowns::default(),
    }
}

/// Minutes in which so many of ten environments are in use.
fn measured(minutes: &[u32]) -> Measurements {
    let mut measured = Measurements::default();
    for in_use in minutes {
        (0..60).for_each(|_| measured.second(*in_use, 10));
        measured.end_minute();
    }
    measured
}

fn decided(record: &ScalingRecord, minutes: &[u32]) -> Option<u32> {
    decide(record, Some(&measured(minutes)), 10, T).map(|it| it.capacity)
}

#[test]
fn three_minutes_above_target_scale_out() {
    let record = record(&[policy(0.7)]);
    for (minutes, expected) in [
        (&[9, 9][..], None),
        (&[9, 9, 9], Some(13)),
        (&[8, 10, 9], Some(13)),
        (&[9, 7, 9], None),
        (&[7, 7, 7], None),
        (&[9, 9, 9, 7], None),
        (&[0, 0, 10, 10, 10], Some(15)),
    ] {
        assert_eq!(decided(&record, minutes), expected, "{minutes:?}");
    }
    let small = ScalingRecord {
        capacity_max: 11,
        ..record
    };
    assert_eq!(decided(&small, &[10; 3]), Some(11));
}

#[test]
fn fifteen_minutes_below_nine_tenths_of_target_scale_in() {
    let record = record(&[policy(0.7)]);
    let low = |count: usize, last: u32| [vec![3; count], vec![last]].concat();
    assert_eq!(decided(&record, &low(13, 3)), None, "fourteen minutes");
    assert_eq!(decided(&record, &low(14, 3)), Some(5));
    assert_eq!(
        decided(&record, &low(14, 6)),
        Some(9),
        "the highest minute counts"
    );
    assert_eq!(decided(&record, &low(14, 7)), None, "not below nine tenths");
    assert_eq!(decided(&record, &[0; 15]), Some(2), "the least capacity");
}

#[test]
fn policies_must_agree_to_scale_in() {
    let both = record(&[policy(0.9), policy(0.4)]);
    assert_eq!(decided(&both, &[3; 15]), Some(8));
    // For the second, the utilization is too high.
    assert_eq!(decided(&both, &[5; 15]), Some(13));
    let mut kept = both.clone();
    let second = kept.policies.get_mut("p1").unwrap();
    second.tracking.disable_scale_in = Some(true);
    assert_eq!(
        decided(&kept, &[3; 15]),
        Some(4),
        "its opinion does not count"
    );
    let first = kept.policies.get_mut("p0").unwrap();
    first.tracking.disable_scale_in = Some(true);
    assert_eq!(decided(&kept, &[3; 15]), None);
    let mut suspended = both;
    suspended.suspended.dynamic_in = true;
    assert_eq!(decided(&suspended, &[3; 15]), None);
    suspended.suspended = Suspended {
        dynamic_out: true,
        ..Suspended::default()
    };
    assert_eq!(decided(&suspended, &[5; 15]), None);
}

#[test]
fn load_is_measured_at_the_capacity_of_its_minute() {
    let record = record(&[policy(0.5)]);
    let high = measured(&[10; 3]);
    let out = |capacity| decide(&record, Some(&high), capacity, T).map(|it| it.capacity);
    assert_eq!(out(10), Some(20));
    // The decision repeated at the new capacity changes nothing.
    assert_eq!(out(20), None);
    let low = measured(&[3; 15]);
    let less = |capacity| decide(&record, Some(&low), capacity, T).map(|it| it.capacity);
    assert_eq!((less(10), less(6)), (Some(6), None));
    // Between the ends of minutes, bounds alone count.
    assert_eq!(decide(&record, None, 10, T), None);
}

#[test]
fn larger_change_alone_passes_a_cooldown() {
    let mut record = record(&[policy(0.5)]);
    let tracking = &mut record.policies.get_mut("p0").unwrap().tracking;
    tracking.out_cooldown_seconds = Some(300);
    tracking.in_cooldown_seconds = Some(300);
    let after = |seconds: u64| T.after(std::time::Duration::from_secs(seconds));
    let wanted = |record: &ScalingRecord, measured: &Measurements, now| {
        decide(record, Some(measured), 10, now).map(|it| it.capacity)
    };
    // Six were added. Two more are a part of them, and ten are four more.
    record.cooldowns.changed(4, 10, T);
    let mut smaller = Measurements::default();
    (0..180).for_each(|second| {
        smaller.second(6, 10);
        if second % 60 == 59 {
            smaller.end_minute();
        }
    });
    assert_eq!(wanted(&record, &smaller, after(299)), None);
    assert_eq!(wanted(&record, &smaller, after(300)), Some(12));
    assert_eq!(wanted(&record, &measured(&[10; 3]), after(1)), Some(14));
    let low = measured(&[0; 15]);
    assert_eq!(
        wanted(&record, &low, after(1)),
        Some(2),
        "no change scaled in"
    );
    record.cooldowns.changed(20, 10, T);
    assert_eq!(wanted(&record, &low, after(299)), None);
    assert_eq!(wanted(&record, &low, after(300)), Some(2));
    let set_back = Timestamp::from_millis(T.millis() - 1);
    assert_eq!(
        wanted(&record, &low, set_back),
        Some(2),
        "a clock set back ends it"
    );
    record.cooldowns.changed(9, 10, T);
    assert_eq!(
        wanted(&record, &low, after(1)),
        Some(2),
        "scaling out ends it"
    );
}

#[test]
fn capacity_is_moved_into_its_bounds() {
    let record = record(&[]);
    let cause = |capacity| decide(&record, None, capacity, T);
    let cause = |capacity| cause(capacity).map(|it| (it.capacity, it.cause));
    assert_eq!(cause(0), Some((2, "minimum capacity was set to 2".into())));
    assert_eq!(
        cause(60),
        Some((50, "maximum capacity was set to 50".into()))
    );
    assert_eq!(cause(10), None);
}

#[test]
fn statistic_of_a_minute_is_the_chosen_one() {
    let mut one = policy(0.7);
    let mut measured = Measurements::default();
    for _ in 0..3 {
        (0..59).for_each(|_| measured.second(1, 10));
        measured.second(10, 10);
        measured.end_minute();
    }
    for (statistic, expected) in [
        (Statistic::Average, None),
        (Statistic::Maximum, Some(15)),
        (Statistic::Minimum, None),
    ] {
        one.tracking.statistic = statistic;
        let record = record(std::slice::from_ref(&one));
        let decided = decide(&record, Some(&measured), 10, T).map(|it| it.capacity);
        assert_eq!(decided, expected, "{statistic:?}");
    }
}

#[test]
fn scheduled_action_is_due_within_its_start_and_end() {
    let choice = |schedule: &str| ActionChoice {
        schedule: Some(schedule.into()),
        bounds: Some((Some(5), None)),
        ..ActionChoice::default()
    };
    let after = |seconds: u64| T.after(std::time::Duration::from_secs(seconds));
    let made = choice("rate(1 minute)").apply(None, "id", T).unwrap();
    assert_eq!(made.next, Some(after(60)));
    let later = ActionChoice {
        start: Some(after(600)),
        end: Some(after(630)),
        ..choice("rate(1 minute)")
    };
    let made = later.apply(None, "id", T).unwrap();
    assert_eq!(made.next, Some(after(600)), "its start is a time of it");
    assert_eq!(
        made.next_after(after(600)),
        Ok(None),
        "its end comes before the next"
    );
    // A change keeps the other members, but for the times.
    let moved = ActionChoice {
        bounds: Some((None, Some(9))),
        ..ActionChoice::default()
    };
    let moved = moved.apply(Some(&made), "other", T).unwrap();
    assert_eq!((moved.id.as_str(), moved.capacity_max), ("id", Some(9)));
    assert_eq!(moved.schedule, "rate(1 minute)");
    assert_eq!((moved.start, moved.end), (None, None));
}

#[test]
fn unsuitable_scheduled_action_is_refused() {
    let sound = ActionChoice {
        schedule: Some("rate(1 minute)".into()),
        bounds: Some((Some(5), Some(9))),
        ..ActionChoice::default()
    };
    let refused = |change: fn(&mut ActionChoice)| {
        let mut choice = sound.clone();
        change(&mut choice);
        choice.apply(None, "id", T).unwrap_err().to_string()
    };
    for (text, part) in [
        (refused(|it| it.schedule = None), "Schedule is required"),
        (
            refused(|it| it.schedule = Some("cron(1)".into())),
            "Invalid Schedule Expression cron(1)",
        ),
        (
            refused(|it| it.zone = Some("Mars/Base".into())),
            "Mars/Base",
        ),
        (
            refused(|it| it.bounds = None),
            "MinCapacity, MaxCapacity or both",
        ),
        (
            refused(|it| it.bounds = Some((Some(9), Some(5)))),
            "greater than maximum",
        ),
        (refused(|it| it.end = Some(T)), "EndTime"),
        (
            refused(|it| it.schedule = Some("at(2000-01-01T00:00:00)".into())),
            "no time after now",
        ),
    ] {
        assert!(text.contains(part), "{text}");
    }
}
