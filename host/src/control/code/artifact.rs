//! Compiled components on the disk: each for this machine, which runs it, and those of functions that ask for
//! another architecture for such machines too, which find them where they get this data directory.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use super::{CodeRef, ComponentRef, Shelves, io};
use crate::control::Error;
use crate::sandbox::{Architecture, Target, compile};
use crate::store::blob::Digest;

#[cfg(test)]
mod tests;

/// How the names of compiled components end.
const EXTENSION: &str = "cwasm";

impl Shelves {
    /// Makes all that a function of this architecture is compiled to: one after the other, so that a
    /// component that is no good takes its time once.
    pub(super) async fn compile(
        &self,
        code: &CodeRef,
        architecture: Architecture,
    ) -> Result<(), Error> {
        let Some(component) = &code.component else {
            return Ok(());
        };
        self.made(code, component, Target::Here).await?;
        if let Some(elsewhere) = Target::elsewhere(architecture) {
            self.made(code, component, elsewhere).await?;
        }
        Ok(())
    }

    /// What can be run here of this code, if it has a component; made now if it is not there. What a
    /// machine of another architecture has made for machines like this one will do until then.
    pub(super) async fn runnable(
        &self,
        code: &CodeRef,
        architecture: Architecture,
    ) -> Result<Option<PathBuf>, Error> {
        let Some(component) = &code.component else {
            return Ok(None);
        };
        if Target::elsewhere(architecture).is_some() {
            self.tell_of_foreign(architecture);
        }
        if let Some(target) = Target::from_elsewhere() {
            let (own, given) = (
                self.artifact(component, Target::Here),
                self.artifact(component, target),
            );
            if !exists(&own).await? && exists(&given).await? {
                return Ok(Some(given));
            }
        }
        self.made(code, component, Target::Here).await.map(Some)
    }

    /// Says once that functions run on a machine of another kind than they ask for.
    fn tell_of_foreign(&self, architecture: Architecture) {
        if !self.told_of_foreign.swap(true, Ordering::Relaxed) {
            tracing::info!(
                "functions of architecture {architecture} are compiled for this machine as well, and run \
                 on it; {} is what it has",
                std::env::consts::ARCH
            );
        }
    }

    /// The component compiled for a target.
    async fn made(
        &self,
        code: &CodeRef,
        component: &ComponentRef,
        target: Target,
    ) -> Result<PathBuf, Error> {
        let artifact = self.artifact(component, target);
        if exists(&artifact).await? {
            return Ok(artifact);
        }
        let _turn = self
            .compilations
            .acquire()
            .await
            .expect("the semaphore is never closed");
        let component = self.tree(&code.package)?.join(&component.path);
        match compile::compile(&self.compiler, target, &component, &artifact).await {
            Ok(()) => Ok(artifact),
            Err(error) if error.is_callers_fault() => Err(Error::Invalid(error.to_string())),
            Err(error) => Err(Error::Internal(error.to_string())),
        }
    }

    /// A compiled component is good for one engine only, so the engine is part of its name.
    fn artifact(&self, component: &ComponentRef, target: Target) -> PathBuf {
        let engine = self.sandbox.compatibility(target);
        let name = format!("{}-{engine}.{EXTENSION}", component.digest);
        self.artifacts.join(name)
    }

    /// What a compiled component of this name was made from, and the architecture where it is for machines
    /// of another kind.
    pub(super) fn origin(&self, name: &str) -> Option<(Digest, Option<Architecture>)> {
        let (digest, engine) = Path::new(name).file_stem()?.to_str()?.split_once('-')?;
        let is = |target| engine == self.sandbox.compatibility(target);
        let mut architectures = Architecture::ALL.into_iter();
        let architecture = architectures.find(|&architecture| is(Target::Any(architecture)));
        // They can have one name, on a machine that can do no more than all others.
        let elsewhere = architecture.filter(|_| !is(Target::Here));
        Some((digest.parse().ok()?, elsewhere))
    }
}

/// Deletes what a killed process had not compiled to the end.
pub(super) fn tidy(artifacts: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(artifacts)? {
        let path = entry?.path();
        if path.extension().is_none_or(|it| it != EXTENSION) {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

async fn exists(artifact: &Path) -> Result<bool, Error> {
    tokio::fs::try_exists(artifact).await.map_err(io)
}
