//! Conversion of HTTP requests to events: `wasi:http` components get the request itself, others the
//! function URL event. Done after resolution, when the version is known.

use super::lease;
use super::live::Live;
use super::resolve::Resolved;
use crate::payload::{Document, Event, HttpEvent};
use crate::sandbox::Interface;

/// Size from which serialization moves off the worker, because it takes over 100 µs.
const LARGE_BYTES: usize = 128 << 10;

/// Converts an HTTP request to an event, unless the version takes requests.
pub(super) async fn prepare(live: &Live, resolved: &mut Resolved) -> Result<(), lease::Error> {
    if matches!(resolved.invoke.event, Event::Json(_)) {
        return Ok(());
    }
    let deployment = live.deployment(&resolved.version);
    let program = deployment.program().await?;
    if program.interface() == Interface::Http {
        return Ok(());
    }
    resolved.invoke.event = match std::mem::take(&mut resolved.invoke.event) {
        Event::Http(http) => Event::Json(written(http, resolved).await),
        event @ Event::Json(_) => event,
    };
    Ok(())
}

async fn written(http: Box<HttpEvent>, resolved: &Resolved) -> Document {
    let (name, id) = (&resolved.invoke.target.name, resolved.invoke.request_id);
    if http.request.body().len() <= LARGE_BYTES {
        return http.event(name.as_str(), &id);
    }
    let name = name.clone();
    let writing = tokio::task::spawn_blocking(move || http.event(name.as_str(), &id));
    match writing.await {
        Ok(event) => event,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Runtime shutdown cancels the task; this one is about to be dropped too.
            Err(_) => std::future::pending().await,
        },
    }
}
