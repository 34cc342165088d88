//! `Cargo.toml` of a new function: that of an example, made standalone.

use std::path::Path;

use super::sdk;

/// Workspace manifest of the examples, with shared versions.
const WORKSPACE: &str = include_str!("../../../../examples/Cargo.toml");

const PROFILE: &str = "
# Small and quick to start. Names of functions stay, for backtraces.
[profile.release]
codegen-units = 1
lto = true
opt-level = \"s\"
panic = \"abort\"
strip = \"debuginfo\"

# Not part of any workspace around it.
[workspace]
";

/// True if the crate depends on the SDK.
pub(super) fn needs_sdk(manifest: &str) -> bool {
    manifest.contains("\nlamina-sdk.workspace")
}

/// Writes out the values that the manifest inherits from the workspace.
pub(super) fn standalone(example: &str, name: &str, checkout: Option<&Path>) -> String {
    let shared = |key: &str| {
        let line = WORKSPACE.lines().find(|line| {
            let rest = line.strip_prefix(key);
            rest.is_some_and(|rest| rest.starts_with(" = "))
        });
        line.unwrap_or_default().to_owned()
    };
    let mut manifest = String::new();
    for line in example.lines() {
        let line = match line.split_once(".workspace = true") {
            _ if line.starts_with("name = ") => format!("name = \"{name}\""),
            Some(("lamina-sdk", _)) => sdk::dependency(checkout),
            Some((
                key @ ("serde" | "serde_json" | "wasip2" | "wstd" | "version" | "edition"),
                _,
            )) => shared(key),
            Some(_) => continue,
            None => line.to_owned(),
        };
        manifest.push_str(&line);
        manifest.push('\n');
    }
    manifest.push_str(PROFILE);
    if needs_sdk(example) && checkout.is_none() {
        manifest.push_str(&format!("exclude = [\"{}\"]\n", sdk::COPY));
    }
    manifest
}

#[cfg(test)]
mod tests {
    use super::super::BLUEPRINTS;
    use super::*;

    #[test]
    fn blueprint_manifest_is_standalone() {
        let shared: toml::Table = toml::from_str(WORKSPACE).unwrap();
        let shared = shared["workspace"]["dependencies"].as_table().unwrap();
        for example in BLUEPRINTS.iter().filter_map(|it| it.file("Cargo.toml")) {
            for sdk in [None, Some(Path::new("/the/sdk"))] {
                let text = standalone(example, "mine", sdk);
                let parsed: toml::Table = toml::from_str(&text).unwrap();
                assert_eq!(parsed["package"]["name"].as_str(), Some("mine"));
                assert!(!text.contains("workspace = true"), "{text}");
                assert_eq!(
                    text.contains("/the/sdk"),
                    sdk.is_some() && needs_sdk(example)
                );
                for (name, version) in parsed["dependencies"].as_table().unwrap() {
                    if name != "lamina-sdk" {
                        assert_eq!(Some(version), shared.get(name), "{name}");
                    }
                }
            }
        }
    }
}
