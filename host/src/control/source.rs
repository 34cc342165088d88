//! What a version is run from when it is first needed: its code and layers, and its variables, which stay sealed
//! until then.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::code::{CodeRef, LayerUse, Library};
use super::configuration::VersionRecord;
use super::vault::{Sealed, Vault};
use super::{Control, rules};
use crate::invoke::snapshot::{LoadError, ProgramSource};
use crate::sandbox::{Architecture, Program};
use crate::store::blob::Digest;

struct Source {
    library: Library,
    vault: Arc<Vault>,
    code: CodeRef,
    architecture: Architecture,
    /// The packages of its layers, in order.
    layers: Vec<Digest>,
    environment: Option<Sealed>,
    /// The runtime, where this host does not have it.
    missing_runtime: Option<String>,
}

impl Control {
    pub(super) fn source(&self, version: &VersionRecord) -> Box<dyn ProgramSource> {
        let runtime = &version.configuration.runtime;
        Box::new(Source {
            library: self.0.library.clone(),
            vault: Arc::clone(&self.0.vault),
            code: version.code.clone(),
            architecture: version.configuration.architecture,
            layers: LayerUse::packages(&version.configuration.layers),
            environment: version.configuration.environment.clone(),
            missing_runtime: (!rules::is_component_runtime(runtime)).then(|| runtime.clone()),
        })
    }
}

#[async_trait]
impl ProgramSource for Source {
    async fn load(&self) -> Result<Program, LoadError> {
        match &self.missing_runtime {
            Some(runtime) => Err(LoadError::Runtime(rules::not_available(runtime))),
            None => {
                let library = &self.library;
                library
                    .load(&self.code, self.architecture, &self.layers)
                    .await
            }
        }
    }

    fn variables(&self) -> Result<Vec<(String, String)>, LoadError> {
        let opened = self
            .environment
            .as_ref()
            .map(|it| self.vault.open_sealed(it));
        let opened = opened.transpose();
        Ok(opened
            .map_err(|error| LoadError::Failed(Box::new(error)))?
            .unwrap_or_default())
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}
