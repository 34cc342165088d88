//! Component without the SDK: it exports `lambda:function/handler`, here through the bindings that
//! `cargo component` generates. It echoes its event.

#[allow(warnings, reason = "the bindings are generated")]
mod bindings;

use bindings::exports::lambda::function::handler::{Context, Failure, Guest};

struct Hello;

bindings::export!(Hello with_types_in bindings);

impl Guest for Hello {
    fn init() -> Result<(), Failure> {
        Ok(())
    }

    fn invoke(event: String, context: Context) -> Result<String, Failure> {
        println!("{} was called", context.function_name);
        Ok(event)
    }

    fn before_checkpoint() -> Result<(), Failure> {
        Ok(())
    }

    fn after_restore() -> Result<(), Failure> {
        Ok(())
    }
}
