//! Benchmarks of the promised numbers: Lamina beside bare hyper, `wasmtime serve` and workerd, in
//! one run, on one machine. Needs `wrk` (Debian) and, for the comparison, wasmtime 48 and workerd:
//! `cargo install wasmtime-cli --version 48.0.8 --locked --root .tools/wasmtime` and
//! `npm install --prefix .tools/workerd workerd`.
//!
//! `cargo build --release -p lamina && cargo run --release -p lamina-benches`. Add `-- scale` for
//! the control plane with many functions, `-- hostile` for a quiet function beside hostile ones, `-- events` for
//! asynchronous invocation, `-- embed` for calls in process, `-- stream` for the latency of streamed responses alone, or
//! `-- python` and `-- nodejs` for the managed runtimes, which `tests/run` builds.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(
    clippy::disallowed_methods,
    reason = "a bench reads the clock and waits"
)]

use std::time::{Duration, Instant};

use serde_json::{Value, json};

mod embed;
mod events;
mod hostile;
mod load;
mod managed;
mod scale;
mod servers;
mod stream;

use servers::{Lamina, Running};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("bare") => return servers::bare().await,
        Some("embed") => return embed::run().await,
        Some("events") => return events::run().await,
        Some("scale") => return scale::run().await,
        Some("hostile") => return hostile::run().await,
        Some("stream") => return stream::run().await,
        Some("python") => return managed::PYTHON.run().await,
        Some("nodejs") => return managed::NODEJS.run().await,
        _ => {}
    }
    println!(
        "load before: {}",
        std::fs::read_to_string("/proc/loadavg")?.trim()
    );
    let bare = Running::bare()?;
    let limit = load::wrk(&bare.url("/"), None, None)?;
    drop(bare);
    println!("{:<44} {limit:>9.0} /s", "bare hyper");
    warm_invoke(limit).await?;
    http(limit).await?;
    stream::run().await?;
    memory().await?;
    start_up().await?;
    embed::run().await?;
    println!(
        "load after: {}",
        std::fs::read_to_string("/proc/loadavg")?.trim()
    );
    Ok(())
}

fn row(name: &str, rate: f64, limit: f64) {
    println!(
        "{name:<44} {rate:>9.0} /s  {:.2} x bare hyper",
        rate / limit
    );
}

async fn warm_invoke(limit: f64) -> anyhow::Result<()> {
    let host = Lamina::start("")?;
    host.create("echo", &servers::guest("echo")?).await?;
    let path = "/2015-03-31/functions/echo/invocations";
    let rate = load::wrk(&host.url(path), Some(r#"{"name":"Lamina"}"#), None)?;
    row("Lamina, Invoke, warm", rate, limit);
    Ok(())
}

/// One `wasi:http` component under every host that runs it.
async fn http(limit: f64) -> anyhow::Result<()> {
    let component = servers::guest("http-hello")?;
    for (name, limits) in [("warm", ""), ("fresh", "idle_seconds = 0")] {
        let host = Lamina::start(limits)?;
        host.create("http", &component).await?;
        let domain = host.function_url("http").await?;
        let rate = load::wrk(&host.url("/"), None, Some(&domain))?;
        row(&format!("Lamina, function URL, {name}"), rate, limit);
    }
    for (name, reuse) in [("reused", true), ("fresh", false)] {
        match Running::wasmtime_serve(reuse) {
            Ok(serve) => {
                let rate = load::wrk(&serve.url("/"), None, None)?;
                row(&format!("wasmtime serve, {name}"), rate, limit);
            }
            Err(error) => println!("wasmtime serve, {name}: not measured ({error})"),
        }
    }
    let dir = tempfile::tempdir()?;
    match Running::workerd(dir.path()) {
        Ok(workerd) => {
            let rate = load::wrk(&workerd.url("/"), None, None)?;
            row("workerd, JavaScript", rate, limit);
        }
        Err(error) => println!("workerd: not measured ({error})"),
    }
    Ok(())
}

/// Resident memory of an idle host with one function, and per idle environment.
async fn memory() -> anyhow::Result<()> {
    const ENVIRONMENTS: u64 = 200;
    // Minimal settling time, so that updates do not dominate the measurement.
    let host = Lamina::start("settle_millis = 1")?;
    host.create("hello", &servers::hello()?).await?;
    host.invoke("hello", &json!({})).await?;
    println!(
        "{:<44} {:>9.1} MiB",
        "idle host, one function",
        host.resident_kib()? as f64 / 1024.0
    );
    let versions = "/2015-03-31/functions/hello/versions";
    host.send("POST", versions, &json!({})).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let path = "/2019-09-30/functions/hello/provisioned-concurrency?Qualifier=1";
    let before = host.resident_kib()?;
    let asked = json!({"ProvisionedConcurrentExecutions": ENVIRONMENTS});
    let started = Instant::now();
    host.send("PUT", path, &asked).await?;
    while host.send("GET", path, &Value::Null).await?["Status"] != "READY" {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    println!(
        "{:<44} {:>9.2} ms",
        "200 environments provisioned",
        started.elapsed().as_secs_f64() * 1e3
    );
    let all = host.resident_kib()?;
    println!(
        "{:<44} {:>9.1} KiB",
        "idle environment of hello",
        all.saturating_sub(before) as f64 / ENVIRONMENTS as f64
    );
    Ok(())
}

async fn start_up() -> anyhow::Result<()> {
    const FUNCTIONS: u32 = 1_000;
    let host = Lamina::start("settle_millis = 1")?;
    let component = servers::guest("echo")?;
    let started = Instant::now();
    for number in 0..FUNCTIONS {
        host.request_function(&format!("f{number}"), &component)
            .await?;
    }
    let each = started.elapsed() / FUNCTIONS;
    println!(
        "{:<44} {:>9.2} ms",
        "CreateFunction, one after another",
        each.as_secs_f64() * 1e3
    );
    tokio::time::sleep(Duration::from_millis(500)).await;
    let started = Instant::now();
    let host = host.restart()?;
    let ready = started.elapsed();
    println!(
        "{:<44} {:>9.1} ms",
        "start with 1,000 functions",
        ready.as_secs_f64() * 1e3
    );
    println!(
        "{:<44} {:>9.1} MiB",
        "idle host, 1,000 functions",
        host.resident_kib()? as f64 / 1024.0
    );
    Ok(())
}
