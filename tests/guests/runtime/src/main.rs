//! Custom runtime that echoes each event, and only then performs the action that it names:
//! `"sleep"`,
//! `"loop"`, `"trap"` and `"exit"` keep it from polling for the next event.

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
