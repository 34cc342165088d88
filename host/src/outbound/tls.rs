//! Trust of the client side: rustls with aws-lc-rs, TLS 1.2 and 1.3, and the certificate authorities of the machine
//! and of the configuration.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// A file of the configuration without usable certificates.
#[derive(Debug, thiserror::Error)]
#[error("{path} has no certificates that can be used: {problem}")]
pub struct Unreadable {
    path: PathBuf,
    problem: String,
}

/// Certificate authorities that servers are checked against; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    configured: Arc<[CertificateDer<'static>]>,
    /// Read on first use, because reading the machine's certificates takes milliseconds.
    roots: Arc<OnceLock<Arc<RootCertStore>>>,
}

impl Trust {
    /// Trusts the authorities in these PEM files besides the machine's. Blocks on disk reads.
    ///
    /// # Errors
    /// If a file cannot be read, or has no certificate of an authority.
    pub fn open(files: &[PathBuf]) -> Result<Self, Unreadable> {
        let mut configured = Vec::new();
        for path in files {
            configured.extend(read(path)?);
        }
        Ok(Self {
            configured: configured.into(),
            roots: Arc::default(),
        })
    }

    /// TLS configuration of a client that offers these protocols, most wanted first.
    pub(super) async fn client_config(&self, protocols: &[&[u8]]) -> std::io::Result<ClientConfig> {
        let mut config = trusting(self.roots().await?);
        config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
        Ok(config)
    }

    /// TLS configuration of a client that trusts no server.
    #[cfg(feature = "cli")]
    pub fn none() -> ClientConfig {
        trusting(Arc::new(RootCertStore::empty()))
    }

    /// TLS configuration of a client of HTTP/1.1. Blocks while the machine's certificates are read.
    #[cfg(feature = "cli")]
    pub fn blocking_client_config(&self) -> ClientConfig {
        let roots = self.roots.get_or_init(|| Arc::new(load(&self.configured)));
        trusting(Arc::clone(roots))
    }

    /// Certificates of all authorities; none if the machine has none. Then every handshake fails.
    ///
    /// # Errors
    /// If the process shuts down.
    pub async fn roots(&self) -> std::io::Result<Arc<RootCertStore>> {
        if let Some(roots) = self.roots.get() {
            return Ok(Arc::clone(roots));
        }
        let configured = Arc::clone(&self.configured);
        let reading = tokio::task::spawn_blocking(move || load(&configured));
        // Cancelled only when the runtime shuts down.
        let read = reading.await.map_err(std::io::Error::other)?;
        // A concurrent call may have been first.
        Ok(Arc::clone(self.roots.get_or_init(|| Arc::new(read))))
    }
}

fn trusting(roots: Arc<RootCertStore>) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.2 and 1.3");
    builder.with_root_certificates(roots).with_no_client_auth()
}

fn load(configured: &[CertificateDer<'static>]) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots.add_parsable_certificates(configured.iter().cloned());
    roots
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, Unreadable> {
    let unreadable = |problem: String| Unreadable {
        path: path.to_owned(),
        problem,
    };
    let certificates = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let certificates: Vec<_> = certificates.map_err(|error| unreadable(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in &certificates {
        let added = roots.add(certificate.clone());
        added.map_err(|error| unreadable(error.to_string()))?;
    }
    match certificates.is_empty() {
        true => Err(unreadable("it has no PEM section CERTIFICATE".to_owned())),
        false => Ok(certificates),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_without_certificates_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        assert!(Trust::open(std::slice::from_ref(&path)).is_err());
        for text in [
            "",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Trust::open(std::slice::from_ref(&path))
                .unwrap_err()
                .to_string();
            assert!(error.contains("ca.pem"), "{error}");
        }
        assert!(Trust::open(&[]).is_ok());
    }
}
