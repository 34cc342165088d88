//! From a permit to an environment: a warm one of the same deployment, or a new one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Pipeline;
use super::admitted::Admitted;
use super::initialization::Initialization;
use super::live::admission::Lack;
use super::live::{Deployment, LoadError};
use super::pool::WarmEnvironment;
use super::resolve::Resolved;
use super::slot::Slot;
use super::snapshot::Version;
use super::{report, variables};
use crate::names::{RequestId, hex};
use crate::sandbox::{
    self, Cause, Environment, ExtensionLines, ExtensionSetup, Failure, Grant, MountError, Program,
    Setup, Telemetry, Unopened,
};
use crate::telemetry::event::Sink;
use crate::telemetry::log::EnvironmentLog;
use crate::telemetry::observer::Source;
use crate::units::INIT_TIMEOUT;

/// Error of an environment that could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A limit of the host or of its machine is reached, and nothing is idle that could be evicted.
    #[error("this host can open no other environment: {0}")]
    Full(#[from] Lack),
    /// The version's code could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Its file system could not be mounted.
    #[error(transparent)]
    Mount(MountError),
    /// The host could not open an environment.
    #[error(transparent)]
    Host(sandbox::Error),
}

/// An invocation with an environment to run in, or with the failure of its start.
#[derive(Debug)]
pub(super) struct Leased {
    pub(super) admitted: Admitted,
    pub(super) opened: Opened,
    /// Time that the environment took to start, where it was started for this invocation.
    pub(super) init: Option<Duration>,
    /// Time of a second initialization, which is part of the invocation's duration and of its timeout.
    pub(super) repeated_init: Duration,
}

/// An environment that was started for an invocation.
struct Cold {
    opened: Opened,
    init: Option<Duration>,
    repeated_init: Duration,
}

#[derive(Debug)]
pub(super) enum Opened {
    Ready(WarmEnvironment),
    /// The environment did not come up. The invocation ends with this failure.
    Failed {
        failure: Failure,
        log: Arc<EnvironmentLog>,
        log_stream: Arc<str>,
    },
}

impl Pipeline {
    pub(super) async fn lease(&self, admitted: Admitted) -> Result<Leased, Error> {
        let (resolved, deployment) = (&admitted.resolved, &admitted.deployment);
        let tenant_id = resolved.tenant_id();
        if let Some(environment) = warm(deployment, tenant_id) {
            return Ok(Leased {
                admitted,
                opened: Opened::Ready(environment),
                init: None,
                repeated_init: Duration::ZERO,
            });
        }
        // Boxed: a state that is seldom needed would make the future of every invocation larger.
        let cold = Box::pin(self.start_environment(deployment, resolved)).await;
        let cold = cold.inspect_err(|error| {
            if matches!(error, Error::Full(_)) {
                admitted.counted.metrics().throttled();
            }
        })?;
        let Cold {
            mut opened,
            init,
            repeated_init,
        } = cold;
        if let Opened::Ready(environment) = &mut opened {
            environment.tenant_id = tenant_id.map(str::to_owned);
        }
        Ok(Leased {
            admitted,
            opened,
            init,
            repeated_init,
        })
    }

    /// Starts an environment for an invocation: again, where the guest of an idle one has ended, else a new one. As in
    /// AWS, an `init` that fails before the invocation is run once more inside it, within the function's timeout.
    async fn start_environment(
        &self,
        deployment: &Deployment,
        resolved: &Resolved,
    ) -> Result<Cold, Error> {
        let id = &resolved.invoke.request_id;
        let started = self.clock.instant();
        let elapsed = || self.clock.instant().saturating_duration_since(started);
        if let Some(ended) = deployment.pool.take_ended(resolved.tenant_id()) {
            let opened = self.reopen(deployment, ended, id).await?;
            return Ok(Cold {
                opened,
                init: Some(elapsed()),
                repeated_init: Duration::ZERO,
            });
        }
        let tenant_id = resolved.tenant_id();
        let initialization = Initialization::OnDemand;
        let opened = self.open(deployment, tenant_id, id, initialization, INIT_TIMEOUT);
        let opened = opened.await?;
        let first = elapsed();
        let Opened::Failed { log_stream, .. } = opened else {
            return Ok(Cold {
                opened,
                init: Some(first),
                repeated_init: Duration::ZERO,
            });
        };
        let (again, timeout) = (Initialization::Again, resolved.time_max());
        let opened = self.open_logged(deployment, tenant_id, id, again, timeout, log_stream);
        Ok(Cold {
            opened: opened.await?,
            init: None,
            repeated_init: elapsed().saturating_sub(first),
        })
    }

    /// Opens a new environment of a deployment, and runs its `init` within `time`.
    pub(super) async fn open(
        &self,
        deployment: &Deployment,
        tenant_id: Option<&str>,
        id: &RequestId,
        initialization: Initialization,
        time: Duration,
    ) -> Result<Opened, Error> {
        let log_stream = self.log_stream_name(&deployment.version).into();
        let opened = self.open_logged(deployment, tenant_id, id, initialization, time, log_stream);
        opened.await
    }

    /// The same, with a log stream that exists already where `init` runs again.
    async fn open_logged(
        &self,
        deployment: &Deployment,
        tenant_id: Option<&str>,
        id: &RequestId,
        initialization: Initialization,
        time: Duration,
        log_stream: Arc<str>,
    ) -> Result<Opened, Error> {
        let program = deployment.program().await?;
        let (slot, admission) = match initialization {
            Initialization::Provisioned => self.live.admit_provisioned(deployment).await?,
            Initialization::OnDemand | Initialization::Again => self.live.admit(deployment).await?,
        };
        let (log, mut setup) = self.begin(deployment, program, &log_stream, initialization)?;
        setup.tenant_id = tenant_id.map(str::to_owned);
        let started = self.clock.instant();
        let same = Arc::clone(&log);
        let opening = Environment::open(program, setup, admission, same, id, time);
        let opened = failure_of_function(opening.await)?;
        self.report_init(&log, initialization, started, &opened);
        Ok(Opened::of(opened, log, log_stream, slot))
    }

    /// Opens an environment again whose guest ended, in its slot and with its `/tmp`.
    async fn reopen(
        &self,
        deployment: &Deployment,
        ended: WarmEnvironment,
        id: &RequestId,
    ) -> Result<Opened, Error> {
        let (program, memory) = match self.admit_again(deployment).await {
            Ok(admitted) => admitted,
            Err(error) => {
                // Its `/tmp` waits on for the next guest.
                deployment.pool.give_back(ended, self.clock.instant());
                return Err(error);
            }
        };
        let WarmEnvironment {
            environment,
            log_stream,
            slot,
            tenant_id,
            ..
        } = ended;
        let (log, mut setup) =
            self.begin(deployment, program, &log_stream, Initialization::Again)?;
        setup.tenant_id = tenant_id;
        let started = self.clock.instant();
        let opening =
            environment.reopen(program, setup, memory, Arc::clone(&log), id, INIT_TIMEOUT);
        let opened = failure_of_function(opening.await)?;
        self.report_init(&log, Initialization::Again, started, &opened);
        Ok(Opened::of(opened, log, log_stream, slot))
    }

    async fn admit_again<'a>(
        &self,
        deployment: &'a Deployment,
    ) -> Result<(&'a Program, Grant), Error> {
        let program = deployment.program().await?;
        Ok((program, self.live.admit_again(deployment).await?))
    }

    /// The log of an environment with its first line, and the settings it is made with.
    fn begin(
        &self,
        deployment: &Deployment,
        program: &Program,
        log_stream: &str,
        initialization: Initialization,
    ) -> Result<(Arc<EnvironmentLog>, Setup), LoadError> {
        let version = &deployment.version;
        let (group, format) = (&version.facts.log_group, version.settings.logging);
        let mut sinks: Vec<Arc<dyn Sink>> = vec![self.metrics.environment(&version.facts.name)];
        for observer in &self.config.observers {
            sinks.push(observer.environment(Source {
                function_name: (&*version.facts.name).into(),
                function_version: Arc::clone(&version.label),
                instance_id: log_stream.into(),
            }));
        }
        let telemetry = program
            .has_extensions()
            .then(|| Telemetry::new(self.clock.clone()));
        if let Some(telemetry) = &telemetry {
            sinks.push(Arc::clone(telemetry) as Arc<dyn Sink>);
        }
        let log = self.logs.environment(group, log_stream, format, sinks);
        let extensions = telemetry.map(|telemetry| {
            let lines: Arc<dyn Sink> = Arc::new(ExtensionLines(Arc::clone(&telemetry)));
            let log = self
                .logs
                .environment(group, log_stream, format, vec![lines]);
            ExtensionSetup { telemetry, log }
        });
        let arn = &self.config.runtime_version_arn;
        let runtime = program.runtime_version();
        report::init_start(&log, version, log_stream, initialization, runtime, arn);
        let mut setup = self.setup(deployment, log_stream, initialization)?;
        setup.extensions = extensions;
        Ok((log, setup))
    }

    fn report_init(
        &self,
        log: &EnvironmentLog,
        initialization: Initialization,
        started: Instant,
        opened: &Result<Environment, Failure>,
    ) {
        let duration = self.clock.instant().saturating_duration_since(started);
        report::init_end(log, initialization, duration, opened.as_ref().err());
    }

    fn setup(
        &self,
        deployment: &Deployment,
        log_stream: &str,
        initialization: Initialization,
    ) -> Result<Setup, LoadError> {
        let (region, settings) = (&self.config.region, &deployment.version.settings);
        Ok(Setup {
            function: Arc::clone(&deployment.version.facts),
            tenant_id: None,
            memory: settings.memory,
            tmp: settings.tmp,
            file_system: settings.file_system.clone(),
            extensions: None,
            variables: variables::of(deployment, region, log_stream, initialization)?,
        })
    }

    /// `YYYY/MM/DD/[version]` and 32 hexadecimal digits, as in AWS; in a group that was chosen, which
    /// functions may share, with the function's name.
    fn log_stream_name(&self, version: &Version) -> String {
        let today = self.clock.now().utc_date();
        let (year, month, day) = (today.year(), today.month(), today.day());
        let facts = &version.facts;
        let name = match facts.log_group.strip_prefix("/aws/lambda/") {
            Some(name) if name == facts.name => "",
            _ => &facts.name,
        };
        let id = hex(&self.clock.random::<16>());
        let label = &version.label;
        format!("{year:04}/{month:02}/{day:02}/{name}[{label}]{id}")
    }
}

/// An idle environment. Provisioned ones come first, as in AWS.
fn warm(deployment: &Deployment, tenant_id: Option<&str>) -> Option<WarmEnvironment> {
    let pool = &deployment.pool;
    let provisioned = if deployment.provisioning.is_requested() {
        pool.take_provisioned(tenant_id)
    } else {
        None
    };
    provisioned.or_else(|| pool.take(tenant_id))
}

impl Leased {
    /// True for an environment whose guest must not run on a worker of the network.
    pub(super) fn is_large(&self) -> bool {
        matches!(&self.opened, Opened::Ready(warm) if warm.environment.is_large())
    }
}

impl Opened {
    fn of(
        opened: Result<Environment, Failure>,
        log: Arc<EnvironmentLog>,
        log_stream: Arc<str>,
        slot: Slot,
    ) -> Self {
        match opened {
            Ok(environment) => Self::Ready(WarmEnvironment {
                environment,
                log,
                log_stream,
                slot,
                tenant_id: None,
                provisioned: None,
            }),
            Err(failure) => Self::Failed {
                failure,
                log,
                log_stream,
            },
        }
    }
}

/// Separates failures of the function, which its caller sees, from failures of the host.
fn failure_of_function(
    opened: Result<Environment, Unopened>,
) -> Result<Result<Environment, Failure>, Error> {
    match opened {
        Ok(environment) => Ok(Ok(environment)),
        // It has not been called: its caller may try again.
        Err(Unopened::Failed(failure)) if failure.cause == Cause::Host => {
            Err(Error::Full(Lack::Memory))
        }
        Err(Unopened::Failed(failure)) => Ok(Err(failure)),
        Err(Unopened::NoRoom(problem)) => {
            tracing::warn!(problem, "the machine could open no other environment");
            Err(Error::Full(Lack::Machine))
        }
        Err(Unopened::Mount(error)) => Err(Error::Mount(error)),
        Err(Unopened::Broken(error)) => Err(Error::Host(error)),
    }
}
