//! Function that makes the HTTP requests of its event through `wasi:http`, all at once, and returns their responses or
//! errors in order.

use std::collections::BTreeMap;

use exports::lambda::function::handler::{Context, Failure, Guest};
use serde::Deserialize;
use serde_json::{Value, json};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingResponse, Method, OutgoingBody,
    OutgoingRequest, RequestOptions, Scheme,
};

wit_bindgen::generate!({ path: "../../../wit", world: "function" });

struct Fetch;

export!(Fetch);

#[derive(Deserialize)]
struct Event {
    requests: Vec<Request>,
}

#[derive(Deserialize)]
#[serde(default)]
struct Request {
    method: String,
    url: String,
    headers: BTreeMap<String, String>,
    body: String,
    connect_ms: Option<u64>,
    first_byte_ms: Option<u64>,
    between_bytes_ms: Option<u64>,
    /// Leaves the response open.
    leak: bool,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            method: "GET".into(),
            url: String::new(),
            headers: BTreeMap::new(),
            body: String::new(),
            connect_ms: None,
            first_byte_ms: None,
            between_bytes_ms: None,
            leak: false,
        }
    }
}

impl Guest for Fetch {
    fn init() -> Result<(), Failure> {
        Ok(())
    }

    fn invoke(event: String, _: Context) -> Result<String, Failure> {
        let event: Event = serde_json::from_str(&event).expect("the event lists requests");
        let sent: Vec<_> = event.requests.iter().map(send).collect();
        let answers: Vec<Value> = event
            .requests
            .iter()
            .zip(sent)
            .map(|(request, sent)| match sent.and_then(received) {
                Ok(response) if request.leak => {
                    std::mem::forget(response);
                    json!("leaked")
                }
                Ok(response) => read(&response),
                Err(code) => json!({"error": format!("{code:?}")}),
            })
            .collect();
        Ok(Value::from(answers).to_string())
    }

    fn before_checkpoint() -> Result<(), Failure> {
        Ok(())
    }

    fn after_restore() -> Result<(), Failure> {
        Ok(())
    }
}

fn send(wish: &Request) -> Result<FutureIncomingResponse, ErrorCode> {
    let headers = Fields::new();
    for (name, value) in &wish.headers {
        headers.append(name, value.as_bytes()).expect("a header");
    }
    let request = OutgoingRequest::new(headers);
    let (scheme, rest) = wish.url.split_once("://").expect("an absolute URL");
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.into()),
    };
    let at = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    let method = match wish.method.as_str() {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "HEAD" => Method::Head,
        "CONNECT" => Method::Connect,
        other => Method::Other(other.into()),
    };
    request.set_method(&method).expect("a method");
    request.set_scheme(Some(&scheme)).expect("a scheme");
    request
        .set_authority(Some(authority))
        .expect("an authority");
    request.set_path_with_query(Some(path)).expect("a path");
    let options = RequestOptions::new();
    let nanos = |millis: Option<u64>| millis.map(|it| it * 1_000_000);
    options
        .set_connect_timeout(nanos(wish.connect_ms))
        .expect("it is known");
    options
        .set_first_byte_timeout(nanos(wish.first_byte_ms))
        .expect("it is known");
    options
        .set_between_bytes_timeout(nanos(wish.between_bytes_ms))
        .expect("it is known");
    let body = request.body().expect("it is the first");
    let sent = outgoing_handler::handle(request, Some(options))?;
    if !wish.body.is_empty() {
        let stream = body.write().expect("it is the first");
        for chunk in wish.body.as_bytes().chunks(4 << 10) {
            // A refused request reads no body; its error comes with the response.
            if stream.blocking_write_and_flush(chunk).is_err() {
                break;
            }
        }
    }
    let _refused = OutgoingBody::finish(body, None);
    Ok(sent)
}

fn received(sent: FutureIncomingResponse) -> Result<IncomingResponse, ErrorCode> {
    sent.subscribe().block();
    let response = sent.get().expect("it is ready");
    response.expect("it is taken once")
}

fn read(response: &IncomingResponse) -> Value {
    let fields = response.headers().entries();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let headers: BTreeMap<String, String> = fields
        .into_iter()
        .map(|(name, value)| (name, text(value)))
        .collect();
    let body = response.consume().expect("it is the first");
    let stream = body.stream().expect("it is the first");
    let mut bytes = Vec::new();
    let broken = loop {
        match stream.blocking_read(64 << 10) {
            Ok(chunk) => bytes.extend(chunk),
            Err(wasip2::io::streams::StreamError::Closed) => break None,
            Err(wasip2::io::streams::StreamError::LastOperationFailed(error)) => {
                let code = wasip2::http::types::http_error_code(&error);
                break Some(format!("{code:?}"));
            }
        }
    };
    let size = bytes.len();
    bytes.truncate(1 << 10);
    json!({
        "status": response.status(), "headers": headers, "body": text(bytes), "size": size,
        "broken": broken,
    })
}
