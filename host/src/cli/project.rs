//! A function's crate on disk, as cargo describes it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;

use super::url::UrlAccess;
use super::watch::Sources;

/// A function's crate.
#[derive(Clone, Debug)]
pub(super) struct Project {
    pub(super) dir: PathBuf,
    /// Package name.
    pub(super) name: String,
    /// True with `[package.metadata.component]`: built by `cargo component`.
    pub(super) is_component: bool,
    pub(super) settings: Settings,
}

/// `[package.metadata.lamina]`.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Settings {
    /// Function name.
    pub(super) name: Option<String>,
    /// Memory in MiB.
    pub(super) memory: Option<u32>,
    /// Timeout in seconds.
    pub(super) timeout: Option<u32>,
    /// Environment variables.
    pub(super) env: std::collections::BTreeMap<String, String>,
    /// Access to the function URL.
    pub(super) url: Option<UrlAccess>,
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
        let metadata = metadata(&manifest, &["--no-deps"])?;
        Self::of(dir, &manifest.canonicalize()?, &metadata)
    }

    /// Source directories: the crate and its path dependencies, direct and indirect.
    pub(super) fn sources(&self, data_dir: &Path) -> anyhow::Result<Sources> {
        let metadata = metadata(&self.dir.join("Cargo.toml"), &[])?;
        let manifest = self.dir.join("Cargo.toml").canonicalize()?;
        let mut ignored = vec![data_dir.to_owned()];
        ignored.extend(metadata["target_directory"].as_str().map(PathBuf::from));
        let mut dirs = vec![self.dir.clone()];
        dirs.extend(path_dependencies(&manifest, &metadata));
        Sources::new(&dirs, &ignored)
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

    /// Name of the deployed function.
    pub(super) fn function_name(&self) -> &str {
        self.settings.name.as_deref().unwrap_or(&self.name)
    }

    /// Event of the first invocation.
    pub(super) fn sample_event(&self) -> anyhow::Result<String> {
        let path = self.dir.join("event.json");
        match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok("{}".to_owned()),
            read => read.with_context(|| path.display().to_string()),
        }
    }
}

/// Directories of the path dependencies of a package.
fn path_dependencies(manifest: &Path, metadata: &Value) -> Vec<PathBuf> {
    let packages = || metadata["packages"].as_array().into_iter().flatten();
    let nodes = || {
        metadata["resolve"]["nodes"]
            .as_array()
            .into_iter()
            .flatten()
    };
    let own = packages().find(|it| it["manifest_path"] == *manifest.to_string_lossy());
    let mut reached: Vec<&Value> = own.map(|own| &own["id"]).into_iter().collect();
    let mut at = 0;
    while let Some(id) = reached.get(at).copied() {
        let node = nodes().find(|node| node["id"] == *id);
        let needs = node.and_then(|node| node["dependencies"].as_array());
        for need in needs.into_iter().flatten() {
            if !reached.contains(&need) {
                reached.push(need);
            }
        }
        at += 1;
    }
    let from_a_path =
        packages().filter(|it| it["source"].is_null() && reached.contains(&&it["id"]));
    let manifests = from_a_path.filter_map(|it| it["manifest_path"].as_str());
    let others = manifests.map(Path::new).filter(|it| *it != manifest);
    others
        .filter_map(|it| it.parent().map(Path::to_owned))
        .collect()
}

/// Runs `cargo metadata` on a manifest.
fn metadata(manifest: &Path, more: &[&str]) -> anyhow::Result<Value> {
    let mut cargo = Command::new("cargo");
    cargo.args(["metadata", "--format-version", "1"]).args(more);
    let output = cargo
        .arg("--manifest-path")
        .arg(manifest)
        .stderr(Stdio::inherit())
        .output()
        .map_err(no_cargo)?;
    if !output.status.success() {
        bail!("cargo could not read {}", manifest.display());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

pub(super) fn no_cargo(error: std::io::Error) -> anyhow::Error {
    anyhow::Error::new(error).context("cargo cannot be run; install Rust from https://rustup.rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_the_crate_and_its_path_dependencies() {
        let package = |name: &str, source: Option<&str>| {
            serde_json::json!({"id": name, "manifest_path": format!("/{name}/Cargo.toml"),
                               "source": source})
        };
        let metadata = serde_json::json!({
            "packages": [package("f", None), package("near", None), package("far", None),
                         package("serde", Some("registry")), package("neighbour", None)],
            "resolve": {"nodes": [
                {"id": "f", "dependencies": ["near", "serde"]},
                {"id": "near", "dependencies": ["far", "f"]},
                {"id": "neighbour", "dependencies": []},
            ]},
        });
        let found = path_dependencies(Path::new("/f/Cargo.toml"), &metadata);
        assert_eq!(found, [Path::new("/near"), Path::new("/far")]);
    }

    #[test]
    fn settings_are_read_from_the_manifest() {
        let metadata = serde_json::json!({"packages": [
            {"manifest_path": "/other/Cargo.toml", "name": "other"},
            {"manifest_path": "/a/Cargo.toml", "name": "a",
             "metadata": {"lamina": {"memory": 256, "env": {"K": "V"}, "url": "iam"}, "component": {}}},
        ]});
        let read = |manifest: &str| Project::of(Path::new("/a"), Path::new(manifest), &metadata);
        let project = read("/a/Cargo.toml").unwrap();
        assert_eq!(
            (project.function_name(), project.settings.memory),
            ("a", Some(256))
        );
        assert_eq!(project.settings.url, Some(UrlAccess::Iam));
        assert!(project.is_component);
        assert!(
            read("/Cargo.toml")
                .unwrap_err()
                .to_string()
                .contains("workspace")
        );
    }
}
