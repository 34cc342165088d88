//! `lamina start`: runs a host until a stop signal.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;

use super::{Ended, descriptors, environment, output};
use crate::config::Config;
use crate::host::{self, Host};
use crate::sandbox::compile::Compiler;

/// Start a host.
#[derive(Args, Clone, Debug)]
pub(super) struct Start {
    /// Configuration file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory [default: ./.lamina].
    #[arg(long, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// Address and port to listen on [default: 127.0.0.1:3001].
    #[arg(long, value_name = "ADDR")]
    pub(super) listen: Option<SocketAddr>,
}

impl Start {
    pub(super) async fn run(self) -> anyhow::Result<Ended> {
        log_to_stderr();
        // Handler first: SIGHUP without a handler would kill the process while the host opens.
        let mut hangups = signal(SignalKind::hangup())?;
        let config = self.config()?;
        let host = open(&config).await?;
        let listen = config.listen;
        let stopped = stopped(Stops::OnRequest)?;
        let data_dir = config.data_dir.display().to_string();
        let bound = move |address: SocketAddr| {
            output::note(&format!(
                "lamina answers on http://{address}, data in {data_dir}"
            ));
            if config.keys.is_empty() {
                output::note(
                    "no access keys are configured: any program on this machine may call this host",
                );
            }
        };
        let mut serving = pin!(host.serve(listen, bound, stopped));
        loop {
            tokio::select! {
                ended = &mut serving => break ended.map_err(with_remedy)?,
                _ = hangups.recv() => self.reload(&host),
            }
        }
        output::note("lamina has stopped");
        Ok(Ended::Well)
    }

    /// Rereads the configuration and replaces the keys. A file that fails to parse changes nothing.
    fn reload(&self, host: &Host) {
        let reloaded = self.config().and_then(|config| Ok(host.reload(&config)?));
        match reloaded {
            Err(error) => {
                output::error(&error.context("the configuration was not reloaded"));
            }
            Ok(fixed) => {
                output::note("the keys, their policies and the certificates were reloaded");
                if !fixed.is_empty() {
                    let fixed = fixed.join(", ");
                    output::note(&format!("changes of {fixed} take effect after a restart"));
                }
            }
        }
    }

    pub(super) fn config(&self) -> anyhow::Result<Config> {
        let mut config = match &self.config {
            Some(path) => Config::read(path)?,
            None => Config::default(),
        };
        if let Some(data_dir) = &self.data_dir {
            config.data_dir.clone_from(data_dir);
        }
        config.listen = self.listen.unwrap_or(config.listen);
        environment::complete(&mut config, environment::variable);
        config.require_safe()?;
        Ok(config)
    }
}

/// Opens a host that compiles in child processes of this program.
pub(super) async fn open(config: &Config) -> anyhow::Result<Host> {
    descriptors::raise(config.limits.environments);
    let compiler = Compiler::this_program().context("this program's own path is not known")?;
    let opened = Host::open_with(config.clone(), compiler).await;
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

/// Signals that stop the program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stops {
    /// SIGTERM and SIGINT.
    OnRequest,
    /// SIGTERM, SIGINT and SIGHUP, which ends programs of a terminal.
    WithTerminal,
}

/// Completes at the first signal. The second one exits at once.
pub(super) fn stopped(stops: Stops) -> anyhow::Result<impl Future<Output = ()>> {
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
        output::note(
            "stopping; running invocations may finish. Press Ctrl-C again to exit at once",
        );
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

pub(super) fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("LAMINA_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(output::colour_on_stderr())
        // Its internal error log would panic on a closed stderr.
        .log_internal_errors(false);
    // An embedder of the command line may have set a subscriber already.
    let _ = subscriber.with_writer(std::io::stderr).try_init();
}
