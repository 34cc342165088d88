//! The managed runtime python3.14: warm and cold invocations, and memory of idle environments.

use std::io::{Cursor, Write};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::load;
use crate::servers::Lamina;

const CALLS: usize = 3_000;
const COLD_CALLS: usize = 300;
const IDLE: u64 = 50;

/// Handler with json and logging, as most functions have.
const SOURCE: &str = "import json\nimport logging\n\nlogger = logging.getLogger()\n\n\
    def lambda_handler(event, context):\n    logger.info('event %s', event)\n    \
    return {'statusCode': 200, 'body': json.dumps(event)}\n";

pub(crate) async fn run() -> anyhow::Result<()> {
    let host = started("").await?;
    let path = "/2015-03-31/functions/python/invocations";
    let rate = load::wrk(&host.url(path), Some(r#"{"name":"Lamina"}"#), None)?;
    println!("{:<44} {rate:>9.0} /s", "python3.14, Invoke, warm");
    let warm = median(&host, CALLS).await?;
    print("python3.14, Invoke, warm, one caller, p50", warm);
    idle(&host).await?;
    drop(host);
    let host = started("idle_seconds = 0").await?;
    let cold = median(&host, COLD_CALLS).await?;
    print("python3.14, Invoke, cold, one caller, p50", cold);
    let rate = load::wrk(&host.url(path), Some(r#"{"name":"Lamina"}"#), None)?;
    println!("{:<44} {rate:>9.0} /s", "python3.14, Invoke, cold");
    Ok(())
}

/// Host with the runtime and a function that has been called once.
async fn started(limits: &str) -> anyhow::Result<Lamina> {
    let host = Lamina::start(&format!("settle_millis = 1\n{limits}"))?;
    host.install("python3.14")?;
    let more = json!({
        "Runtime": "python3.14", "Handler": "lambda_function.lambda_handler", "MemorySize": 256,
    });
    let created = Instant::now();
    host.create_with("python", &zip()?, more).await?;
    host.invoke("python", &json!({})).await?;
    print("python3.14, first function of a host", created.elapsed());
    Ok(host)
}

async fn median(host: &Lamina, calls: usize) -> anyhow::Result<Duration> {
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        let started = Instant::now();
        host.invoke("python", &json!({"name": "Lamina"})).await?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(times[calls / 2])
}

/// Resident memory of an idle environment.
async fn idle(host: &Lamina) -> anyhow::Result<()> {
    host.send("POST", "/2015-03-31/functions/python/versions", &json!({}))
        .await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let path = "/2019-09-30/functions/python/provisioned-concurrency?Qualifier=1";
    let before = host.resident_kib()?;
    let asked = json!({"ProvisionedConcurrentExecutions": IDLE});
    host.send("PUT", path, &asked).await?;
    while host.send("GET", path, &Value::Null).await?["Status"] != "READY" {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let each = host.resident_kib()?.saturating_sub(before) as f64 / IDLE as f64 / 1024.0;
    println!("{:<44} {each:>9.1} MiB", "idle environment of python3.14");
    Ok(())
}

fn print(name: &str, time: Duration) {
    println!("{name:<44} {:>9.3} ms", time.as_secs_f64() * 1e3);
}

fn zip() -> anyhow::Result<Vec<u8>> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file(
        "lambda_function.py",
        zip::write::SimpleFileOptions::default(),
    )?;
    zip.write_all(SOURCE.as_bytes())?;
    Ok(zip.finish()?.into_inner())
}
