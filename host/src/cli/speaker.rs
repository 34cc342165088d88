//! Log of a host on stderr, and what the commands `start` and `dev` say beside it: with JSON, every line is an object.

use tracing_subscriber::EnvFilter;

use super::{environment, output};
use crate::config::{HostLog, LogFormat};

/// Says things on stderr in the format of the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Speaker(LogFormat);

impl Speaker {
    /// Begins the log of this process.
    pub(super) fn start(log: &HostLog) -> Self {
        let filter = environment::variable("LAMINA_LOG").filter(|it| !it.is_empty());
        let filter = filter.or_else(|| log.filter.clone());
        let filter = filter.unwrap_or_else(|| "info".to_owned());
        let access = if log.access { "info" } else { "off" };
        let filter = format!("{filter},lamina::access={access}");
        let filter = EnvFilter::try_new(&filter).unwrap_or_else(|error| {
            output::note(&format!("the filter of the log is ignored: {error}"));
            EnvFilter::new(format!("info,lamina::access={access}"))
        });
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
        Self(log.format)
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
