//! `lamina new`: creates a function from a blueprint: one of this program's, a directory, or a git repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use clap::Args;

use super::new_dir::{NewDir, require_outside};
use super::{Ended, output};

mod blueprint;
mod crate_manifest;
mod sdk;

pub(super) use blueprint::BLUEPRINTS;
use blueprint::Blueprint;

/// Files of a directory that belong to it and not to a new function.
const LEFT_OUT: [&str; 4] = [".git", ".lamina", "target", "__pycache__"];

/// Create a function from a blueprint.
#[derive(Args, Clone, Debug)]
pub(super) struct New {
    /// Name of the function and its directory.
    name: String,
    /// Blueprint to start from: a name of `lamina blueprints`, a directory, or the URL of a git repository.
    #[arg(long, default_value = "hello")]
    blueprint: String,
    /// Copy the SDK into the crate. This is the default if the checkout that this program was built
    /// from is missing.
    #[arg(long)]
    vendor: bool,
}

/// Prints the blueprints of this program.
pub(super) fn list() -> Ended {
    for Blueprint { name, about, .. } in BLUEPRINTS {
        output::line(&format!("{name:15} {about}"));
    }
    Ended::Well
}

impl New {
    pub(super) fn run(self) -> anyhow::Result<Ended> {
        let dir = PathBuf::from(&self.name);
        let name = dir
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if crate::names::FunctionName::parse(name).is_err() || name.contains(':') {
            bail!(
                "`{name}` is not a function name: letters, digits, - and _, 64 at most; choose another name"
            );
        }
        let made = NewDir::at(&dir)?;
        match BLUEPRINTS.iter().find(|it| it.name == self.blueprint) {
            Some(blueprint) => self.write(blueprint, &dir, name)?,
            None if Path::new(&self.blueprint).is_dir() => {
                copy(Path::new(&self.blueprint), &dir, name)?;
            }
            None if is_git(&self.blueprint) => clone(&self.blueprint, &dir, name)?,
            None => bail!(
                "{} is neither a blueprint of `lamina blueprints`, nor a directory, nor the URL of a git repository",
                self.blueprint
            ),
        }
        made.keep();
        output::line(&format!(
            "{} is ready: `lamina dev {}`",
            name,
            dir.display()
        ));
        Ok(Ended::Well)
    }

    fn write(&self, blueprint: &Blueprint, dir: &Path, name: &str) -> anyhow::Result<()> {
        let cargo = blueprint.file("Cargo.toml");
        if cargo.is_some() {
            require_crate_name(name)?;
        }
        let checkout = sdk::checkout().filter(|_| !self.vendor);
        for (path, content) in blueprint.files {
            let content = match *path {
                "Cargo.toml" => crate_manifest::standalone(content, name, checkout.as_deref()),
                "lamina.toml" => project_manifest(content, name, cargo.is_some()),
                _ => (*content).to_owned(),
            };
            put(dir, path, &content)?;
        }
        put(dir, ".gitignore", "target/\n.lamina/\n__pycache__/\n")?;
        if cargo.is_some_and(crate_manifest::needs_sdk) && checkout.is_none() {
            sdk::copy_to(&dir.join(sdk::COPY))?;
            output::note(&format!(
                "lamina-sdk is not on crates.io: a copy of version {} is in {}",
                env!("CARGO_PKG_VERSION"),
                dir.join(sdk::COPY).display()
            ));
        }
        Ok(())
    }
}

fn put(dir: &Path, path: &str, content: &str) -> anyhow::Result<()> {
    let path = dir.join(path);
    fs::create_dir_all(path.parent().unwrap_or(dir))?;
    fs::write(&path, content).with_context(|| path.display().to_string())
}

/// `lamina.toml` under another name. New crates compile their dependencies into one directory.
fn project_manifest(content: &str, name: &str, is_crate: bool) -> String {
    let text = renamed(content, name);
    let shared = "\n[build]\n# Dependencies are compiled once for all functions of this user.\nshared_target = true\n";
    if is_crate { text + shared } else { text }
}

/// Replaces the first `name = "..."`.
fn renamed(content: &str, name: &str) -> String {
    let mut is_done = false;
    let line = |line: &str| {
        let is_name = !is_done && line.starts_with("name = ");
        is_done |= is_name;
        if is_name {
            format!("name = \"{name}\"\n")
        } else {
            format!("{line}\n")
        }
    };
    content.lines().map(line).collect()
}

/// Copies a directory, and names the copy.
fn copy(from: &Path, to: &Path, name: &str) -> anyhow::Result<()> {
    let has = |file: &str| from.join(file).is_file();
    if !has("Cargo.toml") && !has("lamina.toml") {
        bail!(
            "{} is no blueprint: it has neither Cargo.toml nor lamina.toml",
            from.display()
        );
    }
    if has("Cargo.toml") {
        require_crate_name(name)?;
    }
    require_outside(to, from)?;
    copy_files(from, to)?;
    for manifest in ["Cargo.toml", "lamina.toml"].map(|it| to.join(it)) {
        if manifest.is_file() {
            fs::write(&manifest, renamed(&fs::read_to_string(&manifest)?, name))?;
        }
    }
    Ok(())
}

fn copy_files(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let target = to.join(entry.file_name());
        if LEFT_OUT.iter().any(|it| *it == entry.file_name()) {
            continue;
        }
        if kind.is_dir() {
            copy_files(&path, &target)?;
        } else if kind.is_file() {
            fs::copy(&path, &target).with_context(|| path.display().to_string())?;
        } else {
            bail!(
                "{} is a link or a device; a blueprint has files only",
                path.display()
            );
        }
    }
    Ok(())
}

fn is_git(blueprint: &str) -> bool {
    let has_scheme = ["https://", "http://", "ssh://", "git://", "file://", "git@"];
    has_scheme.iter().any(|it| blueprint.starts_with(it))
}

/// Copies the files of a git repository.
fn clone(url: &str, dir: &Path, name: &str) -> anyhow::Result<()> {
    let parent = std::path::absolute(dir)?;
    let parent = parent.parent().unwrap_or_else(|| Path::new("/"));
    fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
    // Deleted when it is dropped. Its name is random, because the parent may be shared.
    let workshop = tempfile::Builder::new()
        .prefix(".lamina-blueprint-")
        .tempdir_in(parent)?;
    let checkout = workshop.path().join("checkout");
    let mut git = Command::new("git");
    git.args(["clone", "--quiet", "--depth", "1", "--", url]);
    let cloned = git.arg(&checkout).stdin(Stdio::null()).status();
    if !cloned.context("git cannot be run")?.success() {
        bail!("{url} was not cloned: see above");
    }
    copy(&checkout, dir, name).with_context(|| url.to_owned())
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
const TAKEN: [&str; 70] = [
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
    "wstd",
    "yield",
];

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn manifest_of_a_blueprint_is_renamed() {
        for blueprint in BLUEPRINTS {
            let manifest = blueprint.file("lamina.toml").unwrap();
            let text = project_manifest(manifest, "mine", blueprint.file("Cargo.toml").is_some());
            let parsed: toml::Table = toml::from_str(&text).unwrap();
            assert_eq!(parsed["name"].as_str(), Some("mine"), "{}", blueprint.name);
        }
    }

    #[test]
    fn directory_that_is_no_blueprint_is_refused() {
        let from = tempfile::tempdir().unwrap();
        fs::write(from.path().join("secret"), "").unwrap();
        let to = tempfile::tempdir().unwrap();
        let to = to.path().join("mine");
        let refused = copy(from.path(), &to, "mine").unwrap_err().to_string();
        assert!(refused.contains("is no blueprint"), "{refused}");
        put(from.path(), "Cargo.toml", "[package]\n").unwrap();
        assert!(copy(from.path(), &to, "fn").is_err());
        let inside = from.path().join("sub");
        let refused = copy(from.path(), &inside, "sub").unwrap_err().to_string();
        assert!(refused.contains("is inside"), "{refused}");
        assert!(!inside.exists() && !to.exists());
    }

    #[test]
    fn directory_is_copied_without_what_was_built() {
        let from = tempfile::tempdir().unwrap();
        for path in ["src/lib.rs", "target/x", ".git/config", "lamina.toml"] {
            put(
                from.path(),
                path,
                "name = \"other\"\n[x]\nname = \"kept\"\n",
            )
            .unwrap();
        }
        let to = tempfile::tempdir().unwrap();
        let to = to.path().join("mine");
        copy(from.path(), &to, "mine").unwrap();
        let mut found: Vec<_> = fs::read_dir(&to)
            .unwrap()
            .map(|it| it.unwrap().file_name())
            .collect();
        found.sort();
        assert_eq!(found, ["lamina.toml", "src"]);
        let manifest = fs::read_to_string(to.join("lamina.toml")).unwrap();
        assert_eq!(manifest, "name = \"mine\"\n[x]\nname = \"kept\"\n");
    }
}
