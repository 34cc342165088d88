//! The event in the form that the version takes: components for HTTP get a request itself, all others the
//! event that a function URL makes of it. After the version is known, so that no door has to ask for it.

use super::lease;
use super::live::Live;
use super::resolve::Resolved;
use crate::payload::{Document, Event, HttpEvent};
use crate::sandbox::Interface;

/// Writing the event of a larger request takes over 100 µs, for which other requests of a worker should not
/// wait.
const LARGE_BYTES: usize = 128 << 10;

/// Makes the event of an HTTP request, where the version does not take the request itself.
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
            // The runtime is coming down, and its tasks with it.
            Err(_) => std::future::pending().await,
        },
    }
}
