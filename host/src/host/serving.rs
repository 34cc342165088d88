//! The host on sockets of its own.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;

use super::{Error, Host};
use crate::api::access::Access;
use crate::config::{self, Config};
use crate::server::{self, Certificates, Server};

/// Configuration that cannot be put in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// It would serve strangers.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// A certificate cannot be used.
    #[error(transparent)]
    Certificates(#[from] server::TlsError),
}

/// Certificates of the TLS listener, if the configuration has one.
pub(super) fn certificates(config: &Config) -> Result<Option<Certificates>, Error> {
    let tls = config.tls.as_ref();
    let opened = tls.map(|tls| Certificates::open(&tls.certificates));
    opened.transpose().map_err(Error::host)
}

impl Host {
    /// Serves the host's APIs on an address, and on that of the configuration's TLS listener, until `shutdown` is ready.
    /// `bound` gets the former. Then requests and events in work are finished, and no other event begins until the host
    /// is opened again.
    ///
    /// # Errors
    /// If an address cannot be bound.
    pub async fn serve(
        &self,
        listen: SocketAddr,
        bound: impl FnOnce(SocketAddr),
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        let listener = TcpListener::bind(listen).await;
        let listener = listener.map_err(|source| Error::Listen {
            address: listen,
            source,
        })?;
        self.serve_on(listener, bound, shutdown).await
    }

    /// As [`serve`](Self::serve), on a socket that is bound already, for example by systemd.
    ///
    /// # Errors
    /// If the address of the TLS listener cannot be bound.
    pub async fn serve_on(
        &self,
        listener: TcpListener,
        bound: impl FnOnce(SocketAddr),
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        let taken = |address| move |source| Error::Listen { address, source };
        let mut config = server::Config {
            trusted_proxies: self.config.trusted_proxies.clone(),
            proxy_protocol: self.config.proxy_protocol,
            drain_time: self.config.limits.drain_time(),
            ..server::Config::default()
        };
        if let Some(share) = self.config.limits.connections_per_address {
            config.per_address_max = share;
        }
        let drain_time = config.drain_time;
        let mut server = Server::on(listener, Arc::clone(&self.core.front), config);
        if let (Some(tls), Some(certificates)) = (&self.config.tls, &self.certificates) {
            let binding = server.bind_tls(tls.listen, certificates.clone());
            let address = binding.await.map_err(taken(tls.listen))?;
            tracing::info!("TLS on https://{address}");
        }
        bound(server.local_addr().map_err(Error::host)?);
        let served = async {
            let shutdown = async {
                shutdown.await;
                self.events.stop();
            };
            server.serve(shutdown).await;
            self.events.stop();
        };
        tokio::join!(served, self.events.stopped(drain_time));
        Ok(())
    }

    /// Puts the keys of another configuration in force, with their policies, and its certificates. Connections stay; requests
    /// that have begun are judged by the keys they began with. Returns the settings that differ otherwise and stay as they
    /// are until the host is opened anew.
    ///
    /// # Errors
    /// If the configuration would serve strangers, or a certificate cannot be used.
    pub fn reload(&self, config: &Config) -> Result<Vec<&'static str>, ReloadError> {
        config.require_safe()?;
        let mut served = self.config.clone();
        served.keys.clone_from(&config.keys);
        // The address that is listened on is the one that counts.
        served.require_safe()?;
        if let (Some(tls), Some(certificates)) = (&config.tls, &self.certificates) {
            // A few small files, read on request of the operator.
            certificates.replace(&tls.certificates)?;
        }
        let access = Access::new(&served, &self.core.clock);
        self.core.front.set_access(access);
        Ok(self.config.fixed_differences(config))
    }
}
