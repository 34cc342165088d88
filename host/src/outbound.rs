//! The one HTTP(S) client of the host, for all requests to other servers. It bounds connect and
//! idle times, follows no redirects, uses no proxy, and trusts the machine's certificate
//! authorities.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use guard::Lookup;
use http::{HeaderValue, Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::clock::Clock;

pub mod aws;
pub mod dial;
mod guard;
pub mod host_name;
pub mod link;
pub mod pool;
pub mod redis;
pub mod retry;
pub mod sigv4;
pub mod tls;
mod wire;

pub use guard::AddressCheck;
pub use tls::Trust;

/// Timeout of TCP and TLS connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time before an idle connection is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Idle connections per server.
const IDLE_MAX: usize = 4;
/// Maximum size of a response head.
const HEAD_BYTES_MAX: usize = 64 << 10;

type Http = HyperClient<HttpsConnector<HttpConnector<Lookup>>, Full<Bytes>>;

/// Failure of a request without a response.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No certificate authorities on this machine, which TLS needs.
    #[error("this machine has no certificates of authorities (ca-certificates)")]
    NoCertificates,
    /// Connection failed or broke. Retryable.
    #[error("{0}")]
    Unreachable(String),
    /// Response is not HTTP.
    #[error("{0}")]
    NotHttp(String),
}

/// HTTP(S) client; cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    /// Built on first use, because reading the machine's certificates takes milliseconds.
    http: Arc<OnceLock<Http>>,
    trust: Trust,
    check: Option<AddressCheck>,
    clock: Clock,
}

impl Client {
    pub fn new(trust: Trust, clock: Clock) -> Self {
        Self {
            http: Arc::default(),
            trust,
            check: None,
            clock,
        }
    }

    /// Client for servers that callers name: it connects to addresses that pass this check only.
    pub fn guarded(trust: Trust, check: AddressCheck, clock: Clock) -> Self {
        Self {
            check: Some(check),
            ..Self::new(trust, clock)
        }
    }

    /// Clock for signing and retry backoff.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Sends a request once. The caller reads the response body and bounds its size and time.
    ///
    /// # Errors
    /// If there is no response. Any status is a success.
    pub async fn send(&self, mut request: Request<Bytes>) -> Result<Response<Incoming>, Error> {
        let agent = HeaderValue::from_static(concat!("lamina/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(header::USER_AGENT, agent);
        if let (Some(check), Some(host)) = (&self.check, request.uri().host()) {
            // hyper looks up names only.
            guard::check_literal(check, host).map_err(Error::Unreachable)?;
        }
        let is_encrypted = request.uri().scheme_str() == Some("https");
        let http = self.http(is_encrypted).await?;
        let sent = http.request(request.map(Full::new)).await;
        sent.map_err(|error| failed(&error))
    }

    async fn http(&self, is_encrypted: bool) -> Result<Http, Error> {
        if let Some(http) = self.http.get() {
            return Ok(http.clone());
        }
        let broken = |error: std::io::Error| Error::Unreachable(error.to_string());
        // Plain HTTP needs no certificate authorities.
        if is_encrypted && self.trust.roots().await.map_err(broken)?.is_empty() {
            return Err(Error::NoCertificates);
        }
        let tls = self.trust.client_config(&[]).await.map_err(broken)?;
        // A concurrent call may have built the client first.
        Ok(self
            .http
            .get_or_init(|| client(tls, self.check.clone()))
            .clone())
    }
}

fn client(tls: rustls::ClientConfig, check: Option<AddressCheck>) -> Http {
    let mut tcp = HttpConnector::new_with_resolver(Lookup::new(check));
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

/// Classifies a transport error, with its causes.
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
