//! A sandbox for simulations: programs that sleep and answer as their event says, in the place of
//! components. It compiles into tests only, where it stands before the real program and environment.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;

use super::outlet::Outlet;
use super::{Admission, Grant, Resource, environment, program};
use super::{Cause, Context, Failure, FailureForm, FunctionResponse, Interface, Setup, Unopened};
use crate::clock::{Clock, Timestamp};
use crate::names::RequestId;
use crate::payload::Event;
use crate::telemetry::log::EnvironmentLog;

/// A program of the engine or of a simulation.
#[derive(Clone, Debug)]
pub enum Program {
    Real(program::Program),
    Fake(Arc<Script>),
}

/// A program of the engine that goes away with its last user.
#[derive(Clone, Debug)]
pub struct WeakProgram(program::WeakProgram);

/// An environment of the engine or of a simulation.
#[derive(Debug)]
pub enum Environment {
    Real(environment::Environment),
    Fake(FakeEnvironment),
}

/// A simulated program.
#[derive(Debug)]
pub struct Script {
    /// The digest of its package, which its answers name.
    pub package: String,
    /// The duration of its `init`.
    pub init: Duration,
    pub guests: Arc<Guests>,
}

/// The guests of one simulated process.
#[derive(Debug)]
pub struct Guests {
    clock: Clock,
    // A std mutex: counts change, and nothing awaits inside.
    counts: Mutex<Counts>,
}

/// Counts of guests.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Environments that live, and the most of them at once.
    pub environments: u32,
    pub environments_max: u32,
    /// Invocations that run, by the name of their function.
    pub running: BTreeMap<String, u32>,
    /// Invocations that began since this was last taken.
    pub begun: Vec<Begun>,
    /// Invocations that were answered.
    pub answered: u32,
    /// Environments whose `init` failed.
    pub failed: u32,
    /// The next so many fail in `init`.
    pub failing: u32,
}

/// The beginning of an invocation in its guest.
#[derive(Clone, Debug)]
pub struct Begun {
    pub at: Timestamp,
    pub request_id: RequestId,
    /// Digest of the package that runs.
    pub package: String,
    pub function: String,
    /// Invocations that run from here on, by the name of their function.
    pub running: BTreeMap<String, u32>,
}

#[derive(Debug)]
pub struct FakeEnvironment {
    script: Arc<Script>,
    /// None once the guest has ended.
    memory: Option<Grant>,
    scratch: Grant,
    counted: Counted,
}

/// An environment in the count of its process.
#[derive(Debug)]
struct Counted(Arc<Guests>);

/// An invocation in the list of its process.
struct Running<'a>(&'a Guests, String);

/// An event of a simulated program.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Order {
    ms: u64,
    /// True if the environment ends.
    trap: bool,
}

impl Guests {
    pub fn new(clock: &Clock) -> Arc<Self> {
        Arc::new(Self {
            clock: clock.clone(),
            counts: Mutex::default(),
        })
    }

    pub fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if the next `init` fails.
    fn fails(&self) -> bool {
        let mut counts = self.counts();
        let fails = counts.failing > 0;
        counts.failing -= u32::from(fails);
        counts.failed += u32::from(fails);
        fails
    }
}

impl Counted {
    fn new(guests: &Arc<Guests>) -> Self {
        let mut counts = guests.counts();
        counts.environments += 1;
        counts.environments_max = counts.environments_max.max(counts.environments);
        drop(counts);
        Self(Arc::clone(guests))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.counts().environments -= 1;
    }
}

impl<'a> Running<'a> {
    fn new(guests: &'a Guests, package: &str, context: &Context) -> Self {
        let function = &context.function.name;
        let mut counts = guests.counts();
        *counts.running.entry(function.clone()).or_default() += 1;
        let begun = Begun {
            at: guests.clock.now(),
            request_id: context.request_id,
            package: package.to_owned(),
            function: function.clone(),
            running: counts.running.clone(),
        };
        counts.begun.push(begun);
        drop(counts);
        Self(guests, function.clone())
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(count) = self.0.counts().running.get_mut(&self.1) {
            *count -= 1;
        }
    }
}

impl From<program::Program> for Program {
    fn from(program: program::Program) -> Self {
        Self::Real(program)
    }
}

impl Program {
    pub fn interface(&self) -> Interface {
        match self {
            Self::Real(program) => program.interface(),
            Self::Fake(_) => Interface::Handler,
        }
    }

    pub fn has_extensions(&self) -> bool {
        match self {
            Self::Real(program) => program.has_extensions(),
            Self::Fake(_) => false,
        }
    }

    pub fn runtime_version(&self) -> Option<&str> {
        match self {
            Self::Real(program) => program.runtime_version(),
            Self::Fake(_) => None,
        }
    }

    pub fn downgrade(&self) -> WeakProgram {
        match self {
            Self::Real(program) => WeakProgram(program.downgrade()),
            Self::Fake(_) => unreachable!("the library loads components alone"),
        }
    }
}

impl WeakProgram {
    pub fn upgrade(&self) -> Option<Program> {
        self.0.upgrade().map(Program::Real)
    }

    pub fn is_loaded(&self) -> bool {
        self.0.is_loaded()
    }
}

impl Environment {
    pub async fn open(
        program: &Program,
        setup: Setup,
        admission: Admission,
        log: Arc<EnvironmentLog>,
        id: &RequestId,
        time: Duration,
    ) -> Result<Self, Unopened> {
        let script = match program {
            Program::Real(program) => {
                let opened =
                    environment::Environment::open(program, setup, admission, log, id, time);
                return opened.await.map(Self::Real);
            }
            Program::Fake(script) => script,
        };
        FakeEnvironment::open(script, admission)
            .await
            .map(Self::Fake)
    }

    pub async fn reopen(
        self,
        program: &Program,
        setup: Setup,
        memory: Grant,
        log: Arc<EnvironmentLog>,
        id: &RequestId,
        time: Duration,
    ) -> Result<Self, Unopened> {
        match (self, program) {
            (Self::Real(ended), Program::Real(program)) => {
                let opened = ended.reopen(program, setup, memory, log, id, time);
                opened.await.map(Self::Real)
            }
            (Self::Fake(ended), Program::Fake(script)) => {
                let FakeEnvironment {
                    scratch, counted, ..
                } = ended;
                drop(counted);
                scratch.leave_provisioned();
                let admission = Admission { memory, scratch };
                FakeEnvironment::open(script, admission)
                    .await
                    .map(Self::Fake)
            }
            _ => unreachable!("an environment is of one sandbox for all its life"),
        }
    }

    pub async fn invoke(
        &mut self,
        event: Event,
        context: &Context,
        time: Duration,
        outlet: Option<&Outlet>,
    ) -> Result<FunctionResponse, Failure> {
        match self {
            Self::Real(environment) => environment.invoke(event, context, time, outlet).await,
            Self::Fake(fake) => fake.invoke(event, context, time).await,
        }
    }

    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Real(environment) if environment.is_busy())
    }

    pub async fn settle_extensions(&mut self) {
        if let Self::Real(environment) = self {
            environment.settle_extensions().await;
        }
    }

    pub fn is_alive(&self) -> bool {
        match self {
            Self::Real(environment) => environment.is_alive(),
            Self::Fake(fake) => fake.memory.is_some(),
        }
    }

    pub fn holds(&self, resource: Resource) -> u64 {
        match self {
            Self::Real(environment) => environment.holds(resource),
            // Else it would be dropped on another thread, and a history would not repeat.
            Self::Fake(_) => 0,
        }
    }

    pub fn is_above_provisioned(&self) -> bool {
        match self {
            Self::Real(environment) => environment.is_above_provisioned(),
            Self::Fake(fake) => {
                let mut grants = fake.memory.iter().chain([&fake.scratch]);
                grants.any(Grant::is_above_provisioned)
            }
        }
    }

    pub fn is_large(&self) -> bool {
        matches!(self, Self::Real(environment) if environment.is_large())
    }

    pub fn delete_tmp_at_once(&self) {
        if let Self::Real(environment) = self {
            environment.delete_tmp_at_once();
        }
    }

    pub fn tmp_dir(&self) -> Option<&std::path::Path> {
        match self {
            Self::Real(environment) => environment.tmp_dir(),
            Self::Fake(_) => None,
        }
    }

    pub fn memory_bytes_max(&self) -> u64 {
        match self {
            Self::Real(environment) => environment.memory_bytes_max(),
            Self::Fake(_) => 0,
        }
    }
}

impl FakeEnvironment {
    async fn open(script: &Arc<Script>, admission: Admission) -> Result<Self, Unopened> {
        let guests = &script.guests;
        let counted = Counted::new(guests);
        guests.clock.sleep(script.init).await;
        if guests.fails() {
            return Err(Unopened::Failed(failed("InitError", Cause::Environment)));
        }
        let Admission { memory, scratch } = admission;
        Ok(Self {
            script: Arc::clone(script),
            memory: Some(memory),
            scratch,
            counted,
        })
    }

    async fn invoke(
        &mut self,
        event: Event,
        context: &Context,
        time: Duration,
    ) -> Result<FunctionResponse, Failure> {
        let Event::Json(json) = event else {
            return Err(failed("NotJson", Cause::Handler));
        };
        let order: Order = serde_json::from_slice(json.as_bytes()).unwrap_or_default();
        let guests = &self.script.guests;
        let running = Running::new(guests, &self.script.package, context);
        // Dropped in the middle of its call, an environment must not be used again.
        let memory = self.memory.take();
        let work = guests.clock.sleep(Duration::from_millis(order.ms));
        let ended = guests.clock.timeout(time, work).await;
        drop(running);
        match ended {
            None => Err(failed("Sandbox.Timedout", Cause::Timeout)),
            Some(()) if order.trap => Err(failed("Runtime.ExitError", Cause::Environment)),
            Some(()) => {
                self.memory = memory;
                guests.counts().answered += 1;
                let answer = serde_json::json!({"package": self.script.package});
                Ok(FunctionResponse::Json(answer.to_string().into()))
            }
        }
    }
}

fn failed(error_type: &str, cause: Cause) -> Failure {
    Failure {
        error_type: error_type.into(),
        message: String::new(),
        stack_trace: Vec::new(),
        form: FailureForm::Plain,
        cause,
    }
}
