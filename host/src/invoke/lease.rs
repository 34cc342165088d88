//! From a permit to an environment: a warm one of the same version, or a new one.

use std::sync::Arc;
use std::time::Duration;

use super::Pipeline;
use super::admit::Admitted;
use super::pool::Tenant;
use super::snapshot::{LoadError, Version};
use super::variables;
use crate::names::hex;
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

impl Pipeline {
    pub(super) async fn lease(&self, admitted: Admitted) -> Result<Leased, Error> {
        let version = &admitted.resolved.version;
        if let Some(tenant) = version.pool.take() {
            return Ok(Leased {
                admitted,
                seat: Seat::Ready(tenant),
                init: None,
            });
        }
        let program = version.program().await?;
        let place = self.floor.place(&version.pool).ok_or(Error::Full)?;
        let log_stream: Arc<str> = self.log_stream_name(version).into();
        let log = self.logs.environment(&version.facts.log_group, &log_stream);
        log.line(concat!(
            "INIT_START Runtime Version: lamina:",
            env!("CARGO_PKG_VERSION")
        ));
        let started = self.clock.instant();
        let setup = self.setup(version, &log_stream);
        let id = &admitted.resolved.invoke.request_id;
        let opened = Environment::open(program, setup, Arc::clone(&log), id, INIT_TIMEOUT).await;
        let init = Some(self.clock.instant().saturating_duration_since(started));
        let seat = match opened {
            Ok(environment) => Seat::Ready(Tenant {
                environment,
                log,
                log_stream,
                _place: place,
            }),
            Err(failure) => Seat::InitFailed { failure, log },
        };
        Ok(Leased {
            admitted,
            seat,
            init,
        })
    }

    fn setup(&self, version: &Version, log_stream: &str) -> Setup {
        let region = &self.config.region;
        Setup {
            memory: version.settings.memory,
            variables: variables::of(&version.facts, &version.settings, region, log_stream),
        }
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
