//! Compiling a component, in a child process with limits: the engine's authors do not count it as a
//! fault when a component takes hours or all memory to compile, so the host must.

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::engine_kind::Shape;
use super::program::Entry;
use super::{Artifact, EngineKind, Interface, Target, capability, engine};

/// Timeout of a compilation. The largest interpreters take ten seconds on one core.
const TIME_MAX: Duration = Duration::from_secs(60);
/// Processor time of the child, all its threads together.
const CPU_SECONDS_MAX: u64 = 120;
/// Address space of the child. CPython takes 400 MiB.
const ADDRESS_SPACE_BYTES_MAX: u64 = 4 << 30;

/// Messages on the child's stderr when it runs out of memory or stack.
const ABORTS: [&str; 2] = ["memory allocation of", "overflowed its stack"];
/// Characters quoted from a failed child's stderr.
const WORDS_MAX: usize = 300;
/// Refusal of components of WASI 0.3 in one: each may suspend a task with a stack of its own, and the host counts one.
const COMPOSED: &str = "The component is composed of others and uses WASI 0.3, which this host does not run. Deploy the \
    components as functions of their own, or build them for WASI 0.2.";
/// First argument of a child process.
pub const ARGUMENT: &str = "compile-component";
/// Name prefix of unfinished artifacts.
const UNFINISHED: &str = ".unfinished-";

/// Tells unfinished artifacts of this process apart.
static NEXT: AtomicU64 = AtomicU64::new(0);

#[cfg(test)]
mod tests;

/// Process that compiles.
#[derive(Clone, Debug)]
pub enum Compiler {
    /// A child process with limits of time and memory.
    Child {
        /// The `lamina` program, or another whose `main` begins with `compiler_main`.
        program: PathBuf,
    },
    /// This process, without limits: for components that are trusted.
    InProcess,
}

/// Error of a component that was not compiled.
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
    /// True if the component is at fault.
    pub fn is_callers_fault(&self) -> bool {
        !matches!(self, Self::Host(_))
    }
}

/// Compiles `component` into a file in `directory`, which gets the name that `name` has for its engine, and
/// appears whole or not at all. Only code for this machine is checked for what its component needs and whether
/// it is a function.
///
/// # Errors
/// Where the component is not a function, or compiling fails.
pub async fn compile(
    compiler: &Compiler,
    target: Target,
    component: &Path,
    directory: &Path,
    name: impl FnOnce(EngineKind) -> String,
) -> Result<Artifact, Error> {
    let unfinished = Unfinished::in_directory(directory);
    let (unfinished, kind) = match compiler {
        Compiler::Child { program } => {
            let made = in_child(program, target, component, &unfinished.0, TIME_MAX).await?;
            (unfinished, made)
        }
        Compiler::InProcess => {
            let component = component.to_owned();
            let work = tokio::task::spawn_blocking(move || {
                let made = compile_here(target, &component, &unfinished.0)?;
                Ok((unfinished, made))
            });
            work.await
                .map_err(|_| Error::Host("it ended early".into()))??
        }
    };
    let path = directory.join(name(kind));
    let finished = tokio::fs::rename(&unfinished.0, &path).await;
    finished.map_err(|error| Error::Host(error.to_string()))?;
    Ok(Artifact { path, kind })
}

/// True for the name of an unfinished artifact, in progress or left by a killed process.
pub fn is_unfinished(name: &OsStr) -> bool {
    name.to_string_lossy().starts_with(UNFINISHED)
}

/// The file an artifact is written to. Where it does not become one, it is deleted.
struct Unfinished(PathBuf);

impl Unfinished {
    fn in_directory(directory: &Path) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{UNFINISHED}{}-{number}", std::process::id());
        Self(directory.join(name))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // It is not there where it was finished, or not begun.
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn in_child(
    program: &Path,
    target: Target,
    component: &Path,
    artifact: &Path,
    time: Duration,
) -> Result<EngineKind, Error> {
    let mut command = Command::new(program);
    command.arg(ARGUMENT).arg(component).arg(artifact);
    if let Target::Any(architecture) = target {
        command.arg(architecture.name());
    }
    command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
    match tokio::time::timeout(time, command.output()).await {
        Ok(Ok(output)) => told(output.status, &output.stdout, &output.stderr),
        Ok(Err(error)) => Err(Error::Host(format!("{}: {error}", program.display()))),
        Err(_) => Err(Error::TooMuch),
    }
}

/// Result reported by the child, or the fault derived from its exit status.
fn told(status: ExitStatus, said: &[u8], last_words: &[u8]) -> Result<EngineKind, Error> {
    if let Ok(result) = serde_json::from_slice(said) {
        return result;
    }
    let last_words = String::from_utf8_lossy(last_words);
    let aborted = || ABORTS.iter().any(|abort| last_words.contains(abort));
    match status.signal().and_then(Signal::from_named_raw) {
        // The limit on its time; the one on all its memory, if the system had to enforce it.
        Some(Signal::XCPU | Signal::KILL) => Err(Error::TooMuch),
        Some(Signal::ABORT) if aborted() => Err(Error::TooMuch),
        _ => {
            let words: String = last_words.trim().chars().take(WORDS_MAX).collect();
            Err(Error::Host(format!("it ended with {status}: {words}")))
        }
    }
}

/// Body of the child process: sets its limits, compiles, and reports on stdout. Returns the exit
/// status.
#[expect(clippy::print_stdout, reason = "the parent reads it")]
pub fn worker_main(component: &Path, artifact: &Path, target: Target) -> u8 {
    let result = limit_this_process().and_then(|()| compile_here(target, component, artifact));
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

pub(super) fn compile_here(
    target: Target,
    component: &Path,
    artifact: &Path,
) -> Result<EngineKind, Error> {
    let host = |error: &dyn std::fmt::Display| Error::Host(error.to_string());
    let invalid = |error: &dyn std::fmt::Display| {
        Error::Component(format!("The component is not valid WebAssembly: {error:#}"))
    };
    let bytes = std::fs::read(component).map_err(|error| host(&error))?;
    let shape = Shape::of(&bytes).map_err(|error| invalid(&error))?;
    if shape.has_many_stacks() {
        return Err(Error::Component(COMPOSED.into()));
    }
    let kind = shape.kind();
    let engine = engine::compiling(target, kind).map_err(|error| host(&error))?;
    let code = engine.precompile_component(&bytes);
    let code = code.map_err(|error| invalid(&error))?;
    if target == Target::Here {
        require_runnable(&engine, kind, &code)?;
    }
    put(artifact, &code).map_err(|error| host(&error))?;
    Ok(kind)
}

/// Refuses what could not be opened as an environment.
fn require_runnable(engine: &Engine, kind: EngineKind, code: &[u8]) -> Result<(), Error> {
    let refused = |problem: String| Error::Component(format!("The component {problem}"));
    let missing = |what: String| refused(format!("imports what this host does not have: {what}"));
    let compiled = load(engine, code).map_err(|error| {
        refused(format!(
            "needs more than an environment of this host has: {error:#}"
        ))
    })?;
    let interface =
        Interface::of(&compiled).map_err(|error| Error::Component(error.to_string()))?;
    let strange = capability::strange_imports(&compiled);
    if !strange.is_empty() {
        return Err(missing(strange.join(", ")));
    }
    if let Some(name) = capability::unoffered_wasi_3(&compiled) {
        return Err(missing(format!(
            "{name}. Of WASI 0.3 it has wasi:cli, wasi:clocks, wasi:http and wasi:random. Files and sockets are those of \
             WASI 0.2, which the standard library of Rust uses for wasm32-wasip2"
        )));
    }
    let linker =
        capability::linker(engine, kind).map_err(|error| Error::Host(error.to_string()))?;
    let linked = linker
        .instantiate_pre(&compiled)
        .map_err(|error| missing(format!("{error:#}")))?;
    let entry = Entry::new(interface, linked).map_err(|error| {
        refused(format!(
            "exports {interface}, but not as that is: {error:#}"
        ))
    });
    entry.map(drop)
}

#[expect(
    unsafe_code,
    reason = "precompiled code can only be loaded by vouching for it"
)]
fn load(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the caller has it from this engine.
    unsafe { Component::deserialize(engine, code) }
}

fn put(artifact: &Path, code: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let mut file = crate::disk::create_new(artifact)?;
    file.write_all(code)?;
    file.sync_all()
}
