//! Functions with a `main`: the loop that asks the host for events.

use std::future::Future;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::runtime::lambda::function::runtime as host;
use crate::execute::{block_on, invoke};
use crate::{Diagnostic, Error, LambdaEvent};

/// Asks for events and answers them, for ever. What runs before it is the function's init code.
///
/// Porting a function that was written for AWS's `lambda_runtime` is changing its imports, and
/// taking `async` and `#[tokio::main]` from `main`:
///
/// ```no_run
/// use lamina_sdk::{Error, LambdaEvent, run, service_fn};
/// use serde_json::Value;
///
/// async fn echo(event: LambdaEvent<Value>) -> Result<Value, Error> {
///     Ok(event.payload)
/// }
///
/// fn main() -> Result<(), Error> {
///     run(service_fn(echo))
/// }
/// ```
///
/// # Errors
/// Where the host does not take an answer.
pub fn run<T, R, E, F, A>(mut handler: F) -> Result<(), Error>
where
    T: DeserializeOwned,
    R: Serialize,
    E: Into<Diagnostic>,
    F: FnMut(LambdaEvent<T>) -> A,
    A: Future<Output = Result<R, E>>,
{
    loop {
        let host::Invocation { event, context } = host::next();
        let id = context.aws_request_id.clone();
        let taken = match invoke(&event, context, |event| block_on(handler(event))) {
            Ok(answer) => host::respond(&id, &answer),
            Err(diagnostic) => host::fail(&id, &diagnostic.into()),
        };
        match taken {
            // The host has told the caller; the next event may do better.
            Ok(()) | Err(host::AnswerError::TooLarge) => {}
            Err(error) => return Err(format!("the host did not take the answer: {error:?}").into()),
        }
    }
}

/// A handler as what [`run`] takes. It is one already; the name is here for functions that come
/// from AWS's `lambda_runtime`.
pub fn service_fn<T, A>(handler: impl FnMut(LambdaEvent<T>) -> A) -> impl FnMut(LambdaEvent<T>) -> A {
    handler
}
