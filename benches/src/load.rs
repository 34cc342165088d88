//! Load generator `wrk -t1 -c32`: one thread, which leaves the server the other core of a small
//! machine.

use std::io::Write;
use std::process::Command;

use anyhow::{Context, bail};

/// Long enough for a stable rate.
const DURATION: &str = "5s";

/// Requests per second. Error responses fail the measurement.
pub(crate) fn wrk(url: &str, body: Option<&str>, host: Option<&str>) -> anyhow::Result<f64> {
    let mut script = tempfile::NamedTempFile::new()?;
    if let Some(body) = body {
        writeln!(script, "wrk.method = 'POST'\nwrk.body = [[{body}]]")?;
    }
    let mut wrk = Command::new("wrk");
    wrk.args(["-t1", "-c32", "-d", DURATION, "-s"])
        .arg(script.path());
    if let Some(host) = host {
        wrk.args(["-H", &format!("Host: {host}")]);
    }
    let output = wrk
        .arg(url)
        .output()
        .context("wrk cannot be run: apt-get install wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if let Some(line) = text.lines().find(|line| line.contains("Non-2xx")) {
        bail!("{url}: {line}");
    }
    let rate = text
        .lines()
        .find_map(|line| line.strip_prefix("Requests/sec:"));
    rate.context("wrk gave no rate")?
        .trim()
        .parse()
        .context("wrk's rate")
}
