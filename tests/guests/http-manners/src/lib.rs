//! HTTP function with bad manners, by request path: ends early, leaks handles, announces lengths of
//! bodies that it does not send.

use std::sync::atomic::{AtomicU32, Ordering};

use wasip2::exports::wasi::http::incoming_handler::Guest;
use wasip2::http::types::{
    Fields, IncomingBody, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
    http_error_code,
};
use wasip2::io::streams::StreamError;

struct Manners;

wasip2::http::proxy::export!(Manners);

/// Requests handled by this instance.
static REQUESTS: AtomicU32 = AtomicU32::new(0);

impl Guest for Manners {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let count = REQUESTS.fetch_add(1, Ordering::Relaxed) + 1;
        let target = request.path_with_query().unwrap_or_default();
        match target.as_str() {
            "/trap" => core::arch::wasm32::unreachable(),
            "/panic" => {
                write(&begin(out, 200, &[]), b"half");
                panic!("after the head");
            }
            "/exit" => {
                write(&begin(out, 200, &[]), b"half");
                std::process::exit(1);
            }
            "/memory" => {
                let _body = begin(out, 200, &[]);
                let mut kept = Vec::new();
                loop {
                    kept.push(vec![1_u8; 1 << 20]);
                }
            }
            "/silent" => std::mem::forget(out),
            "/open-body" => {
                let body = begin(out, 200, &[]);
                write(&body, b"whole");
                std::mem::forget(body);
            }
            "/open-stream" => {
                let body = begin(out, 200, &[]);
                let stream = body.write().expect("it is the first");
                stream
                    .blocking_write_and_flush(b"whole")
                    .expect("it is open");
                std::mem::forget((stream, body));
            }
            "/informational" => finish(begin(out, 103, &[])),
            "/echo" => {
                let from = request.consume().expect("it is the first");
                let from = from.stream().expect("it is the first");
                let body = begin(out, 200, &[]);
                let stream = body.write().expect("it is the first");
                while let Ok(chunk) = from.blocking_read(64 << 10) {
                    for part in chunk.chunks(4 << 10) {
                        stream.blocking_write_and_flush(part).expect("it is open");
                    }
                }
                drop(stream);
                finish(body);
            }
            "/slowly" => {
                let body = begin(out, 201, &[("x-own", "1"), ("set-cookie", "a=1")]);
                let stream = body.write().expect("it is the first");
                for chunk in ["one", "two"] {
                    stream
                        .blocking_write_and_flush(chunk.as_bytes())
                        .expect("it is open");
                    std::thread::sleep(std::time::Duration::from_millis(1_500));
                }
                drop(stream);
                finish(body);
            }
            "/trailers" => {
                let body = begin(out, 200, &[("trailer", "x-checksum")]);
                write(&body, b"whole");
                let trailers = fields(&[("x-checksum", "abc")]);
                OutgoingBody::finish(body, Some(trailers)).expect("it has no length");
            }
            "/open-short" => {
                let body = begin(out, 200, &[("content-length", "9")]);
                write(&body, b"half");
                std::mem::forget(body);
            }
            "/keep-request" => {
                let body = request.consume().expect("it is the first");
                std::mem::forget((body.stream(), body, request));
                text(out, &count.to_string());
            }
            "/keep-fields" => {
                for _ in 0..100 {
                    std::mem::forget(fields(&[("x", &"v".repeat(8 << 10))]));
                }
                text(out, &count.to_string());
            }
            "/keep-bodies" => keep_bodies(out),
            "/length" => finish(begin(
                out,
                200,
                &[("content-length", "1234"), ("x-own", "1")],
            )),
            "/unmodified" => finish(begin(
                out,
                304,
                &[("content-length", "55"), ("etag", "\"x\"")],
            )),
            "/nothing" => finish(begin(out, 204, &[])),
            "/read" => text(out, &read(request)),
            "/begin-and-read" => {
                let body = begin(out, 200, &[]);
                write(&body, b"begun");
                read(request);
                finish(body);
            }
            "/read-late" => {
                std::thread::sleep(std::time::Duration::from_secs(1));
                text(out, &read(request));
            }
            _ => text(out, &count.to_string()),
        }
    }
}

/// Fills bodies that are never sent, until the host refuses.
fn keep_bodies(out: ResponseOutparam) {
    for _ in 0..3_000 {
        let response = OutgoingResponse::new(Fields::new());
        let Ok(body) = response.body() else { break };
        let stream = body.write().expect("it is the first");
        while let Ok(allowed) = stream.check_write()
            && allowed > 0
        {
            let size = usize::try_from(allowed).expect("it fits").min(64 << 10);
            if stream.write(&vec![1; size]).is_err() {
                break;
            }
        }
        std::mem::forget((stream, body, response));
    }
    text(out, "all were kept");
}

fn fields(list: &[(&str, &str)]) -> Fields {
    let fields = Fields::new();
    for (name, value) in list {
        // The host may refuse more fields.
        let _refused = fields.append(name, value.as_bytes());
    }
    fields
}

fn begin(out: ResponseOutparam, status: u16, headers: &[(&str, &str)]) -> OutgoingBody {
    let response = OutgoingResponse::new(fields(headers));
    response.set_status_code(status).expect("it is a status");
    let body = response.body().expect("it is the first");
    ResponseOutparam::set(out, Ok(response));
    body
}

fn write(body: &OutgoingBody, bytes: &[u8]) {
    let stream = body.write().expect("it is the first");
    stream.blocking_write_and_flush(bytes).expect("it is open");
}

/// Ignores the error of an announced length without a body, which is intended.
fn finish(body: OutgoingBody) {
    let _length = OutgoingBody::finish(body, None);
}

fn text(out: ResponseOutparam, text: &str) {
    let body = begin(out, 200, &[("content-type", "text/plain")]);
    write(&body, text.as_bytes());
    finish(body);
}

/// Size of the request's body and the error that ended it, which are logged too.
fn read(request: IncomingRequest) -> String {
    let body = request.consume().expect("it is the first");
    let mut size = 0;
    let stream = body.stream().expect("it is the first");
    let error = loop {
        match stream.blocking_read(64 << 10) {
            Ok(chunk) => size += chunk.len(),
            Err(StreamError::Closed) => break None,
            Err(StreamError::LastOperationFailed(error)) => break http_error_code(&error),
        }
    };
    drop(stream);
    drop(IncomingBody::finish(body));
    let read = match error {
        Some(error) => format!("{size} {error:?}"),
        None => size.to_string(),
    };
    println!("read {read}");
    read
}
