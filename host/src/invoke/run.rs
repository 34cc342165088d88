//! The call itself: between the START line and the REPORT line.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Pipeline;
use super::lease::{Leased, Opened};
use super::live::Deployment;
use super::pool::WarmEnvironment;
use super::report;
use super::request::{Finished, Outcome, ResourceUsage, Streamed};
use super::resolve::Resolved;
use crate::clock::Clock;
use crate::payload::{Event, http};
use crate::sandbox::outlet::{Outlet, Protocol};
use crate::sandbox::{Cause, Context, Failure, FunctionResponse};
use crate::telemetry::log::EnvironmentLog;
use crate::telemetry::metrics::Ended;

impl Pipeline {
    /// Runs the guest between the START line and the REPORT line. What it streams goes to the outlet; its
    /// environment and its permit are held until the reader has taken the last of it, or is gone.
    pub(super) async fn run(&self, leased: Leased, outlet: Option<Outlet>) -> Finished {
        let Leased {
            admitted,
            opened,
            init,
            repeated_init,
        } = leased;
        let deployment = admitted.deployment;
        // Held to the end of this function: the invocation counts until it is logged.
        let (permit, counted) = (admitted.permit, admitted.counted);
        let mut resolved = admitted.resolved;
        let event = std::mem::take(&mut resolved.invoke.event);
        let log = opened.log();
        log.begin(
            resolved.invoke.log_tail,
            resolved.invoke.request_id.as_str(),
            resolved.tenant_id(),
        );
        report::start(&log, &resolved);
        let (outcome, usage, environment) = match opened {
            Opened::Ready(environment) => {
                let inits = (init, repeated_init);
                let called = self.call(environment, event, &resolved, inits, outlet.as_ref());
                let (outcome, usage, environment) = called.await;
                (outcome, usage, Some(environment))
            }
            Opened::Failed { failure, .. } => (
                Err(failure),
                ResourceUsage {
                    duration: repeated_init,
                    init,
                    ..ResourceUsage::default()
                },
                None,
            ),
        };
        report::end(&log, &resolved, &outcome, &usage);
        counted.ended(Ended {
            duration: usage.duration,
            init: usage.init,
            is_error: outcome.is_err(),
            is_provisioned: (permit.is_provisioned() || deployment.provisioning.is_requested())
                .then(|| permit.is_provisioned()),
        });
        log.end();
        let log_tail = resolved.invoke.log_tail.then(|| log.tail());
        if let Some(outlet) = outlet {
            outlet.drained().await;
        }
        // Only now: the next invocation in this environment begins the log anew.
        let keeps = !self.config.idle_timeout.is_zero();
        if let Some(environment) = environment.filter(|_| keeps) {
            if environment.environment.is_busy() {
                // Extensions that only wait ask for the next event in their first turn.
                tokio::task::yield_now().await;
            }
            if environment.environment.is_busy() {
                let finishing = finish(environment, deployment, self.clock.clone());
                tokio::spawn(async move {
                    finishing.await;
                    drop((permit, counted));
                });
            } else {
                deployment.pool.give_back(environment, self.clock.instant());
            }
        }
        Finished {
            executed_version: Arc::clone(&resolved.version.label),
            outcome,
            log_tail,
            usage,
        }
    }

    /// Runs the guest. Its environment comes back; where the guest ended, only to be opened again.
    async fn call(
        &self,
        mut environment: WarmEnvironment,
        event: Event,
        resolved: &Resolved,
        (init, repeated_init): (Option<Duration>, Duration),
        outlet: Option<&Outlet>,
    ) -> (Outcome, ResourceUsage, WarmEnvironment) {
        let time_max = resolved.time_max().saturating_sub(repeated_init);
        let context = self.context(resolved, &environment.log_stream, time_max);
        let started = self.clock.instant();
        let outcome = environment
            .environment
            .invoke(event, &context, time_max, outlet)
            .await;
        let duration = self.clock.instant().saturating_duration_since(started);
        let usage = ResourceUsage {
            duration: duration + repeated_init,
            init,
            memory_bytes_max: environment.environment.memory_bytes_max(),
            streamed: outlet.and_then(|outlet| streamed(outlet, started)),
        };
        let outcome = sendable(outcome, resolved.protocol, outlet);
        if let Err(failure) = &outcome {
            report::failure(&environment.log, resolved, failure);
        }
        if !environment.environment.is_alive() {
            // A new one is provisioned in its stead.
            environment.provisioned = None;
        }
        (outcome, usage, environment)
    }

    fn context(&self, resolved: &Resolved, log_stream: &Arc<str>, time_max: Duration) -> Context {
        let invoke = &resolved.invoke;
        Context {
            request_id: invoke.request_id,
            deadline: self.clock.now().after(time_max),
            invoked_arn: Arc::clone(&resolved.invoked_arn),
            function: Arc::clone(&resolved.version.facts),
            log_stream: Arc::clone(log_stream),
            client_context: invoke.client_context.clone(),
            trace_id: invoke.trace_id.clone(),
            tenant_id: invoke.tenant_id.clone(),
        }
    }
}

/// Keeps an environment until its extensions have finished. The caller has its response.
async fn finish(mut environment: WarmEnvironment, deployment: Arc<Deployment>, clock: Clock) {
    environment.environment.settle_extensions().await;
    if !environment.environment.is_alive() {
        environment.provisioned = None;
    }
    deployment.pool.give_back(environment, clock.instant());
}

/// The outcome in the caller's protocol: over HTTP, a result that describes no response is a failure.
fn sendable(outcome: Outcome, protocol: Protocol, outlet: Option<&Outlet>) -> Outcome {
    let malformed = outlet.and_then(Outlet::malformed);
    if let Some(error) = malformed {
        return match outcome {
            // A handler may fail because its metadata were refused.
            Ok(_)
            | Err(Failure {
                cause: Cause::Handler,
                ..
            }) => Err(unsendable(error)),
            Err(failure) => Err(failure),
        };
    }
    let response = match outcome? {
        // It may stream and wrote nothing.
        FunctionResponse::Streamed(_) if outlet.is_some_and(|it| !it.has_begun()) => {
            FunctionResponse::Json(Bytes::new())
        }
        response => response,
    };
    match (response, protocol) {
        (FunctionResponse::Json(result), Protocol::Http) => match http::response_of(&result) {
            Ok(response) => Ok(FunctionResponse::Http(response)),
            Err(error) => Err(unsendable(&error)),
        },
        (response, _) => Ok(response),
    }
}

fn unsendable(error: &http::Error) -> Failure {
    Failure::response_error(format!(
        "The function's response cannot be sent over HTTP: {error}"
    ))
}

fn streamed(outlet: &Outlet, started: Instant) -> Option<Streamed> {
    outlet.begun().map(|begun| Streamed {
        bytes: outlet.written(),
        latency: begun.saturating_duration_since(started),
    })
}

impl Opened {
    fn log(&self) -> Arc<EnvironmentLog> {
        match self {
            Self::Ready(environment) => Arc::clone(&environment.log),
            Self::Failed { log, .. } => Arc::clone(log),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::outlet::Head;

    fn json(result: &'static str) -> Outcome {
        Ok(FunctionResponse::Json(result.into()))
    }

    #[test]
    fn result_without_http_response_is_failure_over_http_only() {
        let odd = r#"{"statusCode": 99}"#;
        let failure = sendable(json(odd), Protocol::Http, None).unwrap_err();
        assert_eq!(failure.cause, Cause::Response);
        assert!(failure.message.contains("statusCode"), "{failure:?}");
        assert!(sendable(json(odd), Protocol::Lambda, None).is_ok());
        let sent = sendable(json(r#"{"statusCode": 201}"#), Protocol::Http, None);
        let Ok(FunctionResponse::Http(response)) = sent else {
            panic!("it is a response");
        };
        assert_eq!(response.status(), 201);
    }

    #[test]
    fn streaming_function_without_output_has_empty_response() {
        let (outlet, _intake) = Outlet::new(Protocol::Http, Clock::system());
        let streamed = || Ok(FunctionResponse::Streamed(0));
        let sent = sendable(streamed(), Protocol::Http, Some(&outlet));
        assert!(matches!(sent, Ok(FunctionResponse::Http(it)) if it.body().is_empty()));
        outlet.begin(Head::Prelude(None)).unwrap();
        let sent = sendable(streamed(), Protocol::Http, Some(&outlet));
        assert!(matches!(sent, Ok(FunctionResponse::Streamed(0))));
    }
}
