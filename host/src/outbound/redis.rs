//! Connections to Redis servers, with TLS where their URLs ask for it. Each carries one command at a time.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ProtocolVersion, RedisConnectionInfo};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::tls::Trust;
use crate::clock::Clock;

pub use redis::Value;

/// Time to connect, TLS included.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// A server.
#[derive(Clone, Debug)]
pub struct Server {
    pub host: String,
    pub port: u16,
    pub is_encrypted: bool,
    pub database: u16,
    pub user: Option<String>,
    pub password: Option<Secret>,
}

/// Password that debug output hides.
#[derive(Clone)]
pub struct Secret(pub String);

/// A command that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection.
    #[error("{host}:{port} could not be reached: {problem}")]
    Unreachable {
        host: String,
        port: u16,
        problem: String,
    },
    /// The server refused a command, or the connection broke.
    #[error("{0}")]
    Failed(#[from] redis::RedisError),
}

/// Client of one server; cheap to clone.
#[derive(Clone, Debug)]
pub struct Redis {
    server: Arc<Server>,
    trust: Trust,
    clock: Clock,
}

/// A connection.
pub struct Connection {
    commands: MultiplexedConnection,
    _driver: AbortOnDropHandle<()>,
}

impl Redis {
    pub fn new(server: Server, trust: Trust, clock: Clock) -> Self {
        Self {
            server: Arc::new(server),
            trust,
            clock,
        }
    }

    /// Connects; each command may take so long.
    ///
    /// # Errors
    /// If the server does not answer, or refuses the user.
    pub async fn connect(&self, response_time_max: Duration) -> Result<Connection, Error> {
        // Boxed: a handshake is large, and seldom.
        let connecting = Box::pin(self.try_connect(response_time_max));
        let connected = self.clock.timeout(CONNECT_TIME_MAX, connecting).await;
        connected.unwrap_or_else(|| Err(self.unreachable(&"it does not answer")))
    }

    async fn try_connect(&self, response_time_max: Duration) -> Result<Connection, Error> {
        let address = (self.server.host.as_str(), self.server.port);
        let stream = TcpStream::connect(address).await;
        let stream = stream.map_err(|error| self.unreachable(&error))?;
        stream
            .set_nodelay(true)
            .map_err(|error| self.unreachable(&error))?;
        if !self.server.is_encrypted {
            return self.log_in(stream, response_time_max).await;
        }
        let config = self.trust.client_config(&[]).await;
        let config = config.map_err(|error| self.unreachable(&error))?;
        let name = ServerName::try_from(self.server.host.clone());
        let name = name.map_err(|error| self.unreachable(&error))?;
        let stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await;
        let stream = stream.map_err(|error| self.unreachable(&error))?;
        self.log_in(stream, response_time_max).await
    }

    async fn log_in(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        response_time_max: Duration,
    ) -> Result<Connection, Error> {
        let server = &self.server;
        let mut info = RedisConnectionInfo::default()
            .set_db(server.database.into())
            .set_protocol(ProtocolVersion::RESP2);
        if let Some(user) = &server.user {
            info = info.set_username(user);
        }
        if let Some(Secret(password)) = &server.password {
            info = info.set_password(password);
        }
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(response_time_max));
        let opened = MultiplexedConnection::new_with_config(&info, stream, config).await;
        let (commands, driver) = opened?;
        Ok(Connection {
            commands,
            _driver: AbortOnDropHandle::new(tokio::spawn(driver)),
        })
    }

    fn unreachable(&self, problem: &dyn std::fmt::Display) -> Error {
        Error::Unreachable {
            host: self.server.host.clone(),
            port: self.server.port,
            problem: problem.to_string(),
        }
    }
}

impl Connection {
    /// Sends a command; returns its result.
    ///
    /// # Errors
    /// If the server refuses it, or the connection breaks.
    pub async fn send(&mut self, words: &[&[u8]]) -> Result<Value, Error> {
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(*word);
        }
        Ok(command.query_async(&mut self.commands).await?)
    }
}

impl Error {
    /// True if the server answered with this error code.
    pub fn has_code(&self, code: &str) -> bool {
        matches!(self, Self::Failed(error) if error.code() == Some(code))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}
