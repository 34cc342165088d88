//! Function URLs: HTTP in, HTTP out. The request becomes an event of payload version 2.0, or goes to
//! the function as it is, where the function takes HTTP.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Request, StatusCode, Uri, Version, header};

use super::access::Caller;
use super::body::{self, Body};
use super::{Front, HttpResponse, json, rest, sender};
use crate::invoke::reservation::Reservation;
use crate::invoke::snapshot::UrlRoute;
use crate::invoke::{self, Invoke, Target};
use crate::names::RequestId;
use crate::payload::{Event, HttpEvent};
use crate::sandbox::outlet::STREAM_BYTES_MAX;
use crate::units::PAYLOAD_BYTES_MAX;

mod answer;
mod cors;
mod forwarded;
mod names;
mod permit;

use cors::{allow, is_preflight};
use names::UrlName as Name;
use permit::Refusal;

pub(super) use names::UrlName;
pub use names::UrlNames;

/// Policy of pages that functions show below a path of the host: another origin than the APIs there, which trust pages
/// of their own origin.
const SANDBOX: HeaderValue = HeaderValue::from_static(
    "sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts",
);

/// Settings of a call by HTTP.
#[derive(Default)]
struct UrlCall<'a> {
    /// True for a streamed response.
    streams: bool,
    /// Caller of a signed request.
    caller: Option<&'a Caller>,
    /// Id of the function URL, where the host name does not have it.
    url_id: Option<String>,
    /// URI below a path of the host.
    uri: Option<Uri>,
    /// Permit that an embedder reserved.
    reservation: Option<Reservation>,
}

impl Front {
    pub(super) async fn serve_url<B>(
        &self,
        name: Name<'_>,
        request_id: RequestId,
        parts: &Parts,
        body: B,
    ) -> HttpResponse
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        if is_web_socket(parts) {
            return no_web_sockets();
        }
        let snapshot = self.invoker.snapshot();
        let found = match &name {
            Name::Id(id) => snapshot.url(id).map(|route| (None, route)),
            Name::Path(id, _) => snapshot.url(id).map(|route| (Some(*id), route)),
            Name::Custom(target) => {
                let found = snapshot.url_of(target);
                found.map(|(id, route)| (Some(&**id), route))
            }
        };
        let Some((url_id, route)) = found else {
            return match &name {
                Name::Id(id) if snapshot.was_url(id) => forbidden(),
                Name::Path(id, _) if snapshot.was_url(id) => forbidden(),
                _ => nowhere(),
            };
        };
        let cors = route.cors.as_deref();
        if let Some(cors) = cors
            && is_preflight(parts)
        {
            let mut reply = HttpResponse::default();
            allow(cors, &parts.headers, reply.headers_mut());
            return reply;
        }
        let call = UrlCall {
            streams: route.streams,
            caller: None,
            url_id: url_id.map(str::to_owned),
            uri: match &name {
                Name::Path(_, rest) => Some(names::below(&parts.uri, rest.clone())),
                Name::Id(_) | Name::Custom(_) => None,
            },
            reservation: None,
        };
        let called = self.call_route(route, call, request_id, parts, body).await;
        let mut reply = match called {
            Ok(reply) => reply,
            Err(refusal) => return refusal,
        };
        if let Name::Path(..) = name {
            let headers = reply.headers_mut();
            headers.append(header::CONTENT_SECURITY_POLICY, SANDBOX);
        }
        if let Some(cors) = cors {
            allow(cors, &parts.headers, reply.headers_mut());
        }
        reply
    }

    /// Calls the function behind a URL, if the caller may. An `Err` is a refusal.
    async fn call_route<B>(
        &self,
        route: &UrlRoute,
        call: UrlCall<'_>,
        request_id: RequestId,
        parts: &Parts,
        body: B,
    ) -> Result<HttpResponse, HttpResponse>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let refused = |refusal| refused(refusal, &request_id);
        let signature = self.unchecked_signature(route, parts).map_err(refused)?;
        // A signature covers the whole body. A function with a buffered URL starts when its event is whole, as in AWS: the
        // time of a slow client is not the function's.
        if call.streams && signature.signed().is_none() && body::may_be_large(&body) {
            let calling = self.call_before_body(&route.target, call, request_id, parts, body);
            // Boxed: it would make the future of every request larger.
            return Ok(Box::pin(calling).await);
        }
        let body = self.read_of_url(parts, &signature, body).await;
        let body = body.map_err(unread)?;
        let caller = self.caller(&signature, parts, &body).map_err(refused)?;
        let caller = caller.as_deref();
        let call = UrlCall { caller, ..call };
        let calling = self.call_url(&route.target, call, request_id, parts, body);
        Ok(calling.await)
    }

    /// The body of a request to a URL, which anyone may send.
    async fn read_of_url<B>(
        &self,
        parts: &Parts,
        signature: &permit::UncheckedSignature,
        body: B,
    ) -> Result<Body, body::Error>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        if signature.is_forbidden() {
            let reading = self.url_bodies.digest(body, PAYLOAD_BYTES_MAX);
            let digest = Box::pin(reading).await?;
            return Ok(Body {
                digest: Some(digest),
                ..Body::default()
            });
        }
        match signature.signed() {
            Some(signed) if signed.proven().is_some() => {
                let (bodies, from) = self.bodies_of(parts, Some(signed));
                bodies.read(body, PAYLOAD_BYTES_MAX, &from).await
            }
            signed => {
                let from = body::From {
                    sender: sender(parts),
                    is_signed: signed.is_some(),
                };
                self.url_bodies.read(body, PAYLOAD_BYTES_MAX, &from).await
            }
        }
    }

    /// Calls a function over HTTP without its URL, for embedders. Bodies are streamed both ways.
    pub(crate) async fn call_function<B>(
        &self,
        target: Target,
        reservation: Option<Reservation>,
        request_id: RequestId,
        request: Request<B>,
    ) -> HttpResponse
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let (parts, body) = request.into_parts();
        let call = UrlCall {
            streams: true,
            reservation,
            ..UrlCall::default()
        };
        if body::may_be_large(&body) {
            let calling = self.call_before_body(&target, call, request_id, &parts, body);
            return Box::pin(calling).await;
        }
        let from = body::From::UNSHARED;
        match self.url_bodies.read(body, PAYLOAD_BYTES_MAX, &from).await {
            Ok(body) => self.call_url(&target, call, request_id, &parts, body).await,
            Err(error) => unread(error),
        }
    }

    /// Runs a function on the head of a request.
    pub(crate) async fn decide(
        &self,
        target: &Target,
        request_id: RequestId,
        head: &Parts,
    ) -> Result<invoke::Finished, invoke::Error> {
        let trace_id = forwarded::trace_id(head, &self.clock);
        let call = UrlCall::default();
        let invoke = self.invocation(target, call, request_id, head, Bytes::new(), &trace_id);
        self.invoker.invoke(invoke).await
    }

    /// Calls a function before the request's body is read. HTTP components read it as it arrives, other functions
    /// get it whole.
    async fn call_before_body<B>(
        &self,
        target: &Target,
        call: UrlCall<'_>,
        request_id: RequestId,
        parts: &Parts,
        body: B,
    ) -> HttpResponse
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let trace_id = forwarded::trace_id(parts, &self.clock);
        let invoke = self.invocation(target, call, request_id, parts, Bytes::new(), &trace_id);
        let started = match self.invoker.route(invoke).await {
            Ok(mut routed) if routed.takes_http() => {
                let streaming = body::Streaming {
                    sender: sender(parts),
                    bytes_max: STREAM_BYTES_MAX,
                    silence_max: routed.timeout() / 2,
                    is_read_ahead: parts.version == Version::HTTP_2,
                };
                match self.url_bodies.stream(body, streaming) {
                    Ok(streamed) => routed.set_body(streamed),
                    Err(error) => return unread(error),
                }
                self.invoker.start(routed.prepare().await).await
            }
            Ok(routed) => {
                let from = body::From {
                    sender: sender(parts),
                    is_signed: false,
                };
                let read = self.url_bodies.read(body, PAYLOAD_BYTES_MAX, &from).await;
                match read {
                    Ok(read) => self.start_whole(routed.into_invoke(), read).await,
                    Err(error) => return unread(error),
                }
            }
            Err(error) => Err(error),
        };
        answered(started, trace_id)
    }

    /// Starts an invocation once its body is there. It is resolved again: the function may have changed meanwhile.
    async fn start_whole(
        &self,
        mut invoke: Invoke,
        body: Body,
    ) -> Result<invoke::Running, invoke::Error> {
        if let Event::Http(http) = &mut invoke.event {
            *http.request.body_mut() = body.bytes;
        }
        let resolved = self.invoker.resolve(invoke).await?;
        // The event is made; running invocations are bounded elsewhere.
        drop(body.room);
        self.invoker.start(resolved).await
    }

    async fn call_url(
        &self,
        target: &Target,
        call: UrlCall<'_>,
        request_id: RequestId,
        parts: &Parts,
        body: Body,
    ) -> HttpResponse {
        let trace_id = forwarded::trace_id(parts, &self.clock);
        let Body { bytes, room, .. } = body;
        let invoke = self.invocation(target, call, request_id, parts, bytes, &trace_id);
        let running = match self.invoker.resolve(invoke).await {
            Ok(resolved) => {
                // The event is made. How many there are at once is bounded where they are run.
                drop(room);
                self.invoker.start(resolved).await
            }
            Err(error) => Err(error),
        };
        answered(running, trace_id)
    }

    fn invocation(
        &self,
        target: &Target,
        call: UrlCall<'_>,
        request_id: RequestId,
        parts: &Parts,
        body: Bytes,
        trace_id: &str,
    ) -> Invoke {
        let mut request = Request::new(body);
        *request.method_mut() = parts.method.clone();
        *request.headers_mut() = forwarded::headers(parts, trace_id);
        *request.uri_mut() = call.uri.unwrap_or_else(|| parts.uri.clone());
        let event = HttpEvent {
            request,
            streamed: None,
            source_ip: forwarded::source_ip(parts),
            url_id: call.url_id,
            iam: call.caller.and_then(permit::identity),
            time: self.clock.now(),
        };
        let mut invoke = Invoke::new(request_id, target.clone(), Event::Http(Box::new(event)));
        invoke.trace_id = Some(trace_id.to_owned());
        invoke.streams = call.streams;
        invoke.reservation = call.reservation;
        invoke
    }
}

fn answered(running: Result<invoke::Running, invoke::Error>, trace_id: String) -> HttpResponse {
    let mut reply = match running {
        Ok(running) => answer::of(running),
        Err(error) => failed(&error),
    };
    forwarded::seal(reply.headers_mut(), trace_id);
    reply
}

fn failed(error: &invoke::Error) -> HttpResponse {
    error.log();
    match error {
        invoke::Error::Resolve(_) => nowhere(),
        invoke::Error::Admit(invoke::admit::Error::Reserved) => json(
            StatusCode::TOO_MANY_REQUESTS,
            r#"{"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded","Message":"Rate Exceeded."}"#,
        ),
        invoke::Error::Admit(invoke::admit::Error::Account)
        | invoke::Error::Lease(invoke::lease::Error::Full(_)) => json(
            StatusCode::TOO_MANY_REQUESTS,
            r#"{"Reason":"ConcurrentInvocationLimitExceeded","Message":"Rate Exceeded."}"#,
        ),
        invoke::Error::Lease(_) => bad_gateway(),
    }
}

fn bad_gateway() -> HttpResponse {
    json(StatusCode::BAD_GATEWAY, "Internal Server Error")
}

/// A request whose body cannot be had.
fn unread(error: body::Error) -> HttpResponse {
    match error {
        body::Error::TooLarge(_) => json(
            StatusCode::PAYLOAD_TOO_LARGE,
            r#"{"Message":"Request Too Long"}"#,
        ),
        body::Error::Ended => json(
            StatusCode::BAD_REQUEST,
            r#"{"Message":"The request's body ended before it was complete."}"#,
        ),
        body::Error::Busy => {
            let mut reply = json(
                StatusCode::TOO_MANY_REQUESTS,
                r#"{"Reason":"CallerRateLimitExceeded","Message":"Rate Exceeded."}"#,
            );
            let soon = HeaderValue::from_static("1");
            reply.headers_mut().insert(header::RETRY_AFTER, soon);
            reply
        }
    }
}

fn refused(refusal: Refusal, request_id: &RequestId) -> HttpResponse {
    match refusal {
        Refusal::Forbidden => forbidden(),
        Refusal::Signature(error) => rest::unsigned(error).into_response(request_id),
    }
}

fn forbidden() -> HttpResponse {
    denied(
        r#"{"Message":"Forbidden. For troubleshooting Function URL authorization issues, see: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"}"#,
    )
}

/// There is no such URL, or there is nothing behind it.
fn nowhere() -> HttpResponse {
    denied(r#"{"Message":null}"#)
}

fn denied(body: &'static str) -> HttpResponse {
    let mut reply = json(StatusCode::FORBIDDEN, body);
    let name = HeaderValue::from_static("AccessDeniedException");
    reply.headers_mut().insert("x-amzn-errortype", name);
    reply
}

/// True for a request to upgrade the connection to WebSocket.
fn is_web_socket(parts: &Parts) -> bool {
    let upgrades = parts.headers.get_all(header::UPGRADE).iter();
    let mut protocols = upgrades.flat_map(|it| it.as_bytes().split(|byte| *byte == b','));
    protocols.any(|it| it.trim_ascii().eq_ignore_ascii_case(b"websocket"))
}

fn no_web_sockets() -> HttpResponse {
    json(
        StatusCode::NOT_IMPLEMENTED,
        r#"{"Message":"Function URLs do not take WebSocket connections. Send requests, and stream responses with InvokeMode RESPONSE_STREAM."}"#,
    )
}
