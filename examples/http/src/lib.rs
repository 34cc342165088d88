//! HTTP function without a server: the component exports `wasi:http/incoming-handler`, and the host
//! calls it for each request to the function URL. An Invoke with an HTTP API event (payload 2.0, as
//! in
//! `event.json`) becomes a request too.
//!
//! `GET /` returns a text, `POST /echo` the body of the request.

use wasip2::exports::wasi::http::incoming_handler::Guest;
use wasip2::http::types::{
    Fields, IncomingBody, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use wasip2::io::streams::StreamError;

/// Buffer size when copying a body.
const CHUNK_BYTES: u64 = 64 * 1024;

struct Server;

wasip2::http::proxy::export!(Server);

impl Guest for Server {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let path = path.split('?').next().unwrap_or_default();
        match (request.method(), path) {
            (Method::Get, "/") => text(out, 200, "Hello from wasi:http!\n"),
            (Method::Post, "/echo") => echo(&request, out),
            _ => text(out, 404, "Try GET / or POST /echo.\n"),
        }
    }
}

fn text(out: ResponseOutparam, status: u16, text: &str) {
    let body = start(out, status, "text/plain; charset=utf-8");
    let stream = body.write().expect("a body is written once");
    // Write errors mean that the caller has left; here and below they are ignored.
    let _gone = stream.blocking_write_and_flush(text.as_bytes());
    drop(stream);
    let _gone = OutgoingBody::finish(body, None);
}

fn echo(request: &IncomingRequest, out: ResponseOutparam) {
    let incoming = request.consume().expect("a body is read once");
    let source = incoming.stream().expect("a body has one stream");
    let body = start(out, 200, "application/octet-stream");
    let sink = body.write().expect("a body is written once");
    let copied = loop {
        match sink.blocking_splice(&source, CHUNK_BYTES) {
            Ok(_) => {}
            Err(StreamError::Closed) => break true,
            Err(StreamError::LastOperationFailed(_)) => break false,
        }
    };
    drop((sink, source));
    drop(IncomingBody::finish(incoming));
    // An unfinished body tells the caller that it is incomplete.
    if copied {
        let _gone = OutgoingBody::finish(body, None);
    }
}

/// Sends the head of the response; the body streams as it is written.
fn start(out: ResponseOutparam, status: u16, content_type: &str) -> OutgoingBody {
    let headers = Fields::new();
    headers
        .append("content-type", content_type.as_bytes())
        .expect("a valid header of a new list");
    let response = OutgoingResponse::new(headers);
    response.set_status_code(status).expect("a valid status");
    let body = response.body().expect("a response has one body");
    ResponseOutparam::set(out, Ok(response));
    body
}
