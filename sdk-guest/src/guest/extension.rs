//! Binding of the contract `lambda:extension`.

use crate::Error;
use crate::extension::{Ending, Event, Extension, Invocation, Reason, Telemetry};
use bindings::lambda::extension::lifecycle::{self, EventKind, ShutdownReason};
use bindings::lambda::extension::telemetry::{self, SubscribeError, TelemetryType};

#[expect(clippy::allow_attributes_without_reason, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({
        path: "../wit/extension",
        world: "lambda:extension/extension",
        generate_all,
    });
}

pub(crate) fn register(extension: &Extension) -> Result<(), Error> {
    let events: &[EventKind] = match extension.invoke {
        true => &[EventKind::Invoke, EventKind::Shutdown],
        false => &[EventKind::Shutdown],
    };
    lifecycle::register(events).map_err(|_| "the extension has registered before")?;
    if extension.telemetry.is_empty() {
        return Ok(());
    }
    let kinds = extension.telemetry.iter().map(|kind| match kind {
        Telemetry::Platform => TelemetryType::Platform,
        Telemetry::Function => TelemetryType::Function,
        Telemetry::Extension => TelemetryType::Extension,
    });
    let buffering = extension.buffering.map(|it| telemetry::Buffering {
        max_items: it.max_items,
        max_bytes: it.max_bytes,
        timeout_ms: it.timeout_ms,
    });
    let kinds: Vec<TelemetryType> = kinds.collect();
    telemetry::subscribe(&kinds, buffering).map_err(|error| {
        let text = match error {
            SubscribeError::OutOfTime => "the first invocation has begun",
            SubscribeError::OutOfRange => "the buffering is outside of its ranges",
        };
        lifecycle::init_error("Extension.SubscribeError", text);
        text.into()
    })
}

pub(crate) fn next() -> Event {
    match lifecycle::next() {
        lifecycle::Event::Telemetry(batch) => Event::Telemetry(batch),
        lifecycle::Event::Invoke(it) => Event::Invoke(Invocation {
            request_id: it.request_id,
            deadline_ms: it.deadline_ms,
            invoked_function_arn: it.invoked_function_arn,
            trace_id: it.trace_id,
            tenant_id: it.tenant_id,
        }),
        lifecycle::Event::Shutdown(it) => Event::Shutdown(Ending {
            reason: match it.reason {
                ShutdownReason::Spindown => Reason::Spindown,
                ShutdownReason::Timeout => Reason::Timeout,
                ShutdownReason::Failure => Reason::Failure,
            },
            deadline_ms: it.deadline_ms,
        }),
    }
}

pub(crate) fn exit_error(error_type: &str, message: &str) {
    lifecycle::exit_error(error_type, message);
}
