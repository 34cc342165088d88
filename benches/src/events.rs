//! Asynchronous invocation: durable accepts, accept to finish, idle to start, and a long backlog. The time of one
//! `fdatasync` on the same disk stands beside, since every accept waits for one.

use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::servers::{Lamina, guest};

/// Callers of the accepts.
const CALLERS: &str = "64";
const SECONDS: &str = "5";
/// Payload of an event.
const EVENT_BYTES: usize = 1_024;
/// Events after an idle time, one by one.
const IDLE_EVENTS: u32 = 200;
/// `LAMINA_BENCH_BACKLOG=n` makes the backlog so long.
const BACKLOG_DEFAULT: u64 = 1_000_000;
/// The host has settled long before; a bench that waits longer has failed.
const WAIT_MAX: Duration = Duration::from_secs(900);

pub(crate) async fn run() -> anyhow::Result<()> {
    let (p50, p99) = fdatasync()?;
    println!(
        "{:<44} {p50:>9.2} ms  p99 {p99:.2} ms",
        "fdatasync of 4 KiB"
    );
    idle_to_start().await?;
    accept_to_finish().await?;
    backlog().await?;
    let (p50, p99) = fdatasync()?;
    println!(
        "{:<44} {p50:>9.2} ms  p99 {p99:.2} ms",
        "fdatasync of 4 KiB, afterwards"
    );
    Ok(())
}

/// Median and 99th percentile in milliseconds.
fn fdatasync() -> anyhow::Result<(f64, f64)> {
    let mut file = tempfile::tempfile()?;
    file.write_all(&[0; 4_096])?;
    file.sync_all()?;
    let mut times = Vec::new();
    for _ in 0..500 {
        std::os::unix::fs::FileExt::write_all_at(&file, &[1; 4_096], 0)?;
        let started = Instant::now();
        file.sync_data()?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok((times[times.len() / 2], times[times.len() * 99 / 100]))
}

/// Events to a function; returns accepts per second and the 99th percentile of the acknowledgements.
fn accepts(host: &Lamina, name: &str, seconds: &str) -> anyhow::Result<(f64, String)> {
    let mut script = tempfile::NamedTempFile::new()?;
    let padding = "x".repeat(EVENT_BYTES - r#"{"do":"echo","padding":""}"#.len());
    let event = json!({"do": "echo", "padding": padding});
    writeln!(script, "wrk.method = 'POST'\nwrk.body = [[{event}]]")?;
    let output = Command::new("wrk")
        .args(["-t1", "--latency", "-c", CALLERS, "-d", seconds])
        .args(["-H", "X-Amz-Invocation-Type: Event", "-s"])
        .arg(script.path())
        .arg(host.url(&format!("/2015-03-31/functions/{name}/invocations")))
        .output()
        .context("wrk cannot be run: apt-get install wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if let Some(line) = text.lines().find(|line| line.contains("Non-2xx")) {
        bail!("{name}: {line}");
    }
    let value = |before: &str| {
        let line = text
            .lines()
            .find_map(|line| line.trim().strip_prefix(before));
        line.map(|it| it.trim().to_owned())
            .context("wrk gave no value")
    };
    Ok((value("Requests/sec:")?.parse()?, value("99%")?))
}

/// Sum of a metric over its series with this text.
async fn metric(host: &Lamina, name: &str, of: &str) -> anyhow::Result<f64> {
    let page = host.page("/_lamina/metrics").await?;
    let lines = page
        .lines()
        .filter(|line| line.starts_with(name) && line.contains(of));
    Ok(lines
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum())
}

async fn queued(host: &Lamina) -> anyhow::Result<f64> {
    metric(host, "lamina_async_events_queued{", "").await
}

/// Waits until at most so many events are queued; returns the time.
async fn until_queued(host: &Lamina, most: f64) -> anyhow::Result<Duration> {
    let started = Instant::now();
    while queued(host).await? > most {
        if started.elapsed() > WAIT_MAX {
            bail!("events stay in the queue");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(started.elapsed())
}

/// Age of an event at its start, one event at a time: its accept included, with its fsync.
async fn idle_to_start() -> anyhow::Result<()> {
    let host = Lamina::start("")?;
    host.create("echo", &guest("echo")?).await?;
    host.invoke("echo", &json!({})).await?;
    for _ in 0..IDLE_EVENTS {
        host.send_event("echo", &json!({})).await?;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    until_queued(&host, 0.0).await?;
    let age = |part: &'static str| metric(&host, part, "\"echo\"");
    let sum = age("lamina_async_event_age_seconds_sum").await?;
    let count = age("lamina_async_event_age_seconds_count").await?;
    let fast = metric(
        &host,
        "lamina_async_event_age_seconds_bucket",
        "le=\"0.005\",function=\"echo\"",
    )
    .await?;
    println!(
        "{:<44} {:>9.2} ms  {:.1} % within 5 ms",
        "accept to start, idle host, mean",
        sum / count * 1e3,
        fast / count * 100.0
    );
    Ok(())
}

async fn accept_to_finish() -> anyhow::Result<()> {
    let host = Lamina::start("")?;
    host.create("echo", &guest("echo")?).await?;
    let started = Instant::now();
    let (rate, p99) = accepts(&host, "echo", SECONDS)?;
    println!(
        "{:<44} {rate:>9.0} /s  ack p99 {p99}",
        "accepts, 64 callers, events run meanwhile"
    );
    until_queued(&host, 0.0).await?;
    let ran = metric(&host, "lamina_invocations_total", "\"echo\"").await?;
    let rate = ran / started.elapsed().as_secs_f64();
    println!(
        "{:<44} {rate:>9.0} /s",
        "accept to finish, until the queue is empty"
    );
    Ok(())
}

/// Accepts without invocations, then a host with all these events.
async fn backlog() -> anyhow::Result<()> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a shorter run is asked for by hand"
    )]
    let asked = std::env::var("LAMINA_BENCH_BACKLOG").ok();
    let wanted = asked.map_or(Ok(BACKLOG_DEFAULT), |it| it.parse())? as f64;
    let host = Lamina::start("settle_millis = 1")?;
    host.create_with("slow", &guest("hostile")?, json!({"Timeout": 900}))
        .await?;
    let concurrency = "/2017-10-31/functions/slow/concurrency";
    let one = json!({"ReservedConcurrentExecutions": 1});
    host.send("PUT", concurrency, &one).await?;
    // It has all the concurrency of the function, so that events wait.
    let hog = host.url("/2015-03-31/functions/slow/invocations");
    let hog = Command::new("curl")
        .args(["-s", "-d", r#"{"do":"sleep","ms":890000}"#, &hog])
        .spawn()?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (rate, p99) = accepts(&host, "slow", SECONDS)?;
    println!(
        "{:<44} {rate:>9.0} /s  ack p99 {p99}",
        "durable accepts of 1 KiB, 64 callers"
    );
    let before = host.resident_kib()?;
    while queued(&host).await? < wanted {
        accepts(&host, "slow", SECONDS)?;
    }
    let depth = queued(&host).await?;
    println!(
        "{:<44} {:>9.1} MiB",
        format!("resident memory grown by {depth:.0} events"),
        host.resident_kib()?.saturating_sub(before) as f64 / 1024.0
    );
    drop(hog);
    host.send("DELETE", concurrency, &Value::Null).await?;
    let started = Instant::now();
    let host = host.restart()?;
    while metric(&host, "lamina_async_event_age_seconds_count", "\"slow\"").await? == 0.0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!(
        "{:<44} {:>9.2} s",
        "restart to first dispatch",
        started.elapsed().as_secs_f64()
    );
    for (name, left) in [("a long", depth - 100_000.0), ("a short", 0.0)] {
        let from = match left == 0.0 {
            true => {
                until_queued(&host, 100_000.0).await?;
                queued(&host).await?
            }
            false => queued(&host).await?,
        };
        let time = until_queued(&host, left).await?;
        let ended = from - queued(&host).await?;
        println!(
            "{:<44} {:>9.0} /s",
            format!("events ended, at {name} backlog"),
            ended / time.as_secs_f64()
        );
    }
    println!(
        "{:<44} {:>9.1} MiB",
        "resident memory after it",
        host.resident_kib()? as f64 / 1024.0
    );
    Ok(())
}
