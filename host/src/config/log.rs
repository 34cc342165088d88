//! Log of the host itself, which the commands `start` and `dev` write to stderr. Embedders have a subscriber of their
//! own.

use schemars::JsonSchema;
use serde::Deserialize;

/// Log of the host itself, on stderr. Logs of functions are elsewhere: `lamina logs`.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HostLog {
    /// Format of the lines. Since 0.1.0.
    pub format: LogFormat,
    /// Filter of events, such as "warn" or "info,lamina::server=debug". `LAMINA_LOG` precedes it. Default: "info".
    /// Since 0.1.0.
    pub filter: Option<String>,
    /// One line for each request: client, access key, method, host name, path, status, duration. Since 0.1.0.
    pub access: bool,
}

/// Format of log lines.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}
