//! `lamina start`: runs a host until a stop signal.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::speaker::Speaker;
use super::{Ended, data_dir, descriptors, environment, host_config, service};
use crate::config::Config;
use crate::host::{self, Host, HostBuilder};
use crate::sandbox::compile::Compiler;

/// Time for the database to close. Guests that the drain time cut off hold it open; it is whole all the same.
const CLOSING_MAX: Duration = Duration::from_millis(500);

/// Start a host.
#[derive(Args, Clone, Debug)]
pub(super) struct Start {
    /// Configuration file [env: LAMINA_CONFIG] [default: ./lamina.toml, if it exists].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory [default: `data_dir` of the configuration file, else ./.lamina].
    #[arg(long, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// Address and port to listen on [env: LAMINA_LISTEN] [default: 127.0.0.1:3001].
    #[arg(long, value_name = "ADDR")]
    pub(super) listen: Option<SocketAddr>,
}

impl Start {
    pub(super) async fn run(self) -> anyhow::Result<Ended> {
        // Handler first: SIGHUP without a handler would kill the process while the host opens.
        let mut hangups = signal(SignalKind::hangup())?;
        let (mut config, speaker) = self.logged_config(Path::new("."))?;
        let inherited = service::listener()?;
        let address = inherited
            .as_ref()
            .map(TcpListener::local_addr)
            .transpose()?;
        if let Some(address) = address {
            config.listen = address;
            config.require_safe()?;
        }
        let host = open(&config).await?;
        let stopped = stopped(Stops::OnRequest, speaker)?;
        let listener = match inherited {
            Some(listener) => listener,
            None => bind(config.listen).await?,
        };
        let bound = |address: SocketAddr| {
            announce(&config, address, speaker);
            service::ready();
        };
        {
            let mut serving = pin!(host.serve_on(listener, bound, stopped));
            loop {
                tokio::select! {
                    ended = &mut serving => {
                        break ended.map_err(|error| with_remedy_of(&config, error))?;
                    }
                    _ = hangups.recv() => {
                        service::reloading();
                        self.reload(&host, address, speaker);
                        service::ready();
                    }
                }
            }
        }
        // Work in progress was finished or cut off: what remains is to close the database.
        host.close(CLOSING_MAX).await;
        speaker.say("lamina has stopped");
        Ok(Ended::Well)
    }

    /// Rereads the configuration and replaces keys, policies and certificates. A file that fails to parse changes nothing.
    fn reload(&self, host: &Host, inherited: Option<SocketAddr>, speaker: Speaker) {
        let reloaded = self.config_in(Path::new(".")).and_then(|mut config| {
            config.listen = inherited.unwrap_or(config.listen);
            Ok(host.reload(&config)?)
        });
        match reloaded {
            Err(error) => speaker.fail(&error.context("the configuration was not reloaded")),
            Ok(fixed) => {
                speaker.say("the keys, their policies and the certificates were reloaded");
                if !fixed.is_empty() {
                    let fixed = fixed.join(", ");
                    speaker.say(&format!("changes of {fixed} take effect after a restart"));
                }
            }
        }
    }

    /// Starts the log as configured, and reads the configuration.
    pub(super) fn logged_config(&self, dir: &Path) -> anyhow::Result<(Config, Speaker)> {
        // Read twice: the settings of the log first, then all, with warnings about the file in that log.
        let log = self.config_in(dir).map(|it| it.log).unwrap_or_default();
        let speaker = Speaker::start(&log)?;
        Ok((self.config_in(dir)?, speaker))
    }

    /// Configuration of options, environment and the file given or found in a directory.
    pub(super) fn config_in(&self, dir: &Path) -> anyhow::Result<Config> {
        let mut config = host_config::read(self.config.as_deref(), dir)?;
        if let Some(data_dir) = &self.data_dir {
            config.data_dir.clone_from(data_dir);
        }
        config.listen = self.listen.unwrap_or(config.listen);
        environment::complete(&mut config, environment::variable);
        config.require_safe()?;
        Ok(config)
    }
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| with_remedy(host::Error::Listen { address, source }))
}

/// Says where the host answers, and what is unsafe about it.
fn announce(config: &Config, address: SocketAddr, speaker: Speaker) {
    let data_dir = config.data_dir.display();
    speaker.say(&format!(
        "lamina answers on http://{address}, data in {data_dir}"
    ));
    if config.keys.is_empty() {
        speaker
            .say("no access keys are configured: any program on this machine may call this host");
    }
    // A trusted proxy ends TLS before the host.
    if !address.ip().is_loopback() && config.trusted_proxies.is_empty() {
        tracing::warn!(
            "{address} is no loopback address, and requests there are not encrypted: signatures keep them from being \
             changed, but anyone on the way can read them. Listen with [tls], or name the proxy that ends TLS in \
             trusted_proxies"
        );
    }
}

/// Opens a host that compiles in child processes of this program.
pub(super) async fn open(config: &Config) -> anyhow::Result<Host> {
    open_as(config, |builder| builder).await
}

/// Opens a host with other settings of its builder.
pub(super) async fn open_as(
    config: &Config,
    more: impl FnOnce(HostBuilder) -> HostBuilder,
) -> anyhow::Result<Host> {
    data_dir::create(&config.data_dir)?;
    descriptors::raise(config.limits.environments);
    let compiler = Compiler::this_program().context("this program's own path is not known")?;
    let builder = Host::builder().config(config.clone()).compiler(compiler);
    let opened = more(builder).build().await;
    let dir = config.data_dir.display();
    opened.with_context(|| format!("the host with its data in {dir} could not be opened"))
}

/// Adds the command-line remedy to an error.
pub(super) fn with_remedy(error: host::Error) -> anyhow::Error {
    match error {
        host::Error::Listen { address, source } => anyhow::Error::new(source).context(format!(
            "cannot listen on {address}; choose another address with --listen"
        )),
        error => error.into(),
    }
}

/// Adds the remedy for the address of the TLS listener, which no option sets.
pub(super) fn with_remedy_of(config: &Config, error: host::Error) -> anyhow::Error {
    let tls = config.tls.as_ref().map(|it| it.listen);
    match error {
        host::Error::Listen { address, source } if tls == Some(address) => {
            anyhow::Error::new(source).context(format!(
                "cannot listen on {address}; choose another address: `listen` of [tls] in the configuration"
            ))
        }
        error => with_remedy(error),
    }
}

/// Signals that stop the program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stops {
    /// SIGTERM and SIGINT.
    OnRequest,
    /// SIGTERM, SIGINT and SIGHUP, which ends programs of a terminal.
    WithTerminal,
}

/// Completes at the first signal. The second one exits at once.
pub(super) fn stopped(stops: Stops, speaker: Speaker) -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let hangup = (stops == Stops::WithTerminal).then(|| signal(SignalKind::hangup()));
    let mut hangup = hangup.transpose()?;
    let (stop, stopped) = oneshot::channel::<()>();
    // Separate task: the main task may be blocked in shutdown when the second signal arrives.
    tokio::spawn(async move {
        let mut signalled = async || {
            tokio::select! {
                _ = terminate.recv() => ExitCode::Terminated,
                _ = interrupt.recv() => ExitCode::Interrupted,
                () = received(&mut hangup) => ExitCode::HungUp,
            }
        };
        signalled().await;
        service::stopping();
        speaker.say("stopping; running invocations may finish. Press Ctrl-C again to exit at once");
        drop(stop);
        let code = signalled().await;
        std::process::exit(code as i32);
    });
    // Completes when the sender is dropped.
    Ok(async { drop(stopped.await) })
}

/// Waits for an optional signal; pends forever without one.
async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Exit codes by shell convention: 128 plus the signal number.
enum ExitCode {
    HungUp = 129,
    Interrupted = 130,
    Terminated = 143,
}
