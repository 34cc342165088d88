//! Loading: from the code of a version and its layers to a program. Versions with equal code and layers share one
//! program, and all functions of a managed runtime share its compiled component.

use std::path::PathBuf;
use std::sync::Arc;

use super::artifact::Input;
use super::bytecode::Source;
use super::extension;
use super::hold::Hold;
use super::installed::Installed;
use super::runtime::Managed;
use super::{CodeRef, ComponentRef, Digest, Error, Library, Requester, blocking};
use crate::sandbox::{
    Architecture, Artifact, Program, ProgramExtension, ProgramFiles, RuntimeFiles, TaskMount,
    compile,
};

/// Files of a program, and guards on them.
struct Files {
    task: Digest,
    mount: TaskMount,
    opt: Option<Digest>,
    opt_dir: Option<PathBuf>,
    holds: Vec<Hold>,
}

impl Library {
    /// Loads this code, compiled anew if need be, with these packages of layers. The program holds its files while
    /// an environment of it lives.
    ///
    /// # Errors
    /// Where it cannot be loaded.
    pub async fn load(
        &self,
        code: &CodeRef,
        architecture: Architecture,
        layers: &[Digest],
        requester: &Requester,
    ) -> Result<Program, Error> {
        let component = code.component.as_ref().ok_or(Error::NoComponent)?;
        let mut files = self.files(code, layers, requester).await?;
        let extensions = self.extensions(&mut files, requester).await?;
        let runnable = self.runnable(code, component, layers, requester).await?;
        files.holds.push(runnable.hold);
        let artifacts = &self.0.artifacts;
        let artifact = artifacts
            .runnable(runnable.digest, architecture, runnable.input, requester)
            .await?;
        self.program(artifact, files, None, extensions).await
    }

    /// Loads source code into its managed runtime, with these packages of layers.
    ///
    /// # Errors
    /// Where the runtime is not installed, or cannot be loaded.
    pub async fn load_managed(
        &self,
        managed: &'static Managed,
        code: &CodeRef,
        layers: &[Digest],
        requester: &Requester,
    ) -> Result<Program, Error> {
        let mut files = self.files(code, layers, requester).await?;
        let extensions = self.extensions(&mut files, requester).await?;
        let (installed, artifact, hold) = self.runtime_artifact(managed, requester).await?;
        files.holds.push(hold);
        let compiled = self.compiled(&installed, &artifact, &files, requester);
        let runtime = RuntimeFiles {
            compiled: compiled.await?,
            ..installed.files()
        };
        self.program(artifact, files, Some(runtime), extensions)
            .await
    }

    /// The newest installation of a managed runtime, compiled for this machine if it was not, and a guard on that.
    pub(super) async fn runtime_artifact(
        &self,
        managed: &'static Managed,
        requester: &Requester,
    ) -> Result<(Installed, Artifact, Hold), Error> {
        let inner = Arc::clone(&self.0);
        let found = blocking(move || Ok(inner.runtimes.find(managed)?)).await?;
        let installed = found.ok_or(Error::NotInstalled(managed))?;
        let hold = self.0.holds.hold(installed.component).await;
        // Deployments and starts of functions that come together compile it once.
        let turn = hold.turn().await;
        let input = Input {
            tree: installed.tree().to_owned(),
            path: Installed::COMPONENT.to_owned(),
            package: installed.bundle(),
        };
        let artifact = self
            .0
            .artifacts
            .runnable_here(installed.component, input, requester);
        let artifact = artifact.await?;
        drop(turn);
        Ok((installed, artifact, hold))
    }

    /// Compiles installed runtimes that this engine has not compiled, so that no caller waits for it.
    ///
    /// # Errors
    /// Where the data directory cannot be read, or one does not compile.
    pub async fn compile_runtimes(&self) -> Result<(), Error> {
        let inner = Arc::clone(&self.0);
        for installed in blocking(move || Ok(inner.runtimes.list()?)).await? {
            let requester = Requester::of_host(installed.managed.name);
            self.runtime_artifact(installed.managed, &requester).await?;
        }
        Ok(())
    }

    /// Components of installed runtimes.
    ///
    /// # Errors
    /// Where the data directory cannot be read.
    pub async fn runtime_components(&self) -> Result<Vec<Digest>, Error> {
        let inner = Arc::clone(&self.0);
        let list = blocking(move || Ok(inner.runtimes.list()?)).await?;
        Ok(list.iter().map(|it| it.component).collect())
    }

    /// Directories of compiled files for a function of this runtime, and their paths in guests.
    async fn compiled(
        &self,
        installed: &Installed,
        artifact: &Artifact,
        files: &Files,
        requester: &Requester,
    ) -> Result<Vec<(PathBuf, &'static str)>, Error> {
        let Some(paths) = installed.managed.compiled else {
            return Ok(Vec::new());
        };
        let task = (files.task, Source::Task, paths.task);
        let opt = files.opt.map(|opt| (opt, Source::Opt, paths.opt));
        let mut found = Vec::new();
        for (tree, source, path) in [Some(task), opt].into_iter().flatten() {
            let compiled = self.bytecode(installed, artifact, tree, source, requester);
            found.extend(compiled.await?.map(|dir| (dir, path)));
        }
        Ok(found)
    }

    /// Extensions in the layers of a function. Their artifacts are kept while they are in use.
    async fn extensions(
        &self,
        files: &mut Files,
        requester: &Requester,
    ) -> Result<Vec<ProgramExtension>, Error> {
        let (Some(dir), Some(opt)) = (files.opt_dir.clone(), files.opt) else {
            return Ok(Vec::new());
        };
        let (extensions, holds) = self.extensions_in(dir, opt, requester).await?;
        files.holds.extend(holds);
        Ok(extensions)
    }

    /// Extensions in a tree of layers, compiled now if they were not, and guards on their artifacts.
    pub(super) async fn extensions_in(
        &self,
        dir: PathBuf,
        opt: Digest,
        requester: &Requester,
    ) -> Result<(Vec<ProgramExtension>, Vec<Hold>), Error> {
        let tree = dir.clone();
        let found = blocking(move || Ok(extension::find(&tree)?)).await?;
        if found.len() > extension::EXTENSIONS_MAX {
            let text = format!(
                "The layers have {} extensions; a function has {} at most.",
                found.len(),
                extension::EXTENSIONS_MAX
            );
            return Err(Error::Component(compile::Error::Component(text)));
        }
        let (mut extensions, mut holds) = (Vec::new(), Vec::new());
        for extension::Found { name, path, digest } in found {
            let hold = self.0.holds.hold(digest).await;
            // Functions that start together compile it once.
            let turn = hold.turn().await;
            let input = Input {
                tree: dir.clone(),
                path,
                package: opt,
            };
            let artifacts = &self.0.artifacts;
            let artifact = artifacts.runnable_here(digest, input, requester).await?;
            drop(turn);
            holds.push(hold);
            extensions.push(ProgramExtension { name, artifact });
        }
        Ok((extensions, holds))
    }

    async fn files(
        &self,
        code: &CodeRef,
        layers: &[Digest],
        requester: &Requester,
    ) -> Result<Files, Error> {
        let mut holds = vec![self.0.holds.hold(code.package).await];
        let opt = self.opt_dir(layers.to_vec(), requester).await?;
        let (opt_dir, hold) = opt.unzip();
        let opt = hold.as_ref().map(Hold::digest);
        holds.extend(hold);
        Ok(Files {
            task: code.package,
            mount: code.mount(),
            opt,
            opt_dir,
            holds,
        })
    }

    async fn program(
        &self,
        artifact: Artifact,
        files: Files,
        runtime: Option<RuntimeFiles>,
        extensions: Vec<ProgramExtension>,
    ) -> Result<Program, Error> {
        let inner = Arc::clone(&self.0);
        blocking(move || {
            let source = ProgramFiles {
                task_dir: inner.tree(&files.task)?,
                task_mount: files.mount,
                opt_dir: files.opt_dir,
                runtime,
                extensions,
                guard: Arc::new(files.holds),
            };
            inner.artifacts.require_trusted(&artifact.path)?;
            for extension in &source.extensions {
                inner.artifacts.require_trusted(&extension.artifact.path)?;
            }
            let load = |source| inner.sandbox.load(&artifact, source);
            Ok(inner.programs.shared(&artifact.path, source, load)?)
        })
        .await
    }

    pub(super) fn component_file(&self, code: &CodeRef, component: &ComponentRef) -> Input {
        Input {
            tree: self.0.trees.path(&code.package),
            path: component.path.clone(),
            package: code.package,
        }
    }
}
