//! Images from a registry to trees of the library: a tag becomes a digest when a function is deployed; layers are
//! fetched, checked and unpacked by the job that makes the function ready.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::filesystem::{self, Unpacker};
use super::manifest::{self, Layer, LayerKind, Manifest};
use super::settings::{Overrides, Settings};
use super::{Error, Reference, Session};
use crate::library::intake::Writer;
use crate::library::package::{self, BARE_NAME};
use crate::library::{self, Arrival, CodeRef, ComponentRef, Library, Requester, blocking};
use crate::sandbox::Architecture;
use crate::store::blob::{Digest, Staged};

/// An image of a function, as records name it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Image {
    /// `ImageUri`, as it was given.
    pub uri: String,
    /// The same image by digest.
    pub resolved: String,
    /// Form and settings; `None` until it was pulled.
    pub pulled: Option<Pulled>,
}

/// Facts of a pulled image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pulled {
    /// The image is a file system, which functions see at `/`; else it is a component.
    pub is_file_system: bool,
    /// Settings of its configuration.
    pub settings: Settings,
}

/// A layer on the disk. It is deleted on drop.
struct Fetched {
    layer: Layer,
    file: Staged,
}

impl Library {
    /// Code of an image that is not pulled yet: its tag is resolved to a digest now.
    ///
    /// # Errors
    /// If there is no such image, or none for this host.
    pub async fn resolve_image(
        &self,
        uri: &str,
        architecture: Architecture,
    ) -> Result<CodeRef, library::Error> {
        let reference = Reference::parse(uri)?;
        let session = self.registries().session(&reference, "pull");
        let (bytes, mut digest) = session.manifest(&reference.selector()).await?;
        let unsupported = |problem| media_type(&reference, problem);
        if let Manifest::Index(images) = Manifest::parse(&bytes).map_err(unsupported)? {
            let image = manifest::choose(&images, architecture).map_err(unsupported)?;
            digest = image.sha256().map_err(unsupported)?;
            let (bytes, _) = session.manifest(&format!("sha256:{digest}")).await?;
            if let Manifest::Index(_) = Manifest::parse(&bytes).map_err(unsupported)? {
                return Err(unsupported("its index names another index".to_owned()).into());
            }
        }
        Ok(CodeRef {
            package: digest,
            size_bytes: 0,
            component: None,
            image: Some(Image {
                uri: reference.uri.clone(),
                resolved: reference.resolved(&digest),
                pulled: None,
            }),
        })
    }

    /// Pulls a resolved image, finds its component under a function's settings, and compiles that.
    ///
    /// # Errors
    /// If the image cannot be had, or has no component that runs.
    pub async fn pull(
        &self,
        code: &CodeRef,
        overrides: &Overrides,
        architecture: Architecture,
        requester: &Requester,
    ) -> Result<Arrival, library::Error> {
        let image = code.image.as_ref().ok_or(library::Error::NoComponent)?;
        let hold = self.0.holds.hold(code.package).await;
        let inner = Arc::clone(&self.0);
        let digest = code.package;
        let has_tree = blocking(move || Ok(inner.trees.find(&digest).is_some())).await?;
        let pulled = match &image.pulled {
            Some(pulled) if has_tree => pulled.clone(),
            _ => {
                let (pulled, layers) = self.fetched(image, has_tree, requester).await?;
                let (uri, max) = (image.uri.clone(), self.registries().image_bytes_max());
                let unpack = move |into: &Path| Ok(unpack(layers, into, &uri, max)?);
                self.make_tree(&hold, requester, unpack).await?;
                pulled
            }
        };
        let (inner, chosen, wanted) = (Arc::clone(&self.0), pulled.clone(), overrides.clone());
        let component =
            blocking(move || component(&inner.tree(&digest)?, &chosen, &wanted)).await?;
        let code = CodeRef {
            component: Some(component),
            image: Some(Image {
                pulled: Some(pulled),
                ..image.clone()
            }),
            ..code.clone()
        };
        // Images have no layers.
        let component = self.compile(&code, architecture, &[], requester).await?;
        Ok(Arrival {
            code,
            _holds: (hold, component),
        })
    }

    /// Settings of an image, and its layers unless its tree is here.
    async fn fetched(
        &self,
        image: &Image,
        has_tree: bool,
        requester: &Requester,
    ) -> Result<(Pulled, Vec<Fetched>), library::Error> {
        let _turn = self.0.fetches.take(requester).await?;
        let reference = Reference::parse(&image.resolved)?;
        let named = Reference {
            uri: image.uri.clone(),
            ..reference
        };
        let session = self.registries().session(&named, "pull");
        let (clock, after) = (self.registries().clock(), self.registries().time_max());
        let fetching = clock.timeout(after, self.fetch_image(&session, &named, has_tree));
        fetching.await.unwrap_or_else(|| {
            Err(Error::TimedOut {
                registry: named.registry.clone(),
                after,
            }
            .into())
        })
    }

    async fn fetch_image(
        &self,
        session: &Session,
        reference: &Reference,
        has_tree: bool,
    ) -> Result<(Pulled, Vec<Fetched>), library::Error> {
        let unsupported = |problem| media_type(reference, problem);
        let (bytes, _) = session.manifest(&reference.selector()).await?;
        let Manifest::Image { config, layers } = Manifest::parse(&bytes).map_err(unsupported)?
        else {
            return Err(unsupported("it is an index".to_owned()).into());
        };
        let is_file_system = layers.iter().all(|it| it.kind != LayerKind::Component);
        let settings = if is_file_system {
            let digest = config.sha256().map_err(unsupported)?;
            let document = session.small_blob(&digest, config.size).await?;
            Settings::parse(&document).map_err(|problem| content(&reference.uri, problem))?
        } else {
            Settings::default()
        };
        let pulled = Pulled {
            is_file_system,
            settings,
        };
        let max = self.registries().image_bytes_max();
        let sizes = layers.iter().map(|it| it.size_bytes);
        if sizes.fold(0, u64::saturating_add) > max {
            return Err(too_large(&reference.uri, max).into());
        }
        let mut fetched = Vec::new();
        for layer in layers.into_iter().filter(|_| !has_tree) {
            let begin = || Writer::begin(self.clone());
            let file = session.blob(&layer.digest, layer.size_bytes, begin).await?;
            if file.digest() != layer.digest {
                let problem = "a layer has another digest than its manifest says".to_owned();
                return Err(content(&reference.uri, problem).into());
            }
            fetched.push(Fetched { layer, file });
        }
        Ok((pulled, fetched))
    }
}

/// Unpacks layers in order; each is deleted once it is unpacked.
fn unpack(layers: Vec<Fetched>, into: &Path, uri: &str, max: u64) -> Result<(), Error> {
    let mut unpacker = Unpacker::new(into, max);
    let is_only = layers.len() == 1;
    for Fetched { layer, file } in layers {
        let unpacked = match layer.kind {
            LayerKind::Component => {
                let title = layer.title.filter(|_| !is_only);
                let title = title.filter(|it| is_file_name(it));
                unpacker.component(title.as_deref(), file.path())
            }
            kind => unpacker.layer(kind, file.path()),
        };
        unpacked.map_err(|error| match error {
            filesystem::Error::Content(problem) => content(uri, problem),
            filesystem::Error::TooLarge => too_large(uri, max),
            filesystem::Error::Disk(error) => Error::Sink(error),
        })?;
    }
    Ok(())
}

fn is_file_name(title: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    title.len() <= 200 && title.ends_with(".wasm") && title.bytes().all(is_allowed)
}

/// The component of a tree: the first argument of an image's process names it, else it is found as in a package.
fn component(
    tree: &Path,
    pulled: &Pulled,
    overrides: &Overrides,
) -> Result<ComponentRef, library::Error> {
    let process = pulled.settings.process(overrides);
    let program = process.arguments.first().map(String::as_str);
    let path = if pulled.is_file_system {
        in_file_system(tree, &process.directory, program)?
    } else {
        package::choose(tree, program.unwrap_or(BARE_NAME))?
    };
    let digest = Digest::read(std::fs::File::open(tree.join(&path))?)?;
    let path = path.to_string_lossy().into_owned();
    Ok(ComponentRef { path, digest })
}

fn in_file_system(
    tree: &Path,
    directory: &str,
    program: Option<&str>,
) -> Result<PathBuf, package::Error> {
    let directory = Path::new(directory.trim_start_matches('/'));
    if let Some(program) = program {
        let path = match program.strip_prefix('/') {
            Some(absolute) => PathBuf::from(absolute.trim_start_matches('/')),
            None => directory.join(program.trim_start_matches("./")),
        };
        return package::named(tree, &path.to_string_lossy());
    }
    // Without an entry point: the directory of the process, that of functions, and the root.
    for dir in [directory, Path::new("var/task"), Path::new("")] {
        if let Some(found) = package::choose_below(tree, dir)? {
            return Ok(found);
        }
    }
    Err(package::Error::NoComponent(
        "The image has no EntryPoint and no Command, and neither its working directory nor /var/task nor / has one \
         component. Set ImageConfig.EntryPoint to the path of the component."
            .to_owned(),
    ))
}

fn media_type(reference: &Reference, problem: String) -> Error {
    Error::MediaType {
        uri: reference.uri.clone(),
        problem,
    }
}

fn content(uri: &str, problem: String) -> Error {
    Error::Content {
        uri: uri.to_owned(),
        problem,
    }
}

fn too_large(uri: &str, max: u64) -> Error {
    Error::TooLarge {
        uri: uri.to_owned(),
        max,
    }
}
