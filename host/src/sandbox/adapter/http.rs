//! `wasi:http/incoming-handler` of WASI 0.2: the event is an HTTP request. The response is passed on here for both
//! versions.

use std::pin::pin;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Limited};
use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::bindings::{Proxy, ProxyPre};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;
use wasmtime_wasi_http::{Error, WasiHttpView};

use crate::payload::Body;
use crate::payload::body::{Broken, Interruption};
use crate::payload::http::is_final;
use crate::sandbox::capability::runtime::Mailbox;
use crate::sandbox::capability::system::Streams;
use crate::sandbox::environment::{CallResult, StoreParts};
use crate::sandbox::guest::Guest;
use crate::sandbox::outlet::{Head, Outlet, TooLarge};
use crate::sandbox::{Cause, Failure, FailureForm, FunctionResponse, Trailers};
use crate::units::PAYLOAD_BYTES_MAX;

pub(in crate::sandbox) type Pre = ProxyPre<Guest>;

/// Responses that have no body, whatever length they tell (RFC 9110, 8.6).
const BODYLESS: [StatusCode; 2] = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED];

type Answered = Result<http::Response<HyperOutgoingBody>, ErrorCode>;

pub(in crate::sandbox) struct Instance {
    store: Store<Guest>,
    proxy: Proxy,
    is_spent: bool,
}

impl Instance {
    pub(in crate::sandbox) async fn open(pre: &Pre, room: &StoreParts) -> CallResult<Self> {
        let mut store = room.store(Streams::Log, Mailbox::default());
        let proxy = pre.instantiate_async(&mut store).await?;
        Ok(Ok(Self {
            store,
            proxy,
            is_spent: false,
        }))
    }

    pub(in crate::sandbox) async fn invoke(
        &mut self,
        request: http::Request<Body>,
        outlet: Option<&Outlet>,
    ) -> CallResult<FunctionResponse> {
        let (sender, receiver) = oneshot::channel();
        let is_head = request.method() == Method::HEAD;
        let mut taking = pin!(taken(receiver, is_head, outlet));
        let request = request.map(|body| body.map_err(interrupted));
        let mut view = self.store.data_mut().http();
        let scheme = match request.uri().scheme() {
            Some(scheme) if *scheme == http::uri::Scheme::HTTPS => Scheme::Https,
            _ => Scheme::Http,
        };
        let request = view.new_incoming_request(scheme, request)?;
        let out = view.new_response_outparam(sender)?;
        let handler = self.proxy.wasi_http_incoming_handler();
        let mut early = None;
        {
            let mut handling = pin!(handler.call_handle(&mut self.store, request, out));
            // The guest may go on writing after it has answered, so both sides make headway together.
            loop {
                tokio::select! {
                    biased;
                    // Its end is everyone's: what it has not written, nobody will.
                    handled = handling.as_mut() => break handled?,
                    reply = taking.as_mut(), if early.is_none() => early = Some(reply),
                }
            }
        }
        // Bodies that it has left open end here, as they do under `wasmtime serve`.
        self.is_spent = self.store.data_mut().close_http();
        Ok(match early {
            Some(reply) => reply,
            None => taking.await,
        })
    }

    pub(in crate::sandbox) fn is_spent(&self) -> bool {
        self.is_spent
    }
}

/// Takes the response. It has ended when its body has, or when the guest cannot answer any more.
async fn taken(
    receiver: oneshot::Receiver<Answered>,
    is_head: bool,
    outlet: Option<&Outlet>,
) -> Result<FunctionResponse, Failure> {
    let response = match receiver.await {
        Ok(Ok(response)) => response,
        Ok(Err(code)) => return Err(failed(&format!("The function answered with {code:?}"))),
        Err(_) => return Err(failed("The function returned without setting a response")),
    };
    replied(response, is_head, outlet).await
}

/// Passes a response on, to its end.
pub(super) async fn replied<B>(
    response: http::Response<B>,
    is_head: bool,
    outlet: Option<&Outlet>,
) -> Result<FunctionResponse, Failure>
where
    B: http_body::Body<Data = Bytes, Error = Error>,
{
    let (parts, body) = response.into_parts();
    if !is_final(parts.status) {
        let status = parts.status.as_u16();
        return Err(failed(&format!(
            "The response status is {status}, and not one of 200 to 599"
        )));
    }
    let has_body = !is_head && !BODYLESS.contains(&parts.status);
    match outlet {
        Some(outlet) => {
            let begun = outlet.begin(Head::Http(Box::new(parts)));
            begun.expect("it has no metadata");
            streamed(body, has_body, outlet).await
        }
        None => collected(parts, body, has_body).await,
    }
}

/// Passes a body on as it comes.
async fn streamed<B>(body: B, has_body: bool, outlet: &Outlet) -> Result<FunctionResponse, Failure>
where
    B: http_body::Body<Data = Bytes, Error = Error>,
{
    let mut body = pin!(body);
    while let Some(frame) = body.frame().await {
        match frame.map(Frame::into_data) {
            // The length that it tells is that of another response, so nothing is missing. An error may come again.
            Err(_) if !has_body => break,
            Ok(_) if !has_body => {}
            Ok(Ok(bytes)) => outlet.write(bytes).await.map_err(|_| too_large())?,
            Ok(Err(frame)) => {
                if let Ok(trailers) = frame.into_trailers() {
                    outlet.end(trailers).await;
                }
            }
            Err(error) => return Err(unreadable(&error)),
        }
    }
    Ok(FunctionResponse::Streamed(outlet.written()))
}

/// Collects a body, and its trailers in the extensions of the head.
async fn collected<B>(
    mut parts: http::response::Parts,
    body: B,
    has_body: bool,
) -> Result<FunctionResponse, Failure>
where
    B: http_body::Body<Data = Bytes, Error = Error>,
{
    let body = Limited::new(body, PAYLOAD_BYTES_MAX).collect().await;
    let body = match body {
        // The length that it tells is that of another response, so nothing is missing.
        _ if !has_body => Bytes::new(),
        Ok(body) => {
            if let Some(trailers) = body.trailers() {
                parts.extensions.insert(Trailers(trailers.clone()));
            }
            body.to_bytes()
        }
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            return Err(Failure::response_too_large());
        }
        Err(error) => return Err(unreadable(&*error)),
    };
    match declared(&parts.headers).filter(|length| has_body && *length != body.len()) {
        Some(length) => Err(failed(&format!(
            "The response body has {} bytes, and its content-length says {length}",
            body.len()
        ))),
        None => Ok(FunctionResponse::Http(http::Response::from_parts(
            parts, body,
        ))),
    }
}

/// The length of its body that a response tells.
fn declared(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn unreadable(error: &dyn std::error::Error) -> Failure {
    failed(&format!("The response body could not be read: {error}"))
}

fn too_large() -> Failure {
    Failure {
        error_type: "Function.ResponseSizeTooLarge".into(),
        message: format!("{TooLarge}"),
        stack_trace: Vec::new(),
        form: FailureForm::Plain,
        cause: Cause::Response,
    }
}

/// Error that the guest reads in place of the rest of a request body.
pub(super) fn interrupted(broken: Broken) -> Error {
    match broken.0.downcast_ref() {
        Some(Interruption::Silent(_)) => Error::ConnectionReadTimeout,
        Some(Interruption::TooLarge(bytes_max)) => Error::HttpRequestBodySize(Some(*bytes_max)),
        Some(Interruption::Disconnected) | None => Error::ConnectionTerminated,
    }
}

pub(super) fn failed(problem: &str) -> Failure {
    Failure::response_error(problem.into())
}
