//! `lambda:extension`: the Extensions API and the Telemetry API, for extensions.

use std::sync::Arc;

use wasmtime::component::{HasSelf, Linker};

use crate::sandbox::bindings::extension::lambda::extension::{lifecycle, telemetry};
use crate::sandbox::extension::buffer::{Buffer, Buffering, Kind};
use crate::sandbox::extension::member::{Next, Registered, ShutdownReason};
use crate::sandbox::extension::telemetry::Post;
use crate::sandbox::guest::Guest;
use crate::telemetry::event::{Event, Extension};
use lifecycle::{EventKind, RegisterError, Registration};
use telemetry::{SubscribeError, TelemetryType};

/// Characters of an error that an extension reports.
const TEXT_MAX: usize = 1_024;

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    lifecycle::add_to_linker::<_, HasSelf<Guest>>(linker, Guest::noted)?;
    telemetry::add_to_linker::<_, HasSelf<Guest>>(linker, Guest::noted)
}

impl Guest {
    fn post(&self) -> wasmtime::Result<&Post> {
        let none = || wasmtime::Error::msg("a function is no extension");
        self.extension.as_deref().ok_or_else(none)
    }

    fn handler(&self) -> String {
        let mut variables = self.setup.variables.shared.iter();
        let handler = variables.find(|(name, _)| name == "_HANDLER");
        handler.map_or_else(String::new, |(_, value)| value.clone())
    }
}

impl lifecycle::Host for Guest {
    async fn register(
        &mut self,
        events: Vec<EventKind>,
    ) -> wasmtime::Result<Result<Registration, RegisterError>> {
        let member = &self.post()?.member;
        let registered = Registered {
            invoke: events.contains(&EventKind::Invoke),
            shutdown: events.contains(&EventKind::Shutdown),
        };
        if !member.register(registered) {
            return Ok(Err(RegisterError::Twice));
        }
        let names = [
            (registered.invoke, "INVOKE"),
            (registered.shutdown, "SHUTDOWN"),
        ];
        let names = names.iter().filter(|(is_given, _)| *is_given);
        let names: Vec<&str> = names.map(|(_, name)| *name).collect();
        self.log.emit(&Event::Extension(Extension {
            name: &member.name,
            state: "Ready",
            events: &names,
        }));
        let function = &self.setup.function;
        Ok(Ok(Registration {
            function_name: function.name.clone(),
            function_version: function.version.clone(),
            handler: self.handler(),
        }))
    }

    async fn next(&mut self) -> wasmtime::Result<lifecycle::Event> {
        let member = Arc::clone(&self.post()?.member);
        if member.registered().is_none() {
            return Err(wasmtime::Error::msg("next before register"));
        }
        // It may be frozen now: its lines are published.
        self.log.end();
        Ok(match member.next().await {
            Next::Telemetry(batch) => lifecycle::Event::Telemetry(batch),
            Next::Invoke(it) => lifecycle::Event::Invoke(lifecycle::Invocation {
                request_id: it.request_id.clone(),
                deadline_ms: it.deadline.millis(),
                invoked_function_arn: it.invoked_arn.to_string(),
                trace_id: it.trace_id.clone(),
                tenant_id: it.tenant_id.clone(),
            }),
            Next::Shutdown(reason, deadline) => lifecycle::Event::Shutdown(lifecycle::Ending {
                reason: match reason {
                    ShutdownReason::Spindown => lifecycle::ShutdownReason::Spindown,
                    ShutdownReason::Timeout => lifecycle::ShutdownReason::Timeout,
                    ShutdownReason::Failure => lifecycle::ShutdownReason::Failure,
                },
                deadline_ms: deadline.millis(),
            }),
        })
    }

    async fn init_error(&mut self, error_type: String, message: String) -> wasmtime::Result<()> {
        let text = format!("{}: {}", short(&error_type), short(&message));
        self.post()?.member.fail("Extension.InitError", &text);
        Ok(())
    }

    async fn exit_error(&mut self, error_type: String, message: String) -> wasmtime::Result<()> {
        let text = format!("{}: {}", short(&error_type), short(&message));
        self.post()?.member.fail("Extension.ExitError", &text);
        Ok(())
    }
}

impl telemetry::Host for Guest {
    async fn subscribe(
        &mut self,
        types: Vec<TelemetryType>,
        buffering: Option<telemetry::Buffering>,
    ) -> wasmtime::Result<Result<(), SubscribeError>> {
        let Post { member, telemetry } = self.post()?;
        let kinds = [
            (TelemetryType::Platform, Kind::Platform),
            (TelemetryType::Function, Kind::Function),
            (TelemetryType::Extension, Kind::Extension),
        ];
        let kinds = kinds.into_iter().filter(|(given, _)| types.contains(given));
        let kinds: Vec<Kind> = kinds.map(|(_, kind)| kind).collect();
        let buffering = buffering.map_or_else(Buffering::default, |it| Buffering {
            items_max: it.max_items,
            bytes_max: it.max_bytes,
            time_max_ms: it.timeout_ms,
        });
        let Some(buffer) = Buffer::new(&kinds, buffering) else {
            return Ok(Err(SubscribeError::OutOfRange));
        };
        if member.registered().is_none() || !telemetry.subscribe(member, buffer) {
            return Ok(Err(SubscribeError::OutOfTime));
        }
        Ok(Ok(()))
    }
}

fn short(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}
