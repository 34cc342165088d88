//! Installed runtimes of a data directory: for each, a component with its standard library, from a bundle. Functions
//! find the newest installation whenever their code is loaded; one that it replaces stays until the host ends,
//! because environments have its files open.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::package::{self, Package, PackageSource};
use super::runtime::{self, Managed};
use crate::disk;
use crate::sandbox::RuntimeFiles;
use crate::store::blob::Digest;
use crate::store::directory;
use crate::store::tree::{InsertError, Trees};

/// Directory of the installed runtimes in a data directory.
const DIR: &str = "runtimes";
/// Files of a bundle: who it is, its component, and its standard library.
const MANIFEST: &str = "runtime.json";
const COMPONENT: &str = "runtime.wasm";
const LIBRARY: &str = "lib";

/// Reasons for which a runtime is not installed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bundle is no zip that may be unpacked.
    #[error("the bundle cannot be unpacked: {0}")]
    Package(#[from] package::Error),
    /// The bundle lacks a file, or its manifest is damaged.
    #[error("the file is no bundle of a runtime: {0}")]
    NotABundle(String),
    /// The bundle is of another runtime.
    #[error("the bundle is of the runtime {found}, not of {expected}")]
    Other {
        /// The runtime to install.
        expected: &'static str,
        /// The runtime in the bundle.
        found: String,
    },
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Unreadable(io::Error),
    /// The disk failed.
    #[error("the runtime could not be written: {0}")]
    Io(#[from] io::Error),
}

/// Installed runtimes.
#[derive(Debug)]
pub struct Runtimes {
    dir: PathBuf,
    trees: Trees,
}

/// An installed runtime.
#[derive(Clone, Debug)]
pub struct Installed {
    /// The runtime.
    pub managed: &'static Managed,
    /// Version of the language, such as `3.14.0`.
    pub version: String,
    /// Digest of its component.
    pub(super) component: Digest,
    tree: PathBuf,
    bundle: Digest,
}

/// Manifest in a bundle.
#[derive(Deserialize)]
struct Manifest {
    name: String,
    version: String,
}

/// The newest installation of a runtime, as kept on disk.
#[derive(Serialize, Deserialize)]
struct Pointer {
    bundle: Digest,
    /// Computed at installation, because reading the component for it takes as long as starting a function.
    component: Digest,
    version: String,
}

impl Installed {
    /// Path of the component within [`tree`](Self::tree).
    pub(super) const COMPONENT: &str = COMPONENT;

    /// Digest of the bundle that it was installed from.
    pub(super) fn bundle(&self) -> Digest {
        self.bundle
    }

    /// Directory of its files.
    pub(super) fn tree(&self) -> &Path {
        &self.tree
    }

    /// Directory of its library.
    fn library_dir(&self) -> PathBuf {
        self.tree.join(LIBRARY)
    }

    /// Its files, for a program without compiled files.
    pub(super) fn files(&self) -> RuntimeFiles {
        RuntimeFiles {
            version: format!("{}:{}", self.managed.language, self.version).into(),
            library_dir: self.library_dir(),
            mount: self.managed.library,
            compiled: Vec::new(),
            failures: self.managed.failures,
        }
    }
}

impl Runtimes {
    /// Opens the installed runtimes of a data directory.
    ///
    /// # Errors
    /// If their directory cannot be created.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        let dir = data_dir.join(DIR);
        let trees = Trees::open(&dir)?;
        Ok(Self { dir, trees })
    }

    /// The newest installation of a runtime. Blocks on the disk.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn find(&self, managed: &'static Managed) -> io::Result<Option<Installed>> {
        let text = match std::fs::read(self.pointer(managed)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        let pointer: Pointer = serde_json::from_slice(&text)?;
        let tree = self.trees.find(&pointer.bundle);
        Ok(tree.map(|tree| Installed {
            managed,
            version: pointer.version,
            component: pointer.component,
            tree,
            bundle: pointer.bundle,
        }))
    }

    /// All installed runtimes. Blocks on the disk.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn list(&self) -> io::Result<Vec<Installed>> {
        let found = runtime::all_managed().map(|managed| self.find(managed));
        found.filter_map(Result::transpose).collect()
    }

    /// Installs a runtime from a bundle, durably. Blocks on the disk.
    ///
    /// # Errors
    /// If the bundle is damaged or of another runtime, or the disk fails.
    pub fn install(&self, managed: &'static Managed, bundle: &Path) -> Result<Installed, Error> {
        let digest = File::open(bundle).and_then(Digest::read);
        let digest = digest.map_err(Error::Unreadable)?;
        let package = Package::read(PackageSource::File(bundle.to_owned()))?;
        for name in [MANIFEST, COMPONENT] {
            if !package.has(name) {
                return Err(Error::NotABundle(format!("it has no {name}")));
            }
        }
        if self.trees.find(&digest).is_none() {
            let inserted = self.trees.insert(&digest, |into| package.unpack(into));
            inserted.map_err(|error| match error {
                InsertError::Fill(error) => Error::Package(error),
                InsertError::Io(error) => Error::Io(error),
            })?;
        }
        let tree = self.trees.path(&digest);
        let manifest = manifest(&tree, managed)?;
        let component = Digest::read(File::open(tree.join(COMPONENT))?)?;
        let pointer = Pointer {
            bundle: digest,
            component,
            version: manifest.version.clone(),
        };
        self.put(managed, &pointer)?;
        Ok(Installed {
            managed,
            version: manifest.version,
            component,
            tree,
            bundle: digest,
        })
    }

    /// Deletes what crashes and newer installations have left. Nothing may use the runtimes yet.
    ///
    /// # Errors
    /// If it cannot be deleted.
    pub fn collect(&self) -> io::Result<()> {
        for leftover in self.trees.leftovers()? {
            directory::delete(&leftover)?;
        }
        let used: Vec<Digest> = self.list()?.iter().map(Installed::bundle).collect();
        for digest in self.trees.list()? {
            if !used.contains(&digest)
                && let Some(tree) = self.trees.set_aside(&digest)?
            {
                directory::delete(&tree)?;
            }
        }
        Ok(())
    }

    fn pointer(&self, managed: &Managed) -> PathBuf {
        self.dir.join(format!("{}.json", managed.name))
    }

    fn put(&self, managed: &Managed, pointer: &Pointer) -> io::Result<()> {
        let unfinished = directory::unfinished(&self.dir);
        let mut file = disk::create_new(&unfinished)?;
        file.write_all(&serde_json::to_vec(pointer)?)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, self.pointer(managed))?;
        directory::sync(&self.dir)
    }
}

fn manifest(tree: &Path, managed: &'static Managed) -> Result<Manifest, Error> {
    let text = std::fs::read(tree.join(MANIFEST))?;
    let manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|error| Error::NotABundle(format!("its {MANIFEST}: {error}")))?;
    if manifest.name != managed.name {
        return Err(Error::Other {
            expected: managed.name,
            found: manifest.name,
        });
    }
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;
    use crate::library::runtime::PYTHON;

    fn bundle(dir: &Path, files: &[(&str, &str)]) -> PathBuf {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(content.as_bytes()).unwrap();
        }
        let path = dir.join("bundle.zip");
        std::fs::write(&path, zip.finish().unwrap().into_inner()).unwrap();
        path
    }

    fn python(version: &str) -> String {
        format!(r#"{{"name": "python3.14", "version": "{version}", "inputs": "x"}}"#)
    }

    #[test]
    fn newest_installation_is_found_and_older_collected() {
        let dir = tempfile::tempdir().unwrap();
        let runtimes = Runtimes::open(dir.path()).unwrap();
        assert!(runtimes.find(&PYTHON).unwrap().is_none());
        for version in ["3.14.0", "3.14.1"] {
            let manifest = python(version);
            let files = [
                ("runtime.json", manifest.as_str()),
                ("runtime.wasm", "component"),
                ("lib/json.py", "x"),
            ];
            let file = bundle(dir.path(), &files);
            // Twice, as the second time it is there already.
            runtimes.install(&PYTHON, &file).unwrap();
            runtimes.install(&PYTHON, &file).unwrap();
            let found = runtimes.find(&PYTHON).unwrap().unwrap();
            assert_eq!(found.version, version);
            assert_eq!(found.component, Digest::of(b"component"));
            assert!(found.library_dir().join("json.py").is_file());
        }
        assert_eq!(runtimes.trees.list().unwrap().len(), 2);
        runtimes.collect().unwrap();
        assert_eq!(runtimes.trees.list().unwrap().len(), 1);
        assert_eq!(runtimes.list().unwrap()[0].version, "3.14.1");
    }

    #[test]
    fn unsuitable_bundle_is_refused_and_named() {
        let other = r#"{"name": "nodejs22.x", "version": "22"}"#;
        let good = python("3.14.0");
        let cases: [(&[(&str, &str)], &str); 4] = [
            (&[("runtime.json", &good)], "no runtime.wasm"),
            (&[("runtime.wasm", "x")], "no runtime.json"),
            (
                &[("runtime.json", "{"), ("runtime.wasm", "x")],
                "its runtime.json",
            ),
            (
                &[("runtime.json", other), ("runtime.wasm", "x")],
                "nodejs22.x, not of python3.14",
            ),
        ];
        for (files, expected) in cases {
            let dir = tempfile::tempdir().unwrap();
            let runtimes = Runtimes::open(dir.path()).unwrap();
            let file = bundle(dir.path(), files);
            let refused = runtimes.install(&PYTHON, &file).unwrap_err().to_string();
            assert!(refused.contains(expected), "{refused}");
            assert!(runtimes.find(&PYTHON).unwrap().is_none());
        }
    }
}
