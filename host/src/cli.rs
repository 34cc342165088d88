//! The command line: what each command takes, and how the program starts and ends. Every command but
//! `start` and `dev` is a client of a running host.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

mod build;
mod client;
mod deploy;
mod dev;
mod environment;
mod invoke;
mod layer;
mod list;
mod logs;
mod new;
mod output;
mod project;
mod sign;
mod start;
mod watch;

use client::Client;

/// Run AWS Lambda functions as WebAssembly components, on your own machine.
#[derive(Debug, Parser)]
#[command(name = "lamina", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    access: Access,
    /// What is printed: text for people, JSON for scripts.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// How a host is reached.
#[derive(Args, Clone, Debug)]
struct Access {
    /// Where the host answers.
    #[arg(
        long,
        global = true,
        env = "LAMINA_ENDPOINT_URL",
        default_value = "http://127.0.0.1:3001"
    )]
    endpoint_url: String,
    /// The host's region.
    #[arg(long, global = true, env = "AWS_REGION", default_value = "us-east-1")]
    region: String,
    #[arg(
        long,
        global = true,
        hide = true,
        env = "AWS_ACCESS_KEY_ID",
        default_value = "lamina"
    )]
    access_key_id: String,
    #[arg(
        long,
        global = true,
        hide = true,
        hide_env_values = true,
        env = "AWS_SECRET_ACCESS_KEY",
        default_value = "lamina"
    )]
    secret_access_key: String,
    #[arg(
        long,
        global = true,
        hide = true,
        hide_env_values = true,
        env = "AWS_SESSION_TOKEN"
    )]
    session_token: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a host.
    Start(start::Start),
    /// Make a new function from a blueprint.
    New(new::New),
    /// Build a function's crate into a component.
    Build {
        /// The crate.
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
    /// Build a function and put it on a running host.
    Deploy(deploy::Deploy),
    /// Start a host, deploy a function, and deploy it again whenever it changes.
    Dev(dev::Dev),
    /// Sign a package, or make a key to sign with.
    Sign(sign::Sign),
    /// Invoke a function and print its answer.
    Invoke(invoke::Invoke),
    /// Print a function's log.
    Logs(logs::Logs),
    /// List the functions of a host.
    List,
    /// Publish layers: files that functions share.
    #[command(subcommand)]
    Layer(layer::Layer),
    /// What a host runs to compile a component, with limits.
    #[command(hide = true)]
    CompileComponent {
        component: PathBuf,
        artifact: PathBuf,
    },
}

/// How a command ended that did not fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ended {
    Well,
    /// The function answered with an error.
    FunctionFailed,
}

/// Runs the program. Exit codes: 0, 1 where a function failed, 2 for wrong usage, 3 for all else.
#[must_use]
pub fn main() -> ExitCode {
    let Cli {
        command,
        access,
        output,
    } = Cli::parse();
    if let Command::CompileComponent {
        component,
        artifact,
    } = &command
    {
        return crate::sandbox::compile::worker_main(component, artifact).into();
    }
    match run(command, &access, output) {
        Ok(Ended::Well) => ExitCode::SUCCESS,
        Ok(Ended::FunctionFailed) => ExitCode::from(1),
        Err(error) => {
            output::error(&error);
            ExitCode::from(3)
        }
    }
}

fn run(command: Command, access: &Access, format: Format) -> anyhow::Result<Ended> {
    match &command {
        Command::Build { dir } => return build::run(dir, format),
        Command::New(new) => return new.clone().run(),
        Command::Sign(sign) => return sign.clone().run(&access.region, format),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let client = || Client::new(access);
        match command {
            Command::Start(start) => start.run().await,
            Command::Dev(dev) => dev.run(access).await,
            Command::Deploy(deploy) => deploy.run(&client()?, format).await,
            Command::Invoke(invoke) => invoke.run(&client()?, format).await,
            Command::Logs(logs) => logs.run(&client()?, format).await,
            Command::List => list::run(&client()?, format).await,
            Command::Layer(layer) => layer.run(&client()?, format).await,
            Command::Build { .. }
            | Command::New(_)
            | Command::Sign(_)
            | Command::CompileComponent { .. } => unreachable!("these ran above"),
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
