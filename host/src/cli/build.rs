//! `lamina build`: compiles a crate into a component with cargo, or runs the build command of `lamina.toml`.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::environment::variable;
use super::project::cargo::{Package, no_cargo};
use super::project::{Project, Source};
use super::{Ended, Format, output};

const TARGET: &str = "wasm32-wasip2";

/// Prints the path of the artifact alone on stdout, for `$(lamina build)`, and its size on stderr.
pub(super) fn run(path: &Path, format: Format) -> anyhow::Result<Ended> {
    for project in Project::read(path)? {
        let artifact = artifact(&project)?;
        let bytes = std::fs::metadata(&artifact)?.len();
        let path = artifact.display();
        match format {
            Format::Text => {
                if artifact.is_file() {
                    output::note(&format!("{}: {} KB", project.name, bytes.div_ceil(1_000)));
                }
                output::line(&path.to_string());
            }
            Format::Json => {
                output::line(&json!({"component": path.to_string(), "bytes": bytes}).to_string());
            }
        }
    }
    Ok(Ended::Well)
}

/// Builds a function and returns the path of its component, package or directory.
pub(super) fn artifact(project: &Project) -> anyhow::Result<PathBuf> {
    match &project.source {
        Source::Crate(package) => {
            let build = project.settings.build.as_ref();
            let is_shared = build.is_some_and(|build| build.shared_target);
            let target = is_shared.then(shared_target).flatten();
            component(&project.dir, package, target.as_deref())
        }
        Source::Artifact { command, path } => {
            if let Some(command) = command {
                execute(&project.dir, command)?;
            }
            if !path.exists() {
                bail!(
                    "{}: the build did not make {}",
                    project.name,
                    path.display()
                );
            }
            Ok(path.clone())
        }
    }
}

/// Runs a build command. Its output goes to stderr, because stdout is for results.
fn execute(dir: &Path, command: &str) -> anyhow::Result<()> {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).current_dir(dir);
    shell.stdin(Stdio::null()).stdout(std::io::stderr());
    let status = shell.status().context("no shell could be started")?;
    if !status.success() {
        bail!("the build command `{command}` failed: {status}");
    }
    Ok(())
}

/// Target directory of all functions of this user. `None` if the user chose one, or has no cache directory.
fn shared_target() -> Option<PathBuf> {
    let given = |name: &str| {
        variable(name)
            .filter(|it| !it.is_empty())
            .map(PathBuf::from)
    };
    if given("CARGO_TARGET_DIR")
        .or_else(|| given("CARGO_BUILD_TARGET_DIR"))
        .is_some()
    {
        return None;
    }
    let cache = given("XDG_CACHE_HOME").or_else(|| Some(given("HOME")?.join(".cache")));
    Some(cache?.join("lamina/target"))
}

fn component(dir: &Path, package: &Package, target: Option<&Path>) -> anyhow::Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    if let Some(target) = target {
        cargo.env("CARGO_TARGET_DIR", target);
    }
    if package.is_component {
        require_cargo_component()?;
        cargo.args(["component", "build", "--release"]);
    } else {
        require_target(dir)?;
        cargo.args(["build", "--release", "--target", TARGET]);
    }
    cargo.arg("--message-format=json-render-diagnostics");
    cargo
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = cargo.spawn().map_err(no_cargo)?;
    let stdout = child
        .stdout
        .take()
        .context("cargo's output cannot be read")?;
    let mut artifacts = Vec::new();
    for line in BufReader::new(stdout).lines() {
        artifacts.extend(artifact_in(&line?, &package.name));
    }
    if package.needs_lambda_runtime {
        output::note(
            "this crate depends on lambda_runtime, which talks to AWS's runtime API over sockets: a component has none. \
             Depend on lamina-sdk instead: it has `run`, `service_fn`, `LambdaEvent` and `Error` of the same names, and \
             `#[lamina_sdk::main]` for `#[tokio::main]`. Events of aws_lambda_events stay",
        );
    }
    if !child.wait()?.success() {
        bail!("{} did not build", package.name);
    }
    match artifacts.pop() {
        Some(path) => Ok(path),
        None => bail!(
            "cargo produced no .wasm file for {}: the crate needs a `main`, or `[lib] crate-type = \
             [\"cdylib\"]` in Cargo.toml",
            package.name
        ),
    }
}

/// Path of the `.wasm` file in a cargo message, if it belongs to this package.
fn artifact_in(line: &str, package: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let name = message["target"]["name"].as_str()?.replace('_', "-");
    if message["reason"] != "compiler-artifact" || name != package.replace('_', "-") {
        return None;
    }
    let files = message["filenames"]
        .as_array()?
        .iter()
        .filter_map(Value::as_str);
    files
        .filter(|file| file.ends_with(".wasm"))
        .map(PathBuf::from)
        .next_back()
}

/// Installs the wasm target of the crate's toolchain if it is missing.
fn require_target(dir: &Path) -> anyhow::Result<()> {
    let rustup = |arguments: &[&str]| {
        Command::new("rustup")
            .args(arguments)
            .current_dir(dir)
            .stdin(Stdio::null())
            .output()
    };
    // Without rustup, cargo's own error names the missing target.
    let Ok(installed) = rustup(&["target", "list", "--installed"]) else {
        return Ok(());
    };
    let installed = String::from_utf8_lossy(&installed.stdout)
        .lines()
        .any(|it| it == TARGET);
    if installed {
        return Ok(());
    }
    let _progress = output::progress(&format!("Adding the target {TARGET} with rustup"));
    let added = rustup(&["target", "add", TARGET])?;
    if !added.status.success() {
        let text = String::from_utf8_lossy(&added.stderr).trim().to_owned();
        bail!("`rustup target add {TARGET}` failed: {text}");
    }
    Ok(())
}

fn require_cargo_component() -> anyhow::Result<()> {
    let found = Command::new("cargo")
        .args(["component", "--version"])
        .output();
    if found.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    bail!(
        "this crate is built with cargo-component, which is not installed; run `cargo install \
         cargo-component --locked`, or remove [package.metadata.component] and use lamina-sdk"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn artifact_of_another_package_is_ignored() {
        let line = |name: &str, file: &str| {
            json!({"reason": "compiler-artifact", "target": {"name": name}, "filenames": [file]})
                .to_string()
        };
        assert_eq!(
            artifact_in(&line("my_fn", "/t/my_fn.wasm"), "my-fn"),
            Some("/t/my_fn.wasm".into())
        );
        assert_eq!(artifact_in(&line("serde", "/t/serde.wasm"), "my-fn"), None);
        assert_eq!(artifact_in(&line("my_fn", "/t/my_fn.rlib"), "my-fn"), None);
        assert_eq!(artifact_in("not json", "my-fn"), None);
    }
}
