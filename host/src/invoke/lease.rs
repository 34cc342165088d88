//! From a permit to an environment: a warm one of the same version, or a new one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Pipeline;
use super::admit::Admitted;
use super::floor::Place;
use super::pool::Tenant;
use super::snapshot::{LoadError, Version};
use super::{report, variables};
use crate::names::{RequestId, hex};
use crate::sandbox::{self, Environment, Failure, Setup, Unopened};
use crate::telemetry::log::EnvironmentLog;
use crate::units::INIT_TIMEOUT;

/// Why there is no environment.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Every place is taken by an environment that is busy, or the machine has no more room.
    #[error("this host has no room for another environment")]
    Full,
    /// The version's code could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The host could not open an environment.
    #[error(transparent)]
    Host(sandbox::Error),
}

/// An invocation with an environment to run in, or with the failure of its start.
#[derive(Debug)]
pub(super) struct Leased {
    pub(super) admitted: Admitted,
    pub(super) seat: Seat,
    /// How long the environment took to start, where it was started for this invocation.
    pub(super) init: Option<Duration>,
}

#[derive(Debug)]
pub(super) enum Seat {
    Ready(Tenant),
    /// The environment did not come up. Its log tells why; the invocation ends with this failure.
    InitFailed {
        failure: Failure,
        log: Arc<EnvironmentLog>,
    },
}

/// What an environment is opened for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Initialization {
    OnDemand,
    Provisioned,
    /// On demand, and not for the first time: its guest ended.
    Again,
}

impl Initialization {
    /// As AWS calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::OnDemand | Self::Again => "on-demand",
            Self::Provisioned => "provisioned-concurrency",
        }
    }

    /// The phase of an environment's life that AWS counts it to.
    pub(super) fn phase(self) -> &'static str {
        match self {
            Self::OnDemand | Self::Provisioned => "init",
            Self::Again => "invoke",
        }
    }
}

impl Pipeline {
    pub(super) async fn lease(&self, admitted: Admitted) -> Result<Leased, Error> {
        let resolved = &admitted.resolved;
        let version = &resolved.version;
        let tenant_id = resolved.tenant_id();
        if let Some(tenant) = warm(version, tenant_id) {
            return Ok(Leased {
                admitted,
                seat: Seat::Ready(tenant),
                init: None,
            });
        }
        let started = self.clock.instant();
        let id = &resolved.invoke.request_id;
        let mut seat = match version.pool.take_ended(tenant_id) {
            // Elsewhere: what is seldom needed would make every invocation larger.
            Some(ended) => Box::pin(self.reopen(version, ended, id)).await?,
            None => Box::pin(self.open(version, id, Initialization::OnDemand)).await?,
        };
        if let Seat::Ready(tenant) = &mut seat {
            tenant.tenant_id = tenant_id.map(str::to_owned);
        }
        let init = Some(self.clock.instant().saturating_duration_since(started));
        Ok(Leased {
            admitted,
            seat,
            init,
        })
    }

    /// Opens a new environment of a version, and runs its `init`.
    pub(super) async fn open(
        &self,
        version: &Version,
        id: &RequestId,
        initialization: Initialization,
    ) -> Result<Seat, Error> {
        let program = version.program().await?;
        let place = self.floor.place(&version.pool).ok_or(Error::Full)?;
        let log_stream: Arc<str> = self.log_stream_name(version).into();
        let (log, setup) = self.begin(version, &log_stream, initialization)?;
        let started = self.clock.instant();
        let opened = Environment::open(program, setup, Arc::clone(&log), id, INIT_TIMEOUT).await;
        let opened = functions_own(opened)?;
        self.told(&log, initialization, started, &opened);
        Ok(Seat::of(opened, log, log_stream, place))
    }

    /// Opens an environment again whose guest ended, in its place and with its `/tmp`.
    async fn reopen(
        &self,
        version: &Version,
        ended: Tenant,
        id: &RequestId,
    ) -> Result<Seat, Error> {
        let program = version.program().await?;
        let Tenant {
            environment,
            log_stream,
            place,
            ..
        } = ended;
        let (log, setup) = self.begin(version, &log_stream, Initialization::Again)?;
        let started = self.clock.instant();
        let opening = environment.reopen(program, setup, Arc::clone(&log), id, INIT_TIMEOUT);
        let opened = functions_own(opening.await)?;
        self.told(&log, Initialization::Again, started, &opened);
        Ok(Seat::of(opened, log, log_stream, place))
    }

    /// The log of an environment with its first line, and what the environment is made with.
    fn begin(
        &self,
        version: &Version,
        log_stream: &str,
        initialization: Initialization,
    ) -> Result<(Arc<EnvironmentLog>, Setup), LoadError> {
        let (group, format) = (&version.facts.log_group, version.settings.logging);
        let log = self.logs.environment(group, log_stream, format);
        let arn = &self.config.runtime_version_arn;
        report::init_start(&log, version, log_stream, initialization, arn);
        Ok((log, self.setup(version, log_stream, initialization)?))
    }

    fn told(
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
        version: &Version,
        log_stream: &str,
        initialization: Initialization,
    ) -> Result<Setup, LoadError> {
        let region = &self.config.region;
        Ok(Setup {
            memory: version.settings.memory,
            tmp: version.settings.tmp,
            variables: variables::of(version, region, log_stream, initialization)?,
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

/// An environment that is there and waits. What is provisioned comes first, as in AWS.
fn warm(version: &Version, tenant_id: Option<&str>) -> Option<Tenant> {
    let provisioned = if version.provisioning.is_requested() {
        version.pool.take_provisioned(tenant_id)
    } else {
        None
    };
    provisioned.or_else(|| version.pool.take(tenant_id))
}

impl Seat {
    fn of(
        opened: Result<Environment, Failure>,
        log: Arc<EnvironmentLog>,
        log_stream: Arc<str>,
        place: Place,
    ) -> Self {
        match opened {
            Ok(environment) => Self::Ready(Tenant {
                environment,
                log,
                log_stream,
                place,
                tenant_id: None,
                provisioned: None,
            }),
            Err(failure) => Self::InitFailed { failure, log },
        }
    }
}

/// Parts what the function did wrong from what the host cannot do: only the former is told to the
/// caller as a failure of the function.
fn functions_own(
    opened: Result<Environment, Unopened>,
) -> Result<Result<Environment, Failure>, Error> {
    match opened {
        Ok(environment) => Ok(Ok(environment)),
        Err(Unopened::Failed(failure)) => Ok(Err(failure)),
        Err(Unopened::NoRoom(problem)) => {
            tracing::warn!(problem, "there was no room for another environment");
            Err(Error::Full)
        }
        Err(Unopened::Broken(error)) => Err(Error::Host(error)),
    }
}
