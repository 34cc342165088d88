//! `lamina dev`: builds a function, starts a host, deploys and invokes the function, and repeats on
//! every source change.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::access::ANY_KEY;
use super::client::Client;
use super::deploy::{self, Deployed};
use super::function_argument::FunctionArgument;
use super::invoke::invoke;
use super::logs::{Follower, print};
use super::project::Project;
use super::start::{Start, Stops, log_to_stderr, open, stopped, with_remedy};
use super::url::UrlAccess;
use super::watch::Watch;
use super::{Access, Ended, Format, build, output};
use crate::config::{Config, Key};

const LOG_POLL: Duration = Duration::from_millis(300);

/// Start a host, deploy a function, and redeploy it on every change.
#[derive(Args, Clone, Debug)]
pub(super) struct Dev {
    /// Directory of the function's crate.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Exit after the first invocation.
    #[arg(long)]
    once: bool,
    /// Function URL: none, iam (signed requests only) or public (anyone who can reach the host)
    /// [default: public if the host has no keys, because then only this machine can reach it; else
    /// none].
    #[arg(long, value_enum, value_name = "ACCESS", hide_possible_values = true)]
    url: Option<UrlAccess>,
    #[command(flatten)]
    start: Start,
}

impl Dev {
    pub(super) async fn run(self) -> anyhow::Result<Ended> {
        log_to_stderr();
        let mut project = Project::read(&self.dir)?;
        let config = self.start.config()?;
        let unkeyed = config.keys.is_empty().then_some(UrlAccess::Public);
        let url = self.url.or(project.settings.url);
        project.settings.url = url.or(unkeyed);
        // Watch before the first build, so that changes made during it trigger the next one.
        let watch = Watch::on(project.sources(&config.data_dir)?)?;
        let mut session = Session {
            project,
            data_dir: config.data_dir.clone(),
            watch,
            once: self.once,
            stopped: Box::pin(stopped(Stops::WithTerminal)?),
        };
        let Some(component) = session.first_build().await? else {
            return Ok(Ended::Well);
        };
        let (stop, stopping) = oneshot::channel::<()>();
        let (access, serving) = serve(config, stopping).await?;
        let ended = session.develop(&access, component).await?;
        drop(stop);
        serving.await??;
        Ok(ended)
    }
}

/// Starts a host that runs until `stopping` completes; returns how to reach it.
async fn serve(
    config: Config,
    stopping: oneshot::Receiver<()>,
) -> anyhow::Result<(Access, JoinHandle<Result<(), crate::Error>>)> {
    let host = open(&config).await?;
    let own = own_access(&config);
    let (bound, address) = oneshot::channel();
    let serving = tokio::spawn(async move {
        // The receiver is dropped only after the command has failed.
        let bound = |address: SocketAddr| {
            let _ = bound.send(address);
        };
        // Completes when the sender is dropped.
        let stopping = async { drop(stopping.await) };
        host.serve(config.listen, bound, stopping).await
    });
    let Ok(address) = address.await else {
        serving.await?.map_err(with_remedy)?;
        anyhow::bail!("the host stopped before it was ready");
    };
    let endpoint_url = format!("http://{}", reachable(address));
    let access = Access {
        endpoint_url,
        ..own
    };
    Ok((access, serving))
}

/// The function under development, with its change and signal sources.
struct Session {
    project: Project,
    data_dir: PathBuf,
    watch: Watch,
    /// Exit after the first failure.
    once: bool,
    stopped: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Session {
    /// Builds until success. `None` after a stop signal.
    async fn first_build(&mut self) -> anyhow::Result<Option<PathBuf>> {
        loop {
            match built(&self.project) {
                Err(error) if !self.once => output::error(&error),
                done => return done.map(Some),
            }
            if !self.changes().await? {
                return Ok(None);
            }
        }
    }

    /// Deploys until success. `None` after a stop signal.
    async fn first_deployment(
        &mut self,
        client: &Client,
        component: PathBuf,
    ) -> anyhow::Result<Option<Deployed>> {
        let mut component = Ok(component);
        loop {
            let deployed = match component {
                Ok(component) => deploy::put(client, &self.project, &component).await,
                Err(error) => Err(error),
            };
            match deployed {
                Err(error) if !self.once => output::error(&error),
                done => return done.map(Some),
            }
            if !self.changes().await? {
                return Ok(None);
            }
            component = built(&self.project);
        }
    }

    /// Waits for a source change. False after a stop signal.
    async fn changes(&mut self) -> anyhow::Result<bool> {
        output::note("waiting for a change; Ctrl-C quits");
        tokio::select! {
            biased;
            () = &mut self.stopped => return Ok(false),
            () = self.watch.changed() => {}
        }
        // A half-written manifest fails here too; the build that follows reports it.
        let _ = self.watch_new_dependencies();
        Ok(true)
    }

    /// Updates the watched directories; the manifest may have new path dependencies.
    fn watch_new_dependencies(&mut self) -> anyhow::Result<()> {
        let sources = self.project.sources(&self.data_dir)?;
        self.watch.also(&sources)
    }

    async fn develop(mut self, access: &Access, component: PathBuf) -> anyhow::Result<Ended> {
        let client = Client::new(access)?;
        let Some(deployed) = self.first_deployment(&client, component).await? else {
            return Ok(Ended::Well);
        };
        let ended = try_out(&client, &self.project, &deployed).await;
        if self.once {
            let ended = ended?;
            introduce(access, &deployed);
            return Ok(ended);
        }
        if let Err(error) = ended {
            output::error(&error);
        }
        introduce(access, &deployed);
        self.follow(&client, &deployed.log_group).await?;
        Ok(Ended::Well)
    }

    /// Prints the log and redeploys changes until a stop signal.
    async fn follow(&mut self, client: &Client, log_group: &str) -> anyhow::Result<()> {
        let mut follower = Follower::default();
        follower.next(client, log_group).await?;
        output::note("watching for changes; Ctrl-C quits");
        loop {
            tokio::select! {
                biased;
                () = &mut self.stopped => return Ok(()),
                () = self.watch.changed() => {
                    if let Err(error) = self.again(client).await {
                        output::error(&error);
                    }
                }
                () = tokio::time::sleep(LOG_POLL) => {
                    let events = follower.next(client, log_group).await?;
                    events.iter().for_each(|event| print(event, Format::Text));
                }
            }
        }
    }

    async fn again(&mut self, client: &Client) -> anyhow::Result<()> {
        self.watch_new_dependencies()?;
        let component = built(&self.project)?;
        let deployed = deploy::put(client, &self.project, &component).await?;
        try_out(client, &self.project, &deployed).await.map(drop)
    }
}

/// Credentials of the host's owner: the first key without a policy.
fn own_access(config: &Config) -> Access {
    let is_own = |key: &&Key| {
        let account = key.account.as_ref().unwrap_or(&config.account_id);
        key.policy.is_none() && *account == config.account_id
    };
    let key = config
        .keys
        .iter()
        .find(is_own)
        .or_else(|| config.keys.first());
    let or_any = |part: Option<&String>| part.map_or_else(|| ANY_KEY.to_owned(), Clone::clone);
    Access {
        endpoint_url: String::new(),
        region: config.region.to_string(),
        access_key_id: or_any(key.map(|key| &key.access_key_id)),
        secret_access_key: or_any(key.map(|key| &key.secret_access_key)),
        session_token: key.and_then(|key| key.session_token.clone()),
    }
}

/// Address to connect to for a listener on `address`, which may be the unspecified one.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

fn built(project: &Project) -> anyhow::Result<PathBuf> {
    output::note(&output::bold(&format!("Building {}", project.name)));
    // Cargo prints its own progress.
    build::component(project)
}

async fn try_out(client: &Client, project: &Project, deployed: &Deployed) -> anyhow::Result<Ended> {
    let event = project.sample_event()?;
    let function = FunctionArgument::parse(&deployed.name).map_err(anyhow::Error::msg)?;
    let invoked = invoke(client, &function, event)
        .await
        .context("the first invoke")?;
    output::line(&String::from_utf8_lossy(&invoked.payload));
    let report = invoked.log.lines().find(|line| line.starts_with("REPORT"));
    output::line(report.unwrap_or(&invoked.log));
    Ok(if invoked.failed {
        Ended::FunctionFailed
    } else {
        Ended::Well
    })
}

/// Prints example commands. Configured secrets are left out, because terminals are shared and
/// recorded.
fn introduce(access: &Access, deployed: &Deployed) {
    let (name, endpoint) = (&deployed.name, &access.endpoint_url);
    if let Some(url) = &deployed.url {
        output::line(&format!("\n{}  {}", output::bold("URL"), url.address));
        if url.is_unsigned() {
            output::line(&format!("\n  curl {}", url.address));
        }
    }
    output::line(&format!(
        "\n  {} \\\n  \
         aws lambda invoke --endpoint-url {endpoint} --function-name {name} /dev/stdout\n",
        variables(access)
    ));
    if access.secret_access_key != ANY_KEY {
        let key = &access.access_key_id;
        output::note(&format!(
            "to use it, export the secret of {key}, which is in the host's configuration"
        ));
    }
    deployed.warn_if_public();
}

fn variables(access: &Access) -> String {
    let secret = |own: &'static str, value: &str| match value == ANY_KEY {
        true => value.to_owned(),
        false => format!("\"${own}\""),
    };
    let mut all = vec![
        format!("AWS_ACCESS_KEY_ID={}", quoted(&access.access_key_id)),
        format!(
            "AWS_SECRET_ACCESS_KEY={}",
            secret("AWS_SECRET_ACCESS_KEY", &access.secret_access_key)
        ),
    ];
    if access.session_token.is_some() {
        all.push("AWS_SESSION_TOKEN=\"$AWS_SESSION_TOKEN\"".to_owned());
    }
    all.push(format!("AWS_DEFAULT_REGION={}", quoted(&access.region)));
    all.join(" ")
}

/// Quotes a value as one shell word.
fn quoted(value: &str) -> String {
    let plain = |it: char| it.is_ascii_alphanumeric() || "-_/+=.,:@".contains(it);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unrestricted_key_of_the_host_signs() {
        let key = |id: &str, more: &str| {
            format!("[[keys]]\naccess_key_id = \"{id}\"\nsecret_access_key = \"s\"\n{more}\n")
        };
        let policy =
            r#"policy = '{"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}'"#;
        let text = [
            "region = \"eu-west-1\"\n".to_owned(),
            key("stranger", "account = \"111111111111\""),
            key("bound", policy),
            key("own", "session_token = \"t\""),
        ];
        let access = own_access(&toml::from_str(&text.concat()).unwrap());
        assert_eq!(
            (access.access_key_id.as_str(), access.region.as_str()),
            ("own", "eu-west-1")
        );
        assert_eq!(access.session_token.as_deref(), Some("t"));
        assert_eq!(own_access(&Config::default()).secret_access_key, ANY_KEY);
    }

    #[test]
    fn quoted_value_is_one_shell_word() {
        assert_eq!(quoted("aB+/=9"), "aB+/=9");
        assert_eq!(quoted("it's $x"), r"'it'\''s $x'");
    }

    #[test]
    fn unspecified_address_is_reached_by_loopback() {
        for (bound, called) in [
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::]:1", "[::1]:1"),
            ("10.0.0.1:1", "10.0.0.1:1"),
        ] {
            let reached = reachable(bound.parse().unwrap());
            assert_eq!(reached.to_string(), called);
        }
    }
}
