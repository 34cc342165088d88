//! The packages of layers: taken in like those of functions, except that nothing in them is compiled,
//! and laid over one another into the tree that a function sees at `/opt`. Which layers a function may
//! have, `control::layer` knows.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::hold::Hold;
use super::{CodeRef, Digest, Error, Library, Requester, Stored, blocking, overlay, package};

#[cfg(test)]
mod tests;

/// The package of a version of a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerPackage {
    /// The package as it was uploaded.
    pub digest: Digest,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// The size of its content.
    pub unzipped_bytes: u64,
}

/// Layers that are ready to be mounted for a function whose record does not name them yet. While this
/// lives, they are not collected.
#[derive(Debug)]
pub struct Attachment {
    _layers: Vec<Stored>,
    _merged: Option<Hold>,
    _extensions: Vec<Hold>,
}

/// Everything that must stay on the disk for a function with these packages of layers.
pub fn kept_for_layers(packages: &[Digest]) -> Vec<Digest> {
    let mut kept = packages.to_vec();
    kept.extend(merged(packages));
    kept
}

impl Library {
    /// Unpacks the package of a layer. When this returns, it is durable.
    ///
    /// # Errors
    /// Where it is not a zip that is allowed.
    pub async fn check_in_layer(&self, package: &Stored) -> Result<LayerPackage, Error> {
        let unpacked = self.unpack_layer(package).await;
        if unpacked.is_err() {
            self.0.refusals.notify_one();
        }
        unpacked
    }

    async fn unpack_layer(&self, package: &Stored) -> Result<LayerPackage, Error> {
        let source = package.source();
        let read = blocking(move || Ok(package::Package::read_layer(source)?)).await?;
        let unpack = move |into: &Path| Ok(read.unpack(into)?);
        let requester = package.requester();
        self.make_tree(&package.hold, requester, unpack).await?;
        let digest = package.hold.digest();
        Ok(LayerPackage {
            digest,
            size_bytes: package.size_bytes(),
            unzipped_bytes: self.unzipped_bytes(digest).await?,
        })
    }

    /// Makes layers ready to be mounted together, and compiles their extensions.
    ///
    /// # Errors
    /// Where an extension does not compile, or the data directory cannot be read or written.
    pub async fn attach(
        &self,
        layers: Vec<Stored>,
        requester: &Requester,
    ) -> Result<Attachment, Error> {
        let packages = layers.iter().map(|layer| layer.hold.digest()).collect();
        let merged = self.opt_dir(packages, requester).await?;
        let extensions = match &merged {
            Some((dir, hold)) => {
                let compiling = self.extensions_in(dir.clone(), hold.digest(), requester);
                compiling.await?.1
            }
            None => Vec::new(),
        };
        Ok(Attachment {
            _layers: layers,
            _merged: merged.map(|(_, hold)| hold),
            _extensions: extensions,
        })
    }

    /// The directory to mount for these packages of layers, made if it is not here, and a guard on it.
    /// None without any.
    pub(super) async fn opt_dir(
        &self,
        packages: Vec<Digest>,
        requester: &Requester,
    ) -> Result<Option<(PathBuf, Hold)>, Error> {
        let Some(digest) = merged(&packages) else {
            return Ok(None);
        };
        let hold = self.0.holds.hold(digest).await;
        let inner = Arc::clone(&self.0);
        let fill = move |into: &Path| {
            // The tree of one layer is its own, which was unpacked with it.
            if packages.len() == 1 {
                return Err(Error::Missing(digest));
            }
            let layers = packages.iter().map(|package| inner.tree(package));
            let layers = layers.collect::<Result<Vec<_>, _>>()?;
            Ok(overlay::overlay(&layers, into)?)
        };
        self.make_tree(&hold, requester, fill).await?;
        Ok(Some((self.0.trees.path(&digest), hold)))
    }

    /// The size of all that is in a function's package.
    ///
    /// # Errors
    /// Where the data directory cannot be read.
    pub async fn code_unzipped_bytes(&self, code: &CodeRef) -> Result<u64, Error> {
        self.unzipped_bytes(code.package).await
    }

    async fn unzipped_bytes(&self, package: Digest) -> Result<u64, Error> {
        let inner = Arc::clone(&self.0);
        blocking(move || Ok(overlay::bytes_of(&inner.tree(&package)?)?)).await
    }
}

/// Names the tree of these packages laid over one another. One alone needs no tree but its own.
fn merged(packages: &[Digest]) -> Option<Digest> {
    match packages {
        [] => None,
        [only] => Some(*only),
        several => {
            let names: Vec<String> = several.iter().map(Digest::to_string).collect();
            // No zip begins like this, so no package has the same digest.
            Some(Digest::of(
                format!("layers\n{}", names.join("\n")).as_bytes(),
            ))
        }
    }
}
