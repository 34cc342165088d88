//! Builder of a host.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Error, Host};
use crate::config::Config;
use crate::sandbox::compile::Compiler;
use crate::telemetry::observer::{Observe, Observer, Sourced};

/// Builder of a [`Host`].
///
/// A deployed function is ready at once: states such as `Pending`, which clients written for AWS expect to see for a moment,
/// take no time, unless [`config`](Self::config) says otherwise.
#[derive(Debug)]
pub struct HostBuilder {
    pub(super) config: Config,
    pub(super) compiler: Compiler,
    pub(super) observers: Vec<Arc<dyn Observe>>,
    pub(super) is_temporary: bool,
    pub(super) has_sources: bool,
    #[cfg(feature = "metrics")]
    pub(super) has_facade: bool,
}

impl Default for HostBuilder {
    fn default() -> Self {
        let mut config = Config::default();
        config.limits.settle_millis = 0;
        Self {
            config,
            compiler: Compiler::InProcess,
            observers: Vec::new(),
            is_temporary: false,
            has_sources: true,
            #[cfg(feature = "metrics")]
            has_facade: false,
        }
    }
}

impl HostBuilder {
    /// Replaces the whole configuration.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Data directory; the default is `.lamina` in the working directory.
    #[must_use]
    pub fn data_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.config.data_dir = dir.into();
        self
    }

    /// Keeps nothing: functions, queued events and code are in a private directory below the system's temporary one, which is
    /// deleted with the host, and commits are not synced to disk. For hosts whose functions come from their program each
    /// time. The directory must allow files to be mapped for execution, since compiled code is.
    #[must_use]
    pub fn temporary(mut self) -> Self {
        self.is_temporary = true;
        self
    }

    /// Process that compiles components. The default is this one, without limits of time and memory: for components that
    /// you trust. [`Compiler::this_program`] limits both.
    #[must_use]
    pub fn compiler(mut self, compiler: Compiler) -> Self {
        self.compiler = compiler;
        self
    }

    /// Polls no event source and starts no schedule, whatever the data directory has: for hosts of tests, which must
    /// not take messages from queues in production.
    #[must_use]
    pub fn without_sources(mut self) -> Self {
        self.has_sources = false;
        self
    }

    /// Adds a receiver of the platform events of all environments.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observers.push(Arc::new(Sourced(observer)));
        self
    }

    /// Records metrics through the `metrics` facade, under the names of the metrics page. Install the recorder before: an
    /// environment keeps the one that it begins with.
    #[cfg(feature = "metrics")]
    #[must_use]
    pub fn metrics_facade(mut self) -> Self {
        self.observers
            .push(Arc::new(crate::telemetry::metrics::Facade));
        self.has_facade = true;
        self
    }

    /// Opens the host. It runs on the caller's tokio runtime.
    ///
    /// # Errors
    /// If the data directory or the engine cannot be had.
    pub async fn build(self) -> Result<Host, Error> {
        Host::start(self).await
    }
}
