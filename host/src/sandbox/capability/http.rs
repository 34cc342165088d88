//! `wasi:http` from wasmtime-wasi-http, with limits: host memory for a guest's resources counts
//! against its limit, and leaked resources are closed with the request.

use std::any::Any;

use bytes::Bytes;
use http::HeaderName;
use http_body_util::{BodyExt, Empty};
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::p2::pipe::{ClosedInputStream, ClosedOutputStream};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream};
use wasmtime_wasi_http::p2::body::{
    HostFutureTrailers, HostIncomingBody, HostOutgoingBody, HyperIncomingBody, StreamContext,
};
use wasmtime_wasi_http::p2::types::{
    HostFutureIncomingResponse, HostIncomingRequest, HostIncomingResponse, HostOutgoingRequest,
    HostOutgoingResponse, HostResponseOutparam,
};
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, FieldMap, RequestOptions, WasiBody, WasiHttpCtx,
    WasiHttpCtxView, WasiHttpHooks, WasiHttpView, p3,
};

use super::host_bodies::HostBodies;
use crate::outbound::dial::SEND_BUFFER_BYTES_MAX;
use crate::sandbox::engine::CONCURRENT_STACKS_BYTES;
use crate::sandbox::engine_kind::EngineKind;
use crate::sandbox::guest::Guest;
use crate::sandbox::network::GuestNetwork;

/// Size of the fields of one message.
const FIELDS_BYTES_MAX: usize = 32 << 10;
/// Bytes per body write. The host buffers two for the reader.
const CHUNK_BYTES_MAX: usize = 64 << 10;
const CHUNKS: usize = 2;
/// Bytes of a request that is being sent, or whose response is being read.
const SENDING_BYTES: usize = FIELDS_BYTES_MAX + CHUNKS * CHUNK_BYTES_MAX + SEND_BUFFER_BYTES_MAX;
/// Bytes per body write of a guest over its limit.
const SMALL_CHUNK_BYTES_MAX: usize = 1 << 10;
/// Calls between two measurements of a guest's resources. In between it can take 8 MiB more.
const WEIGH_PERIOD: u32 = 64;
/// Host memory allowed even if the guest's own memory is full.
const HELD_BYTES_MIN: u64 = 4 << 20;
/// Leaked messages after which the instance is replaced; far below the handle limit, so that no
/// request fails because of them.
const LEFT_OPEN_MAX: u32 = 1_000;

/// HTTP state of an environment.
pub(in crate::sandbox) struct Http {
    context: WasiHttpCtx,
    hooks: Hooks,
    /// Calls since the last measurement.
    calls: u32,
}

impl Http {
    pub(in crate::sandbox) fn new(network: GuestNetwork, kind: EngineKind) -> Self {
        let mut context = WasiHttpCtx::new();
        context.set_field_size_limit(FIELDS_BYTES_MAX);
        Self {
            context,
            hooks: Hooks {
                network,
                is_full: false,
                bodies: (kind == EngineKind::Concurrent).then(HostBodies::default),
            },
            calls: 0,
        }
    }

    /// Bodies that the host gives to a guest of WASI 0.3.
    pub(in crate::sandbox) fn host_bodies(&self) -> &HostBodies {
        let bodies = self.hooks.bodies.as_ref();
        bodies.expect("the concurrent engine runs the guest")
    }

    /// Bytes that a guest of WASI 0.3 holds without an entry in its table.
    fn streamed_bytes(&self) -> u64 {
        let bodies = self.hooks.bodies.as_ref();
        bodies.map_or(0, |bodies| {
            bodies.untaken_bytes() + u64::from(bodies.requests()) * SENDING_BYTES as u64
        })
    }

    fn set_full(&mut self, is_full: bool) {
        self.hooks.is_full = is_full;
        let fields_bytes_max = if is_full { 0 } else { FIELDS_BYTES_MAX };
        self.context.set_field_size_limit(fields_bytes_max);
    }
}

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.limits.note_stack();
        self.http.calls += 1;
        if self.http.calls == WEIGH_PERIOD {
            self.weigh_http();
        }
        WasiHttpCtxView {
            hooks: &mut self.http.hooks,
            table: &mut self.table,
            ctx: &mut self.http.context,
        }
    }
}

/// Sends requests of the guest over its function's connections.
struct Hooks {
    network: GuestNetwork,
    /// True while the guest is at its limit.
    is_full: bool,
    /// Bodies that the host gives to a guest of WASI 0.3.
    bodies: Option<HostBodies>,
}

impl Hooks {
    fn chunk_bytes_max(&self) -> usize {
        if self.is_full {
            SMALL_CHUNK_BYTES_MAX
        } else {
            CHUNK_BYTES_MAX
        }
    }
}

/// A response with its connection task.
type Sent = (http::Response<WasiBody>, Connection);
type Connection = Box<dyn Future<Output = Result<(), Error>> + Send>;

static FORBIDDEN_HEADERS: [HeaderName; 9] = DEFAULT_FORBIDDEN_HEADERS;

impl WasiHttpHooks for Hooks {
    /// As the default, which allocates for each header.
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        FORBIDDEN_HEADERS.contains(name)
    }

    /// Not at the limit, where a field more would end the guest: the request is refused below.
    fn set_host_header(&mut self) -> bool {
        !self.is_full
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        if self.is_full {
            let problem = "requests of the function hold as much of the host's memory as they may";
            return Box::new(async { Err(Error::InternalError(Some(problem.to_owned()))) });
        }
        let network = self.network.clone();
        let counted = self.bodies.clone().map(|it| (it.begin(), it));
        Box::new(async move {
            let mut response = network.send(request, options).await?;
            if let Some((request, bodies)) = counted {
                response = response.map(|body| bodies.fetched(body, request).boxed_unsync());
            }
            // The connection has a task of its own.
            Ok((response, Box::new(async { Ok(()) }) as Connection))
        })
    }

    fn p2_outgoing_body_buffer_chunks(&mut self) -> usize {
        // wasmtime keeps one more chunk than configured.
        CHUNKS - 1
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        self.chunk_bytes_max()
    }

    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        self.chunk_bytes_max()
    }
}

impl Guest {
    /// Measures the guest's resources in the host and throttles body writes if they exceed the
    /// guest's free memory.
    fn weigh_http(&mut self) {
        let entries: u64 = self.table.iter_mut().map(|entry| weight(entry)).sum();
        let held = entries + self.http.streamed_bytes();
        self.http.calls = 0;
        let is_counted = self.count_http(held);
        self.http
            .set_full(held > self.http_bytes_max() || !is_counted);
    }

    /// Charges host memory beyond what every guest may hold; most requests charge nothing. Stacks of the concurrent engine
    /// count in full.
    pub(in crate::sandbox) fn count_http(&self, held: u64) -> bool {
        let stacks = self.http.hooks.bodies.as_ref();
        let stacks = stacks.map_or(0, |_| CONCURRENT_STACKS_BYTES);
        self.limits
            .hold(held.saturating_sub(HELD_BYTES_MIN) + stacks)
    }

    fn http_bytes_max(&self) -> u64 {
        self.limits.left_bytes().max(HELD_BYTES_MIN)
    }

    /// Closes requests and responses leaked by a finished call. Handles stay valid, because the
    /// guest may drop them later. Returns true if the instance should be replaced.
    pub(in crate::sandbox) fn close_http(&mut self) -> bool {
        let (mut left_open, mut held) = (0, self.http.streamed_bytes());
        let mut bodies = Vec::new();
        let entries = self.table.iter_mut().count();
        let mut keys = 0..;
        let mut seen = 0;
        while seen < entries {
            let key = keys.next().unwrap_or(u32::MAX);
            let Ok(entry) = self.table.get_any_mut(key) else {
                continue;
            };
            seen += 1;
            held += weight(entry);
            left_open += u32::from(close(entry));
            if entry.is::<HostOutgoingBody>() || entry.is::<HostIncomingBody>() {
                bodies.push(key);
            }
        }
        for body in bodies {
            self.close_streams(body, entries);
        }
        self.count_http(held);
        left_open > LEFT_OPEN_MAX || held > self.http_bytes_max() / 2
    }

    /// Closes the stream of a body. The table iterates over an entry's children without their keys.
    fn close_streams(&mut self, body: u32, entries: usize) {
        let body: Resource<HostOutgoingBody> = Resource::new_borrow(body);
        let children = self.table.iter_children(&body).into_iter().flatten();
        let children: Vec<*const ()> = children.map(address).collect();
        if children.is_empty() {
            return;
        }
        let mut seen = 0;
        for key in 0.. {
            if seen == entries {
                return;
            }
            let Ok(entry) = self.table.get_any_mut(key) else {
                continue;
            };
            seen += 1;
            if !children.contains(&address(entry)) {
                continue;
            }
            if let Some(stream) = entry.downcast_mut::<DynOutputStream>() {
                *stream = Box::new(ClosedOutputStream);
            } else if let Some(stream) = entry.downcast_mut::<DynInputStream>() {
                *stream = Box::new(ClosedInputStream);
            }
        }
    }
}

fn address<T: ?Sized>(entry: &T) -> *const () {
    std::ptr::from_ref(entry).cast()
}

/// Estimated host memory of a table entry. Fields grow after creation, and bodies fill.
fn weight(entry: &dyn Any) -> u64 {
    let has_fields = entry.is::<FieldMap>()
        || entry.is::<HostOutgoingResponse>()
        || entry.is::<HostOutgoingRequest>()
        || entry.is::<HostIncomingRequest>()
        || entry.is::<p3::Request>()
        || entry.is::<p3::Response>();
    let bytes = if has_fields {
        FIELDS_BYTES_MAX
    } else if entry.is::<HostOutgoingBody>() || entry.is::<HostIncomingBody>() {
        CHUNKS * CHUNK_BYTES_MAX
    } else if entry.is::<HostIncomingResponse>() {
        FIELDS_BYTES_MAX + CHUNKS * CHUNK_BYTES_MAX
    } else if entry.is::<HostFutureIncomingResponse>() {
        SENDING_BYTES
    } else {
        0
    };
    bytes as u64
}

/// Drops the data and channel ends of an entry. Returns true for an HTTP entry.
fn close(entry: &mut dyn Any) -> bool {
    if let Some(request) = entry.downcast_mut::<HostIncomingRequest>() {
        request.body = None;
    } else if let Some(body) = entry.downcast_mut::<HostIncomingBody>() {
        *body = HostIncomingBody::new(nothing());
    } else if let Some(trailers) = entry.downcast_mut::<HostFutureTrailers>() {
        *trailers = HostFutureTrailers::Done(Ok(None));
    } else if let Some(out) = entry.downcast_mut::<HostResponseOutparam>() {
        out.send = Box::new(drop);
    } else if let Some(response) = entry.downcast_mut::<HostOutgoingResponse>() {
        response.body = None;
    } else if let Some(request) = entry.downcast_mut::<HostOutgoingRequest>() {
        request.body = None;
    } else if let Some(response) = entry.downcast_mut::<HostFutureIncomingResponse>() {
        *response = HostFutureIncomingResponse::Consumed;
    } else if let Some(response) = entry.downcast_mut::<HostIncomingResponse>() {
        response.body = None;
    } else if let Some(body) = entry.downcast_mut::<HostOutgoingBody>() {
        *body = HostOutgoingBody::new(StreamContext::Response, None, 1, 1).0;
    } else {
        // Bodies of 0.3 are streams of the store, which only their guest can close.
        return entry.is::<FieldMap>() || entry.is::<p3::Request>() || entry.is::<p3::Response>();
    }
    true
}

fn nothing() -> HyperIncomingBody {
    Empty::<Bytes>::new()
        .map_err(|never| match never {})
        .boxed_unsync()
}
