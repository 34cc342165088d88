//! Conversions between the host's types and the contract's, shared by all adapters.

use crate::sandbox::bindings::function::lambda::function::types as called;
use crate::sandbox::bindings::runtime::lambda::function::types as asking;
use crate::sandbox::{Cause, Context, Failure, FailureForm};

/// Borrowed, for functions that are called: a warm call copies each string once, into the guest.
impl<'a> From<&'a Context> for called::Context<'a> {
    fn from(context: &'a Context) -> Self {
        Self {
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
}

/// Owned, for custom runtimes: the event waits in a channel.
impl From<&Context> for asking::Context {
    fn from(context: &Context) -> Self {
        let borrowed = called::Context::from(context);
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Self {
            aws_request_id: borrowed.aws_request_id.to_owned(),
            deadline_ms: borrowed.deadline_ms,
            invoked_function_arn: borrowed.invoked_function_arn.to_owned(),
            function_name: borrowed.function_name.to_owned(),
            function_version: borrowed.function_version.to_owned(),
            memory_limit_mib: borrowed.memory_limit_mib,
            log_group_name: borrowed.log_group_name.to_owned(),
            log_stream_name: borrowed.log_stream_name.to_owned(),
            client_context: owned(borrowed.client_context),
            identity: None,
            trace_id: owned(borrowed.trace_id),
            tenant_id: owned(borrowed.tenant_id),
        }
    }
}

impl From<called::Failure> for Failure {
    fn from(failure: called::Failure) -> Self {
        let called::Failure {
            error_type,
            error_message,
            stack_trace,
        } = failure;
        Self {
            error_type,
            message: error_message,
            stack_trace,
            form: FailureForm::Plain,
            cause: Cause::Handler,
        }
    }
}

impl From<asking::Failure> for Failure {
    fn from(failure: asking::Failure) -> Self {
        called::Failure {
            error_type: failure.error_type,
            error_message: failure.error_message,
            stack_trace: failure.stack_trace,
        }
        .into()
    }
}
