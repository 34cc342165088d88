//! Conversion of HTTP requests to events: `wasi:http` components get the request itself, others the
//! function URL event. Done after resolution, when the version is known.

use std::sync::Mutex;
use std::time::Duration;

use super::lease;
use super::live::Live;
use super::request::Invoke;
use super::resolve::Resolved;
use crate::payload::{Body, Document, Event, HttpEvent};
use crate::sandbox::Interface;

/// Size from which serialization moves off the worker, because it takes over 100 µs.
const LARGE_BYTES: usize = 128 << 10;

/// A resolved invocation whose event may still be an HTTP request that the version does not take.
#[derive(Debug)]
pub struct Routed {
    resolved: Resolved,
    takes_http: bool,
}

/// Loads the version's program to learn which events it takes.
pub(super) async fn route(live: &Live, mut resolved: Resolved) -> Result<Routed, lease::Error> {
    let takes_http = match &resolved.invoke.event {
        Event::Json(_) => false,
        Event::Http(_) => {
            let deployment = live.deployment(&resolved.version);
            let interface = deployment.program().await?.interface();
            // Others return their responses whole, and need no channel for them.
            let can_stream = interface.takes_http() || interface == Interface::StreamingHandler;
            resolved.invoke.streams &= can_stream;
            interface.takes_http()
        }
    };
    Ok(Routed {
        resolved,
        takes_http,
    })
}

impl Routed {
    /// True if the version takes HTTP requests.
    pub fn takes_http(&self) -> bool {
        self.takes_http
    }

    /// Time limit of the invocation.
    pub fn timeout(&self) -> Duration {
        self.resolved.version.timeout
    }

    /// Gives the HTTP request a streamed body.
    pub fn set_body(&mut self, body: Body) {
        if let Event::Http(http) = &mut self.resolved.invoke.event {
            http.streamed = Some(Mutex::new(body));
        }
    }

    /// The invocation, to be resolved again.
    pub fn into_invoke(self) -> Invoke {
        self.resolved.into_invoke()
    }

    /// Converts an HTTP request to an event, unless the version takes requests.
    pub async fn prepare(mut self) -> Resolved {
        if !self.takes_http {
            self.resolved.invoke.event = match std::mem::take(&mut self.resolved.invoke.event) {
                Event::Http(http) => Event::Json(written(http, &self.resolved).await),
                event @ Event::Json(_) => event,
            };
        }
        self.resolved
    }
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
