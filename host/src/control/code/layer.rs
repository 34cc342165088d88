//! The packages of layers: taken in like those of functions, except that nothing in them is compiled,
//! and laid over one another into the tree that a function sees at `/opt`. Which layers a function may
//! have, `control::layer` knows.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::collect::Expected;
use super::{CodeRef, Library, Shelves, blocking, io, overlay, refused};
use crate::control::code_signing::Signed;
use crate::control::{Error, package};
use crate::names::LayerVersionArn;
use crate::store::blob::Digest;

#[cfg(test)]
mod tests;

/// The package of a version of a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerPackage {
    /// The package as it was uploaded.
    pub digest: Digest,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// The size of what is in it.
    pub unzipped_bytes: u64,
}

/// A layer as a version of a function keeps it: all that is needed to go on when the layer is deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerUse {
    /// What was asked for.
    pub arn: LayerVersionArn,
    /// What that was.
    pub package: LayerPackage,
    /// See [`LayerVersionRecord::signed`](crate::control::layer::LayerVersionRecord::signed).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signed>,
}

/// The package of a layer that was taken in and that no record names yet. While this lives, it is not
/// collected.
#[derive(Debug)]
pub struct LayerArrival {
    /// What came in.
    pub package: LayerPackage,
    _guard: Expected,
}

/// Layers that are ready to be mounted for a function whose record does not name them yet. While this
/// lives, they are not collected.
#[derive(Debug)]
pub struct Attachment {
    /// For the function's record.
    pub layers: Vec<LayerUse>,
    _guards: Vec<Expected>,
}

/// Keeps one package from being collected, while this lives.
#[derive(Debug)]
pub(in crate::control) struct Hold(Expected);

impl LayerUse {
    /// Everything that must stay on the disk for a function with these layers.
    pub fn kept(layers: &[Self]) -> Vec<Digest> {
        let mut kept = Self::packages(layers);
        kept.extend(merged(&kept));
        kept
    }

    /// The packages of these layers, in order.
    pub fn packages(layers: &[Self]) -> Vec<Digest> {
        layers.iter().map(|layer| layer.package.digest).collect()
    }
}

impl Library {
    /// Takes in the package of a layer: when this returns it is durable and unpacked.
    ///
    /// # Errors
    /// Where it is not a zip that is allowed.
    pub(in crate::control) async fn check_in_layer(
        &self,
        bytes: Bytes,
    ) -> Result<LayerArrival, Error> {
        let digest = Digest::of(&bytes);
        let guard = self.0.arrivals.expect(digest);
        let package = bytes.clone();
        let read = blocking(move || package::Package::read_layer(package).map_err(refused)).await?;
        let unpack = move |into: &Path| read.unpack(into).map_err(refused);
        self.make_tree(&guard, unpack).await?;
        let shelves = Arc::clone(&self.0);
        let package = blocking(move || shelves.keep_layer(digest, &bytes)).await?;
        Ok(LayerArrival {
            package,
            _guard: guard,
        })
    }

    /// Keeps a package from being collected, if it is still here.
    pub(in crate::control) fn hold(&self, digest: Digest) -> Option<Hold> {
        let guard = self.0.arrivals.expect(digest);
        self.0.trees.tree(&digest).map(|_| Hold(guard))
    }

    /// Makes layers ready to be mounted together.
    ///
    /// # Errors
    /// Where the data directory cannot be read or written.
    pub(in crate::control) async fn attach(
        &self,
        layers: Vec<LayerUse>,
        held: Vec<Hold>,
    ) -> Result<Attachment, Error> {
        let packages = LayerUse::packages(&layers);
        let mut guards: Vec<Expected> = held.into_iter().map(|hold| hold.0).collect();
        guards.extend(merged(&packages).map(|digest| self.0.arrivals.expect(digest)));
        self.opt_dir(packages).await?;
        Ok(Attachment {
            layers,
            _guards: guards,
        })
    }

    /// The directory to mount for these packages of layers, made if it is not here. None without any.
    ///
    /// # Errors
    /// Where the data directory cannot be read or written.
    pub(super) async fn opt_dir(&self, packages: Vec<Digest>) -> Result<Option<PathBuf>, Error> {
        let Some(digest) = merged(&packages) else {
            return Ok(None);
        };
        if let Some(tree) = self.0.trees.tree(&digest) {
            return Ok(Some(tree));
        }
        let layers = packages.iter().map(|package| self.0.tree(package));
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        let guard = self.0.arrivals.expect(digest);
        let fill = move |into: &Path| overlay::overlay(&layers, into).map_err(io);
        self.make_tree(&guard, fill).await?;
        self.0.tree(&digest).map(Some)
    }

    /// The size of all that is in a function's package.
    ///
    /// # Errors
    /// Where the data directory cannot be read.
    pub(in crate::control) async fn unzipped_bytes(&self, code: &CodeRef) -> Result<u64, Error> {
        let (shelves, package) = (Arc::clone(&self.0), code.package);
        blocking(move || overlay::bytes_of(&shelves.tree(&package)?).map_err(io)).await
    }
}

impl Shelves {
    /// Keeps the package of a layer that is unpacked.
    fn keep_layer(&self, digest: Digest, bytes: &Bytes) -> Result<LayerPackage, Error> {
        self.packages.put(bytes).map_err(io)?;
        Ok(LayerPackage {
            digest,
            size_bytes: u64::try_from(bytes.len()).expect("a length fits in 64 bits"),
            unzipped_bytes: overlay::bytes_of(&self.tree(&digest)?).map_err(io)?,
        })
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
