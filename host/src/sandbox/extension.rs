//! External extensions of an environment: components of layers that run beside the function, each in a store of its
//! own with its own limits, and with Lambda's lifecycle. Between events an extension waits in `next`, which costs nothing.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Cause, Context, Failure, FailureForm};
use crate::clock::Clock;
use crate::names::RequestId;
use crate::telemetry::log::EnvironmentLog;
use member::{Crew, ExtensionFailure, Invocation, Member, ShutdownReason};

pub(super) mod buffer;
pub(super) mod member;
pub(super) mod telemetry;

pub use telemetry::{ExtensionLines, Telemetry};

/// Time of extensions after `shutdown`, as in AWS.
const SHUTDOWN_TIME: Duration = Duration::from_secs(2);

/// Error type of an extension that works beyond the timeout of the function.
pub(super) const TIMEOUT: &str = "Extension.Timeout";
pub(super) const TIMEOUT_TEXT: &str =
    "it did not ask for the next event within the timeout of the function";

/// Telemetry and log of the extensions of an environment.
#[derive(Clone, Debug)]
pub struct ExtensionSetup {
    /// Its records.
    pub telemetry: Arc<Telemetry>,
    /// Log that they write to, in the stream of the environment.
    pub log: Arc<EnvironmentLog>,
}

/// The extensions of one environment.
pub(super) struct Extensions {
    running: Vec<Running>,
    crew: Arc<Crew>,
    telemetry: Arc<Telemetry>,
    clock: Clock,
    /// End of the current invocation's time.
    ends: Instant,
}

/// One extension that runs. Dropping it ends the guest.
pub(super) struct Running {
    pub(super) member: Arc<Member>,
    /// Gives it so much time from now on.
    pub(super) restart: Box<dyn Fn(Duration) + Send + Sync>,
    pub(super) cancel: CancellationToken,
    pub(super) task: JoinHandle<()>,
}

impl Extensions {
    /// Extensions that run.
    pub(super) fn new(
        running: Vec<Running>,
        crew: Arc<Crew>,
        telemetry: &Arc<Telemetry>,
        clock: Clock,
    ) -> Self {
        Self {
            running,
            crew,
            telemetry: Arc::clone(telemetry),
            ends: clock.instant(),
            clock,
        }
    }

    /// Waits until all have registered.
    pub(super) async fn registered(&self, id: &RequestId) -> Result<(), Failure> {
        let registered = self.crew.registered().await;
        registered.map_err(|failure| failure.of_request(id))
    }

    /// Waits until all have asked for the first event.
    pub(super) async fn initialised(&self, id: &RequestId) -> Result<(), Failure> {
        let idle = self.crew.idle().await;
        idle.map_err(|failure| failure.of_request(id))
    }

    /// Tells them of an invocation.
    pub(super) fn invoke(&mut self, context: &Context, time: Duration) {
        self.ends = self.clock.instant() + time;
        self.telemetry.begin_invocations();
        self.telemetry.deliver();
        let invocation = Arc::new(Invocation {
            request_id: context.request_id.to_string(),
            deadline: context.deadline,
            invoked_arn: Arc::clone(&context.invoked_arn),
            trace_id: context.trace_id.clone(),
            tenant_id: context.tenant_id.clone(),
        });
        for running in &self.running {
            (running.restart)(time);
            running.member.invoke(&invocation);
        }
    }

    /// True if one has not asked for the next event since the function has responded.
    pub(super) fn is_busy(&self) -> bool {
        self.telemetry.deliver();
        self.crew.is_busy()
    }

    /// Waits until all have asked for the next event, within the time of the invocation.
    pub(super) async fn settle(&self) -> Result<(), (ShutdownReason, String)> {
        let left = self.ends.saturating_duration_since(self.clock.instant());
        match self.clock.timeout(left, self.crew.idle()).await {
            Some(Ok(())) => Ok(()),
            Some(Err(failure)) if failure.error_type == TIMEOUT => {
                Err((ShutdownReason::Timeout, failure.message))
            }
            Some(Err(failure)) => {
                let text = format!("{}: {}", failure.error_type, failure.message);
                Err((ShutdownReason::Failure, text))
            }
            None => Err((
                ShutdownReason::Timeout,
                format!("an extension: {TIMEOUT_TEXT}"),
            )),
        }
    }

    /// Ends them: those that have registered for it have two seconds.
    pub(super) fn shut_down(self, reason: ShutdownReason) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let deadline = self.clock.now().after(SHUTDOWN_TIME);
        let mut running = self.running;
        running.retain(|it| {
            (it.restart)(SHUTDOWN_TIME);
            it.member.shut_down(reason, deadline)
        });
        if running.is_empty() {
            return;
        }
        let clock = self.clock;
        runtime.spawn(async move {
            let ended = async {
                for it in &mut running {
                    let _ = (&mut it.task).await;
                }
            };
            // Extensions that are left end when they are dropped.
            let _ = clock.timeout(SHUTDOWN_TIME, ended).await;
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl ExtensionFailure {
    /// The failure of an initialization.
    fn of_request(self, id: &RequestId) -> Failure {
        Failure {
            error_type: self.error_type,
            message: format!("RequestId: {id} Error: {}", self.message),
            stack_trace: Vec::new(),
            form: FailureForm::Plain,
            cause: Cause::Environment,
        }
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extensions")
            .field("count", &self.running.len())
            .finish_non_exhaustive()
    }
}
