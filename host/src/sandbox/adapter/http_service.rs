//! `wasi:http/handler` of WASI 0.3: the event is an HTTP request. Tasks of the guest run while its response is read, and
//! are frozen with the environment when it has ended. One request at a time.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use wasmtime::Store;
use wasmtime::component::Accessor;
use wasmtime_wasi_http::p3::bindings::{Service, ServicePre};
use wasmtime_wasi_http::{Error, WasiBody, WasiHttpView, p3};

use super::http::{failed, interrupted, replied};
use crate::payload::Body;
use crate::sandbox::FunctionResponse;
use crate::sandbox::capability::host_bodies::HostBodies;
use crate::sandbox::capability::runtime::Mailbox;
use crate::sandbox::capability::system::Streams;
use crate::sandbox::environment::{CallResult, StoreParts};
use crate::sandbox::guest::Guest;
use crate::sandbox::outlet::Outlet;

pub(in crate::sandbox) type Pre = ServicePre<Guest>;

/// Turns of the engine's event loop for tasks that wait for nothing but the loop itself.
const TURNS_MAX: u32 = 64;
/// Streams, futures and tasks that a guest may leave open after a call. An environment with more is replaced, far from the
/// limit on handles, so that no request fails because of them.
const LEFT_OPEN_MAX: usize = 1_000;
/// Bytes of requests that a guest may leave in its streams after a call, where the host cannot free them.
const UNTAKEN_BYTES_MAX: u64 = 1 << 20;

pub(in crate::sandbox) struct Instance {
    store: Store<Guest>,
    service: Service,
    is_spent: bool,
}

impl Instance {
    pub(in crate::sandbox) async fn open(pre: &Pre, room: &StoreParts) -> CallResult<Self> {
        let mut store = room.store(Streams::Log, Mailbox::default());
        let service = pre.instantiate_async(&mut store).await?;
        Ok(Ok(Self {
            store,
            service,
            is_spent: false,
        }))
    }

    pub(in crate::sandbox) async fn invoke(
        &mut self,
        request: Request<Body>,
        outlet: Option<&Outlet>,
    ) -> CallResult<FunctionResponse> {
        let is_head = request.method() == Method::HEAD;
        let bodies = self.store.data().http.host_bodies().clone();
        let (head, body) = request.into_parts();
        let body = bodies.lend(body.map_err(interrupted));
        let request = Request::from_parts(head, body.share());
        let hooks = self.store.data_mut().http().hooks;
        let (request, _sent) = p3::Request::from_http(hooks, request);
        let exchange = Exchange {
            service: &self.service,
            bodies: &bodies,
            is_head,
            outlet,
        };
        let answering = async |guest: &Accessor<Guest>| exchange.answered(guest, request).await;
        // Time limits are around this call: within it, a guest that computes holds up everything.
        let answer = self.store.run_concurrent(answering).await;
        body.take_back();
        self.is_spent = self.store.data_mut().close_http()
            || bodies.untaken_bytes() > UNTAKEN_BYTES_MAX
            || self.left_open() > LEFT_OPEN_MAX;
        answer?
    }

    /// Streams, futures and tasks that the guest has left open.
    fn left_open(&mut self) -> usize {
        let table = self.store.concurrent_resource_table();
        table.map_or(0, |table| table.iter_mut().count())
    }

    pub(in crate::sandbox) fn is_spent(&self) -> bool {
        self.is_spent || self.store.data().network.is_spent()
    }
}

/// A request and what becomes of its response.
struct Exchange<'a> {
    service: &'a Service,
    bodies: &'a HostBodies,
    is_head: bool,
    outlet: Option<&'a Outlet>,
}

impl Exchange<'_> {
    async fn answered(
        &self,
        guest: &Accessor<Guest>,
        request: p3::Request,
    ) -> CallResult<FunctionResponse> {
        let response = match self.service.handle(guest, request).await? {
            Ok(response) => response,
            Err(code) => return Ok(Err(failed(&format!("The function answered with {code:?}")))),
        };
        let response = guest.with(|store| response.into_http(store, async { Ok(()) }))?;
        let response = response.map(|body| Written {
            body,
            guest,
            bodies: self.bodies,
            turns: 0,
        });
        let reply = replied(response, self.is_head, self.outlet).await;
        finish(guest).await;
        Ok(reply)
    }
}

/// Lets tasks of the guest end that wait for nothing. The others are frozen.
async fn finish(guest: &Accessor<Guest>) {
    let mut turns = 0;
    poll_fn(|cx| {
        turns += 1;
        if turns == TURNS_MAX || guest.poll_no_interesting_tasks(cx).is_ready() {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Response body of a guest. It ends when the guest has no tasks left: nobody could go on writing.
struct Written<'a> {
    body: WasiBody,
    guest: &'a Accessor<Guest>,
    bodies: &'a HostBodies,
    /// Turns of the event loop since the last task has ended.
    turns: u32,
}

impl http_body::Body for Written<'_> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polls = self.bodies.polls();
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.turns = 0;
            return Poll::Ready(frame);
        }
        // A body of the host that the guest has passed on needs no task.
        let is_passed_on = self.bodies.polls() != polls;
        if is_passed_on || self.guest.poll_no_interesting_tasks(cx).is_pending() {
            return Poll::Pending;
        }
        // Written bytes may still be on their way through the event loop.
        self.turns += 1;
        if self.turns == TURNS_MAX {
            return Poll::Ready(None);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
