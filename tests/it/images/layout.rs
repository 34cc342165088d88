//! Images on disk in OCI's layout, which skopeo pushes, and their parts.

use std::fs;
use std::path::Path;
use std::process::Command;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const WASM: &str = "application/wasm";
pub const TAR: &str = "application/vnd.oci.image.layer.v1.tar";

/// Content with its media type.
#[derive(Clone)]
pub struct Part {
    pub kind: String,
    pub bytes: Vec<u8>,
}

/// An image: configuration, layers and manifest.
#[derive(Clone)]
pub struct Image {
    pub parts: Vec<Part>,
    pub manifest: Part,
}

impl Part {
    pub fn new(kind: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            kind: kind.to_owned(),
            bytes: bytes.into(),
        }
    }

    pub fn digest(&self) -> String {
        sha256(&self.bytes)
    }

    pub fn descriptor(&self) -> Value {
        json!({"mediaType": self.kind, "digest": self.digest(), "size": self.bytes.len()})
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    let hex = digest(&SHA256, bytes)
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    format!("sha256:{hex}")
}

impl Image {
    /// An image of these layers.
    pub fn new(config: Part, layers: Vec<Part>) -> Self {
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config.descriptor(),
            "layers": layers.iter().map(Part::descriptor).collect::<Vec<_>>(),
        });
        let mut parts = vec![config];
        parts.extend(layers);
        Self {
            parts,
            manifest: Part::new(MANIFEST, manifest.to_string()),
        }
    }

    /// A component as `wkg oci push` publishes it.
    pub fn component(wasm: Vec<u8>) -> Self {
        let config =
            json!({"created": "2026-01-01T00:00:00Z", "architecture": "wasm", "os": "wasip2"});
        let config = Part::new("application/vnd.wasm.config.v0+json", config.to_string());
        Self::new(config, vec![Part::new(WASM, wasm)])
    }

    /// An image of file systems, with `config` as a Dockerfile sets it.
    pub fn files(layers: Vec<Vec<u8>>, config: &Value) -> Self {
        let diffs: Vec<String> = layers.iter().map(|it| sha256(it)).collect();
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": config,
            "rootfs": {"type": "layers", "diff_ids": diffs},
        });
        let layers = layers.into_iter().map(|it| Part::new(TAR, it)).collect();
        Self::new(Part::new(CONFIG, config.to_string()), layers)
    }

    /// Pushes it with skopeo.
    pub fn push(&self, to: &str, more: &[&str]) {
        let dir = tempfile::tempdir().expect("a directory");
        self.write(dir.path());
        let from = format!("oci:{}:pushed", dir.path().display());
        let mut skopeo = Command::new("skopeo");
        skopeo
            .args(["--insecure-policy", "copy", "--dest-tls-verify=false"])
            .args(more);
        let pushed = skopeo.args([&from, &format!("docker://{to}")]).output();
        let pushed = pushed.expect("skopeo runs; tests/run installs it");
        let told = String::from_utf8_lossy(&pushed.stderr);
        assert!(pushed.status.success(), "{told}");
    }

    fn write(&self, dir: &Path) {
        let blobs = dir.join("blobs/sha256");
        fs::create_dir_all(&blobs).expect("a directory");
        for part in self.parts.iter().chain([&self.manifest]) {
            let name = part.digest().replace("sha256:", "");
            fs::write(blobs.join(name), &part.bytes).expect("a file");
        }
        let mut manifest = self.manifest.descriptor();
        manifest["annotations"] = json!({"org.opencontainers.image.ref.name": "pushed"});
        let index = json!({"schemaVersion": 2, "manifests": [manifest]});
        fs::write(dir.join("index.json"), index.to_string()).expect("a file");
        fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion": "1.0.0"}"#).expect("a file");
    }
}

/// A layer with these files; a name that ends in `@` is a symbolic link to its content.
pub fn layer(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        if let Some(link) = name.strip_suffix('@') {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            let target = std::str::from_utf8(content).expect("a path");
            tar.append_link(&mut header, link, target)
                .expect("in memory");
        } else {
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, name, *content)
                .expect("in memory");
        }
    }
    tar.into_inner().expect("in memory")
}
