//! The one HTTP(S) client of the host, for everything that it fetches from or sends to other servers. It
//! bounds connecting and idling, follows no redirect, asks no proxy, and trusts whom the machine trusts.
//! What the bytes mean, its callers know.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::clock::Clock;

pub mod retry;
pub mod sigv4;
mod tls;

/// Time to make a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time that an idle connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Idle connections kept for one server.
const IDLE_MAX: usize = 4;
/// Bytes of a response's head.
const HEAD_BYTES_MAX: usize = 64 << 10;

type Http = HyperClient<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This machine has no certificates of authorities, which TLS needs.
    #[error("this machine has no certificates of authorities (ca-certificates)")]
    NoCertificates,
    /// Nothing answered, or the connection broke. Another attempt may help.
    #[error("{0}")]
    Unreachable(String),
    /// Something answered that is not HTTP.
    #[error("{0}")]
    NotHttp(String),
}

/// The client; cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    /// Made when it is first needed: reading the machine's certificates takes its time.
    http: Arc<OnceLock<Http>>,
    clock: Clock,
}

impl Client {
    /// A client that has connected to nothing yet.
    pub fn new(clock: Clock) -> Self {
        Self {
            http: Arc::default(),
            clock,
        }
    }

    /// The clock that requests are signed and attempts are spaced by.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Sends a request, once. Its answer's body is read by the caller, who bounds its size and time.
    ///
    /// # Errors
    /// Where no answer comes, whatever its status.
    pub async fn send(&self, mut request: Request<Bytes>) -> Result<Response<Incoming>, Error> {
        let agent = HeaderValue::from_static(concat!("lamina/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(header::USER_AGENT, agent);
        let is_encrypted = request.uri().scheme_str() == Some("https");
        let http = self.http(is_encrypted).await?;
        let sent = http.request(request.map(Full::new)).await;
        sent.map_err(|error| failed(&error))
    }

    async fn http(&self, is_encrypted: bool) -> Result<Http, Error> {
        if let Some(http) = self.http.get() {
            return Ok(http.clone());
        }
        let tls = tokio::task::spawn_blocking(tls::config).await;
        let tls = tls.map_err(|error| Error::Unreachable(error.to_string()))?;
        // Without TLS, nobody has to be trusted.
        if is_encrypted && !tls.has_roots {
            return Err(Error::NoCertificates);
        }
        // Another call may have been quicker; then its client is used.
        Ok(self.http.get_or_init(|| client(tls.config)).clone())
    }
}

fn client(tls: rustls::ClientConfig) -> Http {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    HyperClient::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(IDLE_MAX)
        .http1_max_buf_size(HEAD_BYTES_MAX)
        .build(connector)
}

/// Reads a transport's error, with its causes.
pub fn failed(error: &(dyn std::error::Error + 'static)) -> Error {
    let mut texts = Vec::new();
    let mut is_http = true;
    let mut cause = Some(error);
    while let Some(it) = cause {
        texts.push(it.to_string());
        let hyper = it.downcast_ref::<hyper::Error>();
        is_http &= !hyper.is_some_and(hyper::Error::is_parse);
        cause = it.source();
    }
    let text = texts.join(": ");
    if is_http {
        Error::Unreachable(text)
    } else {
        Error::NotHttp(text)
    }
}
