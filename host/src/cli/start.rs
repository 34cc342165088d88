//! `lamina start`: a host, until it is told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;

use super::{Ended, descriptors, environment, output};
use crate::config::Config;
use crate::host::{self, Host};
use crate::sandbox::compile::Compiler;

/// Start a host.
#[derive(Args, Clone, Debug)]
pub(super) struct Start {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where everything is kept [default: ./.lamina].
    #[arg(long, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// The address to answer on [default: 127.0.0.1:3001].
    #[arg(long, value_name = "ADDR")]
    pub(super) listen: Option<SocketAddr>,
}

impl Start {
    pub(super) async fn run(self) -> anyhow::Result<Ended> {
        log_to_stderr();
        let config = self.config()?;
        let host = open(&config).await?;
        let listen = config.listen;
        let stopped = stopped()?;
        let data_dir = config.data_dir.display().to_string();
        let bound = move |address: SocketAddr| {
            output::note(&format!(
                "lamina answers on http://{address}, data in {data_dir}"
            ));
            if config.keys.is_empty() {
                output::note("no keys are configured: any program on this machine may use it");
            }
        };
        host.serve(listen, bound, stopped).await.map_err(told)?;
        output::note("lamina has stopped");
        Ok(Ended::Well)
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
        environment::complete(&mut config.s3, environment::variable);
        config.require_safe()?;
        Ok(config)
    }
}

/// Opens a host that compiles in children of this program.
pub(super) async fn open(config: &Config) -> anyhow::Result<Host> {
    descriptors::raise(config.limits.environments);
    let program = this_program().context("this program's own path is not known")?;
    let opened = Host::open_with(config.clone(), Compiler::Child { program }).await;
    let dir = config.data_dir.display();
    opened.with_context(|| format!("the host with its data in {dir} could not be opened"))
}

/// Where this very program is. Another one may come to have the path that it was started by, as after
/// an upgrade, and would compile for another engine than the one that runs.
fn this_program() -> std::io::Result<PathBuf> {
    let own = PathBuf::from("/proc/self/exe");
    if own.exists() {
        return Ok(own);
    }
    std::env::current_exe()
}

/// What went wrong, with what can be done on a command line.
pub(super) fn told(error: host::Error) -> anyhow::Error {
    match error {
        host::Error::Listen { address, source } => anyhow::Error::new(source).context(format!(
            "{address} cannot be listened on; choose another address with --listen"
        )),
        error => error.into(),
    }
}

/// Ready when the process is told to stop. Told again, it ends at once, whatever is still running.
pub(super) fn stopped() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, stopped) = oneshot::channel::<()>();
    // A task of its own: whoever waits for the first may be busy when the second comes.
    tokio::spawn(async move {
        let mut told = async || {
            tokio::select! {
                _ = terminate.recv() => ExitCode::Terminated,
                _ = interrupt.recv() => ExitCode::Interrupted,
            }
        };
        told().await;
        output::note("stopping; what runs may finish. Once more (ctrl-c) ends it at once");
        drop(stop);
        let code = told().await;
        std::process::exit(code as i32);
    });
    // Ready when the sender is dropped.
    Ok(async { drop(stopped.await) })
}

/// What shells know a process by that a signal has ended.
enum ExitCode {
    Interrupted = 130,
    Terminated = 143,
}

pub(super) fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("LAMINA_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(output::colour_on_stderr())
        // It would panic where stderr is a pipe that nobody reads any more.
        .log_internal_errors(false);
    // Someone who links the command line may have set one up.
    let _ = subscriber.with_writer(std::io::stderr).try_init();
}
