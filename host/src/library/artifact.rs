//! Compiled components on the disk: each for this machine, which runs it, and those of functions that ask for
//! another architecture for such machines too, which find them where they get this data directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::turns::{Bounds, Requester, Turns};
use super::{Digest, Error, STEPS_WAITING_MAX, blocking};
use crate::sandbox::{Architecture, Artifact, EngineKind, Sandbox, Target, compile};
use crate::store::directory;

#[cfg(test)]
mod tests;

/// Extension of compiled components.
const EXTENSION: &str = "cwasm";

/// Compilations that run at once. Each takes a core and some hundred MiB for its whole time.
const COMPILATIONS_MAX: Bounds = Bounds {
    all: 3,
    per_caller: 2,
    waiting: STEPS_WAITING_MAX,
};

/// The compiled components of a data directory. They run as native code in this process, so no other
/// user may write them: see [`directory::is_trusted`].
#[derive(Debug)]
pub(super) struct Artifacts {
    dir: PathBuf,
    sandbox: Sandbox,
    compiler: compile::Compiler,
    compilations: Arc<Turns>,
    told_of_foreign: AtomicBool,
}

/// A component to compile.
#[derive(Clone, Debug)]
pub(super) struct Input {
    /// The unpacked package.
    pub(super) tree: PathBuf,
    /// Path of the component in it.
    pub(super) path: String,
    pub(super) package: Digest,
}

/// A compiled component that is here, and the component and architecture it was made for.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// None where no engine of this host has such names. The architecture is that of machines of another
    /// kind.
    pub(super) origin: Option<(Digest, Option<Architecture>)>,
}

impl Artifacts {
    /// The artifacts of a directory, without those that another user could have written and those that a
    /// killed process has not finished. They are compiled again.
    pub(super) fn open(
        dir: PathBuf,
        sandbox: Sandbox,
        compiler: compile::Compiler,
    ) -> std::io::Result<Self> {
        let was_trusted = !dir.exists() || directory::is_trusted(&dir)?;
        directory::open(&dir)?;
        for entry in std::fs::read_dir(&dir)? {
            let path = entry?.path();
            let is_whole = path.extension().is_some_and(|it| it == EXTENSION);
            let is_trusted = was_trusted && directory::is_trusted(&path)?;
            if !is_trusted {
                tracing::warn!(path = %path.display(), "a compiled component is compiled again, since another user could have written it");
            }
            if !is_whole || !is_trusted {
                directory::delete(&path)?;
            }
        }
        Ok(Self {
            dir,
            sandbox,
            compiler,
            compilations: Turns::new("compile", COMPILATIONS_MAX),
            told_of_foreign: AtomicBool::new(false),
        })
    }

    /// The queue of compilations.
    pub(super) fn turns(&self) -> &Arc<Turns> {
        &self.compilations
    }

    /// Makes all that a function of this architecture is compiled to, one after the other, so that a
    /// component that cannot be compiled takes its time once.
    pub(super) async fn compile(
        &self,
        component: Digest,
        architecture: Architecture,
        input: Input,
        requester: &Requester,
    ) -> Result<(), Error> {
        self.made(component, &input, Target::Here, requester)
            .await?;
        if let Some(elsewhere) = Target::elsewhere(architecture) {
            self.made(component, &input, elsewhere, requester).await?;
        }
        Ok(())
    }

    /// The artifact to run here, made now if it is not there. One that a machine of another architecture
    /// has made for machines like this one will do until then.
    pub(super) async fn runnable(
        &self,
        component: Digest,
        architecture: Architecture,
        input: Input,
        requester: &Requester,
    ) -> Result<Artifact, Error> {
        if Target::elsewhere(architecture).is_some() {
            self.tell_of_foreign(architecture);
        }
        self.runnable_here(component, input, requester).await
    }

    /// The artifact to run here, for functions of any architecture.
    pub(super) async fn runnable_here(
        &self,
        component: Digest,
        input: Input,
        requester: &Requester,
    ) -> Result<Artifact, Error> {
        let targets = [Some(Target::Here), Target::from_elsewhere()];
        for target in targets.into_iter().flatten() {
            if let Some(artifact) = self.find(component, target).await? {
                return Ok(artifact);
            }
        }
        self.made(component, &input, Target::Here, requester).await
    }

    /// Refuses an artifact that another user could have written. Waits for the disk.
    pub(super) fn require_trusted(&self, artifact: &Path) -> Result<(), Error> {
        for path in [self.dir.as_path(), artifact] {
            if !directory::is_trusted(path)? {
                return Err(Error::Untrusted(artifact.display().to_string()));
            }
        }
        Ok(())
    }

    /// Compiled components that are here. Waits for the disk.
    pub(super) fn list(&self) -> std::io::Result<Vec<Found>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.dir)? {
            let entry = entry?;
            if !compile::is_unfinished(&entry.file_name()) {
                let name = entry.file_name();
                let origin = name.to_str().and_then(|it| self.origin(it));
                let path = entry.path();
                found.push(Found { path, origin });
            }
        }
        Ok(found)
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
        component: Digest,
        input: &Input,
        target: Target,
        requester: &Requester,
    ) -> Result<Artifact, Error> {
        if let Some(artifact) = self.find(component, target).await? {
            return Ok(artifact);
        }
        let _turn = self.compilations.take(requester).await?;
        let tree = input.tree.clone();
        if !blocking(move || Ok(tree.is_dir())).await? {
            return Err(Error::Missing(input.package));
        }
        let path = input.tree.join(&input.path);
        let name = |kind| self.name(component, target, kind);
        let made = compile::compile(&self.compiler, target, &path, &self.dir, name);
        made.await.map_err(Error::Component)
    }

    /// The component compiled for a target, if it has been.
    async fn find(&self, component: Digest, target: Target) -> Result<Option<Artifact>, Error> {
        let named = |kind| Artifact {
            path: self.dir.join(self.name(component, target, kind)),
            kind,
        };
        let candidates = EngineKind::ALL.map(named);
        blocking(move || {
            for artifact in candidates {
                if artifact.path.try_exists()? {
                    return Ok(Some(artifact));
                }
            }
            Ok(None)
        })
        .await
    }

    /// A compiled component is good for one engine only, so the engine is part of its name.
    fn name(&self, component: Digest, target: Target, kind: EngineKind) -> String {
        let engine = self.sandbox.compatibility(target, kind);
        format!("{component}-{engine}.{EXTENSION}")
    }

    /// The component that an artifact of this name was made from, and the architecture where it is for
    /// machines of another kind.
    fn origin(&self, name: &str) -> Option<(Digest, Option<Architecture>)> {
        let (digest, engine) = Path::new(name).file_stem()?.to_str()?.split_once('-')?;
        let is = |target| {
            let mut kinds = EngineKind::ALL.into_iter();
            kinds.any(|kind| engine == self.sandbox.compatibility(target, kind))
        };
        let mut architectures = Architecture::ALL.into_iter();
        let architecture = architectures.find(|&architecture| is(Target::Any(architecture)));
        // They can have one name, on a machine that can do no more than all others.
        let elsewhere = architecture.filter(|_| !is(Target::Here));
        Some((digest.parse().ok()?, elsewhere))
    }
}
