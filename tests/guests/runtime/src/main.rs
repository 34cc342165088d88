//! A program with its own loop, as AWS's custom runtimes are. It answers each event with the event, and
//! only then does what that names: `"sleep"`, `"loop"`, `"trap"` and `"exit"` are no way to get ready
//! for the next.

use lambda::function::runtime;

wit_bindgen::generate!({ path: "../../../wit", world: "custom-runtime" });

fn main() {
    loop {
        let invocation = runtime::next();
        let id = &invocation.context.aws_request_id;
        if runtime::respond(id, &invocation.event).is_err() {
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
