//! TLS sessions of one environment: rustls without a connection.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use wasmtime::component::{ComponentType, Lift, Lower};

use crate::outbound::Trust;
use verifier::{AnyName, Unverified};

mod verifier;

/// Settings that an environment may keep, the oldest of which makes way. Those with authorities of their own take some
/// hundred KiB.
const CONFIGURATIONS_MAX: usize = 8;
/// Sessions of an environment. Each takes about 40 KiB.
const SESSIONS_MAX: usize = 64;
/// Bytes of plaintext or records in one exchange.
const EXCHANGE_BYTES_MAX: usize = 1 << 20;
/// Bytes of PEM.
const AUTHORITIES_BYTES_MAX: usize = 2 << 20;

/// Verification of a server's certificate.
#[expect(dead_code, reason = "guests choose among them")]
#[derive(Clone, Copy, ComponentType, Debug, Eq, Lift, PartialEq)]
#[component(enum)]
#[repr(u8)]
pub(super) enum Verification {
    #[component(name = "none")]
    None,
    #[component(name = "chain")]
    Chain,
    #[component(name = "full")]
    Full,
}

#[derive(ComponentType, Debug, Lift)]
#[component(record)]
pub(super) struct Settings {
    verification: Verification,
    pub(super) authorities: Option<String>,
    protocols: Vec<String>,
}

#[derive(ComponentType, Debug, Default, Lower)]
#[component(record)]
pub(super) struct Progress {
    records: Vec<u8>,
    received: Vec<u8>,
    #[component(name = "is-handshaking")]
    is_handshaking: bool,
    #[component(name = "is-closed")]
    is_closed: bool,
    failure: Option<String>,
}

#[derive(ComponentType, Debug, Lower)]
#[component(record)]
pub(super) struct Facts {
    version: String,
    cipher: String,
    protocol: Option<String>,
    certificate: Vec<u8>,
}

/// TLS sessions of an environment, and their settings.
pub(super) struct Sessions {
    /// Authorities of the machine and of the configuration.
    pub(super) trust: Trust,
    configurations: Vec<(u32, Arc<ClientConfig>)>,
    open: HashMap<u32, ClientConnection>,
    /// Last number of either.
    last: u32,
}

impl Progress {
    pub(super) fn failed(problem: &str) -> Self {
        Self {
            failure: Some(problem.to_owned()),
            ..Self::default()
        }
    }
}

impl Sessions {
    pub(super) fn new(trust: &Trust) -> Self {
        Self {
            trust: trust.clone(),
            configurations: Vec::new(),
            open: HashMap::new(),
            last: 0,
        }
    }

    pub(super) fn configure(
        &mut self,
        settings: &Settings,
        machine: Option<Arc<RootCertStore>>,
    ) -> Result<u32, String> {
        let configuration = Arc::new(configuration(settings, machine)?);
        if self.configurations.len() == CONFIGURATIONS_MAX {
            self.configurations.remove(0);
        }
        let number = self.next();
        self.configurations.push((number, configuration));
        Ok(number)
    }

    pub(super) fn open(&mut self, configuration: u32, name: String) -> Result<u32, String> {
        if self.open.len() >= SESSIONS_MAX {
            return Err(format!("{SESSIONS_MAX} TLS sessions are open already"));
        }
        let found = self.configurations.iter();
        let found = found.rev().find(|(number, _)| *number == configuration);
        let (_, config) = found.ok_or("the settings are not kept any more")?;
        let name = ServerName::try_from(name).map_err(|error| error.to_string())?;
        let made = ClientConnection::new(Arc::clone(config), name);
        let mut session = made.map_err(|error| error.to_string())?;
        // The exchange bounds it.
        session.set_buffer_limit(None);
        let number = self.next();
        self.open.insert(number, session);
        Ok(number)
    }

    pub(super) fn is_handshaking(&self, session: u32) -> bool {
        let session = self.open.get(&session);
        session.is_some_and(|it| it.is_handshaking())
    }

    pub(super) fn exchange(&mut self, session: u32, records: &[u8], plaintext: &[u8]) -> Progress {
        let Some(session) = self.open.get_mut(&session) else {
            return Progress::failed("the TLS session is closed");
        };
        if records.len().max(plaintext.len()) > EXCHANGE_BYTES_MAX {
            return Progress::failed("more than 1 MiB at once");
        }
        let mut progress = Progress::default();
        let taken = take(session, records, &mut progress);
        let sent = taken.and_then(|()| {
            let written = session.writer().write_all(plaintext);
            written.map_err(|error| error.to_string())
        });
        progress.failure = sent.err();
        // After a failure, this is the alert.
        progress.records = outgoing(session);
        progress.is_handshaking = session.is_handshaking();
        progress
    }

    pub(super) fn close(&mut self, session: u32) -> Vec<u8> {
        let Some(mut session) = self.open.remove(&session) else {
            return Vec::new();
        };
        session.send_close_notify();
        outgoing(&mut session)
    }

    pub(super) fn describe(&self, session: u32) -> Option<Facts> {
        let session = self.open.get(&session)?;
        let version = session.protocol_version()?.as_str()?;
        let suite = session.negotiated_cipher_suite()?.suite();
        let protocol = session.alpn_protocol();
        Some(Facts {
            version: version.replace('_', "."),
            cipher: suite.as_str()?.replace("TLS13_", "TLS_"),
            protocol: protocol.and_then(|it| String::from_utf8(it.to_vec()).ok()),
            certificate: session.peer_certificates()?.first()?.to_vec(),
        })
    }

    fn next(&mut self) -> u32 {
        self.last = self.last.wrapping_add(1);
        self.last
    }
}

/// Takes records from the server.
fn take(
    session: &mut ClientConnection,
    mut records: &[u8],
    progress: &mut Progress,
) -> Result<(), String> {
    while !records.is_empty() {
        session
            .read_tls(&mut records)
            .map_err(|it| it.to_string())?;
        let state = session.process_new_packets();
        let state = state.map_err(|error| error.to_string())?;
        let bytes = state.plaintext_bytes_to_read();
        let at = progress.received.len();
        progress.received.resize(at + bytes, 0);
        let read = session.reader().read_exact(&mut progress.received[at..]);
        read.map_err(|error| error.to_string())?;
        if state.peer_has_closed() {
            progress.is_closed = true;
            break;
        }
    }
    Ok(())
}

fn outgoing(session: &mut ClientConnection) -> Vec<u8> {
    let mut records = Vec::new();
    while session.wants_write() && session.write_tls(&mut records).is_ok() {}
    records
}

fn configuration(
    settings: &Settings,
    machine: Option<Arc<RootCertStore>>,
) -> Result<ClientConfig, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = verifier(settings, machine, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let mut config = builder
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    let protocols = settings.protocols.iter();
    config.alpn_protocols = protocols.map(|it| it.as_bytes().to_vec()).collect();
    Ok(config)
}

fn verifier(
    settings: &Settings,
    machine: Option<Arc<RootCertStore>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, String> {
    if settings.verification == Verification::None {
        return Ok(Arc::new(Unverified(Arc::clone(provider))));
    }
    let roots = match (&settings.authorities, machine) {
        (Some(pem), _) => Arc::new(authorities(pem)?),
        (None, Some(roots)) if !roots.is_empty() => roots,
        (None, _) => {
            return Err("the host has no certificates of authorities (ca-certificates)".into());
        }
    };
    let built = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider)).build();
    let verifier = built.map_err(|error| error.to_string())?;
    Ok(match settings.verification {
        Verification::Chain => Arc::new(AnyName(verifier)),
        Verification::None | Verification::Full => verifier,
    })
}

fn authorities(pem: &str) -> Result<RootCertStore, String> {
    if pem.len() > AUTHORITIES_BYTES_MAX {
        return Err("the certificates of authorities have more than 2 MiB".into());
    }
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate =
            certificate.map_err(|error| format!("a certificate is no PEM: {error}"))?;
        // As OpenSSL, which passes over certificates that it cannot use.
        let _unusable = roots.add(certificate);
    }
    if roots.is_empty() {
        return Err("there is no certificate of an authority".into());
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unverified() -> Settings {
        Settings {
            verification: Verification::None,
            authorities: None,
            protocols: vec!["http/1.1".into()],
        }
    }

    fn configured() -> (Sessions, u32) {
        let mut sessions = Sessions::new(&Trust::default());
        let number = sessions.configure(&unverified(), None).unwrap();
        (sessions, number)
    }

    #[test]
    fn sessions_of_an_environment_are_bounded() {
        let (mut sessions, settings) = configured();
        let open = |sessions: &mut Sessions| sessions.open(settings, "example.com".into());
        let first = open(&mut sessions).unwrap();
        for _ in 1..SESSIONS_MAX {
            open(&mut sessions).unwrap();
        }
        let refused = open(&mut sessions).unwrap_err();
        assert_eq!(refused, "64 TLS sessions are open already");
        sessions.close(first);
        open(&mut sessions).unwrap();
    }

    #[test]
    fn oldest_tls_configuration_is_evicted() {
        let (mut sessions, first) = configured();
        let mut last = first;
        for _ in 0..CONFIGURATIONS_MAX {
            last = sessions.configure(&unverified(), None).unwrap();
        }
        let refused = sessions.open(first, "example.com".into()).unwrap_err();
        assert!(refused.contains("not kept any more"), "{refused}");
        assert!(sessions.open(last, "example.com".into()).is_ok());
        assert!(sessions.open(last, "not a name!".into()).is_err());
    }

    #[test]
    fn unsuitable_exchange_fails() {
        let (mut sessions, settings) = configured();
        let session = sessions.open(settings, "example.com".into()).unwrap();
        let hello = sessions.exchange(session, b"", b"");
        assert!(hello.is_handshaking && hello.failure.is_none());
        assert_eq!(hello.records.first(), Some(&22));
        let large = vec![0; EXCHANGE_BYTES_MAX + 1];
        assert!(sessions.exchange(session, &large, b"").failure.is_some());
        let not_tls = sessions.exchange(session, b"HTTP/1.1 400 Bad Request\r\n", b"");
        assert!(not_tls.failure.is_some() && not_tls.received.is_empty());
        sessions.close(session);
        let closed = sessions.exchange(session, b"", b"x").failure.unwrap();
        assert!(closed.contains("closed"), "{closed}");
        assert!(sessions.describe(session).is_none());
    }

    #[test]
    fn unusable_authorities_are_refused() {
        let mut sessions = Sessions::new(&Trust::default());
        for (pem, expected) in [
            (Some(String::new()), "no certificate"),
            (Some("-----BEGIN CERTIFICATE-----\n!".into()), "no PEM"),
            (Some("x".repeat(AUTHORITIES_BYTES_MAX + 1)), "2 MiB"),
            (None, "ca-certificates"),
        ] {
            let settings = Settings {
                verification: Verification::Full,
                authorities: pem,
                protocols: Vec::new(),
            };
            let machine = Some(Arc::new(RootCertStore::empty()));
            let refused = sessions.configure(&settings, machine).unwrap_err();
            assert!(refused.contains(expected), "{refused}");
        }
    }
}
