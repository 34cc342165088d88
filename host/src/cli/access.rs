//! Options of commands that call a host: endpoint, credentials and output format. Only these
//! commands have them, so that no command silently ignores an option.

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, ValueEnum};

use super::client::Client;
use super::{Cli, Command, environment};

const ENDPOINT_URL: &str = "http://127.0.0.1:3001";
const REGION: &str = "us-east-1";
/// Access key id and secret for a host without keys, which verifies no signature.
pub(super) const ANY_KEY: &str = "lamina";

/// Endpoint and credentials of a host.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) endpoint_url: String,
    pub(super) region: String,
    pub(super) access_key_id: String,
    pub(super) secret_access_key: String,
    pub(super) session_token: Option<String>,
}

/// Output format.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Format {
    /// Human-readable.
    Text,
    /// Machine-readable.
    Json,
}

/// Options for output.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Printing {
    /// Output format: text or json [default: text].
    #[arg(long, value_enum, value_name = "FORMAT", hide_possible_values = true)]
    output: Option<Format>,
}

/// Options of every command that calls a host.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Calling a host")]
pub(super) struct ClientOptions {
    /// URL of the host [env: LAMINA_ENDPOINT_URL] [default: http://127.0.0.1:3001].
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// Region of the host [env: AWS_REGION] [default: us-east-1].
    #[arg(long)]
    region: Option<String>,
    #[arg(long, hide = true)]
    access_key_id: Option<String>,
    #[arg(long, hide = true)]
    secret_access_key: Option<String>,
    #[arg(long, hide = true)]
    session_token: Option<String>,
    #[command(flatten)]
    printing: Printing,
}

/// A command that calls a host.
#[derive(Args, Debug)]
pub(super) struct Calling<C: Args> {
    #[command(flatten)]
    command: C,
    #[command(flatten)]
    client: ClientOptions,
}

impl<C: Args> Calling<C> {
    /// Splits into command, client and output format. `before` holds the options given before the
    /// command.
    pub(super) fn with(self, before: ClientOptions) -> anyhow::Result<(C, Client, Format)> {
        let Self { command, client } = self;
        let printing = client.printing.clone().or(before.clone());
        let client = Client::new(&client.access(before, environment::variable))?;
        Ok((command, client, printing.format()))
    }
}

impl Printing {
    pub(super) fn or(self, before: ClientOptions) -> Self {
        Self {
            output: self.output.or(before.printing.output),
        }
    }

    pub(super) fn format(&self) -> Format {
        self.output.unwrap_or(Format::Text)
    }
}

impl ClientOptions {
    /// Precedence: option after the command, option before it, environment variable, default.
    fn access(self, before: Self, variable: impl Fn(&str) -> Option<String>) -> Access {
        let given = |after: Option<String>, before: Option<String>, name: &str| {
            let variable = || variable(name).filter(|it| !it.is_empty());
            after.or(before).or_else(variable)
        };
        let or = |given: Option<String>, default: &str| given.unwrap_or_else(|| default.to_owned());
        let endpoint = given(
            self.endpoint_url,
            before.endpoint_url,
            "LAMINA_ENDPOINT_URL",
        );
        let region = given(self.region, before.region, "AWS_REGION");
        let id = given(
            self.access_key_id,
            before.access_key_id,
            "AWS_ACCESS_KEY_ID",
        );
        let secret = given(
            self.secret_access_key,
            before.secret_access_key,
            "AWS_SECRET_ACCESS_KEY",
        );
        Access {
            endpoint_url: or(endpoint, ENDPOINT_URL),
            region: or(region, REGION),
            access_key_id: or(id, ANY_KEY),
            secret_access_key: or(secret, ANY_KEY),
            session_token: given(
                self.session_token,
                before.session_token,
                "AWS_SESSION_TOKEN",
            ),
        }
    }

    /// Exits with a usage error if an option precedes a command that does not have it.
    pub(super) fn require_used_by(&self, command: &Command) {
        let calls_a_host = match command {
            Command::Deploy(_)
            | Command::Invoke(_)
            | Command::Logs(_)
            | Command::List(_)
            | Command::Queue(_)
            | Command::Layer(_) => true,
            Command::Start(_)
            | Command::New(_)
            | Command::Build { .. }
            | Command::Dev(_)
            | Command::Runtime(_)
            | Command::Sign(_) => false,
        };
        let prints = calls_a_host || matches!(command, Command::Build { .. } | Command::Runtime(_));
        let given = [
            ("--endpoint-url", self.endpoint_url.is_some(), calls_a_host),
            ("--region", self.region.is_some(), calls_a_host),
            (
                "--access-key-id",
                self.access_key_id.is_some(),
                calls_a_host,
            ),
            (
                "--secret-access-key",
                self.secret_access_key.is_some(),
                calls_a_host,
            ),
            (
                "--session-token",
                self.session_token.is_some(),
                calls_a_host,
            ),
            ("--output", self.printing.output.is_some(), prints),
        ];
        let stray = given.into_iter().find(|(_, given, used)| *given && !used);
        if let Some((option, ..)) = stray {
            let text = format!(
                "this command does not take '{option}', which is for commands that call a host"
            );
            Cli::command()
                .error(ErrorKind::ArgumentConflict, text)
                .exit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn option_after_command_overrides_option_before_it() {
        let option = |region: &str| ClientOptions {
            region: Some(region.into()),
            ..ClientOptions::default()
        };
        let variable = |name: &str| (name == "AWS_REGION").then(|| "variable".to_owned());
        let region = |after: ClientOptions, before| after.access(before, variable).region;
        assert_eq!(region(option("after"), option("before")), "after");
        assert_eq!(region(ClientOptions::default(), option("before")), "before");
        assert_eq!(
            region(ClientOptions::default(), ClientOptions::default()),
            "variable"
        );
        let none = ClientOptions::default().access(ClientOptions::default(), |_| None);
        assert_eq!((none.region.as_str(), none.session_token), (REGION, None));
    }
}
