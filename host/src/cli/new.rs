//! `lamina new`: creates a function's crate from a blueprint. Blueprints are the repository's
//! examples, so they are tested.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use super::{Ended, output};

mod sdk;

/// Create a function from a blueprint.
#[derive(Args, Clone, Debug)]
pub(super) struct New {
    /// Name of the function and its directory.
    name: String,
    /// Blueprint to start from.
    #[arg(long, value_enum, default_value_t = Blueprint::Hello)]
    blueprint: Blueprint,
    /// Copy the SDK into the crate. This is the default if the checkout that this program was built
    /// from is missing.
    #[arg(long)]
    vendor: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Blueprint {
    /// Typed event and typed response.
    Hello,
    /// State between invocations, files in /tmp.
    Counter,
    /// Custom runtime with its own event loop, like lambda_runtime.
    CustomRuntime,
    /// WASI HTTP.
    Http,
    /// Plain program: event on stdin, response on stdout.
    Command,
}

/// Files of a blueprint.
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
        require_crate_name(name)?;
        if dir.exists() && fs::read_dir(&dir)?.next().is_some() {
            bail!(
                "{} exists and is not empty; nothing was written",
                dir.display()
            );
        }
        let files = self.blueprint.files();
        let checkout = sdk::checkout().filter(|_| !self.vendor);
        write(&dir, name, &files, checkout.as_deref())?;
        if files.needs_sdk() && checkout.is_none() {
            sdk::copy_to(&dir.join(sdk::COPY))?;
            output::note(&format!(
                "lamina-sdk is not on crates.io: a copy of version {} is in {}",
                env!("CARGO_PKG_VERSION"),
                dir.join(sdk::COPY).display()
            ));
        }
        output::line(&format!(
            "{} is ready: `lamina dev {}`",
            name,
            dir.display()
        ));
        Ok(Ended::Well)
    }
}

impl Files {
    fn needs_sdk(&self) -> bool {
        self.manifest.contains("\nlamina-sdk.workspace")
    }
}

/// Refuses function names that cargo does not accept as crate names.
fn require_crate_name(name: &str) -> anyhow::Result<()> {
    if !name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
        bail!("{name}: the name of a crate begins with a letter; choose another name");
    }
    if TAKEN.contains(&name.replace('-', "_").as_str()) {
        bail!("{name} is reserved by Rust or cargo; choose another name");
    }
    Ok(())
}

/// Rust keywords, cargo's directory names and crates that functions depend on, with `_` for `-`.
const TAKEN: [&str; 69] = [
    "Self",
    "_",
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "lamina_sdk",
    "lamina_sdk_macro",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "serde",
    "serde_json",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "tracing",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "wasip2",
    "where",
    "while",
    "wit_bindgen",
    "yield",
];

fn write(dir: &Path, name: &str, files: &Files, sdk: Option<&Path>) -> anyhow::Result<()> {
    let (path, source) = files.source;
    let put = |path: &str, text: &str| {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap_or(dir))?;
        fs::write(&path, text).with_context(|| path.display().to_string())
    };
    put("Cargo.toml", &manifest(files, name, sdk))?;
    put(path, source)?;
    put("event.json", files.event)?;
    put(".gitignore", "target/\n.lamina/\n")
}

/// Manifest of an example, made standalone: values inherited from the workspace are written out.
fn manifest(files: &Files, name: &str, sdk: Option<&Path>) -> String {
    let shared = |key: &str| {
        let line = WORKSPACE.lines().find(|line| {
            let rest = line.strip_prefix(key);
            rest.is_some_and(|rest| rest.starts_with(" = "))
        });
        line.unwrap_or_default().to_owned()
    };
    let mut manifest = String::new();
    for line in files.manifest.lines() {
        let line = match line.split_once(".workspace = true") {
            _ if line.starts_with("name = ") => format!("name = \"{name}\""),
            Some(("lamina-sdk", _)) => sdk::dependency(sdk),
            Some((key @ ("serde" | "serde_json" | "wasip2" | "version" | "edition"), _)) => {
                shared(key)
            }
            Some(_) => continue,
            None => line.to_owned(),
        };
        manifest.push_str(&line);
        manifest.push('\n');
    }
    manifest.push_str(PROFILE);
    if files.needs_sdk() && sdk.is_none() {
        manifest.push_str(&format!("exclude = [\"{}\"]\n", sdk::COPY));
    }
    manifest
}

/// Workspace manifest of the examples, with shared versions.
const WORKSPACE: &str = include_str!("../../../examples/Cargo.toml");

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
    fn blueprint_manifest_is_standalone() {
        for blueprint in Blueprint::value_variants() {
            for sdk in [None, Some(Path::new("/the/sdk"))] {
                let text = manifest(&blueprint.files(), "mine", sdk);
                let parsed: toml::Table = toml::from_str(&text).unwrap();
                assert_eq!(
                    parsed["package"]["name"].as_str(),
                    Some("mine"),
                    "{blueprint:?}"
                );
                assert!(!text.contains("workspace = true"), "{text}");
                assert_eq!(
                    text.contains("/the/sdk"),
                    sdk.is_some() && text.contains("lamina-sdk")
                );
            }
        }
    }

    #[test]
    fn blueprint_manifest_has_versions_of_examples() {
        let shared: toml::Table = toml::from_str(WORKSPACE).unwrap();
        let shared = shared["workspace"]["dependencies"].as_table().unwrap();
        for blueprint in Blueprint::value_variants() {
            let text = manifest(&blueprint.files(), "mine", None);
            let parsed: toml::Table = toml::from_str(&text).unwrap();
            for (name, version) in parsed["dependencies"].as_table().unwrap() {
                if name != "lamina-sdk" {
                    assert_eq!(Some(version), shared.get(name), "{name}");
                }
            }
        }
    }

    #[test]
    fn name_that_cargo_refuses_is_refused() {
        for name in ["f", "my-function", "_x", "x1", "built"] {
            require_crate_name(name).unwrap();
        }
        for name in ["1abc", "-x", "fn", "test", "build", "proc-macro", "serde"] {
            let refused = require_crate_name(name).unwrap_err().to_string();
            assert!(refused.contains(name), "{refused}");
        }
        assert!(TAKEN.is_sorted());
    }
}
