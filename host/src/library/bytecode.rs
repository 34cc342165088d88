//! Compiled source files of functions, such as Python's `.pyc`: the runtime itself makes them in an environment of its own,
//! when a package is deployed, so that no cold start compiles them. No code of the function runs. A function works
//! without them too.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::installed::Installed;
use super::{Digest, Error, Inner, Library, Requester, blocking};
use crate::disk;
use crate::names::RequestId;
use crate::sandbox::{
    Artifact, Demand, Environment, FunctionFacts, ProgramFiles, RuntimeFiles, Setup, TaskMount,
    Unopened, Variables,
};
use crate::store::directory;
use crate::store::tree::{InsertError, Trees};
use crate::telemetry::log;
use crate::units::Mib;

/// Memory of an environment that compiles. Large generated modules take 200 MiB.
const MEMORY: Mib = Mib::new(512);
/// Compiled files of one package, which may have 250 MB.
const SCRATCH: Mib = Mib::new(512);
/// Time for one package. The runtime stops before, with what it has compiled.
const TIME_MAX: Duration = Duration::from_secs(60);
/// Variable that names the directory to compile. Names of users' variables begin with a letter.
const VARIABLE: &str = "_COMPILE";
/// File of a tree that says which version of the language has compiled it.
const VERSION: &str = "version";
/// Bytes of the log of an environment that compiles.
const LOG_BYTES_MAX: usize = 64 << 10;

/// Trees with source files, by where functions see them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// Packages of functions.
    Task,
    /// Layers, merged.
    Opt,
}

/// Compiled files, by the digest of their sources' tree.
#[derive(Debug)]
pub(super) struct Bytecode {
    task: Trees,
    opt: Trees,
}

impl Source {
    /// Path in functions.
    fn path(self) -> &'static str {
        match self {
            Self::Task => "/var/task",
            Self::Opt => "/opt",
        }
    }
}

impl Bytecode {
    pub(super) fn open(dir: &Path) -> std::io::Result<Self> {
        disk::create_dir_all(dir)?;
        Ok(Self {
            task: Trees::open(&dir.join("task"))?,
            opt: Trees::open(&dir.join("opt"))?,
        })
    }

    pub(super) fn leftovers(&self) -> std::io::Result<Vec<PathBuf>> {
        Ok([self.task.leftovers()?, self.opt.leftovers()?].concat())
    }

    /// Deletes the files that were compiled from a tree.
    pub(super) fn delete(&self, tree: &Digest) -> std::io::Result<()> {
        for trees in [&self.task, &self.opt] {
            if let Some(old) = trees.set_aside(tree)? {
                directory::delete(&old)?;
            }
        }
        Ok(())
    }

    fn of(&self, source: Source) -> &Trees {
        match source {
            Source::Task => &self.task,
            Source::Opt => &self.opt,
        }
    }

    /// Directory of compiled files, if this version of the language has made them.
    fn find(&self, tree: &Digest, source: Source, version: &str) -> Option<PathBuf> {
        let found = self.of(source).find(tree)?;
        let made_by = fs::read_to_string(found.join(VERSION)).ok()?;
        (made_by == version).then_some(found)
    }
}

impl Library {
    /// Directory of the files that are compiled from a tree, made now if it is not there. None if the host has no memory
    /// or disk for it now, or there is nothing to compile.
    pub(super) async fn bytecode(
        &self,
        installed: &Installed,
        artifact: &Artifact,
        tree: Digest,
        source: Source,
        requester: &Requester,
    ) -> Result<Option<PathBuf>, Error> {
        if installed.managed.compiled.is_none() {
            return Ok(None);
        }
        let hold = self.0.holds.hold(tree).await;
        let _turn = hold.turn().await;
        let (inner, version) = (Arc::clone(&self.0), installed.version.clone());
        let found = blocking(move || Ok(inner.bytecode.find(&tree, source, &version))).await?;
        let made = match found {
            Some(found) => found,
            None => {
                let _turn = self.0.unpackings.take(requester).await?;
                match self
                    .compile_files(installed, artifact, tree, source)
                    .await?
                {
                    Some(made) => made,
                    None => return Ok(None),
                }
            }
        };
        let dir = made.join(source.path().trim_start_matches('/'));
        Ok(Some(dir).filter(|it| it.is_dir()))
    }

    async fn compile_files(
        &self,
        installed: &Installed,
        artifact: &Artifact,
        tree: Digest,
        source: Source,
    ) -> Result<Option<PathBuf>, Error> {
        let (inner, artifact, files) = (Arc::clone(&self.0), artifact.clone(), installed.files());
        let program = blocking(move || inner.compiling(&artifact, files, tree, source)).await?;
        let budgets = self.budgets();
        let Ok(admission) = budgets.admit(&Arc::new(Demand::default()), MEMORY, SCRATCH) else {
            return Ok(None);
        };
        let clock = self.0.sandbox.clock();
        let logs = log::Logs::open(log::Config::new(None, LOG_BYTES_MAX), clock.clone())?;
        let log = logs.environment("compile", "compile", log::Format::Text, Vec::new());
        let id = RequestId::random(&clock);
        let scheduler = self.0.sandbox.scheduler();
        // No function has this name.
        let share = scheduler.share("compile files", MEMORY);
        let opened = share.run(async move {
            Environment::open(&program, setup(source), admission, log, &id, TIME_MAX).await
        });
        let environment = match opened.await {
            Ok(environment) => Some(environment),
            Err(Unopened::Failed(failure)) => {
                tracing::warn!(%tree, problem = failure.message, "source files were not compiled");
                None
            }
            Err(Unopened::NoRoom(_) | Unopened::Mount(_)) => return Ok(None),
            Err(Unopened::Broken(error)) => return Err(error.into()),
        };
        let (inner, version) = (Arc::clone(&self.0), installed.version.clone());
        blocking(move || {
            let made = environment.as_ref().and_then(Environment::tmp_dir);
            inner.keep_compiled(tree, source, &version, made).map(Some)
        })
        .await
    }
}

impl Inner {
    /// The runtime with a tree mounted where functions see it.
    fn compiling(
        &self,
        artifact: &Artifact,
        runtime: RuntimeFiles,
        tree: Digest,
        source: Source,
    ) -> Result<crate::sandbox::Program, Error> {
        self.artifacts.require_trusted(&artifact.path)?;
        let dir = self.tree(&tree)?;
        let files = ProgramFiles {
            task_dir: dir.clone(),
            task_mount: TaskMount::default(),
            opt_dir: matches!(source, Source::Opt).then_some(dir),
            runtime: Some(runtime),
            extensions: Vec::new(),
            guard: Arc::new(()),
        };
        Ok(self.sandbox.load(artifact, files)?)
    }

    /// Keeps the files that an environment has left in its `/tmp`; without it, the record that there are none.
    fn keep_compiled(
        &self,
        tree: Digest,
        source: Source,
        version: &str,
        made: Option<&Path>,
    ) -> Result<PathBuf, Error> {
        let trees = self.bytecode.of(source);
        if let Some(old) = trees.set_aside(&tree)? {
            directory::delete(&old)?;
        }
        let filled = trees.insert(&tree, |into| {
            disk::create_new(&into.join(VERSION))?.write_all(version.as_bytes())?;
            made.map_or(Ok(()), |made| copy(made, into))
        });
        filled.map_err(|error| match error {
            InsertError::Fill(error) | InsertError::Io(error) => Error::Io(error),
        })?;
        Ok(trees.path(&tree))
    }
}

/// Copies directories and regular files. Links, which the guest may have made, stay behind.
fn copy(from: &Path, into: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, into.join(entry.file_name()));
        if kind.is_dir() {
            disk::create_dir(&target)?;
            copy(&entry.path(), &target)?;
        } else if kind.is_file() {
            disk::copy(&entry.path(), &target)?;
        }
    }
    Ok(())
}

fn setup(source: Source) -> Setup {
    Setup {
        function: Arc::new(FunctionFacts {
            name: String::new(),
            version: String::new(),
            memory: MEMORY,
            log_group: String::new(),
        }),
        memory: MEMORY,
        tmp: SCRATCH,
        file_system: None,
        extensions: None,
        tenant_id: None,
        variables: Variables {
            shared: [(VARIABLE.to_owned(), source.path().to_owned())].into(),
            own: Vec::new(),
            process: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compiled_files_of_another_version_are_replaced_and_links_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        let library = Library::for_test(dir.path());
        let (inner, tree) = (&library.0, Digest::of(b"package"));
        let made = dir.path().join("made");
        fs::create_dir_all(made.join("var/task")).unwrap();
        fs::write(made.join("var/task/f.pyc"), "new").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", made.join("var/task/link")).unwrap();
        inner
            .keep_compiled(tree, Source::Task, "3.14.0", None)
            .unwrap();
        assert!(inner.bytecode.find(&tree, Source::Task, "3.14.1").is_none());
        assert!(inner.bytecode.find(&tree, Source::Opt, "3.14.0").is_none());
        inner
            .keep_compiled(tree, Source::Task, "3.14.1", Some(&made))
            .unwrap();
        let found = inner.bytecode.find(&tree, Source::Task, "3.14.1").unwrap();
        assert_eq!(
            fs::read_to_string(found.join("var/task/f.pyc")).unwrap(),
            "new"
        );
        assert!(fs::symlink_metadata(found.join("var/task/link")).is_err());
        inner.bytecode.delete(&tree).unwrap();
        assert!(inner.bytecode.find(&tree, Source::Task, "3.14.1").is_none());
    }
}
