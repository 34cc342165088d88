//! Custom runtime that echoes each event, and only then performs the action that it names: `"sleep"`, `"loop"`, `"trap"`
//! and `"exit"` keep it from polling for the next event. `"leak HOST:PORT"` sends requests before the answer, and keeps
//! their responses open.

use lambda::function::runtime;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{ErrorCode, Fields, OutgoingRequest, Scheme};

wit_bindgen::generate!({ path: "../../../wit", world: "custom-runtime" });

fn main() {
    loop {
        let invocation = runtime::next();
        let id = &invocation.context.aws_request_id;
        let server = invocation.event.strip_prefix("\"leak ");
        let answer = match server.and_then(|rest| rest.strip_suffix('"')) {
            Some(server) => leaked(server),
            None => invocation.event.clone(),
        };
        if runtime::respond(id, &answer).is_err() {
            return;
        }
        match invocation.event.as_str() {
            "\"sleep\"" => std::thread::sleep(std::time::Duration::from_secs(600)),
            "\"loop\"" => loop {
                std::hint::spin_loop();
            },
            "\"trap\"" => core::arch::wasm32::unreachable(),
            "\"exit\"" => return,
            _ => {}
        }
    }
}

fn leaked(server: &str) -> String {
    for _ in 0..30 {
        if let Err(code) = leak(server) {
            return format!("\"{code:?}\"");
        }
    }
    "\"leaked\"".into()
}

fn leak(server: &str) -> Result<(), ErrorCode> {
    let request = OutgoingRequest::new(Fields::new());
    request.set_scheme(Some(&Scheme::Http)).expect("a scheme");
    request.set_authority(Some(server)).expect("an authority");
    request.set_path_with_query(Some("/big")).expect("a path");
    let sent = outgoing_handler::handle(request, None)?;
    sent.subscribe().block();
    let response = sent.get().expect("it is ready").expect("it is taken once");
    std::mem::forget(response?);
    Ok(())
}
