//! Command line: commands, start-up and exit codes. Commands that call a host are clients of its public API.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod access;
mod archive;
mod backup;
mod build;
mod client;
mod data_dir;
mod delete;
mod deploy;
mod descriptors;
mod dev;
mod doctor;
mod environment;
mod function_argument;
mod host_config;
mod invoke;
mod layer;
mod list;
mod logs;
mod manual;
mod new;
mod new_dir;
mod output;
mod package;
mod profile;
mod project;
mod push;
mod queue;
mod runtime;
mod sample_event;
mod secrets;
mod service;
mod sign;
mod speaker;
mod start;
mod test;
mod url;
mod watch;

use access::{Access, Calling, ClientOptions, Format, Printing};

/// Run AWS Lambda functions as WebAssembly components, on your own machine.
#[derive(Debug, Parser)]
#[command(
    name = "lamina",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    // Global position: users of `aws` write these options before the command.
    #[command(flatten)]
    client: ClientOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a host.
    Start(start::Start),
    /// Create a function from a blueprint.
    New(new::New),
    /// List the blueprints of `lamina new`.
    Blueprints,
    /// Build functions, and print the path of each component.
    Build {
        /// Directory of a function, or of a lamina.toml with several.
        #[arg(default_value = ".")]
        dir: PathBuf,
        #[command(flatten)]
        printing: Printing,
    },
    /// Build functions and deploy them to a running host.
    Deploy(Calling<deploy::Deploy>),
    /// Build a function and publish it as a container image.
    Push(push::Push),
    /// Delete a function, or one version of it.
    Delete(Calling<delete::Delete>),
    /// Start a host, deploy functions, and redeploy them on every change.
    Dev(dev::Dev),
    /// Install runtimes, which run functions of source code.
    #[command(subcommand)]
    Runtime(runtime::Runtime),
    /// Run the saved events of functions and compare the responses.
    Test(test::Test),
    /// Sign a package, or generate a signing key.
    Sign(sign::Sign),
    /// Invoke a function and print its response.
    Invoke(Calling<invoke::Invoke>),
    /// Print a function's log.
    Logs(Calling<logs::Logs>),
    /// List the functions of a host.
    List(Calling<list::List>),
    /// List, print, delete and redrive queued events.
    #[command(subcommand)]
    Queue(queue::Queue),
    /// Publish layers: files shared by functions.
    #[command(subcommand)]
    Layer(layer::Layer),
    /// Print the JSON schema of lamina.toml of a project, for editors.
    Schema,
    /// Copy a data directory. The host may be running.
    Backup(backup::Backup),
    /// Make a data directory from a backup.
    Restore(backup::Restore),
    /// Check this machine and the configuration of a host.
    Doctor(doctor::Doctor),
    /// Print completions for a shell.
    Completions(manual::Completions),
    /// Write man pages, one for each command.
    Man(manual::Man),
    /// Print the reference of lamina.toml.
    Reference,
}

/// Outcome of a command that did not fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ended {
    Well,
    /// Invocation returned a function error.
    FunctionFailed,
}

/// Runs the program. Exit codes: 0 success, 1 function error, 2 usage error, 3 any other error.
#[must_use]
pub fn main() -> ExitCode {
    if let Some(code) = crate::host::compiler_main() {
        return code;
    }
    let Cli { command, client } = Cli::parse();
    client.require_used_by(&command);
    match run(command, client) {
        Ok(Ended::Well) => ExitCode::SUCCESS,
        Ok(Ended::FunctionFailed) => ExitCode::from(1),
        Err(error) => {
            output::error(&error);
            ExitCode::from(3)
        }
    }
}

fn run(command: Command, before: ClientOptions) -> anyhow::Result<Ended> {
    match command {
        Command::Build { dir, printing } => build::run(&dir, printing.or(before).format()),
        Command::New(new) => new.run(),
        Command::Blueprints => Ok(new::list()),
        Command::Sign(sign) => sign.run(),
        Command::Runtime(runtime) => runtime.run(before),
        Command::Backup(backup) => backup.run(),
        Command::Restore(restore) => restore.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Completions(completions) => Ok(completions.run()),
        Command::Man(man) => man.run(),
        Command::Schema => {
            output::line(&project::manifest::schema());
            Ok(Ended::Well)
        }
        Command::Reference => {
            output::line(&manual::reference());
            Ok(Ended::Well)
        }
        command => {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?;
            let ended = runtime.block_on(run_async(command, before));
            // Never dropped: guests that the drain time cut off still poll timers of the runtime, on threads that it
            // does not wait for, and would panic. The process ends now.
            std::mem::forget(runtime);
            ended
        }
    }
}

/// Runs a host, or calls one.
async fn run_async(command: Command, before: ClientOptions) -> anyhow::Result<Ended> {
    match command {
        Command::Start(start) => start.run().await,
        Command::Dev(dev) => dev.run().await,
        Command::Test(test) => test.run().await,
        Command::Push(push) => push.run().await,
        Command::Deploy(deploy) => {
            let (deploy, client, format) = deploy.with(before)?;
            deploy.run(&client, format).await
        }
        Command::Delete(delete) => {
            let (delete, client, format) = delete.with(before)?;
            delete.run(&client, format).await
        }
        Command::Invoke(invoke) => {
            let (invoke, client, format) = invoke.with(before)?;
            invoke.run(&client, format).await
        }
        Command::Logs(logs) => {
            let (logs, client, format) = logs.with(before)?;
            logs.run(&client, format).await
        }
        Command::List(list) => {
            let (list, client, format) = list.with(before)?;
            list.run(&client, format).await
        }
        Command::Queue(queue) => queue.run(before).await,
        Command::Layer(layer::Layer::Publish(publish)) => {
            let (publish, client, format) = publish.with(before)?;
            publish.run(&client, format).await
        }
        _ => unreachable!("the other commands need no runtime"),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
