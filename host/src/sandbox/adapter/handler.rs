//! `lambda:function/handler`: the function is called. The hot path.

use bytes::Bytes;
use wasmtime::Store;

use crate::sandbox::bindings::function::lambda::function::types;
use crate::sandbox::bindings::function::{Function, FunctionPre};
use crate::sandbox::environment::{Answer, Room};
use crate::sandbox::guest::{Guest, Streams};
use crate::sandbox::{Cause, Context, Failure};

pub(in crate::sandbox) type Pre = FunctionPre<Guest>;

pub(in crate::sandbox) struct Instance {
    store: Store<Guest>,
    function: Function,
}

impl Instance {
    pub(in crate::sandbox) async fn open(pre: &Pre, room: &Room) -> Answer<Self> {
        let mut store = room.store(Streams::Log, super::custom_runtime::Mailbox::default());
        let function = pre.instantiate_async(&mut store).await?;
        let initialised = function
            .lambda_function_handler()
            .call_init(&mut store)
            .await?;
        Ok(initialised
            .map(|()| Self { store, function })
            .map_err(Failure::from))
    }

    pub(in crate::sandbox) async fn invoke(
        &mut self,
        event: &str,
        context: &Context,
    ) -> Answer<Bytes> {
        let handler = self.function.lambda_function_handler();
        let answer = handler
            .call_invoke(&mut self.store, event, lowered(context))
            .await?;
        Ok(answer.map(Bytes::from).map_err(Failure::from))
    }
}

/// The context as the guest gets it, borrowed: a warm call copies each string once, into the guest.
fn lowered(context: &Context) -> types::Context<'_> {
    types::Context {
        aws_request_id: context.request_id.as_str(),
        deadline_ms: context.deadline.millis(),
        invoked_function_arn: &context.invoked_arn,
        function_name: &context.function.name,
        function_version: &context.function.version,
        memory_limit_mib: context.function.memory.get(),
        log_group_name: &context.function.log_group,
        log_stream_name: &context.log_stream,
        client_context: context.client_context.as_deref(),
        identity: None,
        trace_id: context.trace_id.as_deref(),
        tenant_id: context.tenant_id.as_deref(),
    }
}

impl From<types::Failure> for Failure {
    fn from(failure: types::Failure) -> Self {
        Self {
            error_type: failure.error_type,
            message: failure.error_message,
            stack_trace: failure.stack_trace,
            cause: Cause::Handler,
        }
    }
}
