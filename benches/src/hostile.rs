//! A quiet function beside hostile ones: what its callers, the control plane and the health check wait,
//! for each thing that guests can do to the processor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};

use crate::servers::{Lamina, guest};

/// What one row measures for.
const ROW: Duration = Duration::from_secs(5);
/// From the first hostile call to the first measured one.
const WARM_UP: Duration = Duration::from_millis(1_500);
/// Between two calls of the quiet function: it is no load itself.
const PACE: Duration = Duration::from_millis(2);
/// Between two requests to the control plane, and to the health check.
const CONTROL_PACE: Duration = Duration::from_millis(20);

/// Who does what beside the quiet function.
struct Row {
    name: &'static str,
    function: &'static str,
    callers: usize,
    event: Value,
}

/// Waits in milliseconds.
struct Waits(Vec<f64>);

pub(crate) async fn run() -> anyhow::Result<()> {
    let host = Arc::new(Lamina::start("")?);
    host.create("victim", &guest("echo")?).await?;
    let hostile = guest("hostile")?;
    host.create_with("hostile", &hostile, json!({"Timeout": 3}))
        .await?;
    let spins_in_init = json!({"Timeout": 3, "Environment": {"Variables": {"INIT": "loop"}}});
    host.create_with("init", &hostile, spins_in_init).await?;
    println!(
        "{:<24} {:>9} {:>9} {:>11} {:>11} {:>11}",
        "beside", "p50 ms", "p99 ms", "max ms", "control p99", "health p99"
    );
    for row in rows() {
        measure(&host, row).await?;
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
    let log = json!({"do": "log", "bytes": 30_000_000, "line_bytes": 100});
    let stat = json!({"do": "stat", "path": "/var/task/bootstrap.wasm", "ms": 60});
    vec![
        row("nothing", "hostile", 0, Value::Null),
        row("8 that spin", "hostile", 8, json!({"do": "loop"})),
        row("8 that recurse", "hostile", 8, json!({"do": "recurse"})),
        row("8 that grow", "hostile", 8, json!({"do": "allocate"})),
        row("8 that log", "hostile", 8, log),
        row(
            "8 that draw at random",
            "hostile",
            8,
            json!({"do": "draw", "ms": 60}),
        ),
        row("8 that stat", "hostile", 8, stat),
        row("8 that spin in init", "init", 8, json!({})),
        row(
            "8 with short calls",
            "hostile",
            8,
            json!({"do": "draw", "ms": 2}),
        ),
        row("100 that spin", "hostile", 100, json!({"do": "loop"})),
        row("400 that spin", "hostile", 400, json!({"do": "loop"})),
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
    let (victim, control, health) = (victim?, control?, health?);
    println!(
        "{:<24} {:>9.2} {:>9.2} {:>11.2} {:>11.2} {:>11.2}",
        row.name,
        victim.at(0.5),
        victim.at(0.99),
        victim.at(1.0),
        control.at(0.99),
        health.at(0.99)
    );
    ends.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.context("a caller panicked")?;
    }
    Ok(())
}

/// One request after the other, for the time of a row.
async fn repeat<T, F>(pace: Duration, request: impl Fn() -> F) -> anyhow::Result<Waits>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let begun = Instant::now();
    let mut waits = Vec::new();
    while begun.elapsed() < ROW {
        let started = Instant::now();
        request().await?;
        waits.push(started.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(pace).await;
    }
    waits.sort_by(f64::total_cmp);
    Ok(Waits(waits))
}

impl Waits {
    fn at(&self, share: f64) -> f64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index below the length"
        )]
        let index = ((self.0.len() - 1) as f64 * share).round() as usize;
        self.0[index]
    }
}
