//! A crate as cargo describes it: its package, its target directory and its path dependencies.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;

use super::manifest::Manifest;

/// Package of a function.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::cli) struct Package {
    pub(in crate::cli) name: String,
    /// True with `[package.metadata.component]`: built by `cargo component`.
    pub(in crate::cli) is_component: bool,
    /// True for a dependency on `lambda_runtime`, whose reactor and sockets no component has.
    pub(in crate::cli) needs_lambda_runtime: bool,
}

/// Reads a package and its `[package.metadata.lamina]`.
pub(super) fn package(dir: &Path) -> anyhow::Result<(Package, Option<Manifest>)> {
    let manifest = dir.join("Cargo.toml");
    let metadata = metadata(&manifest, &["--no-deps"])?;
    of(&manifest.canonicalize()?, &metadata)
}

fn of(manifest: &Path, metadata: &Value) -> anyhow::Result<(Package, Option<Manifest>)> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let manifest = manifest.to_string_lossy();
    let mut found = packages.filter(|package| package["manifest_path"] == *manifest);
    let package = found.next().with_context(|| {
        format!(
            "{manifest} is a workspace; name the directory of one of its functions, or list them in lamina.toml"
        )
    })?;
    let settings = package["metadata"].get("lamina").cloned();
    let settings = settings.map(serde_json::from_value).transpose();
    let settings = settings.with_context(|| format!("[package.metadata.lamina] in {manifest}"))?;
    let package = Package {
        name: package["name"].as_str().unwrap_or_default().to_owned(),
        is_component: package["metadata"].get("component").is_some(),
        needs_lambda_runtime: depends_on(package, "lambda_runtime"),
    };
    Ok((package, settings))
}

fn depends_on(package: &Value, name: &str) -> bool {
    let dependencies = package["dependencies"].as_array().into_iter().flatten();
    dependencies.into_iter().any(|it| it["name"] == name)
}

/// Directories of the path dependencies of a crate, direct and indirect, and cargo's target directory.
pub(super) fn dependencies(dir: &Path) -> anyhow::Result<(Vec<PathBuf>, Option<PathBuf>)> {
    let manifest = dir.join("Cargo.toml");
    let metadata = metadata(&manifest, &[])?;
    let target = metadata["target_directory"].as_str().map(PathBuf::from);
    Ok((
        path_dependencies(&manifest.canonicalize()?, &metadata),
        target,
    ))
}

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

pub(in crate::cli) fn no_cargo(error: std::io::Error) -> anyhow::Error {
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
    fn settings_are_read_from_cargos_manifest() {
        let metadata = serde_json::json!({"packages": [
            {"manifest_path": "/other/Cargo.toml", "name": "other"},
            {"manifest_path": "/a/Cargo.toml", "name": "a",
             "metadata": {"lamina": {"memory": 256, "env": {"K": "V"}, "url": "iam"}, "component": {}}},
        ]});
        let (package, settings) = of(Path::new("/a/Cargo.toml"), &metadata).unwrap();
        let settings = settings.unwrap();
        assert_eq!((package.name.as_str(), settings.memory), ("a", Some(256)));
        assert_eq!(settings.environment["K"], "V");
        assert!(package.is_component);
        let workspace = of(Path::new("/Cargo.toml"), &metadata).unwrap_err();
        assert!(workspace.to_string().contains("workspace"), "{workspace}");
    }
}
