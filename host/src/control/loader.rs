//! Loader of versions for the data plane: components from the library, variables from the vault,
//! encrypted until an environment starts.

use std::sync::Arc;

use async_trait::async_trait;

use super::vault::{Sealed, Vault};
use crate::invoke::live::{LoadError, Loader};
use crate::invoke::snapshot::{Code, ImageCode, Version};
use crate::library::image::{Image, Pulled, Settings};
use crate::library::runtime::{self, Kind};
use crate::library::{CodeRef, ComponentRef, Library, Requester};
use crate::sandbox::Program;

#[derive(Debug)]
struct LibraryLoader {
    library: Library,
    vault: Arc<Vault>,
}

/// Loader of a host's library and vault.
pub(super) fn loader(library: &Library, vault: &Arc<Vault>) -> Arc<dyn Loader> {
    Arc::new(LibraryLoader {
        library: library.clone(),
        vault: Arc::clone(vault),
    })
}

#[async_trait]
impl Loader for LibraryLoader {
    async fn load(&self, version: &Version) -> Result<Program, LoadError> {
        let (code, name) = (&version.code, &*version.settings.runtime);
        let (library, reference) = (&self.library, code_ref(code));
        let requester = Requester::of_host(&version.facts.name);
        let kind = runtime::find(name).map(|it| it.kind);
        let kind = kind.or_else(|| code.image.as_ref().map(|_| Kind::Component));
        let loaded = match kind {
            // An image that was never pulled.
            None if name.is_empty() => return Err(LoadError::NoComponent),
            None => return Err(LoadError::Runtime(runtime::not_available(name))),
            Some(Kind::Component) => {
                let load = library.load(&reference, code.architecture, &code.layers, &requester);
                load.await
            }
            Some(Kind::Managed(managed)) => {
                let load = library.load_managed(managed, &reference, &code.layers, &requester);
                load.await
            }
        };
        Ok(loaded?)
    }

    fn variables(&self, code: &Code) -> Result<Vec<(String, String)>, LoadError> {
        let sealed = code.environment.as_deref().map(Sealed::of_text);
        let opened = sealed.map(|it| self.vault.open_sealed(&it)).transpose();
        Ok(opened
            .map_err(|error| LoadError::Failed(Box::new(error)))?
            .unwrap_or_default())
    }
}

/// Code reference of a published version, without the package size.
fn code_ref(code: &Code) -> CodeRef {
    CodeRef {
        package: code.package,
        size_bytes: 0,
        image: code.image.as_deref().map(image),
        component: code.component.as_ref().map(|it| ComponentRef {
            path: it.path.as_ref().to_owned(),
            digest: it.digest,
        }),
    }
}

/// Form of an image, without its names and settings.
fn image(code: &ImageCode) -> Image {
    Image {
        uri: String::new(),
        resolved: String::new(),
        pulled: Some(Pulled {
            is_file_system: code.is_file_system,
            settings: Settings::default(),
        }),
    }
}
