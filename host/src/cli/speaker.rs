//! Log of a host on stderr, and what the commands `start` and `dev` say beside it: with JSON, every line is an object.

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use super::{environment, output};
use crate::config::{HostLog, LogFormat};

/// Says things on stderr in the format of the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Speaker(LogFormat);

impl Speaker {
    /// Begins the log of this process.
    pub(super) fn start(log: &HostLog) -> anyhow::Result<Self> {
        let variable = environment::variable("LAMINA_LOG").filter(|it| !it.is_empty());
        let (filter, source) = match (variable, &log.filter) {
            (Some(filter), _) => (filter, "LAMINA_LOG"),
            (None, Some(filter)) => (filter.clone(), "`filter` of [log]"),
            (None, None) => ("info".to_owned(), "the default"),
        };
        let access = if log.access { "info" } else { "off" };
        let parsed = EnvFilter::try_new(format!("{filter},lamina::access={access}"));
        let filter = parsed.with_context(|| format!("{source} = {filter:?}"))?;
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter)
            // Its internal error log would panic on a closed stderr.
            .log_internal_errors(false)
            .with_writer(std::io::stderr);
        // An embedder of the command line may have set a subscriber already.
        let _ = match log.format {
            LogFormat::Text => subscriber
                .with_target(false)
                .with_ansi(output::colour_on_stderr())
                .try_init(),
            LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
        };
        Ok(Self(log.format))
    }

    /// Says something.
    pub(super) fn say(self, text: &str) {
        match self.0 {
            LogFormat::Text => output::note(text),
            LogFormat::Json => tracing::info!("{text}"),
        }
    }

    /// Reports an error.
    pub(super) fn fail(self, error: &anyhow::Error) {
        match self.0 {
            LogFormat::Text => output::error(error),
            LogFormat::Json => tracing::error!("{}", output::chain(error)),
        }
    }
}
