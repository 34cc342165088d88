//! `wasi:http`, from wasmtime-wasi-http, within bounds: what a guest holds in the host counts against its
//! memory, and what it leaves open ends with the request.

use std::any::Any;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::p2::pipe::{ClosedInputStream, ClosedOutputStream};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream};
use wasmtime_wasi_http::p2::body::{
    HostFutureTrailers, HostIncomingBody, HostOutgoingBody, HyperIncomingBody, StreamContext,
};
use wasmtime_wasi_http::p2::types::{
    HostIncomingRequest, HostOutgoingResponse, HostResponseOutparam,
};
use wasmtime_wasi_http::{
    Error, FieldMap, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks,
    WasiHttpView,
};

use crate::sandbox::guest::Guest;

/// The fields of one HTTP message.
const FIELDS_BYTES_MAX: usize = 32 << 10;
/// A write to a body. The host keeps two of them for the reader.
const CHUNK_BYTES_MAX: usize = 64 << 10;
const CHUNKS: usize = 2;
/// A write to a body of a guest that holds too much already.
const SMALL_CHUNK_BYTES_MAX: usize = 1 << 10;
/// Calls of a guest until what it holds is added up again. In between it can take 8 MiB more.
const WEIGH_PERIOD: u32 = 64;
/// A guest whose own memory is full may hold this much all the same.
const HELD_BYTES_MIN: u64 = 4 << 20;
/// Messages that an instance may leave open before another one takes its place: far from the limit on
/// handles, so that no request fails for it.
const LEFT_OPEN_MAX: u32 = 1_000;

/// What an environment keeps of HTTP.
pub(in crate::sandbox) struct Http {
    context: WasiHttpCtx,
    hooks: Hooks,
    /// Calls since what the guest holds was added up.
    calls: u32,
}

impl Http {
    pub(in crate::sandbox) fn new() -> Self {
        let mut context = WasiHttpCtx::new();
        context.set_field_size_limit(FIELDS_BYTES_MAX);
        Self {
            context,
            hooks: Hooks { is_full: false },
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

/// Outgoing requests through `wasi:http` are refused: this host does not offer them yet. Guests
/// reach the network through sockets.
struct Hooks {
    /// The guest holds as much as it may.
    is_full: bool,
}

/// A response, and what becomes of its connection.
type Sent = (
    http::Response<WasiBody>,
    Box<dyn Future<Output = Result<(), Error>> + Send>,
);

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        _request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        Box::new(async { Err(Error::HttpRequestDenied) })
    }

    fn p2_outgoing_body_buffer_chunks(&mut self) -> usize {
        // One more is kept than asked for.
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
    /// Adds up what the guest holds in the host, and lets it take no more where that is more than it has
    /// memory for.
    fn weigh_http(&mut self) {
        let held: u64 = self.table.iter_mut().map(|entry| weight(entry)).sum();
        self.http.calls = 0;
        let is_counted = self.count_http(held);
        self.http
            .set_full(held > self.http_bytes_max() || !is_counted);
    }

    /// Counts in the host's memory what is more than every guest may hold: most requests count nothing.
    fn count_http(&self, held: u64) -> bool {
        self.limits.hold(held.saturating_sub(HELD_BYTES_MIN))
    }

    fn http_bytes_max(&self) -> u64 {
        self.limits.left_bytes().max(HELD_BYTES_MIN)
    }

    /// Ends requests and responses that a guest has left open though its call is over. Its handles stay
    /// good, since it may still drop them. Whether it holds so much that it should not be called again.
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

    /// Closes the stream of a body. The table tells what the children of an entry are, and not where.
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

/// The bytes of the host that an entry may come to. Fields grow after they were made, and bodies fill.
fn weight(entry: &dyn Any) -> u64 {
    let has_fields = entry.is::<FieldMap>()
        || entry.is::<HostOutgoingResponse>()
        || entry.is::<HostIncomingRequest>();
    let bytes = if has_fields {
        FIELDS_BYTES_MAX
    } else if entry.is::<HostOutgoingBody>() {
        CHUNKS * CHUNK_BYTES_MAX
    } else {
        0
    };
    bytes as u64
}

/// Takes the bytes out of an entry, and its end of what others wait for. Whether it was one of HTTP.
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
