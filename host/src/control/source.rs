//! Loads the code of versions for the data plane: components from the library, variables from the vault,
//! where they stay sealed until an environment opens.

use std::sync::Arc;

use async_trait::async_trait;

use super::code::{CodeRef, Library};
use super::rules;
use super::vault::{Sealed, Vault};
use crate::invoke::live::{LoadError, Loader};
use crate::invoke::snapshot::Code;
use crate::sandbox::Program;

#[derive(Debug)]
struct Source {
    library: Library,
    vault: Arc<Vault>,
}

/// The loader of a host with this library and vault.
pub(super) fn loader(library: &Library, vault: &Arc<Vault>) -> Arc<dyn Loader> {
    Arc::new(Source {
        library: library.clone(),
        vault: Arc::clone(vault),
    })
}

#[async_trait]
impl Loader for Source {
    async fn load(&self, code: &Code, runtime: &str) -> Result<Program, LoadError> {
        if !rules::is_component_runtime(runtime) {
            return Err(LoadError::Runtime(rules::not_available(runtime)));
        }
        let (code, architecture, layers) = (CodeRef::of(code), code.architecture, &code.layers);
        self.library.load(&code, architecture, layers).await
    }

    fn variables(&self, code: &Code) -> Result<Vec<(String, String)>, LoadError> {
        let sealed = code.environment.as_deref().map(Sealed::of_text);
        let opened = sealed.map(|it| self.vault.open_sealed(&it)).transpose();
        Ok(opened
            .map_err(|error| LoadError::Failed(Box::new(error)))?
            .unwrap_or_default())
    }
}
