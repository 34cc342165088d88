//! Managed runtimes: warm and cold invocations, and memory of idle environments.

use std::io::{Cursor, Write};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::load;
use crate::servers::Lamina;

const CALLS: usize = 3_000;
const COLD_CALLS: usize = 300;
const IDLE: u64 = 50;

/// A runtime and a function of it.
pub(crate) struct Bench {
    runtime: &'static str,
    handler: &'static str,
    file: &'static str,
    source: &'static str,
}

/// Handler with json and logging, as most functions have.
pub(crate) const PYTHON: Bench = Bench {
    runtime: "python3.14",
    handler: "lambda_function.lambda_handler",
    file: "lambda_function.py",
    source: PYTHON_SOURCE,
};

/// The same in JavaScript.
pub(crate) const NODEJS: Bench = Bench {
    runtime: "nodejs22.x",
    handler: "index.handler",
    file: "index.mjs",
    source: NODEJS_SOURCE,
};

const NODEJS_SOURCE: &str = "export const handler = async (event) => {\n  console.log('event %j', event);\n  \
    return { statusCode: 200, body: JSON.stringify(event) };\n};\n";

const PYTHON_SOURCE: &str = "import json\nimport logging\n\nlogger = logging.getLogger()\n\n\
    def lambda_handler(event, context):\n    logger.info('event %s', event)\n    \
    return {'statusCode': 200, 'body': json.dumps(event)}\n";

impl Bench {
    pub(crate) async fn run(&self) -> anyhow::Result<()> {
        let host = self.started("").await?;
        let path = "/2015-03-31/functions/f/invocations";
        let rate = load::wrk(&host.url(path), Some(r#"{"name":"Lamina"}"#), None)?;
        self.print_rate("Invoke, warm", rate);
        let warm = median(&host, CALLS).await?;
        self.print("Invoke, warm, one caller, p50", warm);
        self.idle(&host).await?;
        drop(host);
        let host = self.started("idle_seconds = 0").await?;
        let cold = median(&host, COLD_CALLS).await?;
        self.print("Invoke, cold, one caller, p50", cold);
        let rate = load::wrk(&host.url(path), Some(r#"{"name":"Lamina"}"#), None)?;
        self.print_rate("Invoke, cold", rate);
        Ok(())
    }

    /// Host with the runtime and a function that has been called once.
    async fn started(&self, limits: &str) -> anyhow::Result<Lamina> {
        let host = Lamina::start(&format!("settle_millis = 1\n{limits}"))?;
        host.install(self.runtime)?;
        let more = json!({
            "Runtime": self.runtime, "Handler": self.handler, "MemorySize": 256,
        });
        let created = Instant::now();
        host.create_with("f", &self.zip()?, more).await?;
        host.invoke("f", &json!({})).await?;
        self.print("first function of a host", created.elapsed());
        Ok(host)
    }

    /// Resident memory of an idle environment.
    async fn idle(&self, host: &Lamina) -> anyhow::Result<()> {
        host.send("POST", "/2015-03-31/functions/f/versions", &json!({}))
            .await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let path = "/2019-09-30/functions/f/provisioned-concurrency?Qualifier=1";
        let before = host.resident_kib()?;
        let asked = json!({"ProvisionedConcurrentExecutions": IDLE});
        host.send("PUT", path, &asked).await?;
        while host.send("GET", path, &Value::Null).await?["Status"] != "READY" {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let each = host.resident_kib()?.saturating_sub(before) as f64 / IDLE as f64 / 1024.0;
        let name = format!("{}, idle environment", self.runtime);
        println!("{name:<44} {each:>9.1} MiB");
        Ok(())
    }

    fn print(&self, what: &str, time: Duration) {
        let name = format!("{}, {what}", self.runtime);
        println!("{name:<44} {:>9.3} ms", time.as_secs_f64() * 1e3);
    }

    fn print_rate(&self, what: &str, rate: f64) {
        let name = format!("{}, {what}", self.runtime);
        println!("{name:<44} {rate:>9.0} /s");
    }

    fn zip(&self) -> anyhow::Result<Vec<u8>> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file(self.file, zip::write::SimpleFileOptions::default())?;
        zip.write_all(self.source.as_bytes())?;
        Ok(zip.finish()?.into_inner())
    }
}

async fn median(host: &Lamina, calls: usize) -> anyhow::Result<Duration> {
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        let started = Instant::now();
        host.invoke("f", &json!({"name": "Lamina"})).await?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(times[calls / 2])
}
