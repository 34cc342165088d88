//! Latencies of a quiet function, the control plane and the health check beside hostile functions, one
//! row for each way to load the processor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};

use crate::servers::{Lamina, guest};

/// Time that one row measures for.
const ROW: Duration = Duration::from_secs(5);
/// From the first hostile call to the first measured one.
const WARM_UP: Duration = Duration::from_millis(1_500);
/// Between two calls of the quiet function: it is no load itself.
const PACE: Duration = Duration::from_millis(2);
/// Between two requests to the control plane, and to the health check.
const CONTROL_PACE: Duration = Duration::from_millis(20);
/// Budgets small enough to be reached within a row. The peak of a row stays within that of memory and what the host
/// itself takes.
const LIMITS: &str = "guest_memory_bytes = 2_147_483_648\nscratch_bytes = 2_147_483_648";

/// Hostile callers beside the quiet function.
struct Row {
    name: &'static str,
    function: &'static str,
    callers: usize,
    event: Value,
}

/// Waits in milliseconds, and requests that were refused or failed.
struct Waits {
    millis: Vec<f64>,
    failed: usize,
}

pub(crate) async fn run() -> anyhow::Result<()> {
    println!(
        "{:<24} {:>9} {:>9} {:>9} {:>7} {:>11} {:>11} {:>9}",
        "beside", "p50 ms", "p99 ms", "max ms", "failed", "control p99", "health p99", "peak MiB"
    );
    for row in rows() {
        // A host of its own: no row starts with what another has left, and the peak is its own.
        let host = Arc::new(Lamina::start(LIMITS)?);
        create(&host).await?;
        measure(&host, row).await?;
    }
    Ok(())
}

async fn create(host: &Lamina) -> anyhow::Result<()> {
    host.create("victim", &guest("echo")?).await?;
    let hostile = guest("hostile")?;
    let functions = [
        ("hostile", json!({"Timeout": 3})),
        ("large", json!({"Timeout": 3, "MemorySize": 1_024})),
        (
            "init",
            json!({"Timeout": 3, "Environment": {"Variables": {"INIT": "loop"}}}),
        ),
    ];
    for (name, more) in functions {
        host.create_with(name, &hostile, more).await?;
    }
    Ok(())
}

fn rows() -> Vec<Row> {
    let row = |name, function, callers, event| Row {
        name,
        function,
        callers,
        event,
    };
    let hostile = |name, callers, event| row(name, "hostile", callers, event);
    let log = json!({"do": "log", "bytes": 30_000_000, "line_bytes": 100});
    let stat = json!({"do": "stat", "path": "/var/task/bootstrap.wasm", "ms": 60});
    vec![
        hostile("nothing", 0, Value::Null),
        hostile("8 that spin", 8, json!({"do": "loop"})),
        hostile("8 that recurse", 8, json!({"do": "recurse"})),
        hostile("8 that grow", 8, json!({"do": "allocate"})),
        row(
            "64 that hold 900 MB",
            "large",
            64,
            json!({"do": "hold", "bytes": 900_000_000}),
        ),
        hostile("8 that log", 8, log),
        hostile("8 that draw at random", 8, json!({"do": "draw", "ms": 60})),
        hostile("8 that stat", 8, stat),
        row("8 that spin in init", "init", 8, json!({})),
        hostile(
            "8 that look names up",
            8,
            json!({"do": "lookups", "count": 1_000}),
        ),
        hostile("8 that open sockets", 8, json!({"do": "sockets"})),
        hostile(
            "8 that fill /tmp",
            8,
            json!({"do": "fill", "path": "/tmp/x"}),
        ),
        hostile(
            "8 that make files",
            8,
            json!({"do": "names", "dir": "/tmp"}),
        ),
        hostile("8 with short calls", 8, json!({"do": "draw", "ms": 2})),
        hostile("100 that spin", 100, json!({"do": "loop"})),
        hostile("400 that spin", 400, json!({"do": "loop"})),
    ]
}

async fn measure(host: &Arc<Lamina>, row: Row) -> anyhow::Result<()> {
    let ends = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..row.callers)
        .map(|_| {
            let (host, ends) = (Arc::clone(host), Arc::clone(&ends));
            let (function, event) = (row.function, row.event.clone());
            tokio::spawn(async move {
                while !ends.load(Ordering::Relaxed) {
                    // Refused or failed, as it may be: it is only there to disturb.
                    let _ = host.invoke(function, &event).await;
                }
            })
        })
        .collect();
    tokio::time::sleep(WARM_UP).await;
    let null = Value::Null;
    let (victim, control, health) = tokio::join!(
        repeat(PACE, || host.invoke("victim", &null)),
        repeat(CONTROL_PACE, || host.send(
            "GET",
            "/2015-03-31/functions/victim",
            &null
        )),
        repeat(CONTROL_PACE, || host.send("GET", "/_lamina/health", &null)),
    );
    println!(
        "{:<24} {:>9.2} {:>9.2} {:>9.2} {:>7} {:>11.2} {:>11.2} {:>9.0}",
        row.name,
        victim.at(0.5),
        victim.at(0.99),
        victim.at(1.0),
        victim.failed + control.failed + health.failed,
        control.at(0.99),
        health.at(0.99),
        host.peak_kib()? as f64 / 1024.0
    );
    ends.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.context("a caller panicked")?;
    }
    Ok(())
}

/// One request after the other, for the time of a row.
async fn repeat<T, F>(pace: Duration, request: impl Fn() -> F) -> Waits
where
    F: Future<Output = anyhow::Result<T>>,
{
    let begun = Instant::now();
    let mut waits = Waits {
        millis: Vec::new(),
        failed: 0,
    };
    while begun.elapsed() < ROW {
        let started = Instant::now();
        if request().await.is_err() {
            waits.failed += 1;
        }
        waits.millis.push(started.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(pace).await;
    }
    waits.millis.sort_by(f64::total_cmp);
    waits
}

impl Waits {
    fn at(&self, share: f64) -> f64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index below the length"
        )]
        let index = ((self.millis.len() - 1) as f64 * share).round() as usize;
        self.millis[index]
    }
}
