//! Contents of a backup: every file with its size and digest, every link and every directory.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::store::blob::Digest;

/// Entries of a directory and of those below it, by path.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(transparent)]
pub(super) struct Contents(BTreeMap<String, Entry>);

#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    Directory,
    File { bytes: u64, sha256: Digest },
    Link { target: String },
}

impl Contents {
    /// Reads a directory, without one file at its top.
    pub(super) fn of(dir: &Path, without: &str) -> anyhow::Result<Self> {
        let mut found = Self::default();
        found.add_entries(dir, "")?;
        found.0.remove(without);
        Ok(found)
    }

    fn add_entries(&mut self, dir: &Path, prefix: &str) -> anyhow::Result<()> {
        for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let read = if kind.is_dir() {
                self.add_entries(&path, &format!("{name}/"))?;
                Entry::Directory
            } else if kind.is_symlink() {
                let target = fs::read_link(&path)?.to_string_lossy().into_owned();
                Entry::Link { target }
            } else {
                file(&path).with_context(|| path.display().to_string())?
            };
            self.0.insert(name, read);
        }
        Ok(())
    }

    /// Packages whose content differs from the digest that is their name.
    pub(super) fn damaged_packages(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|(path, entry)| {
            let name = path.strip_prefix("packages/")?;
            let is_whole =
                matches!(entry, Entry::File { sha256, .. } if sha256.to_string() == name);
            (!is_whole).then_some(name)
        })
    }

    /// Refuses a directory whose contents differ from these.
    pub(super) fn require_equal(&self, found: &Self) -> anyhow::Result<()> {
        for (path, entry) in &self.0 {
            match found.0.get(path) {
                None => bail!("{path} is missing"),
                Some(other) if other != entry => bail!("{path} is damaged"),
                Some(_) => {}
            }
        }
        match found.0.keys().find(|path| !self.0.contains_key(*path)) {
            Some(path) => bail!("{path} was added later"),
            None => Ok(()),
        }
    }
}

fn file(path: &Path) -> std::io::Result<Entry> {
    let file = fs::File::open(path)?;
    Ok(Entry::File {
        bytes: file.metadata()?.len(),
        sha256: Digest::read(file)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_changed_and_added_entries_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("trees/a/component.wasm", "one");
        write("host.key", "secret");
        write("skipped.json", "{}");
        std::os::unix::fs::symlink("a", dir.path().join("trees/link")).unwrap();
        let read = || Contents::of(dir.path(), "skipped.json").unwrap();
        let text = serde_json::to_vec(&read()).unwrap();
        let made: Contents = serde_json::from_slice(&text).unwrap();
        made.require_equal(&read()).unwrap();
        let expect = |expected: &str| {
            let refused = made.require_equal(&read()).unwrap_err().to_string();
            assert_eq!(refused, expected);
        };
        write("trees/a/component.wasm", "two");
        expect("trees/a/component.wasm is damaged");
        write("trees/a/component.wasm", "one");
        fs::remove_file(dir.path().join("host.key")).unwrap();
        expect("host.key is missing");
        write("host.key", "secret");
        write("other", "");
        expect("other was added later");
    }

    #[test]
    fn package_with_another_digest_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let packages = dir.path().join("packages");
        fs::create_dir(&packages).unwrap();
        let whole = Digest::of(b"whole").to_string();
        fs::write(packages.join(&whole), "whole").unwrap();
        let other = Digest::of(b"other").to_string();
        fs::write(packages.join(&other), "othe").unwrap();
        let found = Contents::of(dir.path(), "").unwrap();
        assert_eq!(found.damaged_packages().collect::<Vec<_>>(), [other]);
    }
}
