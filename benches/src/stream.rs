//! Latency of a streamed response: from a guest's write to its arrival at a client of the function URL. The guest writes
//! the time, and both read the same clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::json;

use super::servers::{self, Lamina};

const STAMPS: usize = 2_000;
/// Characters of one time.
const STAMP_CHARS: usize = 20;

pub(crate) async fn run() -> anyhow::Result<()> {
    let host = Lamina::start("")?;
    let component = servers::guest("streaming")?;
    host.create("streaming", &component).await?;
    let url = json!({"AuthType": "NONE", "InvokeMode": "RESPONSE_STREAM"});
    let domain = host.function_url_with("streaming", &url).await?;
    for (protocol, http2) in [("HTTP/1.1", false), ("HTTP/2", true)] {
        let mut latencies = latencies(&host, &domain, http2).await?;
        latencies.sort_unstable();
        let of = |percent: usize| latencies[(latencies.len() - 1) * percent / 100];
        println!(
            "{:<44} {:>9.3} ms  p99 {:.3} ms  max {:.3} ms",
            format!("streamed write to client, {protocol}"),
            millis(of(50)),
            millis(of(99)),
            millis(of(100)),
        );
    }
    Ok(())
}

async fn latencies(host: &Lamina, domain: &str, http2: bool) -> anyhow::Result<Vec<Duration>> {
    let client = Client::builder(TokioExecutor::new())
        .http2_only(http2)
        .build_http();
    let wish = json!({"stamps": STAMPS, "pause_ms": 1}).to_string();
    let request = http::Request::post(host.url("/"))
        .header("host", domain)
        .header("content-type", "application/json")
        .body(Full::<Bytes>::from(wish))?;
    let mut response = client.request(request).await?;
    let (mut pending, mut latencies) = (Vec::new(), Vec::new());
    while let Some(frame) = response.body_mut().frame().await {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let data = frame?.into_data().ok().context("no trailers are sent")?;
        pending.extend_from_slice(&data);
        while pending.len() >= STAMP_CHARS {
            let stamp: Vec<u8> = pending.drain(..STAMP_CHARS).collect();
            let nanos: u64 = std::str::from_utf8(&stamp)?.parse()?;
            latencies.push(now.saturating_sub(Duration::from_nanos(nanos)));
        }
    }
    anyhow::ensure!(latencies.len() == STAMPS, "{} came", latencies.len());
    Ok(latencies)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
