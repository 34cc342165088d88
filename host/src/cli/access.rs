//! Options of commands that call a host: endpoint, credentials and output format. Only these
//! commands have them, so that no command silently ignores an option.

use std::path::PathBuf;

use anyhow::bail;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, ValueEnum};

use super::client::Client;
use super::profile::Profile;
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
    /// PEM file with certificate authorities besides the machine's.
    pub(super) ca_bundle: Option<PathBuf>,
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
    /// URL of the host; with https, AWS_CA_BUNDLE may name a PEM file with its authority [env: LAMINA_ENDPOINT_URL, AWS_ENDPOINT_URL_LAMBDA, or http:// and LAMINA_LISTEN] [default:
    /// http://127.0.0.1:3001].
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// Region of the host [env: AWS_REGION, AWS_DEFAULT_REGION] [default: the profile's, or us-east-1].
    #[arg(long)]
    region: Option<String>,
    /// Profile of ~/.aws with region and keys [env: AWS_PROFILE] [default: default].
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
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
        let client = Client::new(&client.access(before, environment::variable)?)?;
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

/// Access key of one source. Parts of several sources never match.
#[derive(Debug, Default)]
struct Keys {
    id: Option<String>,
    secret: Option<String>,
    token: Option<String>,
}

impl Keys {
    fn of(setting: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            id: setting("AWS_ACCESS_KEY_ID"),
            secret: setting("AWS_SECRET_ACCESS_KEY"),
            token: setting("AWS_SESSION_TOKEN"),
        }
    }

    /// The whole key of a source. `None` if it has none: a token alone belongs to no key.
    fn of_source(self, source: &str) -> anyhow::Result<Option<Self>> {
        match (&self.id, &self.secret) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Ok(Some(self)),
            (Some(_), None) => bail!(
                "{source} has an access key id and no secret access key: give both, or neither"
            ),
            (None, Some(_)) => bail!(
                "{source} has a secret access key and no access key id: give both, or neither"
            ),
        }
    }

    fn of_profile(profile: &Profile) -> anyhow::Result<Option<Self>> {
        let keys = Self::of(|name| profile.get(&name.to_lowercase()));
        keys.of_source(&format!("the profile {}", profile.name()))
    }
}

impl ClientOptions {
    /// Precedence: option after the command, option before it, environment variable, profile, default. A profile
    /// named by an option precedes keys of the environment, as in the AWS CLI.
    fn access(
        self,
        before: Self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Access> {
        let of_environment = |names: &[&str]| {
            let mut found = names.iter().filter_map(|name| variable(name));
            found.find(|value| !value.is_empty())
        };
        let option = self.profile.or(before.profile);
        let named = option
            .clone()
            .or_else(|| of_environment(&["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]));
        let profile = Profile::read(named.as_deref(), &variable)?;
        let listen = || of_environment(&["LAMINA_LISTEN"]).map(|it| format!("http://{it}"));
        let endpoint = self.endpoint_url.or(before.endpoint_url);
        let endpoint = endpoint
            .or_else(|| of_environment(&["LAMINA_ENDPOINT_URL", "AWS_ENDPOINT_URL_LAMBDA"]))
            .or_else(listen);
        let region = self.region.or(before.region);
        let region = region
            .or_else(|| of_environment(&["AWS_REGION", "AWS_DEFAULT_REGION"]))
            .or_else(|| profile.get("region"));
        let keys = Keys {
            id: self.access_key_id.or(before.access_key_id),
            secret: self.secret_access_key.or(before.secret_access_key),
            token: self.session_token.or(before.session_token),
        };
        let keys = match keys.of_source("the command line")? {
            None if option.is_none() => {
                let variables = Keys::of(|name| of_environment(&[name]));
                variables.of_source("the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)")?
            }
            keys => keys,
        };
        let keys = match keys {
            None => Keys::of_profile(&profile)?,
            keys => keys,
        };
        if keys.is_none() && named.is_some() {
            bail!("{}", profile.without_keys());
        }
        let keys = keys.unwrap_or_default();
        let or = |given: Option<String>, default: &str| given.unwrap_or_else(|| default.to_owned());
        Ok(Access {
            endpoint_url: or(endpoint, ENDPOINT_URL),
            region: or(region, REGION),
            access_key_id: or(keys.id, ANY_KEY),
            secret_access_key: or(keys.secret, ANY_KEY),
            session_token: keys.token,
            ca_bundle: of_environment(&["AWS_CA_BUNDLE"]).map(PathBuf::from),
        })
    }

    /// Exits with a usage error if an option precedes a command that does not have it.
    pub(super) fn require_used_by(&self, command: &Command) {
        let calls_a_host = matches!(
            command,
            Command::Delete(_)
                | Command::Deploy(_)
                | Command::Invoke(_)
                | Command::Logs(_)
                | Command::List(_)
                | Command::Queue(_)
                | Command::Layer(_)
        );
        let prints = calls_a_host || matches!(command, Command::Build { .. } | Command::Runtime(_));
        let given = [
            ("--endpoint-url", self.endpoint_url.is_some(), calls_a_host),
            ("--region", self.region.is_some(), calls_a_host),
            ("--profile", self.profile.is_some(), calls_a_host),
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
                "'{option}' cannot be given before this command: see its --help for the options that follow it"
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
        let region = |after: ClientOptions, before| after.access(before, variable).unwrap().region;
        assert_eq!(region(option("after"), option("before")), "after");
        assert_eq!(region(ClientOptions::default(), option("before")), "before");
        assert_eq!(
            region(ClientOptions::default(), ClientOptions::default()),
            "variable"
        );
        let none = ClientOptions::default().access(ClientOptions::default(), |_| None);
        let none = none.unwrap();
        assert_eq!((none.region.as_str(), none.session_token), (REGION, None));
    }

    #[test]
    fn environment_and_profile_complete_options() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".aws")).unwrap();
        let credentials =
            "[mine]\nregion = eu-west-3\naws_access_key_id = p\naws_secret_access_key = ps\n";
        std::fs::write(home.path().join(".aws/credentials"), credentials).unwrap();
        let access = |options: ClientOptions, given: &[(&str, &str)]| {
            let variable = |name: &str| match name {
                "HOME" => Some(home.path().display().to_string()),
                name => given
                    .iter()
                    .find(|(it, _)| *it == name)
                    .map(|(_, value)| (*value).to_owned()),
            };
            options.access(ClientOptions::default(), variable).unwrap()
        };
        let keys = [("AWS_ACCESS_KEY_ID", "e"), ("AWS_SECRET_ACCESS_KEY", "es")];
        let profile = [("AWS_PROFILE", "mine")];
        let by_variable = access(ClientOptions::default(), &profile);
        assert_eq!(by_variable.access_key_id, "p");
        assert_eq!(by_variable.region, "eu-west-3");
        let both = [&keys[..], &profile].concat();
        assert_eq!(
            access(ClientOptions::default(), &both).secret_access_key,
            "es"
        );
        let option = ClientOptions {
            profile: Some("mine".into()),
            ..ClientOptions::default()
        };
        assert_eq!(access(option, &keys).secret_access_key, "ps");
        let token = access(
            ClientOptions::default(),
            &[("AWS_SESSION_TOKEN", "stray"), profile[0]],
        );
        assert_eq!(token.session_token, None);
        let listen = [
            ("LAMINA_LISTEN", "127.0.0.1:7"),
            ("AWS_DEFAULT_REGION", "r"),
        ];
        let listening = access(ClientOptions::default(), &listen);
        assert_eq!(listening.endpoint_url, "http://127.0.0.1:7");
        assert_eq!(listening.region, "r");
    }

    #[test]
    fn half_a_key_or_a_profile_without_keys_is_refused() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".aws")).unwrap();
        let credentials = "[default]\naws_access_key_id = d\naws_secret_access_key = ds\n\
                           [half]\naws_access_key_id = h\n[sso]\nsso_session = s\n";
        std::fs::write(home.path().join(".aws/credentials"), credentials).unwrap();
        let refused = |options: ClientOptions, given: (&str, &str)| {
            let variable = |name: &str| match name {
                "HOME" => Some(home.path().display().to_string()),
                name => (name == given.0).then(|| given.1.to_owned()),
            };
            let access = options.access(ClientOptions::default(), variable);
            access.map(|it| it.access_key_id).unwrap_err().to_string()
        };
        let option = ClientOptions {
            access_key_id: Some("o".into()),
            ..ClientOptions::default()
        };
        for (options, given, expected) in [
            (
                ClientOptions::default(),
                ("AWS_ACCESS_KEY_ID", "e"),
                "the environment",
            ),
            (
                ClientOptions::default(),
                ("AWS_SECRET_ACCESS_KEY", "e"),
                "the environment",
            ),
            (option, ("AWS_SECRET_ACCESS_KEY", "e"), "the command line"),
            (
                ClientOptions::default(),
                ("AWS_PROFILE", "half"),
                "the profile half",
            ),
            (
                ClientOptions::default(),
                ("AWS_PROFILE", "sso"),
                "sso_session",
            ),
        ] {
            let refused = refused(options, given);
            assert!(refused.contains(expected), "{refused}");
        }
    }
}
