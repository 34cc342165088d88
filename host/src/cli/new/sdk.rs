//! Source of `lamina-sdk` for new functions. The SDK is not on crates.io: it comes from the
//! checkout that this program was built from, or from the copy embedded in the program.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use toml::{Table, Value};

/// Directory of the copy in the function's crate.
pub(super) const COPY: &str = "lamina-sdk";

const GUEST: &str = "sdk-guest";

macro_rules! embedded {
    ($($path:literal,)*) => {
        [$(($path, include_str!(concat!("../../../../", $path)))),*]
    };
}

/// SDK files by repository path.
const FILES: [(&str, &str); 25] = embedded![
    "sdk-guest/Cargo.toml",
    "sdk-guest/macro/Cargo.toml",
    "sdk-guest/macro/src/handler.rs",
    "sdk-guest/macro/src/lib.rs",
    "sdk-guest/macro/src/main_fn.rs",
    "sdk-guest/src/context.rs",
    "sdk-guest/src/diagnostic.rs",
    "sdk-guest/src/diagnostic/tests.rs",
    "sdk-guest/src/event.rs",
    "sdk-guest/src/executor.rs",
    "sdk-guest/src/extension.rs",
    "sdk-guest/src/guest.rs",
    "sdk-guest/src/guest/checkpoint.rs",
    "sdk-guest/src/guest/custom_runtime.rs",
    "sdk-guest/src/guest/extension.rs",
    "sdk-guest/src/guest/streaming.rs",
    "sdk-guest/src/lib.rs",
    "sdk-guest/src/native.rs",
    "sdk-guest/src/outcome.rs",
    "sdk-guest/src/program.rs",
    "sdk-guest/src/response.rs",
    "sdk-guest/src/service.rs",
    "sdk-guest/src/tracing.rs",
    "wit/extension/extension.wit",
    "wit/function.wit",
];

/// Repository manifest, with the versions of the SDK's dependencies.
const WORKSPACE: &str = include_str!("../../../../Cargo.toml");

/// SDK directory of the build checkout, if it still exists.
pub(super) fn checkout() -> Option<PathBuf> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let dir = repository.join(GUEST);
    dir.join("Cargo.toml").is_file().then_some(dir)
}

/// Dependency line for the SDK, with a comment line above it.
pub(super) fn dependency(checkout: Option<&Path>) -> String {
    let (comment, path) = match checkout {
        Some(dir) => (
            "The checkout that this lamina was built from. `lamina new --vendor` makes a copy.",
            dir.display().to_string(),
        ),
        None => (
            "A copy: the SDK is not on crates.io.",
            format!("{COPY}/{GUEST}"),
        ),
    };
    format!(
        "# {comment}\nlamina-sdk = {{ path = {} }}",
        Value::from(path)
    )
}

/// Writes the embedded SDK.
pub(super) fn copy_to(dir: &Path) -> anyhow::Result<()> {
    let put = |path: &str, text: &str| {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap_or(dir))?;
        fs::write(&path, text).with_context(|| path.display().to_string())
    };
    put("Cargo.toml", &workspace()?)?;
    FILES.iter().try_for_each(|(path, text)| put(path, text))
}

/// Workspace manifest reduced to the SDK.
fn workspace() -> anyhow::Result<String> {
    let mut manifest: Table = toml::from_str(WORKSPACE)?;
    manifest.retain(|key, _| key == "workspace");
    let workspace = manifest.get_mut("workspace").and_then(Value::as_table_mut);
    let workspace = workspace.context("the repository is a workspace")?;
    workspace.remove("exclude");
    let members = [GUEST.to_owned(), format!("{GUEST}/macro")];
    workspace.insert("members".to_owned(), members.to_vec().into());
    if let Some(dependencies) = workspace.get_mut("dependencies") {
        let dependencies = dependencies.as_table_mut().context("a table")?;
        dependencies.retain(|name, _| FILES.iter().any(|(path, text)| uses(path, text, name)));
    }
    Ok(toml::to_string(&manifest)?)
}

fn uses(path: &str, text: &str, dependency: &str) -> bool {
    let named = |line: &str| {
        let rest = line.strip_prefix(dependency);
        rest.is_some_and(|rest| rest.starts_with([' ', '.']))
    };
    path.ends_with("Cargo.toml") && text.lines().any(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(dir: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(dir).unwrap().filter_map(Result::ok) {
            let path = entry.path();
            if !path.is_dir() {
                let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
                found.push(path.strip_prefix(root).unwrap().display().to_string());
            } else if entry.file_name() != "target" {
                files(&path, found);
            }
        }
    }

    #[test]
    fn copy_has_every_file_of_the_sdk() {
        let mut found = Vec::new();
        files(&checkout().unwrap(), &mut found);
        files(&checkout().unwrap().join("../wit"), &mut found);
        let mut found: Vec<String> = found
            .iter()
            .map(|it| it.replace("sdk-guest/../", ""))
            // The contract of managed runtimes is none of the SDK's.
            .filter(|it| !it.starts_with("wit/managed/"))
            .collect();
        found.sort();
        assert_eq!(found, FILES.map(|(path, _)| path));
    }

    #[test]
    fn copied_workspace_has_only_the_dependencies_in_use() {
        let text = workspace().unwrap();
        let parsed: Table = toml::from_str(&text).unwrap();
        let dependencies = parsed["workspace"]["dependencies"].as_table().unwrap();
        for name in ["lamina-sdk-macro", "serde", "tracing", "wit-bindgen", "syn"] {
            assert!(dependencies.contains_key(name), "{name} in {text}");
        }
        assert!(!text.contains("hyper"), "{text}");
    }
}
