//! Responds to every request with `hello`. The same file runs in Lamina and in `wasmtime serve`, so
//! that a bench compares the hosts.

use wasip2::exports::wasi::http::incoming_handler::Guest;
use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

struct Hello;

wasip2::http::proxy::export!(Hello);

impl Guest for Hello {
    fn handle(_: IncomingRequest, out: ResponseOutparam) {
        let response = OutgoingResponse::new(Fields::new());
        let body = response.body().expect("a response has one body");
        ResponseOutparam::set(out, Ok(response));
        let stream = body.write().expect("a body is written once");
        let _gone = stream.blocking_write_and_flush(b"hello");
        drop(stream);
        let _gone = OutgoingBody::finish(body, None);
    }
}
