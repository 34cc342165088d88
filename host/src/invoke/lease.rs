//! From a permit to an environment: a warm one of the same version, or a new one.

use std::sync::Arc;
use std::time::Duration;

use super::Pipeline;
use super::admit::Admitted;
use super::floor::Place;
use super::pool::Tenant;
use super::snapshot::{LoadError, Version};
use super::variables;
use crate::names::{RequestId, hex};
use crate::sandbox::{Environment, Failure, Setup};
use crate::telemetry::log::EnvironmentLog;
use crate::units::INIT_TIMEOUT;

/// Why there is no environment.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Every place is taken by an environment that is busy.
    #[error("every environment of this host is busy")]
    Full,
    /// The version's code could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
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
}

impl Pipeline {
    pub(super) async fn lease(&self, admitted: Admitted) -> Result<Leased, Error> {
        let resolved = &admitted.resolved;
        let version = &resolved.version;
        let tenant_id = resolved.tenant_id();
        if let Some(tenant) = version.pool.take(tenant_id) {
            return Ok(Leased {
                admitted,
                seat: Seat::Ready(tenant),
                init: None,
            });
        }
        let started = self.clock.instant();
        let id = &resolved.invoke.request_id;
        let mut seat = match version.pool.take_ended(tenant_id) {
            Some(ended) => self.reopen(version, ended, id).await?,
            None => self.open(version, id, Initialization::OnDemand).await?,
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
        let opened = Environment::open(program, setup, Arc::clone(&log), id, INIT_TIMEOUT).await;
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
        let (log, setup) = self.begin(version, &log_stream, Initialization::OnDemand)?;
        let opened = environment.reopen(program, setup, Arc::clone(&log), id, INIT_TIMEOUT);
        Ok(Seat::of(opened.await, log, log_stream, place))
    }

    /// The log of an environment with its first line, and what the environment is made with.
    fn begin(
        &self,
        version: &Version,
        log_stream: &str,
        initialization: Initialization,
    ) -> Result<(Arc<EnvironmentLog>, Setup), LoadError> {
        let log = self.logs.environment(&version.facts.log_group, log_stream);
        log.line(concat!(
            "INIT_START Runtime Version: lamina:",
            env!("CARGO_PKG_VERSION")
        ));
        Ok((log, self.setup(version, log_stream, initialization)?))
    }

    fn setup(
        &self,
        version: &Version,
        log_stream: &str,
        initialization: Initialization,
    ) -> Result<Setup, LoadError> {
        let mut variables = variables::of(version, &self.config.region, log_stream);
        let kind = match initialization {
            Initialization::OnDemand => "on-demand",
            Initialization::Provisioned => "provisioned-concurrency",
        };
        variables.push(("AWS_LAMBDA_INITIALIZATION_TYPE".into(), kind.into()));
        // Where an author uses a reserved name, `control` has refused it.
        variables.extend(version.variables()?);
        Ok(Setup {
            memory: version.settings.memory,
            tmp: version.settings.tmp,
            variables,
        })
    }

    /// `YYYY/MM/DD/[version]` and 32 hexadecimal digits, as in AWS.
    fn log_stream_name(&self, version: &Version) -> String {
        let today = self.clock.now().utc().strftime("%Y/%m/%d");
        format!(
            "{today}/[{}]{}",
            version.label,
            hex(&self.clock.random::<16>())
        )
    }
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
