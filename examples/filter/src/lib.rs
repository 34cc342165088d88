//! Filter of a proxy, which runs it on the head of each request (`FunctionHandle::decide`): it authenticates the client,
//! rewrites paths and chooses the host to forward to. Its decision is its response: the headers `lamina-...`.

use wasip2::exports::wasi::http::incoming_handler::Guest;
use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

struct Filter;

wasip2::http::proxy::export!(Filter);

impl Guest for Filter {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let tokens = request.headers().get("authorization");
        if !tokens.iter().any(|token| token == b"Bearer let-me-in") {
            return respond(out, 401, &[("www-authenticate", "Bearer")]);
        }
        let mut decision = vec![
            ("lamina-decision", "continue"),
            ("lamina-remove", "authorization"),
            ("lamina-set-x-user", "guest"),
        ];
        let path = request.path_with_query().unwrap_or_default();
        let rewritten = path.strip_prefix("/old/").map(|rest| format!("/{rest}"));
        if let Some(path) = &rewritten {
            decision.push(("lamina-path", path));
        }
        let upstream = std::env::var("UPSTREAM").ok();
        let upstream = upstream.filter(|_| path.starts_with("/upstream/"));
        if let Some(host) = &upstream {
            decision.push(("lamina-host", host));
        }
        respond(out, 200, &decision);
    }
}

fn respond(out: ResponseOutparam, status: u16, fields: &[(&str, &str)]) {
    let headers = Fields::new();
    for (name, value) in fields {
        headers
            .append(name, value.as_bytes())
            .expect("the fields are valid");
    }
    let response = OutgoingResponse::new(headers);
    response.set_status_code(status).expect("a valid status");
    let body = response.body().expect("a response has one body");
    ResponseOutparam::set(out, Ok(response));
    // An error means that the caller has left.
    let _gone = OutgoingBody::finish(body, None);
}
