//! TLS of the server: rustls with certificates from files, selected by server name, read again when they change.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use crate::config::TlsCertificate;

/// Interval at which changed files are looked for.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// ALPN identifiers, most wanted first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Certificate or key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No certificates are configured.
    #[error("[tls] of the configuration has no certificates")]
    None,
    /// Unusable file.
    #[error("{path}: {problem}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The problem with it.
        problem: String,
    },
}

/// Certificates of a host; cheap to clone.
#[derive(Clone, Debug)]
pub struct Certificates(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    // std lock: read once per handshake, written when files change, no await inside.
    current: RwLock<Arc<Set>>,
    // std mutex: held while files are read, on threads for blocking work.
    source: Mutex<Source>,
}

#[derive(Debug)]
struct Source {
    files: Vec<TlsCertificate>,
    seen: Vec<Option<Stamp>>,
}

/// Version of a file: modification time, size and inode, as tools replace files by renaming others.
type Stamp = (SystemTime, u64, u64);

/// Certificates by server name.
#[derive(Debug)]
struct Set {
    default: Arc<CertifiedKey>,
    names: HashMap<String, Arc<CertifiedKey>>,
}

impl Certificates {
    /// Reads certificates and keys. Blocks on disk reads.
    ///
    /// # Errors
    /// If one cannot be used.
    pub fn open(files: &[TlsCertificate]) -> Result<Self, Error> {
        let seen = stamps(files);
        let current = RwLock::new(Arc::new(Set::read(files)?));
        let source = Mutex::new(Source {
            files: files.to_vec(),
            seen,
        });
        Ok(Self(Arc::new(Inner { current, source })))
    }

    /// Reads other files from now on. The current certificates stay if one of them cannot be used. Blocks on disk
    /// reads.
    ///
    /// # Errors
    /// If one cannot be used.
    pub fn replace(&self, files: &[TlsCertificate]) -> Result<(), Error> {
        let mut source = self.source();
        let seen = stamps(files);
        let set = Set::read(files)?;
        *source = Source {
            files: files.to_vec(),
            seen,
        };
        self.put(set);
        Ok(())
    }

    /// Reads the files again if one changed. Blocks on disk reads.
    pub(super) fn refresh(&self) {
        let mut source = self.source();
        let seen = stamps(&source.files);
        if seen == source.seen {
            return;
        }
        match Set::read(&source.files) {
            Ok(set) => {
                tracing::info!("the certificates were read again");
                source.seen = seen;
                self.put(set);
            }
            // A certificate may have been replaced and its key not yet: the next check reads both.
            Err(error) => {
                tracing::warn!(%error, "changed certificates cannot be used; the former ones stay");
            }
        }
    }

    /// Handshakes of new connections.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.clone()));
        config.alpn_protocols = PROTOCOLS.iter().map(|it| it.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }

    fn put(&self, set: Set) {
        let mut current = self
            .0
            .current
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(set);
    }

    fn source(&self) -> MutexGuard<'_, Source> {
        self.0.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let set = Arc::clone(
            &self
                .0
                .current
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        );
        Some(set.of(hello.server_name()))
    }
}

impl Set {
    fn read(files: &[TlsCertificate]) -> Result<Self, Error> {
        let mut names = HashMap::new();
        let mut default = None;
        for file in files {
            let key = certified(file)?;
            for name in names_of(&key) {
                // The first certificate of a name counts.
                names.entry(name).or_insert_with(|| Arc::clone(&key));
            }
            default.get_or_insert(key);
        }
        let default = default.ok_or(Error::None)?;
        Ok(Self { default, names })
    }

    /// Certificate of a server name: its own, a wildcard of its parent, or the first one.
    fn of(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        let name = name.map(str::to_ascii_lowercase);
        let found = name.as_deref().and_then(|name| {
            let wildcard = || self.names.get(&format!("*.{}", name.split_once('.')?.1));
            self.names.get(name).or_else(wildcard)
        });
        Arc::clone(found.unwrap_or(&self.default))
    }
}

fn certified(file: &TlsCertificate) -> Result<Arc<CertifiedKey>, Error> {
    let unusable = |path: &PathBuf, problem: String| Error::Unusable {
        path: path.clone(),
        problem,
    };
    let chain = CertificateDer::pem_file_iter(&file.certificate).and_then(Iterator::collect);
    let chain: Vec<_> = chain.map_err(|error| unusable(&file.certificate, error.to_string()))?;
    if chain.is_empty() {
        let problem = "it has no PEM section CERTIFICATE".to_owned();
        return Err(unusable(&file.certificate, problem));
    }
    let key = PrivateKeyDer::from_pem_file(&file.key);
    let key = key.map_err(|error| unusable(&file.key, error.to_string()))?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let certified = CertifiedKey::from_der(chain, key, &provider);
    let certified = certified.map_err(|error| unusable(&file.certificate, error.to_string()))?;
    Ok(Arc::new(certified))
}

/// DNS names of a certificate, in lower case.
fn names_of(key: &CertifiedKey) -> Vec<String> {
    let certificate = key.cert.first().map(webpki::EndEntityCert::try_from);
    let Some(Ok(certificate)) = certificate else {
        return Vec::new();
    };
    certificate
        .valid_dns_names()
        .map(str::to_ascii_lowercase)
        .collect()
}

fn stamps(files: &[TlsCertificate]) -> Vec<Option<Stamp>> {
    use std::os::unix::fs::MetadataExt;
    let stamp = |path: &PathBuf| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.modified().ok()?, found.len(), found.ino()))
    };
    let paths = files.iter().flat_map(|file| [&file.certificate, &file.key]);
    paths.map(stamp).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(name: &str) -> TlsCertificate {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/certificates");
        TlsCertificate {
            certificate: format!("{dir}/{name}.pem").into(),
            key: format!("{dir}/{name}.key").into(),
        }
    }

    #[test]
    fn server_name_selects_certificate() {
        let set = Set::read(&[files("server"), files("shop")]).unwrap();
        let shop = |name: Option<&str>| {
            let key = set.of(name);
            names_of(&key).iter().any(|it| it == "shop.example")
        };
        assert!(shop(Some("shop.example")) && shop(Some("SHOP.example")));
        for other in [
            None,
            Some("unknown.example"),
            Some("x.shop.example"),
            Some("localhost"),
        ] {
            assert!(!shop(other), "{other:?}");
        }
        let below = set.of(Some("abc.lambda-url.us-east-1.example"));
        assert!(names_of(&below).contains(&"*.lambda-url.us-east-1.example".to_owned()));
    }

    #[test]
    fn unusable_files_leave_certificates_as_they_are() {
        let certificates = Certificates::open(&[files("shop")]).unwrap();
        let current = |it: &Certificates| Arc::clone(&it.0.current.read().unwrap());
        let before = current(&certificates);
        let mixed = TlsCertificate {
            key: files("server").key,
            ..files("shop")
        };
        for bad in [vec![], vec![mixed], vec![files("missing")]] {
            assert!(certificates.replace(&bad).is_err(), "{bad:?}");
        }
        certificates.refresh();
        assert!(Arc::ptr_eq(&before, &current(&certificates)));
        certificates.replace(&[files("shop-renewed")]).unwrap();
        assert!(!Arc::ptr_eq(&before, &current(&certificates)));
    }
}
