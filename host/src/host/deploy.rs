//! Functions of an embedder: from bytes, or from a directory of components.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;

use super::{Error, FunctionHandle, Host};
use crate::control::configuration::{LastUpdate, Patch, State};
use crate::control::update::Deploy;
use crate::names::FunctionName;
use crate::units::Mib;

/// Manifest in a directory of components.
const MANIFEST: &str = "functions.toml";
/// Endings of components and of deployment packages.
const ENDINGS: [&str; 2] = ["wasm", "zip"];

/// A function to deploy: its code and its settings. Settings that are not given keep their values, or are AWS's defaults for
/// a new function.
///
/// ```
/// # use std::time::Duration;
/// # let component: &[u8] = b"";
/// let function = lamina::Function::from_bytes("hello", component.to_vec())
///     .memory_mib(256)
///     .timeout(Duration::from_secs(5))
///     .variable("GREETING", "Hello");
/// ```
#[derive(Clone, Debug)]
pub struct Function {
    name: String,
    code: Bytes,
    settings: Settings,
}

/// Settings of a function, as the manifest has them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// File of the component, if it has another name.
    file: Option<PathBuf>,
    /// Component in a package.
    handler: Option<String>,
    memory_mib: Option<u32>,
    timeout_seconds: Option<u32>,
    tmp_mib: Option<u32>,
    environment: Option<BTreeMap<String, String>>,
}

impl Function {
    /// A function from the bytes of a component, or of a zip that holds one.
    pub fn from_bytes(name: impl Into<String>, code: impl Into<Bytes>) -> Self {
        Self {
            name: name.into(),
            code: code.into(),
            settings: Settings::default(),
        }
    }

    /// Component in a zip: `bootstrap` is the file `bootstrap` or `bootstrap.wasm`.
    #[must_use]
    pub fn handler(mut self, handler: impl Into<String>) -> Self {
        self.settings.handler = Some(handler.into());
        self
    }

    /// Memory of an environment in MiB.
    #[must_use]
    pub fn memory_mib(mut self, mib: u32) -> Self {
        self.settings.memory_mib = Some(mib);
        self
    }

    /// Time limit of an invocation, rounded up to seconds.
    #[must_use]
    pub fn timeout(mut self, time: Duration) -> Self {
        let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
        self.settings.timeout_seconds = Some(seconds.try_into().unwrap_or(u32::MAX));
        self
    }

    /// Size of the `/tmp` of an environment in MiB.
    #[must_use]
    pub fn tmp_mib(mut self, mib: u32) -> Self {
        self.settings.tmp_mib = Some(mib);
        self
    }

    /// Adds an environment variable. The variables given replace all of the function's.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let variables = self.settings.environment.get_or_insert_default();
        variables.insert(name.into(), value.into());
        self
    }
}

impl Host {
    /// Creates a function, or updates it, and waits until it can be invoked. New invocations run the new code from then
    /// on; those in progress end in the old one. Nothing happens if code and settings are the same.
    ///
    /// # Errors
    /// If the name, a setting or the component is refused.
    pub async fn deploy(&self, function: Function) -> Result<FunctionHandle, Error> {
        let handle = self.function(&function.name)?;
        let name = FunctionName::parse(&function.name)
            .map_err(|error| Error::Invalid(error.to_string()))?;
        let Settings {
            file: _,
            handler,
            memory_mib,
            timeout_seconds,
            tmp_mib,
            environment,
        } = function.settings;
        let deploy = Deploy {
            package: function.code,
            patch: Patch {
                handler,
                memory: memory_mib.map(Mib::new),
                timeout_seconds,
                ephemeral: tmp_mib.map(Mib::new),
                environment: environment.map(|it| it.into_iter().collect()),
                ..Patch::default()
            },
        };
        let deployed = self.core.control.deploy(&name, deploy).await?;
        let latest = deployed.latest;
        match (latest.state, latest.last_update) {
            (State::Failed, _) | (_, Some(LastUpdate::Failed)) => {
                let reason = latest.reason.map(|it| it.text);
                Err(Error::Invalid(reason.unwrap_or_default()))
            }
            _ => Ok(handle),
        }
    }

    /// Deletes a function with its versions and aliases. Invocations in progress end as usual.
    ///
    /// # Errors
    /// If there is no such function.
    pub async fn remove(&self, name: &str) -> Result<(), Error> {
        let name = FunctionName::parse(name).map_err(|error| Error::Invalid(error.to_string()))?;
        Ok(self.core.control.delete_function(&name).await?)
    }

    /// Deploys every component of a directory: `hello.wasm` or `hello.zip` is the function `hello`. An optional
    /// `functions.toml` has the settings, and the file if it has another name:
    ///
    /// ```toml
    /// [hello]
    /// file = "target/hello.wasm"
    /// memory_mib = 256
    /// timeout_seconds = 5
    /// environment = { GREETING = "Hello" }
    /// ```
    ///
    /// Call it again after a change: only changed functions are deployed. Functions whose file is gone stay, until
    /// [`remove`](Self::remove). Returns the names, and the outcome of each.
    ///
    /// # Errors
    /// If the directory or the manifest cannot be read.
    pub async fn deploy_directory(
        &self,
        path: impl Into<PathBuf>,
    ) -> Result<BTreeMap<String, Result<FunctionHandle, Error>>, Error> {
        let path = path.into();
        let read = tokio::task::spawn_blocking(move || components(&path)).await;
        let mut deployed = BTreeMap::new();
        for (name, (file, settings)) in read.map_err(Error::host)?? {
            let code = tokio::fs::read(&file).await;
            let outcome = match code {
                Ok(code) => {
                    let function = Function {
                        name: name.clone(),
                        code: code.into(),
                        settings,
                    };
                    self.deploy(function).await
                }
                Err(error) => Err(unreadable(&file, &error)),
            };
            deployed.insert(name, outcome);
        }
        Ok(deployed)
    }
}

/// Files and settings of the functions in a directory, by name.
fn components(dir: &Path) -> Result<BTreeMap<String, (PathBuf, Settings)>, Error> {
    let mut manifest = manifest(dir)?;
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).map_err(|error| unreadable(dir, &error))? {
        let path = entry.map_err(|error| unreadable(dir, &error))?.path();
        let ending = path.extension().and_then(|it| it.to_str());
        let name = path.file_stem().and_then(|it| it.to_str());
        if let (Some(ending), Some(name)) = (ending, name)
            && ENDINGS.contains(&ending)
        {
            let settings = manifest.remove(name).unwrap_or_default();
            let file = settings.file.as_ref().map(|file| dir.join(file));
            found.insert(name.to_owned(), (file.unwrap_or(path), settings));
        }
    }
    for (name, settings) in manifest {
        let Some(file) = &settings.file else {
            let text = format!("{MANIFEST} has settings of {name}, and no file {name}.wasm");
            return Err(Error::Invalid(text));
        };
        found.insert(name, (dir.join(file), settings));
    }
    Ok(found)
}

fn manifest(dir: &Path) -> Result<BTreeMap<String, Settings>, Error> {
    let path = dir.join(MANIFEST);
    match std::fs::read_to_string(&path) {
        Ok(text) => toml::from_str(&text)
            .map_err(|error| Error::Invalid(format!("{}: {error}", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(unreadable(&path, &error)),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::Invalid(format!("{} cannot be read: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_is_read_with_its_manifest() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        for name in ["a.wasm", "b.zip", "readme.md", "c.bin"] {
            write(name, "");
        }
        write(
            MANIFEST,
            "[a]\nmemory_mib = 256\n[c]\nfile = \"c.bin\"\nenvironment = { A = \"1\" }",
        );
        let found = components(dir.path()).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(found["a"].1.memory_mib, Some(256));
        assert_eq!(found["c"].0, dir.path().join("c.bin"));
        write(MANIFEST, "[gone]\nmemory_mib = 256");
        let error = components(dir.path()).unwrap_err().to_string();
        assert!(error.contains("no file gone.wasm"), "{error}");
        write(MANIFEST, "[a]\nmemory = 256");
        let error = components(dir.path()).unwrap_err().to_string();
        assert!(error.contains("unknown field `memory`"), "{error}");
    }
}
