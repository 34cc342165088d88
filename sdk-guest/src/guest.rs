//! Binding of the contract `lambda:function` to this crate. Compiled for WebAssembly only.
#![expect(
    unsafe_code,
    reason = "generated bindings, and wasi-libc's functions around a snapshot"
)]

mod checkpoint;
pub(crate) mod custom_runtime;
pub(crate) mod extension;
pub mod streaming;

use std::marker::PhantomData;
use std::sync::Arc;

pub use wit_bindgen;

use crate::program::{Function, Handler};
use crate::{CognitoIdentity, Config, Context, Diagnostic};
use bindings::exports::lambda::function::handler::Guest;
use bindings::lambda::function::types;

#[expect(
    missing_docs,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "
            package lamina:sdk;

            world sdk {
                include lambda:function/function@1.0.0;
                include lambda:function/custom-runtime@1.0.0;
            }
        ",
        world: "lamina:sdk/sdk",
        generate_all,
        pub_export_macro: true,
        runtime_path: "::lamina_sdk::__private::wit_bindgen::rt",
        default_bindings_module: "::lamina_sdk::__private::bindings",
    });
}

pub use bindings::export;

/// Adapter from an author's function to the contract's exports.
#[derive(Debug)]
pub struct Exported<F: Handler>(PhantomData<F>);

impl<F: Handler> Guest for Exported<F> {
    fn init() -> Result<(), types::Failure> {
        init::<F>()
    }

    fn invoke(event: String, context: types::Context) -> Result<String, types::Failure> {
        Ok(F::invoke(&event, context.try_into()?, state::<F>())?)
    }

    fn before_checkpoint() -> Result<(), types::Failure> {
        before_checkpoint::<F>()
    }

    fn after_restore() -> Result<(), types::Failure> {
        after_restore::<F>()
    }
}

fn init<F: Function>() -> Result<(), types::Failure> {
    // Leaked on purpose: the state lives as long as the environment, so handlers may borrow it in futures.
    F::slot().set(Some(Box::leak(Box::new(F::init()?))));
    Ok(())
}

fn state<F: Function>() -> &'static F::State {
    F::slot()
        .get()
        .expect("the host calls `init` before anything else")
}

fn before_checkpoint<F: Function>() -> Result<(), types::Failure> {
    F::before_checkpoint(state::<F>())?;
    checkpoint::release_handles();
    Ok(())
}

fn after_restore<F: Function>() -> Result<(), types::Failure> {
    Ok(F::after_restore(state::<F>())?)
}

impl From<Diagnostic> for types::Failure {
    fn from(diagnostic: Diagnostic) -> Self {
        types::Failure {
            error_type: diagnostic.error_type,
            error_message: diagnostic.error_message,
            stack_trace: Vec::new(),
        }
    }
}

impl TryFrom<types::Context> for Context {
    type Error = Diagnostic;

    fn try_from(context: types::Context) -> Result<Self, Diagnostic> {
        let client_context = context
            .client_context
            .map(|json| serde_json::from_str(&json))
            .transpose()
            .map_err(|error| Diagnostic {
                error_type: "Runtime.UnmarshalError".to_owned(),
                error_message: format!("the client context is not that of a mobile SDK: {error}"),
            })?;
        Ok(Context {
            request_id: context.aws_request_id,
            deadline: context.deadline_ms,
            invoked_function_arn: context.invoked_function_arn,
            xray_trace_id: context.trace_id,
            client_context,
            identity: context.identity.map(|identity| CognitoIdentity {
                identity_id: identity.identity_id,
                identity_pool_id: identity.identity_pool_id,
            }),
            tenant_id: context.tenant_id,
            env_config: Arc::new(Config {
                function_name: context.function_name,
                memory: i32::try_from(context.memory_limit_mib).unwrap_or(i32::MAX),
                version: context.function_version,
                log_stream: context.log_stream_name,
                log_group: context.log_group_name,
            }),
        })
    }
}
