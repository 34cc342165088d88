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
    WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

use crate::outbound::dial::SEND_BUFFER_BYTES_MAX;
use crate::sandbox::guest::Guest;
use crate::sandbox::network::GuestNetwork;

/// Size of the fields of one message.
const FIELDS_BYTES_MAX: usize = 32 << 10;
/// Bytes per body write. The host buffers two for the reader.
const CHUNK_BYTES_MAX: usize = 64 << 10;
const CHUNKS: usize = 2;
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
    pub(in crate::sandbox) fn new(network: GuestNetwork) -> Self {
        let mut context = WasiHttpCtx::new();
        context.set_field_size_limit(FIELDS_BYTES_MAX);
        Self {
            context,
            hooks: Hooks {
                network,
                is_full: false,
            },
            calls: 0,
        }
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
        Box::new(async move {
            let response = network.send(request, options).await?;
            // The connection has a task of its own.
            Ok((response, Box::new(async { Ok(()) }) as Connection))
        })
    }

    fn p2_outgoing_body_buffer_chunks(&mut self) -> usize {
        // wasmtime keeps one more chunk than configured.
        CHUNKS - 1
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        if self.is_full {
            SMALL_CHUNK_BYTES_MAX
        } else {
            CHUNK_BYTES_MAX
        }
    }
}

impl Guest {
    /// Measures the guest's resources in the host and throttles body writes if they exceed the
    /// guest's free memory.
    fn weigh_http(&mut self) {
        let held: u64 = self.table.iter_mut().map(|entry| weight(entry)).sum();
        self.http.calls = 0;
        let is_counted = self.count_http(held);
        self.http
            .set_full(held > self.http_bytes_max() || !is_counted);
    }

    /// Charges host memory beyond what every guest may hold; most requests charge nothing.
    fn count_http(&self, held: u64) -> bool {
        self.limits.hold(held.saturating_sub(HELD_BYTES_MIN))
    }

    fn http_bytes_max(&self) -> u64 {
        self.limits.left_bytes().max(HELD_BYTES_MIN)
    }

    /// Closes requests and responses leaked by a finished call. Handles stay valid, because the
    /// guest may drop them later. Returns true if the instance should be replaced.
    pub(in crate::sandbox) fn close_http(&mut self) -> bool {
        let (mut left_open, mut held) = (0, 0);
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
        || entry.is::<HostIncomingRequest>();
    let bytes = if has_fields {
        FIELDS_BYTES_MAX
    } else if entry.is::<HostOutgoingBody>() || entry.is::<HostIncomingBody>() {
        CHUNKS * CHUNK_BYTES_MAX
    } else if entry.is::<HostIncomingResponse>() {
        FIELDS_BYTES_MAX + CHUNKS * CHUNK_BYTES_MAX
    } else if entry.is::<HostFutureIncomingResponse>() {
        // The request is still being sent.
        FIELDS_BYTES_MAX + CHUNKS * CHUNK_BYTES_MAX + SEND_BUFFER_BYTES_MAX
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
        return entry.is::<FieldMap>();
    }
    true
}

fn nothing() -> HyperIncomingBody {
    Empty::<Bytes>::new()
        .map_err(|never| match never {})
        .boxed_unsync()
}
