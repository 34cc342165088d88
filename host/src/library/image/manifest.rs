//! Manifests and indexes of the image specification, of OCI and of Docker, read from hostile registries: everything in
//! them is bounded and checked before use.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sandbox::Architecture;
use crate::store::blob::Digest;

/// Media type of a component.
pub const MEDIA_WASM: &str = "application/wasm";
/// Media types of an OCI manifest, and of its configuration for components.
#[cfg(any(test, feature = "cli"))]
pub const MEDIA_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
#[cfg(any(test, feature = "cli"))]
pub const MEDIA_CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// Media types that the host asks for.
pub(super) const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, \
     application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.docker.distribution.manifest.list.v2+json";
/// Title of a layer, which is its file name.
pub(super) const TITLE: &str = "org.opencontainers.image.title";
/// Layers, and images of an index.
const LAYERS_MAX: usize = 256;

/// A reference to content by digest.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Media type.
    pub media_type: String,
    /// Digest with its algorithm.
    pub digest: String,
    /// Size in bytes.
    pub size: u64,
    /// Annotations, such as the file name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    #[serde(default, skip_serializing)]
    platform: Option<Platform>,
}

#[derive(Clone, Debug, Deserialize)]
struct Platform {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

/// A document of a registry.
#[derive(Debug)]
pub(super) enum Manifest {
    /// One image.
    Image {
        config: Descriptor,
        layers: Vec<Layer>,
    },
    /// Images of several platforms.
    Index(Vec<Descriptor>),
}

/// A layer to fetch.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) digest: Digest,
    pub(super) size_bytes: u64,
    pub(super) kind: LayerKind,
    /// File name of a component.
    pub(super) title: Option<String>,
}

/// Form of a layer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum LayerKind {
    /// A component.
    Component,
    /// Files.
    Tar,
    /// Files, compressed.
    GzipTar,
}

impl Descriptor {
    /// Descriptor of new content.
    #[cfg(feature = "cli")]
    pub fn new(media_type: &str, digest: &Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: format!("sha256:{digest}"),
            size,
            annotations: BTreeMap::new(),
            platform: None,
        }
    }

    /// The same with a file name.
    #[cfg(feature = "cli")]
    pub fn titled(mut self, name: &str) -> Self {
        self.annotations.insert(TITLE.to_owned(), name.to_owned());
        self
    }

    pub(super) fn sha256(&self) -> Result<Digest, String> {
        let hex = self.digest.strip_prefix("sha256:");
        let digest = hex.and_then(|hex| hex.parse().ok());
        digest.ok_or_else(|| format!("{:.80} is not a SHA-256 digest", self.digest))
    }
}

impl Manifest {
    /// Reads a document.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(bytes)
            .map_err(|error| format!("the manifest is not one of an image: {error:.200}"))?;
        if document.schema_version != 2 {
            return Err("the manifest is of another schema version than 2".to_owned());
        }
        let lists = [&document.layers, &document.manifests];
        if lists.into_iter().flatten().any(|it| it.len() > LAYERS_MAX) {
            return Err(format!(
                "the manifest lists more than {LAYERS_MAX} layers or images"
            ));
        }
        match (document.config, document.layers, document.manifests) {
            (_, _, Some(manifests)) => Ok(Self::Index(manifests)),
            (Some(config), Some(layers), None) => Ok(Self::Image {
                config,
                layers: layers_of(&layers)?,
            }),
            _ => Err("the manifest has neither layers nor images".to_owned()),
        }
    }
}

fn layers_of(all: &[Descriptor]) -> Result<Vec<Layer>, String> {
    let mut layers = Vec::with_capacity(all.len());
    for descriptor in all {
        let Some(kind) = kind(&descriptor.media_type)? else {
            continue;
        };
        layers.push(Layer {
            digest: descriptor.sha256()?,
            size_bytes: descriptor.size,
            kind,
            title: descriptor.annotations.get(TITLE).cloned(),
        });
    }
    let tars = layers.iter().filter(|it| it.kind != LayerKind::Component);
    match tars.count() {
        _ if layers.is_empty() => Err("it has no layers".to_owned()),
        0 => Ok(layers),
        tars if tars == layers.len() => Ok(layers),
        _ => Err("it has components and file systems as layers".to_owned()),
    }
}

/// Kind by media type; `None` for layers that no host needs.
fn kind(media_type: &str) -> Result<Option<LayerKind>, String> {
    Ok(Some(match media_type {
        // wkg and wash; spin; wasm-to-oci and older wash.
        MEDIA_WASM
        | "application/vnd.wasm.content.layer.v1+wasm"
        | "application/vnd.module.wasm.content.layer.v1+wasm" => LayerKind::Component,
        "application/vnd.oci.image.layer.v1.tar"
        | "application/vnd.docker.image.rootfs.diff.tar" => LayerKind::Tar,
        "application/vnd.oci.image.layer.v1.tar+gzip"
        | "application/vnd.docker.image.rootfs.diff.tar.gzip" => LayerKind::GzipTar,
        // Files that spin finds through its own manifest.
        "application/vnd.wasm.content.layer.v1+data" => return Ok(None),
        other => {
            return Err(format!(
                "a layer has the media type {other:.120}; application/wasm, tar and tar+gzip are supported"
            ));
        }
    }))
}

/// The image of an index for this host: one for WebAssembly, else one for the function's architecture, since a file
/// system that holds a component is often built for one.
pub(super) fn choose(
    manifests: &[Descriptor],
    architecture: Architecture,
) -> Result<&Descriptor, String> {
    let native = match architecture {
        Architecture::Arm64 => "arm64",
        Architecture::X86_64 => "amd64",
    };
    let is = |it: &&Descriptor, wanted: &str| match &it.platform {
        Some(platform) => platform.architecture == wanted,
        None => wanted.is_empty(),
    };
    let wanted = ["wasm", native, ""];
    let found = wanted
        .iter()
        .find_map(|wanted| manifests.iter().find(|it| is(it, wanted)));
    found.ok_or_else(|| {
        let platforms = manifests.iter().filter_map(|it| it.platform.as_ref());
        let names = platforms.map(|it| format!("{:.20}/{:.20}", it.os, it.architecture));
        let names: Vec<String> = names.take(8).collect();
        format!(
            "the index has images for {}, and none for wasi/wasm or linux/{native}",
            names.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn descriptor(media_type: &str) -> Value {
        json!({"mediaType": media_type, "digest": format!("sha256:{}", Digest::of(b"x")), "size": 1})
    }

    fn image(layers: &[&str]) -> Result<Manifest, String> {
        let layers: Vec<Value> = layers.iter().map(|it| descriptor(it)).collect();
        let document =
            json!({"schemaVersion": 2, "config": descriptor(MEDIA_CONFIG), "layers": layers});
        Manifest::parse(document.to_string().as_bytes())
    }

    #[test]
    fn layers_of_known_media_types_are_read() {
        let gzip = "application/vnd.docker.image.rootfs.diff.tar.gzip";
        let spin_data = "application/vnd.wasm.content.layer.v1+data";
        for (types, kinds) in [
            (vec![MEDIA_WASM], vec![LayerKind::Component]),
            (vec![MEDIA_WASM, spin_data], vec![LayerKind::Component]),
            (vec![gzip, gzip], vec![LayerKind::GzipTar; 2]),
        ] {
            let Ok(Manifest::Image { layers, .. }) = image(&types) else {
                panic!("{types:?} is refused");
            };
            assert_eq!(layers.iter().map(|it| it.kind).collect::<Vec<_>>(), kinds);
        }
    }

    #[test]
    fn manifest_of_another_form_is_refused() {
        let gzip = "application/vnd.oci.image.layer.v1.tar+gzip";
        for (types, expected) in [
            (vec![], "no layers"),
            (vec![MEDIA_WASM, gzip], "components and file systems"),
            (
                vec!["application/vnd.oci.image.layer.v1.tar+zstd"],
                "tar+zstd",
            ),
        ] {
            let refused = image(&types).unwrap_err();
            assert!(refused.contains(expected), "{refused}");
        }
        for text in [
            "",
            "<html>",
            "[]",
            "{}",
            r#"{"schemaVersion": 1}"#,
            r#"{"schemaVersion": 2}"#,
        ] {
            assert!(Manifest::parse(text.as_bytes()).is_err(), "{text}");
        }
        let many = vec![MEDIA_WASM; LAYERS_MAX + 1];
        assert!(image(&many).unwrap_err().contains("256"));
    }

    #[test]
    fn image_for_webassembly_is_preferred() {
        let of = |platform: Value| {
            let mut it = descriptor(MEDIA_MANIFEST);
            it["platform"] = platform;
            it
        };
        let chosen = |platforms: &[(&str, &str)]| {
            let all = platforms
                .iter()
                .map(|(os, architecture)| of(json!({"os": os, "architecture": architecture})));
            let all: Vec<Descriptor> = all.map(|it| serde_json::from_value(it).unwrap()).collect();
            let chosen = choose(&all, Architecture::X86_64)?;
            Ok::<_, String>(chosen.platform.clone().unwrap().architecture)
        };
        let all = [("linux", "arm64"), ("linux", "amd64"), ("wasi", "wasm")];
        assert_eq!(chosen(&all).unwrap(), "wasm");
        assert_eq!(chosen(&all[..2]).unwrap(), "amd64");
        let refused = chosen(&all[..1]).unwrap_err();
        assert!(refused.contains("linux/arm64"), "{refused}");
    }
}
