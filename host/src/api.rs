//! The host's front: which of its APIs a request is for, within which limits. What the APIs do is
//! in the modules below.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::clock::Clock;
use crate::config::Token;
use crate::control::Control;
use crate::events::Events;
use crate::invoke::Invoker;
use crate::names::RequestId;
use crate::payload::Body;
use crate::telemetry::log::Logs;
use crate::telemetry::metrics::Metrics;

pub mod access;
mod access_log;
mod admin;
mod authority;
mod autoscaling;
mod aws_json;
mod body;
pub mod download;
mod facts;
pub mod logs;
mod queue;
pub mod rest;
mod scheduler;
mod sts;
mod trigger;
pub mod url;
mod web;

pub use facts::{Ends, Proxy, Secure};
pub use trigger::Triggers;
pub use url::UrlNames;

pub use access::Owner;

use access::{Access, CurrentAccess, Signed};
use body::{Bodies, Sender};
use download::Downloads;
use url::UrlName;

/// Every API of a host, behind one function.
#[derive(Debug)]
pub struct Front {
    control: Control,
    invoker: Invoker,
    events: Events,
    logs: Logs,
    /// Ended queries of CloudWatch Logs Insights.
    queries: logs::Queries,
    metrics: Metrics,
    metrics_token: Option<Token>,
    access: CurrentAccess,
    urls: UrlNames,
    triggers: Triggers,
    downloads: Downloads,
    bodies: Bodies,
    unproven_bodies: Bodies,
    url_bodies: Bodies,
    clock: Clock,
}

/// Memory of all large bodies whose senders are known: their signature covers a digest that the head
/// declares. Half of it takes the largest request.
const BODIES_BYTES_MAX: usize = 136 << 20;
/// Memory of all large bodies with a signature that they are needed to check. Anyone who knows the id of a key
/// can send them.
const UNPROVEN_BODIES_BYTES_MAX: usize = 136 << 20;
/// Memory of all large bodies for function URLs, which anyone may send.
const URL_BODIES_BYTES_MAX: usize = 64 << 20;
/// To read more than this takes a while.
const LARGE_BYTES: usize = 1 << 20;

/// The header with the id of a request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
/// The header with the trace that a request is part of.
const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// Response of every API.
pub type HttpResponse = Response<Body>;

impl Front {
    /// A front for these parts of a host. Without access, anyone may do anything.
    pub fn new(
        control: Control,
        (invoker, events): (Invoker, Events),
        logs: Logs,
        pages: (Metrics, Option<Token>),
        access: Option<Access>,
        (urls, triggers): (UrlNames, Triggers),
        clock: Clock,
    ) -> Self {
        let (metrics, metrics_token) = pages;
        let downloads = Downloads::new(clock.clone());
        let concurrency = control.concurrency();
        Self {
            control,
            invoker,
            events,
            logs,
            queries: logs::Queries::default(),
            metrics,
            metrics_token,
            access: CurrentAccess::new(access),
            urls,
            triggers,
            downloads,
            bodies: Bodies::new(body::Config::of(BODIES_BYTES_MAX)),
            unproven_bodies: Bodies::new(body::Config::of(UNPROVEN_BODIES_BYTES_MAX)),
            url_bodies: Bodies::new(body::Config {
                streams_max: concurrency as usize,
                ..body::Config::of(URL_BODIES_BYTES_MAX)
            }),
            clock,
        }
    }

    /// The memory that the body of a request is read into, and the sender that it counts for. Without keys
    /// the only user may take all of it.
    fn bodies_of(&self, parts: &Parts, signed: Option<&Signed>) -> (&Bodies, body::From) {
        let Some(signed) = signed else {
            return (&self.bodies, body::From::UNSHARED);
        };
        let key = signed.proven().and_then(|it| it.access_key_id.clone());
        let (bodies, sender) = match key {
            Some(key) => (&self.bodies, Sender::Key(key)),
            None => (&self.unproven_bodies, sender(parts)),
        };
        let is_signed = true;
        (bodies, body::From { sender, is_signed })
    }

    /// The access that a request needs. `None` permits everything.
    fn access(&self, parts: &Parts) -> Option<Arc<Access>> {
        match parts.extensions.get::<Owner>() {
            Some(Owner) => None,
            None => self.access.get(),
        }
    }

    /// Replaces the keys, for requests that begin from now on.
    pub fn set_access(&self, access: Option<Access>) {
        self.access.replace(access);
    }

    /// Answers one request.
    pub async fn handle<B>(&self, request: Request<B>) -> HttpResponse
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let request_id = RequestId::random(&self.clock);
        let (parts, body) = request.into_parts();
        let entry = access_log::Entry::begin(&parts, &self.clock);
        let door = Door::of(&parts, &self.urls);
        let is_open = self.access.has_keys()
            || matches!(door, Door::Url(_) | Door::Health | Door::Trigger(_))
            || parts.extensions.get::<Owner>().is_some();
        let refusal = if is_open { None } else { web::refusal(&parts) };
        let mut reply = match (door, refusal) {
            (Door::Url(name), _) => self.serve_url(name, request_id, &parts, body).await,
            (Door::Health, _) => admin::health(),
            (Door::Trigger(name), _) => {
                Box::pin(self.serve_trigger(name, request_id, &parts, body)).await
            }
            (Door::Metrics, None) => self.serve_metrics(&parts),
            (Door::Metrics, Some(text)) => admin::refused(text),
            (Door::Queues, None) => Box::pin(self.serve_queues(&parts)).await,
            (Door::Queues, Some(text)) => queue::refused(text),
            (Door::Download(digest), None) => Box::pin(self.serve_download(digest, &parts)).await,
            (Door::Download(_), Some(text)) => download::refused(&text),
            (Door::Scheduler, None) => Box::pin(self.serve_scheduler(&parts, body)).await,
            (Door::Scheduler, Some(text)) => scheduler::refused(text),
            (Door::Logs(_) | Door::Autoscaling(_), Some(text)) => {
                aws_json::Fault::denied(text).into_reply()
            }
            (Door::Autoscaling(operation), None) => {
                Box::pin(self.serve_autoscaling(operation, &parts, body)).await
            }
            (Door::Logs(target), None) => {
                Box::pin(self.serve_logs(target, request_id, &parts, body)).await
            }
            (Door::Sts, Some(text)) => sts::refused(text, &request_id),
            (Door::Sts, None) => Box::pin(self.serve_sts(&request_id, &parts, body)).await,
            (Door::Rest, Some(text)) => rest::refused(text, &request_id),
            (Door::Rest, None) => self.serve_rest(request_id, parts, body).await,
        };
        // Last, so that it replaces an id that a function may have set.
        let id = HeaderValue::from_str(request_id.as_str()).expect("an id is ASCII");
        reply.headers_mut().insert(REQUEST_ID, id);
        if let Some(entry) = entry {
            entry.end(&reply, &request_id, &self.clock);
        }
        reply
    }
}

/// API that a request is for.
enum Door<'a> {
    Url(UrlName<'a>),
    Health,
    Metrics,
    Queues,
    Trigger(&'a str),
    Scheduler,
    Download(&'a str),
    Logs(&'a str),
    Autoscaling(&'a str),
    Sts,
    Rest,
}

impl<'a> Door<'a> {
    fn of(parts: &'a Parts, urls: &'a UrlNames) -> Self {
        if let Some(name) = urls.of(parts) {
            return Self::Url(name);
        }
        if let Some(target) = parts
            .headers
            .get("x-amz-target")
            .and_then(|it| it.to_str().ok())
        {
            let operation = target.strip_prefix(autoscaling::TARGET_PREFIX);
            return operation.map_or(Self::Logs(target), Self::Autoscaling);
        }
        match parts.uri.path() {
            admin::HEALTH => Self::Health,
            admin::METRICS => Self::Metrics,
            path if queue::is_path(path) => Self::Queues,
            path if path.starts_with(trigger::PATH) => Self::Trigger(&path[trigger::PATH.len()..]),
            _ if scheduler::is_for(parts) => Self::Scheduler,
            "/" if sts::is_query(parts) => Self::Sts,
            path => path
                .strip_prefix(download::PATH)
                .map_or(Self::Rest, Self::Download),
        }
    }
}

/// Every host that a request names, with its port. A request should name one only.
fn names(parts: &Parts) -> impl Iterator<Item = &str> {
    let named = parts.headers.get_all(header::HOST).iter();
    let named = named.filter_map(|host| host.to_str().ok());
    named.chain(parts.uri.authority().map(http::uri::Authority::as_str))
}

/// The text of a header's value. Octets that are not ASCII are read as ISO 8859-1, as Java's servers do: every
/// value has a text of its own, and none is taken for another's.
pub(crate) fn text_of(value: &HeaderValue) -> Cow<'_, str> {
    match value.to_str() {
        Ok(text) => text.into(),
        Err(_) => value.as_bytes().iter().copied().map(char::from).collect(),
    }
}

/// The host a request names, with its port.
pub(crate) fn host_of(parts: &Parts) -> Option<&str> {
    let header = parts
        .headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    header.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str))
}

/// The sender of a body that has not proven who it is.
fn sender(parts: &Parts) -> Sender {
    match parts.extensions.get::<Ends>() {
        // A proxy that names no client is many.
        Some(Ends { peer, .. })
            if parts
                .extensions
                .get::<Proxy>()
                .is_none_or(|Proxy(it)| it != peer) =>
        {
            Sender::Peer(peer.to_canonical())
        }
        _ => Sender::Unshared,
    }
}

/// Does what takes long with this many bytes. Meanwhile the other requests of this thread are
/// answered elsewhere, where that can be: with those that came over a connection of this host's own.
pub(crate) fn at_length<T>(parts: &Parts, bytes: usize, work: impl FnOnce() -> T) -> T {
    let can_wait = || {
        let runtime = Handle::try_current().map(|it| it.runtime_flavor());
        parts.extensions.get::<Ends>().is_some()
            && matches!(runtime, Ok(RuntimeFlavor::MultiThread))
    };
    if bytes > LARGE_BYTES && can_wait() {
        tokio::task::block_in_place(work)
    } else {
        work()
    }
}

/// A JSON document as a response.
pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> HttpResponse {
    let mut reply = Response::new(Body::from(Into::<Bytes>::into(body)));
    *reply.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    reply.headers_mut().insert(header::CONTENT_TYPE, json);
    reply
}

#[cfg(test)]
mod tests;
