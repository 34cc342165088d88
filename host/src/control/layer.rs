//! Layers: published in versions, read, listed, deleted, and attached to functions. A version never
//! changes, and its number is not used again.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::code_signing::Signed;
use super::record::{decode, encode};
use super::{Control, Error};
use crate::clock::Timestamp;
use crate::library::{Attachment, CodeRef, Delivery, LayerPackage, Requester, kept_for_layers};
use crate::names::{LayerName, LayerVersionArn};
use crate::store::blob::Digest;
use crate::store::{Expect, Key, Revision, Write};

mod attach;
mod error;
mod list;
mod policy;

pub use error::LayerError;
pub use list::Filter;
pub use policy::{LayerPolicy, LayerStatement, Principal};

/// The kind of the records of layers. Their ids are the names.
const LAYERS: &str = "layer";
/// The kind of the records of versions of layers. Their ids are `layer/order`, where the newest version comes
/// first, as AWS lists them.
const VERSIONS: &str = "layer-version";

/// The stored record of a layer. It outlives the versions, so that no number is used twice.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct LayerRecord {
    name: LayerName,
    /// The highest number that a version ever had.
    last_version: u64,
}

/// The stored record of a version of a layer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LayerVersionRecord {
    /// The layer.
    pub layer: LayerName,
    /// The version's number.
    pub version: u64,
    /// Description, licence and compatibility.
    pub about: About,
    /// The package.
    pub package: LayerPackage,
    /// The signature of the package, if a profile of this host had made it when it was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signed>,
    /// When it was published.
    pub created: Timestamp,
    /// The resource policy. `None` without statements.
    pub policy: Option<LayerPolicy>,
}

/// A layer as a version of a function keeps it: everything to go on with when the layer is deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerUse {
    /// The ARN that was asked for.
    pub arn: LayerVersionArn,
    /// The layer's package.
    pub package: LayerPackage,
    /// See [`LayerVersionRecord::signed`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signed>,
}

impl LayerUse {
    /// Everything that must stay on the disk for a function with these layers.
    pub fn kept(layers: &[Self]) -> Vec<Digest> {
        kept_for_layers(&Self::packages(layers))
    }

    /// The packages of these layers, in order.
    pub fn packages(layers: &[Self]) -> Vec<Digest> {
        layers.iter().map(|layer| layer.package.digest).collect()
    }
}

/// Description, licence and compatibility of a version of a layer. Members that were not given are not shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// Free text.
    pub description: String,
    /// The licence, by name, link or text.
    pub license: Option<String>,
    /// Runtimes it is made for.
    pub runtimes: Option<Vec<String>>,
    /// Instruction sets it is made for.
    pub architectures: Option<Vec<String>>,
}

impl Control {
    /// Publishes a version of a layer; of a new one, where there is none of this name. When this
    /// returns, it is durable.
    ///
    /// # Errors
    /// Where the package is not allowed.
    pub async fn publish_layer_version(
        &self,
        layer: &LayerName,
        about: About,
        package: Delivery,
    ) -> Result<LayerVersionRecord, Error> {
        let stored = self.package_from(package).await?;
        let granted = self.grant_code_bytes(stored.size_bytes(), 0).await?;
        let package = self.0.library.check_in_layer(&stored).await?;
        let record = LayerVersionRecord {
            layer: layer.clone(),
            version: 0,
            about,
            package,
            signed: self.signer_of(&stored).await?,
            created: self.0.clock.now(),
            policy: None,
        };
        let record = &record;
        self.update_holding(&Arc::new((stored, granted)), || async move {
            let (last, expect) = self.last_version(layer).await?;
            let mut record = record.clone();
            record.version = last + 1;
            let counter = LayerRecord {
                name: layer.clone(),
                last_version: record.version,
            };
            let key = Key {
                kind: LAYERS,
                id: layer.as_str().to_owned(),
            };
            let value = encode(&counter);
            let counter = Write::Put { key, value, expect };
            Ok((vec![counter, put(&record, Expect::Absent)], record))
        })
        .await
    }

    /// A version of a layer.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn layer_version(
        &self,
        layer: &LayerName,
        version: u64,
    ) -> Result<LayerVersionRecord, Error> {
        require_number(version)?;
        let found = self.load_layer_version(layer, version).await?;
        let record = found.map(|(record, _)| record);
        Ok(record.ok_or(LayerError::NotFound)?)
    }

    /// Deletes a version of a layer, if it exists. Functions that have it keep it.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn delete_layer_version(&self, layer: &LayerName, version: u64) -> Result<(), Error> {
        require_number(version)?;
        let deletion = Write::Delete {
            key: key(layer, version),
            expect: Expect::Any,
        };
        self.commit(vec![deletion]).await?;
        self.0.library.collect_soon();
        Ok(())
    }

    /// Layers of these ARNs, ready to mount, for a function's record. The returned guards must live
    /// until that record is written.
    ///
    /// # Errors
    /// Where a function may not have these layers.
    pub(super) async fn resolve_layers(
        &self,
        arns: &[String],
        requester: &Requester,
    ) -> Result<(Vec<LayerUse>, Attachment), Error> {
        let (mut found, mut held) = (Vec::new(), Vec::new());
        for text in arns.iter().take(attach::LAYERS_MAX) {
            let arn = LayerVersionArn::parse(text);
            let Some(arn) = arn.ok().filter(|arn| arn.home == *self.home()) else {
                continue;
            };
            let record = self.load_layer_version(&arn.layer, arn.version).await?;
            let Some((record, _)) = record else {
                continue;
            };
            let LayerVersionRecord {
                package, signed, ..
            } = record;
            if let Some(stored) = self.0.library.stored(package.digest).await? {
                held.push(stored);
                found.push(LayerUse {
                    arn,
                    package,
                    signed,
                });
            }
        }
        let layers = attach::check(arns, self.home(), &found)?;
        Ok((layers, self.0.library.attach(held, requester).await?))
    }

    /// Refuses a package and layers that together are too large unpacked.
    pub(super) async fn require_room_for_layers(
        &self,
        code: &CodeRef,
        layers: &[LayerUse],
    ) -> Result<(), Error> {
        if layers.is_empty() {
            return Ok(());
        }
        let unzipped_bytes = self.0.library.code_unzipped_bytes(code).await?;
        Ok(attach::require_room(unzipped_bytes, layers)?)
    }

    /// Visits every version of every layer.
    pub(super) async fn each_layer_version(
        &self,
        mut visit: impl FnMut(LayerVersionRecord),
    ) -> Result<(), Error> {
        self.each(VERSIONS, |record| {
            visit(decode(record)?);
            Ok(())
        })
        .await
    }

    /// The highest number of a layer so far, and what must hold for it to be the highest still.
    async fn last_version(&self, layer: &LayerName) -> Result<(u64, Expect), Error> {
        let key = Key {
            kind: LAYERS,
            id: layer.as_str().to_owned(),
        };
        match self.0.records.get(&key).await? {
            None => Ok((0, Expect::Absent)),
            Some(record) => {
                let layer: LayerRecord = decode(&record)?;
                Ok((layer.last_version, Expect::Revision(record.revision)))
            }
        }
    }

    async fn load_layer_version(
        &self,
        layer: &LayerName,
        version: u64,
    ) -> Result<Option<(LayerVersionRecord, Revision)>, Error> {
        let found = self.0.records.get(&key(layer, version)).await?;
        found
            .map(|record| Ok((decode(&record)?, record.revision)))
            .transpose()
    }
}

fn require_number(version: u64) -> Result<(), LayerError> {
    match version {
        0 => Err(LayerError::VersionZero),
        _ => Ok(()),
    }
}

fn put(record: &LayerVersionRecord, expect: Expect) -> Write {
    Write::Put {
        key: key(&record.layer, record.version),
        value: encode(record),
        expect,
    }
}

fn key(layer: &LayerName, version: u64) -> Key {
    Key {
        kind: VERSIONS,
        id: format!("{layer}/{}", order(version)),
    }
}

/// Order of a version in listings: the newest comes first.
fn order(version: u64) -> String {
    format!("{:020}", u64::MAX - version)
}
