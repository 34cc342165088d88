//! How requests reach an S3 server: one HTTP client with bounds in place of the library's own. It does
//! not follow redirects, asks no proxy, and tells errors in the words of this module's parent.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as Tcp;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use rustls::{ClientConfig, RootCertStore};

use super::{Error, READS_MAX, refusal};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one that is not used is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

type Http = Client<HttpsConnector<Tcp>, HttpRequestBody>;

/// The way to one server; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    is_encrypted: bool,
    http: Arc<OnceLock<Transport>>,
}

#[derive(Clone, Debug)]
struct Transport(Http);

impl Connector {
    /// The way to a server that is spoken to with TLS or without.
    pub(super) fn new(is_encrypted: bool) -> Self {
        Self {
            is_encrypted,
            http: Arc::default(),
        }
    }

    /// Makes the client, when it is first needed: it reads the machine's certificates.
    ///
    /// # Errors
    /// Where there are none, and they are needed.
    pub(super) async fn prepare(&self) -> Result<(), Error> {
        if self.http.get().is_some() {
            return Ok(());
        }
        let is_encrypted = self.is_encrypted;
        let made = tokio::task::spawn_blocking(move || tls(is_encrypted)).await;
        let tls = made.unwrap_or_else(|error| Err(Error::Unreachable(error.to_string())))?;
        // Another read may have been quicker; then its client is used.
        let _ = self.http.set(Transport(http(tls)));
        Ok(())
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        let transport = self.http.get().cloned();
        Ok(HttpClient::new(transport.expect("it was prepared")))
    }
}

#[async_trait]
impl HttpService for Transport {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let agent = HeaderValue::from_static(concat!("lamina/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(header::USER_AGENT, agent);
        let response = self.0.request(request).await.map_err(|error| {
            let kind = match error.is_connect() {
                true => HttpErrorKind::Connect,
                false => HttpErrorKind::Interrupted,
            };
            unsent(kind, &error)
        })?;
        let (parts, body) = response.into_parts();
        if parts.status.is_success() {
            let body = body.map_err(|error| unsent(HttpErrorKind::Interrupted, &error));
            return Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(body)));
        }
        let refusal = refusal::read(&parts, body).await;
        Err(HttpError::new(kind(parts.status), refusal))
    }
}

fn http(tls: ClientConfig) -> Http {
    let mut tcp = Tcp::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(READS_MAX)
        .build(connector)
}

/// TLS that trusts whom the machine trusts; nobody, where TLS is not used.
fn tls(is_encrypted: bool) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    if is_encrypted {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let text = "this machine has no certificates of authorities (ca-certificates)";
            return Err(Error::Unreachable(text.into()));
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.2 and 1.3");
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Whether asking again may help.
fn kind(status: StatusCode) -> HttpErrorKind {
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => HttpErrorKind::Interrupted,
        status if status.is_server_error() => HttpErrorKind::Interrupted,
        _ => HttpErrorKind::Unknown,
    }
}

/// A request that got no answer, or not a whole one. What is not HTTP is not asked again.
fn unsent(kind: HttpErrorKind, error: &(dyn std::error::Error + 'static)) -> HttpError {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    let mut is_http = !is_nonsense(error);
    while let Some(it) = cause {
        texts.push(it.to_string());
        is_http &= !is_nonsense(it);
        cause = it.source();
    }
    let text = texts.join(": ");
    if is_http {
        HttpError::new(kind, Error::Unreachable(text))
    } else {
        HttpError::new(HttpErrorKind::Decode, Error::NotS3(text))
    }
}

fn is_nonsense(error: &(dyn std::error::Error + 'static)) -> bool {
    let error = error.downcast_ref::<hyper::Error>();
    error.is_some_and(hyper::Error::is_parse)
}
