//! `lamina layer`: publishes layers to a running host.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::archive::Archive;
use super::client::Client;
use super::{Calling, Ended, Format, output};

/// Publish layers: files shared by functions.
#[derive(Debug, Subcommand)]
pub(super) enum Layer {
    /// Publish a new version of a layer.
    Publish(Calling<Publish>),
}

/// Publish a new version of a layer.
#[derive(Args, Clone, Debug)]
pub(super) struct Publish {
    /// Layer name.
    name: String,
    /// Zip file, or directory to zip. Functions see the content below /opt.
    content: PathBuf,
    /// Description of the version.
    #[arg(long)]
    description: Option<String>,
    /// License of the content.
    #[arg(long, value_name = "LICENSE")]
    license_info: Option<String>,
    /// Compatible runtime; may be repeated.
    #[arg(long, value_name = "RUNTIME")]
    compatible_runtime: Vec<String>,
    /// Compatible architecture; may be repeated.
    #[arg(long, value_name = "ARCHITECTURE")]
    compatible_architecture: Vec<String>,
}

impl Publish {
    pub(super) async fn run(self, client: &Client, format: Format) -> anyhow::Result<Ended> {
        let zip = package(&self.content).with_context(|| self.content.display().to_string())?;
        let path = format!("/2018-10-31/layers/{}/versions", segment(&self.name)?);
        let published = client
            .lambda(Method::POST, &path, Some(&self.request(&zip)))
            .await?;
        output::line(&match format {
            Format::Text => published["LayerVersionArn"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            Format::Json => published.to_string(),
        });
        Ok(Ended::Well)
    }

    fn request(&self, zip: &[u8]) -> Value {
        let mut request = json!({"Content": {"ZipFile": STANDARD.encode(zip)}});
        for (name, given) in [
            ("Description", &self.description),
            ("LicenseInfo", &self.license_info),
        ] {
            if let Some(given) = given {
                request[name] = given.as_str().into();
            }
        }
        for (name, given) in [
            ("CompatibleRuntimes", &self.compatible_runtime),
            ("CompatibleArchitectures", &self.compatible_architecture),
        ] {
            if !given.is_empty() {
                request[name] = json!(given);
            }
        }
        request
    }
}

/// Percent-encodes a name as one path segment. The host validates it.
pub(super) fn segment(name: &str) -> anyhow::Result<String> {
    const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');
    if name.is_empty() {
        bail!("a layer needs a name");
    }
    Ok(utf8_percent_encode(name, PLAIN).to_string())
}

fn package(content: &Path) -> anyhow::Result<Vec<u8>> {
    if !content.is_dir() {
        return Ok(std::fs::read(content)?);
    }
    let mut archive = Archive::new(&|_| false);
    archive.add_contents(content, "")?;
    archive.finish()
}
