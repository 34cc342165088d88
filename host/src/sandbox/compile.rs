//! Compiling a component, in a child process with limits: the engine's authors do not count it as a
//! fault when a component takes hours or all memory to compile, so the host must.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::process::Command;
use wasmtime::component::Component;

use super::{Interface, engine, guest};

/// How long compiling may take. The largest interpreters take ten seconds of one core.
const TIME_MAX: Duration = Duration::from_secs(60);
/// Processor time of the child, all its threads together.
const CPU_SECONDS_MAX: u64 = 120;
/// Address space of the child. CPython takes 400 MiB.
const ADDRESS_SPACE_BYTES_MAX: u64 = 4 << 30;

/// Who compiles.
#[derive(Clone, Debug)]
pub enum Compiler {
    /// A child process, made by running this program with `compile-component IN OUT`, as the
    /// `lamina` program understands it.
    Child {
        /// The program, such as the `lamina` binary.
        program: PathBuf,
    },
    /// This process, without limits. For embedders who compile only what they trust.
    InProcess,
}

/// Why there is no compiled component.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
pub enum Error {
    /// The component is at fault.
    #[error("{0}")]
    Component(String),
    /// Compiling took longer or more memory than it may.
    #[error(
        "The component could not be compiled within {} s and {} GiB of memory.",
        TIME_MAX.as_secs(), ADDRESS_SPACE_BYTES_MAX >> 30
    )]
    TooMuch,
    /// The host is at fault.
    #[error("The compiler failed: {0}")]
    Host(String),
}

impl Error {
    /// Whether another component would do better.
    pub fn is_callers_fault(&self) -> bool {
        !matches!(self, Self::Host(_))
    }
}

/// Compiles `component` into `artifact`, which appears whole or not at all.
///
/// # Errors
/// Where the component is not a function, or compiling fails.
pub async fn compile(
    compiler: &Compiler,
    component: &Path,
    artifact: &Path,
) -> Result<Interface, Error> {
    match compiler {
        Compiler::Child { program } => in_child(program, component, artifact).await,
        Compiler::InProcess => {
            let (component, artifact) = (component.to_owned(), artifact.to_owned());
            let work = tokio::task::spawn_blocking(move || compile_here(&component, &artifact));
            work.await
                .map_err(|_| Error::Host("it ended early".into()))?
        }
    }
}

async fn in_child(program: &Path, component: &Path, artifact: &Path) -> Result<Interface, Error> {
    let mut command = Command::new(program);
    command
        .arg("compile-component")
        .arg(component)
        .arg(artifact);
    command
        .env_clear()
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let output = match tokio::time::timeout(TIME_MAX, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(Error::Host(format!("{}: {error}", program.display()))),
        Err(_) => return Err(Error::TooMuch),
    };
    // A child that was killed by its limits, or aborted for want of memory, says nothing.
    serde_json::from_slice(&output.stdout).unwrap_or(Err(Error::TooMuch))
}

/// What the child process runs: limits itself, compiles, and reports on stdout. Returns the
/// process's exit status.
#[expect(clippy::print_stdout, reason = "the parent reads it")]
pub fn worker_main(component: &Path, artifact: &Path) -> u8 {
    let result = limit_this_process().and_then(|()| compile_here(component, artifact));
    println!(
        "{}",
        serde_json::to_string(&result).expect("the result has only string keys")
    );
    u8::from(result.is_err())
}

fn limit_this_process() -> Result<(), Error> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let limits = [
        (Resource::As, ADDRESS_SPACE_BYTES_MAX),
        (Resource::Cpu, CPU_SECONDS_MAX),
        (Resource::Core, 0),
    ];
    for (resource, max) in limits {
        let limit = Rlimit {
            current: Some(max),
            maximum: Some(max),
        };
        setrlimit(resource, limit).map_err(|error| Error::Host(error.to_string()))?;
    }
    Ok(())
}

fn compile_here(component: &Path, artifact: &Path) -> Result<Interface, Error> {
    let host = |error: &dyn std::fmt::Display| Error::Host(error.to_string());
    let engine = engine::compiling().map_err(|error| host(&error))?;
    let bytes = std::fs::read(component).map_err(|error| host(&error))?;
    let compiled = Component::from_binary(&engine, &bytes).map_err(|error| {
        Error::Component(format!("The component is not valid WebAssembly: {error:#}"))
    })?;
    let interface =
        Interface::of(&compiled).map_err(|error| Error::Component(error.to_string()))?;
    let linker = guest::linker(&engine).map_err(|error| host(&error))?;
    linker.instantiate_pre(&compiled).map_err(|error| {
        Error::Component(format!(
            "The component imports what this host does not have: {error:#}"
        ))
    })?;
    let code = compiled.serialize().map_err(|error| host(&error))?;
    put(artifact, &code).map_err(|error| host(&error))?;
    Ok(interface)
}

fn put(artifact: &Path, code: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let unfinished = artifact.with_extension(format!("tmp-{}", std::process::id()));
    let mut file = std::fs::File::create(&unfinished)?;
    file.write_all(code)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, artifact)
}
