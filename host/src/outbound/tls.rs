//! TLS of the client: rustls with aws-lc-rs, TLS 1.2 and 1.3, and the machine's certificate
//! authorities.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

/// Client TLS configuration.
pub(super) struct Tls {
    pub(super) config: ClientConfig,
    /// False if no certificate authority was found; then every handshake fails.
    pub(super) has_roots: bool,
}

/// Loads the machine's certificates. Blocks on disk reads.
pub(super) fn config() -> Tls {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    let has_roots = !roots.is_empty();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.2 and 1.3");
    Tls {
        config: builder.with_root_certificates(roots).with_no_client_auth(),
        has_roots,
    }
}
