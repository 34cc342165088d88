//! HTTP function that forwards requests to the server in the variable `ORIGIN`, bodies streamed both ways. It is made
//! with `wstd` and runs under `wasmtime serve` too. TLS, HTTP/2 and connections are the host's.

use wstd::http::{Body, Client, Error, Request, Response};

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    let origin = std::env::var("ORIGIN").unwrap_or_else(|_| "https://example.com".into());
    let path = request.uri().path_and_query().map_or("/", |it| it.as_str());
    let mut forwarded = Request::builder()
        .method(request.method())
        .uri(format!("{origin}{path}"));
    for (name, value) in request.headers() {
        // The client sets the host of the origin.
        if name != "host" {
            forwarded = forwarded.header(name, value);
        }
    }
    Client::new()
        .send(forwarded.body(request.into_body())?)
        .await
}
