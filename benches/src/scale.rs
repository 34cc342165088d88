//! Cost of the control plane with 1, 100 and 10,000 functions; it must not grow with their number.

use std::time::Instant;

use anyhow::Context;
use serde_json::{Value, json};

use crate::servers::{Lamina, guest};

/// Functions deployed, ascending.
const SIZES: [u32; 3] = [1, 100, 10_000];
/// Calls per median.
const CALLS: usize = 101;

/// Medians in milliseconds.
struct Costs {
    name: &'static str,
    by_size: Vec<f64>,
}

pub(crate) async fn run() -> anyhow::Result<()> {
    let mut host = Lamina::start("settle_millis = 1")?;
    let component = guest("echo")?;
    let names = [
        "create",
        "get",
        "update",
        "list, first page",
        "list, last page",
    ];
    let mut costs = names.map(|name| Costs {
        name,
        by_size: Vec::new(),
    });
    let mut resident = Vec::new();
    let mut made = 0;
    for size in SIZES {
        while made < size {
            host.request_function(&format!("f{made:06}"), &component)
                .await?;
            made += 1;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        let started = Instant::now();
        host = host.restart()?;
        println!(
            "{:<44} {:>9.1} ms",
            format!("start with {size} functions"),
            started.elapsed().as_secs_f64() * 1e3
        );
        resident.push(host.resident_kib()?);
        let measured = measure(&host, size, &component).await?;
        for (cost, median) in costs.iter_mut().zip(measured) {
            cost.by_size.push(median);
        }
    }
    for cost in &costs {
        let each: Vec<String> = cost.by_size.iter().map(|it| format!("{it:7.2}")).collect();
        let least = cost.by_size.iter().copied().fold(f64::MAX, f64::min);
        let most = cost.by_size.iter().copied().fold(0.0, f64::max);
        println!(
            "{:<20} {} ms  {:.2} x",
            cost.name,
            each.join(" "),
            most / least
        );
    }
    let grown = resident[2].saturating_sub(resident[0]) as f64;
    let functions = f64::from(SIZES[2] - SIZES[0]);
    println!(
        "{:<44} {:>9.2} KiB",
        "resident for each function",
        grown / functions
    );
    Ok(())
}

async fn measure(host: &Lamina, size: u32, component: &[u8]) -> anyhow::Result<Vec<f64>> {
    let functions = "/2015-03-31/functions";
    let middle = format!("{functions}/f{:06}", size / 2);
    let mut measured = [const { Vec::new() }; 5];
    // Pages of one function, so that the response size does not depend on their number.
    let first = format!("{functions}?MaxItems=1");
    let last = match size.checked_sub(2) {
        Some(before) => format!("{first}&Marker=f{before:06}"),
        None => first.clone(),
    };
    for call in 0..CALLS {
        let name = format!("new{call}");
        measured[0].push(timed(host.request_function(&name, component)).await?);
        host.send("DELETE", &format!("{functions}/{name}"), &Value::Null)
            .await?;
        measured[1].push(timed(host.send("GET", &middle, &Value::Null)).await?);
        let change = json!({"Description": call.to_string()});
        let path = format!("{middle}/configuration");
        measured[2].push(timed(host.send("PUT", &path, &change)).await?);
        while host.send("GET", &path, &Value::Null).await?["LastUpdateStatus"] != "Successful" {}
        measured[3].push(timed(host.send("GET", &first, &Value::Null)).await?);
        measured[4].push(timed(host.send("GET", &last, &Value::Null)).await?);
    }
    Ok(measured.map(median).into())
}

async fn timed<T>(call: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<f64> {
    let started = Instant::now();
    call.await.context("a measured call failed")?;
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
