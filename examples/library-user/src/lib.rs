//! Function that imports `example:greeter/greeter`: a code layer brings the component that exports it.

use lamina_sdk::{Error, LambdaEvent, handler};

wit_bindgen::generate!({ path: "../library-layer/wit", world: "user" });

#[handler]
fn greet(event: LambdaEvent<String>) -> Result<String, Error> {
    Ok(example::greeter::greeter::greet(&event.payload))
}
