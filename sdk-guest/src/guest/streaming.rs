//! Binding of `lambda:function/streaming-handler`. A world of its own: a component that exports the world of `handler`
//! would have to export both.

use std::marker::PhantomData;

use super::bindings::lambda::function::types;
use super::{after_restore, before_checkpoint, init, state};
use crate::program::StreamingHandler;
use crate::response::{ResponseStream, WriteError};
use bindings::exports::lambda::function::streaming_handler::Guest;
use bindings::lambda::function::response;

#[expect(
    missing_docs,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        world: "streaming-function",
        with: {
            "lambda:function/types@1.0.0": crate::guest::bindings::lambda::function::types,
        },
        generate_all,
        pub_export_macro: true,
        runtime_path: "::lamina_sdk::__private::wit_bindgen::rt",
        default_bindings_module: "::lamina_sdk::__private::streaming_bindings",
    });
}

pub use bindings::export;
pub(crate) use response::ResponseStream as HostStream;

/// Adapter from an author's streaming function to the contract's exports.
#[derive(Debug)]
pub struct ExportedStream<F: StreamingHandler>(PhantomData<F>);

impl<F: StreamingHandler> Guest for ExportedStream<F> {
    fn init() -> Result<(), types::Failure> {
        init::<F>()
    }

    fn invoke(
        event: String,
        context: types::Context,
        response: &HostStream,
    ) -> Result<(), types::Failure> {
        let mut response = ResponseStream::of_host(response);
        Ok(F::invoke(
            &event,
            context.try_into()?,
            &mut response,
            state::<F>(),
        )?)
    }

    fn before_checkpoint() -> Result<(), types::Failure> {
        before_checkpoint::<F>()
    }

    fn after_restore() -> Result<(), types::Failure> {
        after_restore::<F>()
    }
}

impl From<response::WriteError> for WriteError {
    fn from(error: response::WriteError) -> Self {
        match error {
            response::WriteError::Closed => Self::Closed,
            response::WriteError::TooLate => Self::TooLate,
            response::WriteError::Malformed => Self::Malformed,
        }
    }
}
