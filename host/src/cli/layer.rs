//! `lamina layer`: publishes layers to a running host.

use std::fs::{self, File};
use std::io::{self, Cursor, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{DateTime, ZipWriter};

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
fn segment(name: &str) -> anyhow::Result<String> {
    const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');
    if name.is_empty() {
        bail!("a layer needs a name");
    }
    Ok(utf8_percent_encode(name, PLAIN).to_string())
}

fn package(content: &Path) -> anyhow::Result<Vec<u8>> {
    if !content.is_dir() {
        return Ok(fs::read(content)?);
    }
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    add(&mut zip, content, "")?;
    Ok(zip.finish()?.into_inner())
}

/// Adds a directory to a zip, deterministically: equal files give an equal zip.
fn add<W: Write + Seek>(zip: &mut ZipWriter<W>, dir: &Path, prefix: &str) -> anyhow::Result<()> {
    let mut entries = fs::read_dir(dir)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type()?);
        let name = entry.file_name();
        let name = name.to_str().map(|name| format!("{prefix}{name}"));
        let name = name.with_context(|| format!("{}: not a name in UTF-8", path.display()))?;
        let mode = entry.metadata()?.permissions().mode() & 0o777;
        let options = SimpleFileOptions::default()
            .last_modified_time(DateTime::default())
            .unix_permissions(mode);
        if kind.is_dir() {
            zip.add_directory(format!("{name}/"), options)?;
            add(zip, &path, &format!("{name}/"))?;
        } else if kind.is_file() {
            zip.start_file(name, options)?;
            io::copy(&mut File::open(&path)?, zip)?;
        } else {
            bail!("{name} is a link or a device; only files and directories can be in a layer");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_files_make_the_same_zip() {
        let zip = || {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("lib")).unwrap();
            fs::write(dir.path().join("lib/b.txt"), "b").unwrap();
            fs::write(dir.path().join("a.txt"), "a").unwrap();
            package(dir.path()).unwrap()
        };
        let made = zip();
        assert_eq!(made, zip());
        let mut read = zip::ZipArchive::new(Cursor::new(made)).unwrap();
        let names = (0..read.len()).map(|at| {
            let file = read.by_index(at).unwrap();
            file.name().unwrap().into_owned()
        });
        assert_eq!(names.collect::<Vec<_>>(), ["a.txt", "lib/", "lib/b.txt"]);
    }

    #[test]
    fn links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
        let refused = package(dir.path()).unwrap_err().to_string();
        assert!(refused.starts_with("link is a link"), "{refused}");
    }
}
