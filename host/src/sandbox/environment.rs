//! One execution environment: opened once, called many times, by one caller at a time. A guest that traps, exits or
//! runs out of time ends: its store is dropped and never used again.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use wasmtime::{Store, Trap};

use super::adapter::Instance;
use super::budget::{Admission, Grant, Resource};
use super::capability::runtime::Mailbox;
use super::capability::system::Streams;
use super::deadline::{Deadline, TimeUp};
use super::engine::Shared;
use super::extension::Extensions;
use super::extension::member::ShutdownReason;
use super::filesystem::Files;
use super::guest::Guest;
use super::limits::{MemoryUsage, Refusal, Together};
use super::outlet::Outlet;
use super::program::{Loaded, Program};
use super::{Cause, Context, Failure, Failures, FunctionResponse, Setup, Unopened, failure};
use crate::names::RequestId;
use crate::payload::Event;
use crate::telemetry::log::EnvironmentLog;
use crate::units::PAYLOAD_BYTES_MAX;

mod beside;

/// Component handles of one environment; the engine's own default is ten times this.
const HANDLES_MAX: usize = 10_000;
/// Time of a custom runtime between its answer and its request for the next event, for such work as sending
/// metrics. The caller waits for it.
const SETTLE_TIME: Duration = Duration::from_secs(2);

/// One execution environment.
pub struct Environment {
    /// None once the guest has ended.
    instance: Option<Instance>,
    deadline: Deadline,
    usage: Arc<MemoryUsage>,
    /// True from the end of its first call on: it counts in the budgets with what it uses.
    is_settled: bool,
    log: Arc<EnvironmentLog>,
    shared: Arc<Shared>,
    /// Form of the failures of a managed runtime.
    failures: Option<Failures>,
    /// Extensions that run beside the guest.
    extensions: Option<Box<Extensions>>,
    // After the instance: a guest's open files are closed before its `/tmp` is deleted.
    files: Arc<Files>,
}

/// Result of a call; the outer error ends the guest.
pub(super) type CallResult<T> = wasmtime::Result<Result<T, Failure>>;

/// Parts that stores of an environment are made of.
#[derive(Clone)]
pub(super) struct StoreParts {
    pub(super) loaded: Arc<Loaded>,
    pub(super) setup: Arc<Setup>,
    pub(super) log: Arc<EnvironmentLog>,
    pub(super) files: Arc<Files>,
    pub(super) usage: Arc<MemoryUsage>,
    pub(super) deadline: Deadline,
}

impl StoreParts {
    pub(super) fn store(&self, streams: Streams, mailbox: Mailbox) -> Store<Guest> {
        let shared = &self.loaded.shared;
        let usage = Arc::clone(&self.usage);
        let guest = Guest::new(
            &self.loaded,
            &self.setup,
            &self.log,
            streams,
            &self.files,
            usage,
            mailbox,
        );
        let mut store = Store::new(&shared.engine, guest);
        store.limiter_async(|guest| &mut guest.limits);
        store.set_max_component_handles(HANDLES_MAX);
        self.deadline.watch(&mut store);
        store
    }
}

impl Environment {
    /// Instantiates a program and initialises it, within `time`.
    ///
    /// # Errors
    /// A failure of the function, or a limit of the host.
    pub async fn open(
        program: &Program,
        setup: Setup,
        admission: Admission,
        log: Arc<EnvironmentLog>,
        id: &RequestId,
        time: Duration,
    ) -> Result<Self, Unopened> {
        let Admission { memory, scratch } = admission;
        let files = program.0.mounts.open(setup.tmp, scratch);
        let mut files = files.map_err(Unopened::without_mounts)?;
        if let Some(wanted) = &setup.file_system {
            let resources = &program.0.shared.resources;
            let points = &resources.access_points;
            let opened = points.open(wanted, &resources.clock, time).await;
            files = files.with(opened.map_err(Unopened::Mount)?);
        }
        let files = Arc::new(files);
        Self::start(program, (files, memory), setup, log, id, time).await
    }

    /// Opens the environment again after its guest has ended: with a new guest, new memory, and the `/tmp` as the last
    /// guest left it.
    ///
    /// # Errors
    /// As [`open`](Self::open). The `/tmp` is lost then.
    pub async fn reopen(
        self,
        program: &Program,
        setup: Setup,
        memory: Grant,
        log: Arc<EnvironmentLog>,
        id: &RequestId,
        time: Duration,
    ) -> Result<Self, Unopened> {
        let files = Arc::clone(&self.files);
        files.quota().grant().leave_provisioned();
        Self::start(program, (files, memory), setup, log, id, time).await
    }

    async fn start(
        program: &Program,
        (files, memory): (Arc<Files>, Grant),
        setup: Setup,
        log: Arc<EnvironmentLog>,
        id: &RequestId,
        time: Duration,
    ) -> Result<Self, Unopened> {
        let loaded = Arc::clone(&program.0);
        let shared = Arc::clone(&loaded.shared);
        let failures = loaded.failures;
        let mut usage = MemoryUsage::new(memory, &shared.pages);
        let together = (!loaded.extensions.is_empty()).then(Arc::<Together>::default);
        if let Some(together) = &together {
            usage = usage.together(together);
        }
        let usage = Arc::new(usage);
        let deadline = Deadline::after(&loaded.shared.resources.clock, time);
        let room = StoreParts {
            loaded,
            setup: Arc::new(setup),
            log: Arc::clone(&log),
            files: Arc::clone(&files),
            usage: Arc::clone(&usage),
            deadline: deadline.clone(),
        };
        let extensions = together.as_ref();
        let extensions = extensions.map(|it| beside::start(&room, it, time));
        let extensions = extensions.transpose()?;
        let opened = match &extensions {
            None => bounded(time, &usage, Instance::open(room)).await,
            Some(extensions) => {
                let opening = Box::pin(beside::open(extensions, id, Instance::open(room)));
                bounded(time, &usage, opening).await
            }
        };
        if let Some(unopened) = opened.as_ref().err().and_then(Unopened::for_want_of_room) {
            return Err(unopened);
        }
        let judged = judge(opened, id, time, &usage, &log);
        let instance = judged.map_err(|failure| {
            shared.turnover.ended(usage.left_bytes());
            Unopened::Failed(failure.of_request(id, failures))
        })?;
        if !instance.settles() {
            shared.turnover.ended(usage.free_stack());
        }
        usage.opened();
        files.quota().opened_environment();
        Ok(Self {
            instance: Some(instance),
            deadline,
            usage,
            is_settled: false,
            log,
            shared,
            failures,
            extensions,
            files,
        })
    }

    /// Runs the guest on one event, within `time`. Where there is an outlet, a guest that writes its response
    /// writes it there.
    ///
    /// # Errors
    /// The failure as the caller sees it. After it, [`is_alive`](Self::is_alive) tells whether the guest can be called
    /// again.
    pub async fn invoke(
        &mut self,
        event: Event,
        context: &Context,
        time: Duration,
        outlet: Option<&Outlet>,
    ) -> Result<FunctionResponse, Failure> {
        let id = &context.request_id;
        // Taken out for the time of the call: if this future is dropped, so is the guest, which must not be entered
        // again.
        let Some(mut instance) = self.instance.take() else {
            return Err(Failure::exited(id, "before it was called"));
        };
        if let Some(extensions) = &mut self.extensions {
            extensions.invoke(context, time);
        }
        self.deadline.restart(time);
        self.usage.begin_call();
        self.files.quota().grant().forget_refusal();
        let called = {
            // Pinned here: each layer of `bounded` would move the whole future.
            let call = pin!(instance.invoke(event, context, outlet));
            bounded(time, &self.usage, call).await
        };
        let answer = judge(called, id, time, &self.usage, &self.log);
        let is_told = matches!(&answer, Err(failure) if failure.cause == Cause::Host);
        self.report_refusals(is_told);
        let reusable = match &answer {
            Ok(_) => true,
            Err(failure) => matches!(failure.cause, Cause::Handler | Cause::Response),
        };
        // A custom runtime runs on, on the same stack.
        if !instance.settles() {
            self.shared.turnover.ended(self.usage.free_stack());
        }
        if reusable && settles(&mut instance, id, &self.deadline, &self.usage, &self.log).await {
            self.instance = Some(instance);
        } else {
            self.end(instance);
            if let Some(extensions) = self.extensions.take() {
                extensions.shut_down(match &answer {
                    Err(failure) if failure.cause == Cause::Timeout => ShutdownReason::Timeout,
                    _ => ShutdownReason::Failure,
                });
            }
        }
        if !self.is_settled {
            self.settle();
        }
        match answer.map_err(|failure| failure.of_request(id, self.failures))? {
            FunctionResponse::Json(body) if body.len() > PAYLOAD_BYTES_MAX => {
                Err(Failure::response_too_large())
            }
            reply => Ok(reply),
        }
    }

    fn end(&self, instance: Instance) {
        drop(instance);
        self.shared.turnover.ended(self.usage.left_bytes());
        self.usage.release();
    }

    fn settle(&mut self) {
        self.is_settled = true;
        if self.is_alive() {
            self.usage.settle();
        }
        let quota = self.files.quota();
        quota.grant().settle(quota.host_bytes());
    }

    /// Logs growth that the host's budgets refused: the function cannot tell it from its own limits.
    fn report_refusals(&self, memory_is_told: bool) {
        if !memory_is_told && self.usage.refusal() == Some(Refusal::Host) {
            self.log.failure(failure::HOST_MEMORY_SHORT);
        }
        if self.files.quota().grant().is_refused() {
            self.log.failure(failure::HOST_SCRATCH_SHORT);
        }
    }

    /// True if an extension works on although the guest has responded.
    pub fn is_busy(&self) -> bool {
        let extensions = self.extensions.as_ref();
        extensions.is_some_and(|extensions| extensions.is_busy())
    }

    /// Waits until its extensions have asked for the next event, within the time of the invocation. After that, or if
    /// one fails, the environment ends.
    pub async fn settle_extensions(&mut self) {
        let settled = match &self.extensions {
            Some(extensions) => extensions.settle().await,
            None => Ok(()),
        };
        let Err((reason, text)) = settled else { return };
        self.log.failure(&text);
        // Without a guest, nothing would publish the line.
        self.log.end();
        if let Some(instance) = self.instance.take() {
            self.end(instance);
        }
        if let Some(extensions) = self.extensions.take() {
            extensions.shut_down(reason);
        }
    }

    /// True as long as its guest can be called.
    pub fn is_alive(&self) -> bool {
        self.instance.is_some()
    }

    /// True for a guest with so much memory that it would hold up a worker of the network.
    pub fn is_large(&self) -> bool {
        self.usage.is_large()
    }

    /// Bytes of the host's budget that count for it.
    pub fn holds(&self, resource: Resource) -> u64 {
        match resource {
            Resource::Memory => self.usage.granted_bytes(),
            Resource::Scratch => self.files.quota().grant().bytes(),
        }
    }

    /// True if it is provisioned, and provisioned environments have grown beyond all that they may hold.
    pub fn is_above_provisioned(&self) -> bool {
        self.usage.is_above_provisioned() || self.files.quota().grant().is_above_provisioned()
    }

    /// Makes its drop delete its `/tmp` before it returns, and not later on another thread.
    pub fn delete_tmp_at_once(&self) {
        self.files.delete_at_once();
    }

    /// Directory of its `/tmp` on the host.
    pub fn tmp_dir(&self) -> Option<&Path> {
        self.files.tmp_dir()
    }

    /// The largest size of its memories so far.
    pub fn memory_bytes_max(&self) -> u64 {
        self.usage.environment_bytes()
    }
}

/// True if a guest that has answered can take another event. A custom runtime runs on until it asks for one. If it
/// ends before, or asks too late, only its environment ends: its answer stands.
async fn settles(
    instance: &mut Instance,
    id: &RequestId,
    deadline: &Deadline,
    usage: &MemoryUsage,
    log: &EnvironmentLog,
) -> bool {
    if !instance.settles() {
        return !instance.is_spent();
    }
    deadline.restart(SETTLE_TIME);
    let settled = {
        let settling = pin!(instance.settle());
        bounded(SETTLE_TIME, usage, settling).await
    };
    judge(settled, id, SETTLE_TIME, usage, log).is_ok() && !instance.is_spent()
}

/// Holds a call to its time and to the budget of memory, and a panic of a host function to its environment.
async fn bounded<T>(
    time: Duration,
    usage: &MemoryUsage,
    call: impl Future<Output = CallResult<T>>,
) -> CallResult<T> {
    let call = counted(usage, call);
    match tokio::time::timeout(time, AssertUnwindSafe(call).catch_unwind()).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(panic)) => {
            let text = panic.downcast_ref::<&str>().copied();
            let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            tracing::error!(
                panic = text,
                "a host function panicked; its environment is given up"
            );
            Err(wasmtime::Error::msg(
                "the host failed while it served the function",
            ))
        }
        Err(_) => Err(TimeUp.into()),
    }
}

/// Counts the stack of a guest whenever it is suspended, and ends its call if there is no memory for it.
pub(super) async fn counted<T>(
    usage: &MemoryUsage,
    call: impl Future<Output = CallResult<T>>,
) -> CallResult<T> {
    let mut call = pin!(call);
    let poll = |cx: &mut task::Context<'_>| match call.as_mut().poll(cx) {
        Poll::Pending if !usage.hold_stack() => {
            let text = "the host has no memory for the function's stack";
            Poll::Ready(Err(wasmtime::Error::msg(text)))
        }
        polled => polled,
    };
    poll_fn(poll).await
}

fn judge<T>(
    answer: CallResult<T>,
    id: &RequestId,
    time: Duration,
    usage: &MemoryUsage,
    log: &EnvironmentLog,
) -> Result<T, Failure> {
    answer.unwrap_or_else(|error| {
        if let Some(text) = failure::backtrace(&error) {
            log.failure(&text);
        }
        if error.downcast_ref() == Some(&Trap::StackOverflow) {
            usage.went_deep();
        }
        Err(Failure::of_end(&error, id, time, usage.refusal()))
    })
}

impl Drop for Environment {
    fn drop(&mut self) {
        if let Some(instance) = self.instance.take() {
            self.end(instance);
        }
        if let Some(extensions) = self.extensions.take() {
            extensions.shut_down(ShutdownReason::Spindown);
        }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("alive", &self.is_alive())
            .finish_non_exhaustive()
    }
}
