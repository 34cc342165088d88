//! `lamina new`: a crate that is a function, from a blueprint. Blueprints are the repository's own
//! examples, which are tested.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use super::{Ended, output};

/// Make a new function from a blueprint.
#[derive(Args, Clone, Debug)]
pub(super) struct New {
    /// The function's name, and its directory's.
    name: String,
    /// What it begins as.
    #[arg(long, value_enum, default_value_t = Blueprint::Hello)]
    blueprint: Blueprint,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Blueprint {
    /// A typed event in, a typed response out.
    Hello,
    /// Init once, state between invocations, files in /tmp.
    Counter,
    /// A program with its own loop, as with lambda_runtime.
    CustomRuntime,
    /// WASI HTTP.
    Http,
    /// A plain program: stdin to stdout.
    Command,
}

/// A blueprint's files.
struct Files {
    manifest: &'static str,
    source: (&'static str, &'static str),
    event: &'static str,
}

macro_rules! files {
    ($dir:literal, $source:literal) => {
        Files {
            manifest: include_str!(concat!("../../../examples/", $dir, "/Cargo.toml")),
            source: (
                $source,
                include_str!(concat!("../../../examples/", $dir, "/", $source)),
            ),
            event: include_str!(concat!("../../../examples/", $dir, "/event.json")),
        }
    };
}

impl Blueprint {
    fn files(self) -> Files {
        match self {
            Self::Hello => files!("hello", "src/lib.rs"),
            Self::Counter => files!("counter", "src/lib.rs"),
            Self::CustomRuntime => files!("custom-runtime", "src/main.rs"),
            Self::Http => files!("http", "src/lib.rs"),
            Self::Command => files!("command", "src/main.rs"),
        }
    }
}

impl New {
    pub(super) fn run(self) -> anyhow::Result<Ended> {
        let dir = PathBuf::from(&self.name);
        let name = dir
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        crate::names::FunctionName::parse(name).context("choose another name")?;
        if dir.exists() && fs::read_dir(&dir)?.next().is_some() {
            bail!(
                "{} exists and is not empty; nothing was written",
                dir.display()
            );
        }
        write(&dir, name, &self.blueprint.files())?;
        output::line(&format!(
            "{} is ready: `lamina dev {}`",
            name,
            dir.display()
        ));
        Ok(Ended::Well)
    }
}

fn write(dir: &Path, name: &str, files: &Files) -> anyhow::Result<()> {
    let (path, source) = files.source;
    let put = |path: &str, text: &str| {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap_or(dir))?;
        fs::write(&path, text).with_context(|| path.display().to_string())
    };
    put("Cargo.toml", &manifest(files.manifest, name))?;
    put(path, source)?;
    put("event.json", files.event)?;
    put(".gitignore", "target/\n.lamina/\n")
}

/// An example's manifest as that of a crate of its own: what it has from its workspace is written out.
fn manifest(example: &str, name: &str) -> String {
    let sdk = concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk-guest");
    let mut manifest = String::new();
    for line in example.lines() {
        let line = match line.split_once(".workspace = true") {
            _ if line.starts_with("name = ") => format!("name = \"{name}\""),
            Some(("lamina-sdk", _)) => {
                format!(
                    "# The SDK of the checkout that this lamina was built from.\nlamina-sdk = {{ path = \"{sdk}\" }}"
                )
            }
            Some(("serde", _)) => "serde = { version = \"1.0\", features = [\"derive\"] }".into(),
            Some(("serde_json", _)) => "serde_json = \"1.0\"".into(),
            Some(("wasip2", _)) => "wasip2 = \"1.0\"".into(),
            Some(("version", _)) => "version = \"0.1.0\"".into(),
            Some(("edition", _)) => "edition = \"2024\"".into(),
            Some(_) => continue,
            None => line.to_owned(),
        };
        manifest.push_str(&line);
        manifest.push('\n');
    }
    manifest.push_str(PROFILE);
    manifest
}

const PROFILE: &str = "
# Small and quick to start.
[profile.release]
codegen-units = 1
lto = true
opt-level = \"s\"
panic = \"abort\"
strip = true

# Not part of any workspace around it.
[workspace]
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blueprint_becomes_a_manifest_of_its_own() {
        for blueprint in Blueprint::value_variants() {
            let text = manifest(blueprint.files().manifest, "mine");
            let parsed: toml::Table = toml::from_str(&text).unwrap();
            assert_eq!(
                parsed["package"]["name"].as_str(),
                Some("mine"),
                "{blueprint:?}"
            );
            assert!(!text.contains("workspace = true"), "{text}");
        }
    }
}
