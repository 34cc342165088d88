//! TLS of the host: a listener of its own, with certificates from files.

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// TLS listener.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Address and port to listen on with TLS, besides `listen`. Since 0.1.0.
    pub listen: SocketAddr,
    /// Certificates. The client's server name selects one; the first one is for all other names. Since 0.1.0.
    pub certificates: Vec<TlsCertificate>,
}

/// A certificate with its key. Files that change are read again, also on SIGHUP.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsCertificate {
    /// PEM file with the certificate chain, the host's own certificate first. Since 0.1.0.
    pub certificate: PathBuf,
    /// PEM file with the private key. Since 0.1.0.
    pub key: PathBuf,
}
