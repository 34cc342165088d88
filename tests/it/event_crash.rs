//! Crash harness of asynchronous invocation: numbered events are sent while the host is killed with SIGKILL at random
//! moments. Every acknowledged event runs, and only events in work at a kill run twice.
//!
//! `LAMINA_CRASH_KILLS=n` kills the host so often.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::collector::{Collector, SETTINGS};
use crate::harness::{Lamina, guest};

const KILLS_DEFAULT: u64 = 20;
const SENDERS: u64 = 8;
/// Concurrency of the host, and so the most events in work at a kill.
const IN_WORK_MAX: usize = 8;
const LIMITS: &str = "concurrency = 8";

/// Events that were sent, by their acknowledgements.
#[derive(Default)]
struct Sent {
    next: AtomicU64,
    acknowledged: Mutex<BTreeSet<u64>>,
}

/// Times from the start of a host to its kill.
pub struct Moments(u64);

impl Moments {
    /// Moments from a new seed, the process id.
    pub fn new() -> Self {
        Self(u64::from(std::process::id()) | 1)
    }

    pub fn next(&mut self) -> Duration {
        let Self(random) = self;
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        Duration::from_millis(20 + *random % 400)
    }
}

/// Sends events until the host is gone.
async fn send(host: &Lamina, collector: &Collector, sent: &Sent) {
    loop {
        let number = sent.next.fetch_add(1, Ordering::Relaxed);
        let mut event = collector.event(&number.to_string());
        if number.is_multiple_of(10) {
            // In a file of its own.
            event["padding"] = json!("x".repeat(20_000));
        }
        let path = "/2015-03-31/functions/f/invocations";
        let kind = [("x-amz-invocation-type", "Event")];
        let answer = host.try_send("POST", path, &kind, event.to_string()).await;
        let Some(answer) = answer else { return };
        assert_eq!(answer.status, 202, "{}", answer.text());
        let acknowledged = sent.acknowledged.lock();
        acknowledged.expect("no sender panics here").insert(number);
    }
}

#[expect(clippy::disallowed_methods, reason = "a long run is asked for by hand")]
pub fn kills(default: u64) -> u64 {
    let asked = std::env::var("LAMINA_CRASH_KILLS").ok();
    asked.map_or(default, |it| it.parse().expect("it is a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_events_survive_kills_and_run() {
    let collector = Arc::new(Collector::start().await);
    let sent = Arc::new(Sent::default());
    let mut host = Lamina::with(SETTINGS, &format!("settle_millis = 20\n{LIMITS}"));
    host.create("f", &guest("hostile"), json!({"Timeout": 30}))
        .await;
    let mut moments = Moments::new();
    eprintln!("moments of kills: seed {}", moments.0);
    for _ in 0..kills(KILLS_DEFAULT) {
        let running = Arc::new(host);
        let senders = (0..SENDERS).map(|_| {
            let (host, collector, sent) = (running.clone(), collector.clone(), sent.clone());
            tokio::spawn(async move { send(&host, &collector, &sent).await })
        });
        let senders: Vec<_> = senders.collect();
        tokio::time::sleep(moments.next()).await;
        running.signal(rustix::process::Signal::KILL);
        for sender in senders {
            sender.await.expect("events are acknowledged or lost");
        }
        let ended = Arc::into_inner(running).expect("the senders have ended");
        host = Lamina::again(ended.kill(), SETTINGS, LIMITS);
    }
    let acknowledged = sent.acknowledged.lock().expect("no sender panics").clone();
    assert!(!acknowledged.is_empty());
    let numbers = |lines: &[String]| -> BTreeMap<u64, usize> {
        let mut counts = BTreeMap::new();
        for line in lines {
            *counts.entry(line.parse().expect("a number")).or_default() += 1;
        }
        counts
    };
    collector
        .until(|lines| {
            let run = numbers(lines);
            acknowledged.iter().all(|number| run.contains_key(number))
        })
        .await;
    // An event that ran just before a kill may still be queued, and run again.
    host.until_no_events("f").await;
    let run = numbers(&collector.lines());
    let twice: usize = run.values().map(|count| count - 1).sum();
    let kills = usize::try_from(kills(KILLS_DEFAULT)).expect("not so many");
    eprintln!(
        "{} events acknowledged, {} run, {twice} more than once, {kills} kills",
        acknowledged.len(),
        run.len()
    );
    assert!(twice <= kills * IN_WORK_MAX, "{twice} events ran again");
    drop(host);
}
