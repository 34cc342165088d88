//! Compiled components on the disk: each for this machine, which runs it, and those of functions that ask for
//! another architecture for such machines too, which find them where they get this data directory.

use std::path::Path;
use std::sync::atomic::Ordering;

use super::{CodeRef, ComponentRef, Shelves, io};
use crate::control::Error;
use crate::sandbox::{Architecture, Artifact, MemoryImage, Target, compile};
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
    ) -> Result<Option<Artifact>, Error> {
        let Some(component) = &code.component else {
            return Ok(None);
        };
        if Target::elsewhere(architecture).is_some() {
            self.tell_of_foreign(architecture);
        }
        for target in [Some(Target::Here), Target::from_elsewhere()]
            .into_iter()
            .flatten()
        {
            if let Some(artifact) = self.find(component, target).await? {
                return Ok(Some(artifact));
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
    ) -> Result<Artifact, Error> {
        if let Some(artifact) = self.find(component, target).await? {
            return Ok(artifact);
        }
        let _turn = self
            .compilations
            .acquire()
            .await
            .expect("the semaphore is never closed");
        let path = self.tree(&code.package)?.join(&component.path);
        let name = |image| self.name(component, target, image);
        let made = compile::compile(&self.compiler, target, &path, &self.artifacts, name);
        made.await.map_err(|error| {
            let text = error.to_string();
            if error.is_callers_fault() {
                Error::Invalid(text)
            } else {
                Error::Internal(text)
            }
        })
    }

    /// The component compiled for a target, if it has been.
    async fn find(
        &self,
        component: &ComponentRef,
        target: Target,
    ) -> Result<Option<Artifact>, Error> {
        for image in MemoryImage::ALL {
            let name = self.name(component, target, image);
            let path = self.artifacts.join(name);
            if tokio::fs::try_exists(&path).await.map_err(io)? {
                return Ok(Some(Artifact { path, image }));
            }
        }
        Ok(None)
    }

    /// A compiled component is good for one engine only, so the engine is part of its name.
    fn name(&self, component: &ComponentRef, target: Target, image: MemoryImage) -> String {
        let engine = self.sandbox.compatibility(target, image);
        format!("{}-{engine}.{EXTENSION}", component.digest)
    }

    /// What a compiled component of this name was made from, and the architecture where it is for machines
    /// of another kind.
    pub(super) fn origin(&self, name: &str) -> Option<(Digest, Option<Architecture>)> {
        let (digest, engine) = Path::new(name).file_stem()?.to_str()?.split_once('-')?;
        let is = |target| {
            let mut images = MemoryImage::ALL.into_iter();
            images.any(|image| engine == self.sandbox.compatibility(target, image))
        };
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
