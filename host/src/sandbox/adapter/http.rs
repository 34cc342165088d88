//! `wasi:http/incoming-handler`: the event is an HTTP request.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::bindings::{Proxy, ProxyPre};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::custom_runtime::Mailbox;
use crate::sandbox::environment::{Answer, Room};
use crate::sandbox::guest::{Guest, Streams};
use crate::sandbox::{Cause, Failure};
use crate::units::PAYLOAD_BYTES_MAX;

pub(in crate::sandbox) type Pre = ProxyPre<Guest>;

type Answered = Result<http::Response<HyperOutgoingBody>, ErrorCode>;

pub(in crate::sandbox) struct Instance {
    store: Store<Guest>,
    proxy: Proxy,
}

impl Instance {
    pub(in crate::sandbox) async fn open(pre: &Pre, room: &Room) -> Answer<Self> {
        let mut store = room.store(Streams::Log, Mailbox::default());
        let proxy = pre.instantiate_async(&mut store).await?;
        Ok(Ok(Self { store, proxy }))
    }

    pub(in crate::sandbox) async fn invoke(
        &mut self,
        request: http::Request<Bytes>,
    ) -> Answer<http::Response<Bytes>> {
        let (sender, receiver) = oneshot::channel();
        let request = request.map(|body| Full::new(body).map_err(never));
        let mut view = self.store.data_mut().http();
        let request = view.new_incoming_request(Scheme::Http, request)?;
        let out = view.new_response_outparam(sender)?;
        let handler = self.proxy.wasi_http_incoming_handler();
        // The guest may go on writing after it has answered, so both sides make headway together.
        let handled = handler.call_handle(&mut self.store, request, out);
        let (handled, response) = tokio::join!(handled, collected(receiver));
        handled?;
        Ok(response)
    }
}

/// The whole response. It has ended when its body has, or when the guest cannot answer any more.
async fn collected(
    receiver: oneshot::Receiver<Answered>,
) -> Result<http::Response<Bytes>, Failure> {
    let response = match receiver.await {
        Ok(Ok(response)) => response,
        Ok(Err(code)) => return Err(failed(&format!("The function answered with {code:?}"))),
        Err(_) => return Err(failed("The function returned without setting a response")),
    };
    let (parts, body) = response.into_parts();
    match Limited::new(body, PAYLOAD_BYTES_MAX).collect().await {
        Ok(body) => Ok(http::Response::from_parts(parts, body.to_bytes())),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            Err(Failure::response_too_large())
        }
        Err(error) => Err(failed(&format!(
            "The response body could not be read: {error}"
        ))),
    }
}

fn never(never: std::convert::Infallible) -> wasmtime_wasi_http::Error {
    match never {}
}

fn failed(problem: &str) -> Failure {
    Failure {
        error_type: "Function.ResponseError".into(),
        message: problem.into(),
        stack_trace: Vec::new(),
        cause: Cause::Handler,
    }
}
