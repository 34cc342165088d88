//! `lamina build`: compiles a crate into a component with cargo.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::project::{Project, no_cargo};
use super::{Ended, Format, output};

const TARGET: &str = "wasm32-wasip2";

pub(super) fn run(dir: &Path, format: Format) -> anyhow::Result<Ended> {
    let project = Project::read(dir)?;
    let component = component(&project)?;
    let bytes = std::fs::metadata(&component)?.len();
    let path = component.display();
    output::line(&match format {
        Format::Text => format!("{path} ({} KB)", bytes.div_ceil(1_000)),
        Format::Json => json!({"component": path.to_string(), "bytes": bytes}).to_string(),
    });
    Ok(Ended::Well)
}

/// Builds a crate and returns the path of its component.
pub(super) fn component(project: &Project) -> anyhow::Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    if project.is_component {
        require_cargo_component()?;
        cargo.args(["component", "build", "--release"]);
    } else {
        require_target(&project.dir)?;
        cargo.args(["build", "--release", "--target", TARGET]);
    }
    cargo.arg("--message-format=json-render-diagnostics");
    cargo
        .current_dir(&project.dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = cargo.spawn().map_err(no_cargo)?;
    let stdout = child
        .stdout
        .take()
        .context("cargo's output cannot be read")?;
    let mut artifacts = Vec::new();
    for line in BufReader::new(stdout).lines() {
        artifacts.extend(artifact(&line?, &project.name));
    }
    if !child.wait()?.success() {
        bail!("{} did not build", project.name);
    }
    match artifacts.pop() {
        Some(path) => Ok(path),
        None => bail!(
            "cargo produced no .wasm file for {}: the crate needs a `main`, or `[lib] crate-type = \
             [\"cdylib\"]` in Cargo.toml",
            project.name
        ),
    }
}

/// Path of the `.wasm` file in a cargo message, if it belongs to this package.
fn artifact(line: &str, package: &str) -> Option<PathBuf> {
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
            artifact(&line("my_fn", "/t/my_fn.wasm"), "my-fn"),
            Some("/t/my_fn.wasm".into())
        );
        assert_eq!(artifact(&line("serde", "/t/serde.wasm"), "my-fn"), None);
        assert_eq!(artifact(&line("my_fn", "/t/my_fn.rlib"), "my-fn"), None);
        assert_eq!(artifact("not json", "my-fn"), None);
    }
}
