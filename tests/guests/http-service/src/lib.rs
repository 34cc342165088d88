//! `wasi:http/handler` of WASI 0.3, by path: streams both ways, trailers, requests, and ways to fail.

use std::sync::atomic::{AtomicU32, Ordering};

use wasip3::clocks::monotonic_clock;
use wasip3::exports::http::handler::Guest;
use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Method, Request, Response, Scheme, Trailers};
use wasip3::wit_bindgen::{StreamResult, spawn_local};
use wasip3::{wit_future, wit_stream};

wasip3::http::service::export!(Service);

struct Service;

/// Requests of this instance.
static COUNT: AtomicU32 = AtomicU32::new(0);
/// Requests of this instance that were refused.
static REFUSED: AtomicU32 = AtomicU32::new(0);
/// Requests sent at once.
const FLOOD: usize = 1_000;

impl Guest for Service {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let count = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
        let path = request.get_path_with_query().unwrap_or_default();
        match path.as_str() {
            "/pass" => Ok(passed(request)),
            "/copy" => Ok(copied(request)),
            "/read" => Ok(text(read(request).await)),
            "/uri" => Ok(text(uri(&request))),
            "/trailers" => Ok(with_trailers()),
            "/head" => Ok(declared(1_000, None)),
            "/short" => Ok(declared(1_000, Some("short"))),
            "/file" => Ok(text(file())),
            "/variable" => Ok(text(std::env::var("NAME").unwrap_or_default())),
            "/wait" => {
                monotonic_clock::wait_for(50_000_000).await;
                Ok(text("waited".into()))
            }
            "/print" => {
                println!("printed to 0.2");
                Ok(text("printed".into()))
            }
            "/fetch" => fetched(request).await,
            "/fail" => Err(ErrorCode::ConfigurationError),
            "/trap" => core::arch::wasm32::unreachable(),
            "/trap-late" => Ok(trapping()),
            "/loop" => loop {
                std::hint::spin_loop();
            },
            "/sleep" => {
                monotonic_clock::wait_for(600_000_000_000).await;
                Ok(text("slept".into()))
            }
            "/forget" => Ok(forgotten()),
            "/background" => Ok(in_background()),
            "/flood" => Ok(text(flooded(request).await)),
            "/leak-body" => Ok(leaked_body(request, count).await),
            "/leak-streams" => {
                leak_streams(100);
                Ok(text(count.to_string()))
            }
            "/leak-all" => {
                leak_streams(100_000);
                Ok(text("leaked".into()))
            }
            _ => Ok(text(count.to_string())),
        }
    }
}

fn text(body: String) -> Response {
    let (mut sender, receiver) = wit_stream::new();
    spawn_local(async move {
        sender.write_all(body.into_bytes()).await;
    });
    respond(Fields::new(), receiver)
}

fn respond(headers: Fields, body: wasip3::wit_bindgen::StreamReader<u8>) -> Response {
    let (_, trailers) = wit_future::new(|| Ok(None));
    Response::new(headers, Some(body), trailers).0
}

/// The request's own streams are those of the response.
fn passed(request: Request) -> Response {
    let (_, done) = wit_future::new(|| Ok(()));
    let (body, trailers) = Request::consume_body(request, done);
    Response::new(Fields::new(), Some(body), trailers).0
}

/// Each piece goes through the memory of the guest.
fn copied(request: Request) -> Response {
    let (_, done) = wit_future::new(|| Ok(()));
    let (mut body, trailers) = Request::consume_body(request, done);
    let (mut sender, receiver) = wit_stream::new();
    let (trailers_sender, trailers_receiver) = wit_future::new(|| Ok(None));
    spawn_local(async move {
        loop {
            let (result, piece) = body.read(Vec::with_capacity(16 << 10)).await;
            if !piece.is_empty() {
                sender.write_all(piece).await;
            }
            if !matches!(result, StreamResult::Complete(_)) {
                break;
            }
        }
        drop(sender);
        let trailers = trailers.await;
        let _taken = trailers_sender.write(trailers).await;
    });
    Response::new(Fields::new(), Some(receiver), trailers_receiver).0
}

/// Number of bytes, and the error at the end if there is one.
async fn read(request: Request) -> String {
    let (_, done) = wit_future::new(|| Ok(()));
    let (mut body, trailers) = Request::consume_body(request, done);
    let mut count = 0;
    loop {
        let (result, piece) = body.read(Vec::with_capacity(16 << 10)).await;
        count += piece.len();
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
    }
    match trailers.await {
        Ok(_) => count.to_string(),
        Err(code) => format!("{count} {code:?}"),
    }
}

fn uri(request: &Request) -> String {
    let scheme = match request.get_scheme() {
        Some(Scheme::Https) => "https",
        Some(Scheme::Http) => "http",
        _ => "none",
    };
    let authority = request.get_authority().unwrap_or_default();
    let own = request.get_headers().get("x-own");
    format!(
        "{scheme} {authority} {}",
        String::from_utf8_lossy(&own.concat())
    )
}

fn with_trailers() -> Response {
    let (mut sender, receiver) = wit_stream::new();
    let (trailers_sender, trailers) = wit_future::new(|| Ok(None));
    spawn_local(async move {
        sender.write_all(b"body".to_vec()).await;
        drop(sender);
        let fields = Trailers::new();
        fields.append("x-end", b"1").expect("a field");
        let _taken = trailers_sender.write(Ok(Some(fields))).await;
    });
    let headers = Fields::new();
    headers.append("trailer", b"x-end").expect("a field");
    Response::new(headers, Some(receiver), trailers).0
}

/// Declares a length, whatever the body has.
fn declared(length: usize, body: Option<&'static str>) -> Response {
    let headers = Fields::new();
    let length = length.to_string();
    headers
        .append("content-length", length.as_bytes())
        .expect("a field");
    let (mut sender, receiver) = wit_stream::new();
    spawn_local(async move {
        if let Some(body) = body {
            sender.write_all(body.as_bytes().to_vec()).await;
        }
    });
    respond(headers, receiver)
}

fn file() -> String {
    std::fs::write("/tmp/file", "kept").expect("it is written");
    std::fs::read_to_string("/tmp/file").expect("it is read")
}

/// Forwards to the server that `x-server` names.
async fn fetched(request: Request) -> Result<Response, ErrorCode> {
    let server = request.get_headers().get("x-server").concat();
    let (_, trailers) = wit_future::new(|| Ok(None));
    let (sent, _) = Request::new(Fields::new(), None, trailers, None);
    sent.set_scheme(Some(&Scheme::Http)).expect("a scheme");
    let server = String::from_utf8_lossy(&server).into_owned();
    sent.set_authority(Some(&server)).expect("an authority");
    sent.set_path_with_query(Some("/x")).expect("a path");
    match client::send(sent).await {
        Ok(response) => {
            let status = response.get_status_code();
            let (_, done) = wit_future::new(|| Ok(()));
            let (body, _) = Response::consume_body(response, done);
            let body = String::from_utf8_lossy(&body.collect().await).into_owned();
            Ok(text(format!("{status} {body}")))
        }
        Err(code) => Ok(text(format!("{code:?}"))),
    }
}

/// Requests to a server that never answers, each with a body that waits to be sent. Tells how many were refused.
async fn flooded(request: Request) -> String {
    let server = request.get_headers().get("x-server").concat();
    let server = String::from_utf8_lossy(&server).into_owned();
    for _ in 0..FLOOD {
        let (mut sender, body) = wit_stream::new();
        let (_, trailers) = wit_future::new(|| Ok(None));
        let (sent, _) = Request::new(Fields::new(), Some(body), trailers, None);
        sent.set_method(&Method::Post).expect("a method");
        sent.set_scheme(Some(&Scheme::Http)).expect("a scheme");
        sent.set_authority(Some(&server)).expect("an authority");
        sent.set_path_with_query(Some("/silent")).expect("a path");
        spawn_local(async move {
            sender.write_all(vec![b'x'; 32 << 10]).await;
        });
        spawn_local(async move {
            if client::send(sent).await.is_err() {
                REFUSED.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    monotonic_clock::wait_for(1_000_000_000).await;
    format!("{} refused", REFUSED.load(Ordering::Relaxed))
}

fn trapping() -> Response {
    let (mut sender, receiver) = wit_stream::new();
    spawn_local(async move {
        sender.write_all(b"begun".to_vec()).await;
        core::arch::wasm32::unreachable()
    });
    respond(Fields::new(), receiver)
}

/// Leaves the body open for ever.
fn forgotten() -> Response {
    let (mut sender, receiver) = wit_stream::new();
    spawn_local(async move {
        sender.write_all(b"begun".to_vec()).await;
        std::mem::forget(sender);
    });
    respond(Fields::new(), receiver)
}

/// Reads one byte of the body, and leaves the stream open for ever.
async fn leaked_body(request: Request, count: u32) -> Response {
    let (_, done) = wit_future::new(|| Ok(()));
    let (mut body, _trailers) = Request::consume_body(request, done);
    let (_, byte) = body.read(Vec::with_capacity(1)).await;
    std::mem::forget(body);
    text(format!("{count} {}", byte.len()))
}

/// Opens streams that nobody closes.
fn leak_streams(count: u32) {
    for _ in 0..count {
        std::mem::forget(wit_stream::new::<u8>());
    }
}

/// Works on after the response.
fn in_background() -> Response {
    spawn_local(async {
        monotonic_clock::wait_for(600_000_000_000).await;
    });
    text("answered".into())
}
