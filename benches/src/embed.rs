//! Warm calls in the process of an embedder, without a network: invoke, HTTP service, decision. The guest's own time is
//! that of the platform event `RuntimeDone`, between the delivery of the event and the response.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use lamina::event::{Event, Source};
use lamina::{Function, Host, InvokeOptions, Observer};
use tower::Service;

use crate::servers;

const CALLS: u32 = 200_000;
const WARM_UP_CALLS: u32 = 1_000;

/// Sum of the guests' own times.
#[derive(Debug, Default)]
struct Guest(AtomicU64);

impl Observer for Guest {
    fn receive(&self, _: &Source, event: &Event<'_>) {
        if let Event::RuntimeDone(done) = event {
            let nanos = u64::try_from(done.metrics.duration.as_nanos()).unwrap_or(u64::MAX);
            self.0.fetch_add(nanos, Ordering::Relaxed);
        }
    }
}

pub(crate) async fn run() -> anyhow::Result<()> {
    let guest = Arc::new(Guest::default());
    let observer = Arc::clone(&guest) as Arc<dyn Observer>;
    let host = Host::builder().temporary().observer(observer);
    let host = host.build().await?;
    let echo = Function::from_bytes("echo", servers::guest("echo")?);
    let echo = host.deploy(echo).await?;
    let web = Function::from_bytes("web", servers::guest("http-hello")?);
    let web = host.deploy(web).await?;

    measure("invoke in process", &guest, async || {
        echo.invoke("{}", InvokeOptions::default()).await?;
        Ok(())
    })
    .await?;
    let mut service = web.clone();
    measure("tower service in process", &guest, async || {
        call(&mut service).await
    })
    .await?;
    let head = http::Request::get("http://edge.example/").body(())?;
    let (head, ()) = head.into_parts();
    measure("decision in process", &guest, async || {
        web.decide(&head).await?;
        Ok(())
    })
    .await
}

async fn call(service: &mut lamina::FunctionHandle) -> anyhow::Result<()> {
    let request = http::Request::get("http://edge.example/").body(Full::<Bytes>::default())?;
    let response = service.ready().await?.call(request).await?;
    anyhow::ensure!(response.status() == 200, "{}", response.status());
    response.into_body().collect().await?;
    Ok(())
}

async fn measure(
    name: &str,
    guest: &Guest,
    mut call: impl AsyncFnMut() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for _ in 0..WARM_UP_CALLS {
        call().await?;
    }
    guest.0.store(0, Ordering::Relaxed);
    let started = Instant::now();
    for _ in 0..CALLS {
        call().await?;
    }
    let all = micros(started.elapsed());
    let own = micros(Duration::from_nanos(guest.0.load(Ordering::Relaxed)));
    println!(
        "{name:<44} {all:>9.2} us, the guest's {own:.2} us, the host's {:.2} us",
        all - own
    );
    Ok(())
}

/// Microseconds of one call.
fn micros(all: Duration) -> f64 {
    all.as_secs_f64() * 1e6 / f64::from(CALLS)
}
