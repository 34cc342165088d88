//! A function's crate on disk: what cargo says of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;

/// A function's crate.
#[derive(Clone, Debug)]
pub(super) struct Project {
    pub(super) dir: PathBuf,
    /// The package's name.
    pub(super) name: String,
    /// `[package.metadata.component]`: it is built by `cargo component`.
    pub(super) is_component: bool,
    pub(super) settings: Settings,
}

/// `[package.metadata.lamina]`.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Settings {
    /// The function's name.
    pub(super) name: Option<String>,
    /// Memory in MiB.
    pub(super) memory: Option<u32>,
    /// Time-out in seconds.
    pub(super) timeout: Option<u32>,
    /// Environment variables.
    pub(super) env: std::collections::BTreeMap<String, String>,
}

impl Project {
    pub(super) fn read(dir: &Path) -> anyhow::Result<Self> {
        let manifest = dir.join("Cargo.toml");
        if !manifest.is_file() {
            bail!(
                "{} has no Cargo.toml; make a function with `lamina new NAME`, or name its directory",
                dir.display()
            );
        }
        let mut cargo = Command::new("cargo");
        cargo.args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--manifest-path",
        ]);
        let output = cargo
            .arg(&manifest)
            .stderr(Stdio::inherit())
            .output()
            .map_err(no_cargo)?;
        if !output.status.success() {
            bail!("cargo could not read {}", manifest.display());
        }
        let metadata: Value = serde_json::from_slice(&output.stdout)?;
        Self::of(dir, &manifest.canonicalize()?, &metadata)
    }

    fn of(dir: &Path, manifest: &Path, metadata: &Value) -> anyhow::Result<Self> {
        let packages = metadata["packages"].as_array().into_iter().flatten();
        let manifest = manifest.to_string_lossy();
        let mut found = packages.filter(|package| package["manifest_path"] == *manifest);
        let package = found.next().with_context(|| {
            format!("{manifest} is a workspace; name the directory of one of its functions")
        })?;
        let settings = match package["metadata"].get("lamina") {
            Some(settings) => serde_json::from_value(settings.clone())
                .with_context(|| format!("[package.metadata.lamina] in {manifest}"))?,
            None => Settings::default(),
        };
        Ok(Self {
            dir: dir.to_owned(),
            name: package["name"].as_str().unwrap_or_default().to_owned(),
            is_component: package["metadata"].get("component").is_some(),
            settings,
        })
    }

    /// The name the function gets.
    pub(super) fn function_name(&self) -> &str {
        self.settings.name.as_deref().unwrap_or(&self.name)
    }

    /// The event to try the function with.
    pub(super) fn sample_event(&self) -> anyhow::Result<String> {
        let path = self.dir.join("event.json");
        match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok("{}".to_owned()),
            read => read.with_context(|| path.display().to_string()),
        }
    }
}

pub(super) fn no_cargo(error: std::io::Error) -> anyhow::Error {
    anyhow::Error::new(error).context("cargo cannot be run; install Rust from https://rustup.rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_from_the_manifest() {
        let metadata = serde_json::json!({"packages": [
            {"manifest_path": "/other/Cargo.toml", "name": "other"},
            {"manifest_path": "/a/Cargo.toml", "name": "a",
             "metadata": {"lamina": {"memory": 256, "env": {"K": "V"}}, "component": {}}},
        ]});
        let read = |manifest: &str| Project::of(Path::new("/a"), Path::new(manifest), &metadata);
        let project = read("/a/Cargo.toml").unwrap();
        assert_eq!(
            (project.function_name(), project.settings.memory),
            ("a", Some(256))
        );
        assert!(project.is_component);
        assert!(
            read("/Cargo.toml")
                .unwrap_err()
                .to_string()
                .contains("workspace")
        );
    }
}
