//! Component of a code layer: as `wrappers/checked.wasm` in a layer it runs before the handler of functions. It refuses
//! events without a `token`, and passes the others on.

use exports::lambda::function::handler::{Context, Failure, Guest};
use lambda::function::handler as wrapped;

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package example:wrapper@1.0.0;

        world wrapper {
            import lambda:function/handler@1.0.0;
            export lambda:function/handler@1.0.0;
        }
    ",
    world: "example:wrapper/wrapper",
    generate_all,
});

struct Wrapper;

export!(Wrapper);

impl Guest for Wrapper {
    fn init() -> Result<(), Failure> {
        wrapped::init()
    }

    fn invoke(event: String, context: Context) -> Result<String, Failure> {
        let parsed: serde_json::Value = serde_json::from_str(&event).unwrap_or_default();
        if parsed["token"].as_str().is_none_or(str::is_empty) {
            return Err(Failure {
                error_type: "Unauthorized".to_owned(),
                error_message: "The event has no token.".to_owned(),
                stack_trace: Vec::new(),
            });
        }
        wrapped::invoke(&event, &context)
    }

    fn before_checkpoint() -> Result<(), Failure> {
        wrapped::before_checkpoint()
    }

    fn after_restore() -> Result<(), Failure> {
        wrapped::after_restore()
    }
}
