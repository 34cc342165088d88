//! Echo function. Without SDK and JSON parser, so that a bench of it measures the host.

use exports::lambda::function::handler::{Context, Failure, Guest};

wit_bindgen::generate!({ path: "../../../wit", world: "function" });

struct Echo;

export!(Echo);

impl Guest for Echo {
    fn init() -> Result<(), Failure> {
        Ok(())
    }

    fn invoke(event: String, _: Context) -> Result<String, Failure> {
        Ok(event)
    }

    fn before_checkpoint() -> Result<(), Failure> {
        Ok(())
    }

    fn after_restore() -> Result<(), Failure> {
        Ok(())
    }
}
