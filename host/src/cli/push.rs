//! `lamina push`: builds a function and publishes it to a registry: a component alone as `application/wasm`, one with
//! files as an image whose file system has them below `/var/task`.

use std::io::{Cursor, Read};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use serde_json::json;

use super::access::Printing;
use super::project::Project;
use super::{Ended, Format, output, package};
use crate::clock::Clock;
use crate::library::image::{
    Config, Credentials, Descriptor, MEDIA_CONFIG, MEDIA_WASM, Reference, Registries, Session,
};
use crate::outbound::{Client, Trust};
use crate::store::blob::Digest;

/// Media types of a file system and of its configuration.
const MEDIA_TAR: &str = "application/vnd.oci.image.layer.v1.tar";
const MEDIA_IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Name of a component in a package, and of the directory of functions in an image.
const COMPONENT: &str = "bootstrap.wasm";
const TASK_ROOT: &str = "var/task";

/// Build a function and publish it as a container image.
#[derive(Args, Clone, Debug)]
pub(super) struct Push {
    /// Image to publish: registry/repository:tag.
    image: String,
    /// Directory of a function, or of a lamina.toml with several; or a component (.wasm) or package (.zip).
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Function of a lamina.toml with several.
    #[arg(long, value_name = "NAME")]
    function: Option<String>,
    /// Docker's config.json with the login [default: $DOCKER_CONFIG/config.json, else ~/.docker/config.json].
    #[arg(long, value_name = "FILE")]
    docker_config: Option<PathBuf>,
    #[command(flatten)]
    printing: Printing,
}

/// Content of an image.
struct Content {
    config: (&'static str, Bytes),
    layer: (&'static str, Bytes),
}

impl Push {
    pub(super) async fn run(self) -> anyhow::Result<Ended> {
        let reference = Reference::parse(&self.image)?;
        let registries = self.registries()?;
        let project = self.project()?;
        let content = Content::of(&package::built(&project)?)?;
        let megabytes = content.layer.1.len().div_ceil(1_000_000);
        let progress = output::spinner(&format!("Pushing {}: {megabytes} MB", self.image));
        let session = registries.session(&reference, "pull,push");
        let digest = content.publish(&session, &project.name).await?;
        drop(progress);
        let resolved = reference.resolved(&digest);
        output::line(&match self.printing.format() {
            Format::Text => resolved,
            Format::Json => {
                json!({"ImageUri": self.image, "ResolvedImageUri": resolved}).to_string()
            }
        });
        Ok(Ended::Well)
    }

    fn project(&self) -> anyhow::Result<Project> {
        let mut projects = Project::read(&self.path)?;
        if let Some(name) = &self.function {
            projects.retain(|it| it.name == *name);
        }
        match (projects.pop(), projects.is_empty(), &self.function) {
            (Some(project), true, _) => Ok(project),
            (None, _, Some(name)) => bail!("{} has no function {name}", self.path.display()),
            _ => bail!(
                "{} has several functions; select one with --function",
                self.path.display()
            ),
        }
    }

    fn registries(&self) -> anyhow::Result<Registries> {
        let path = self.docker_config.clone().or_else(default_docker_config);
        let credentials = match path {
            Some(path) => Credentials::read_docker(&path).map_err(anyhow::Error::msg)?,
            None => Credentials::default(),
        };
        let config = Config {
            image_bytes_max: u64::MAX,
            time_max: Duration::MAX,
            registries: Vec::new(),
            credentials,
        };
        let client = Client::new(Trust::default(), Clock::system());
        Ok(Registries::new(config, client.clone(), client))
    }
}

/// Docker's `config.json` of this user, if there is one.
fn default_docker_config() -> Option<PathBuf> {
    let given = |name: &str| std::env::var_os(name).filter(|it| !it.is_empty());
    let dir = given("DOCKER_CONFIG").map(PathBuf::from);
    let home = || given("HOME").map(|it| PathBuf::from(it).join(".docker"));
    let path = dir.or_else(home)?.join("config.json");
    path.exists().then_some(path)
}

impl Content {
    fn of(package: &[u8]) -> anyhow::Result<Self> {
        if package.starts_with(b"\0asm") {
            return Ok(Self::component(package.to_vec()));
        }
        let mut zip = zip::ZipArchive::new(Cursor::new(package)).context("it is no package")?;
        if zip.len() == 1 {
            let mut only = zip.by_index(0)?;
            if only.name()? == COMPONENT {
                let mut component = Vec::new();
                only.read_to_end(&mut component)?;
                return Ok(Self::component(component));
            }
        }
        Self::files(&mut zip)
    }

    fn component(component: Vec<u8>) -> Self {
        let config = json!({
            "architecture": "wasm", "os": "wasip2",
            "layerDigests": [format!("sha256:{}", Digest::of(&component))],
        });
        Self {
            config: (MEDIA_CONFIG, config.to_string().into()),
            layer: (MEDIA_WASM, component.into()),
        }
    }

    fn files(zip: &mut zip::ZipArchive<Cursor<&[u8]>>) -> anyhow::Result<Self> {
        let mut tar = tar::Builder::new(Vec::new());
        for at in 0..zip.len() {
            let mut entry = zip.by_index(at)?;
            let name = format!("{TASK_ROOT}/{}", entry.name()?);
            let mut header = tar::Header::new_gnu();
            header.set_mode(entry.unix_mode().unwrap_or(0o644) & 0o777);
            if entry.is_symlink() {
                let mut target = String::new();
                entry.read_to_string(&mut target)?;
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                tar.append_link(&mut header, &name, &target)?;
            } else if entry.is_dir() {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_mode(0o755);
                header.set_size(0);
                tar.append_data(&mut header, &name, std::io::empty())?;
            } else {
                header.set_size(entry.size());
                tar.append_data(&mut header, &name, &mut entry)?;
            }
        }
        let layer = tar.into_inner()?;
        let config = json!({
            "architecture": "wasm", "os": "wasip2", "config": {"WorkingDir": format!("/{TASK_ROOT}")},
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", Digest::of(&layer))]},
        });
        Ok(Self {
            config: (MEDIA_IMAGE_CONFIG, config.to_string().into()),
            layer: (MEDIA_TAR, layer.into()),
        })
    }

    async fn publish(self, session: &Session, name: &str) -> anyhow::Result<Digest> {
        let descriptor = |(kind, bytes): &(&str, Bytes)| {
            Descriptor::new(kind, &Digest::of(bytes), bytes.len() as u64)
        };
        let config = descriptor(&self.config);
        let mut layer = descriptor(&self.layer);
        if self.layer.0 == MEDIA_WASM {
            layer = layer.titled(&format!("{name}.wasm"));
        }
        session.push_blob(self.layer.1).await?;
        session.push_blob(self.config.1).await?;
        Ok(session.push_manifest(&config, &[layer]).await?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn package(files: &[(&str, &str)]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            let options = zip::write::SimpleFileOptions::default();
            zip.start_file(*name, options).unwrap();
            zip.write_all(content.as_bytes()).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn component_alone_is_an_artifact_and_one_with_files_a_file_system() {
        let alone = Content::of(&package(&[(COMPONENT, "\0asm")])).unwrap();
        assert_eq!(
            (alone.layer.0, &*alone.layer.1),
            (MEDIA_WASM, b"\0asm".as_slice())
        );
        let files = Content::of(&package(&[(COMPONENT, "\0asm"), ("a/b", "1")])).unwrap();
        assert_eq!(files.layer.0, MEDIA_TAR);
        let mut tar = tar::Archive::new(&*files.layer.1);
        let names: Vec<_> = tar
            .entries()
            .unwrap()
            .map(|it| it.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["var/task/bootstrap.wasm", "var/task/a/b"]);
        assert!(Content::of(b"neither").is_err());
    }
}
