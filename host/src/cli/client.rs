//! Signed client of a host's public API, equivalent to `aws lambda`.

use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::Access;
use crate::api::rest::sigv4::{Credentials, sign};
use crate::clock::Clock;
use crate::outbound::Trust;

/// Path of the functions of a host.
pub(super) const FUNCTIONS: &str = "/2015-03-31/functions";
/// Timeout for a change of a function to finish.
const SETTLE_MAX: Duration = Duration::from_secs(60);
const SETTLE_POLL: Duration = Duration::from_millis(20);

/// Client of one host.
#[derive(Clone, Debug)]
pub(super) struct Client {
    endpoint: String,
    region: String,
    credentials: Credentials,
    http: HttpClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
    clock: Clock,
}

/// HTTP response of a host.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Error response of a host.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {message}")]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) name: String,
    pub(super) message: String,
}

impl Client {
    pub(super) fn new(access: &Access) -> anyhow::Result<Self> {
        let endpoint = access.endpoint_url.trim_end_matches('/').to_owned();
        if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
            bail!("--endpoint-url {endpoint}: a URL begins with http:// or https://");
        }
        let credentials = Credentials {
            access_key_id: access.access_key_id.clone(),
            secret_access_key: access.secret_access_key.clone(),
            session_token: access.session_token.clone(),
        };
        let bundle = access.ca_bundle.iter().cloned().collect::<Vec<_>>();
        let connector = match endpoint.starts_with("https://") {
            true => HttpsConnectorBuilder::new()
                .with_tls_config(Trust::open(&bundle)?.blocking_client_config()),
            // Without the machine's certificates, which take milliseconds to read.
            false => HttpsConnectorBuilder::new().with_tls_config(Trust::none()),
        };
        let connector = connector.https_or_http().enable_http1().build();
        let http = HttpClient::builder(TokioExecutor::new()).build(connector);
        let clock = Clock::system();
        Ok(Self {
            endpoint,
            region: access.region.clone(),
            credentials,
            http,
            clock,
        })
    }

    /// Sends a Lambda API request and parses the JSON response.
    pub(super) async fn lambda(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let answer = self.send("lambda", method, path, &[], body).await?;
        if answer.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer.body).context("the host's response is not JSON")
    }

    /// Sends a CloudWatch Logs request.
    pub(super) async fn logs(&self, operation: &str, body: &Value) -> anyhow::Result<Value> {
        let target = format!("Logs_20140328.{operation}");
        let headers = [
            ("x-amz-target", target.as_str()),
            ("content-type", "application/x-amz-json-1.1"),
        ];
        let body = body.to_string().into();
        let answer = self.send("logs", Method::POST, "/", &headers, body).await?;
        serde_json::from_slice(&answer.body).context("the host's response is not JSON")
    }

    /// Sends a request. An error status is an `Err`.
    pub(super) async fn send(
        &self,
        service: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> anyhow::Result<Response> {
        let uri = format!("{}{path}", self.endpoint);
        let host = self.endpoint.split("://").last().unwrap_or_default();
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header("host", host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).context("the request cannot be built")?;
        let now = self.clock.now();
        let request = sign(&self.credentials, &self.region, service, now, request)?;
        let response = self
            .http
            .request(request.map(Full::new))
            .await
            .map_err(|error| self.unreachable(error))?;
        let (parts, body) = response.into_parts();
        let body = body
            .collect()
            .await
            .context("the host's response ended early")?
            .to_bytes();
        let answer = Response {
            status: parts.status,
            headers: parts.headers,
            body,
        };
        if answer.status.is_success() {
            Ok(answer)
        } else {
            Err(answer.refusal().into())
        }
    }

    /// Says why no response came, and what to do.
    fn unreachable(&self, error: hyper_util::client::legacy::Error) -> anyhow::Error {
        let endpoint = &self.endpoint;
        let is_refused = error.is_connect();
        let error = anyhow::Error::new(error);
        let tls = error.chain().find_map(tls_error);
        let text = match tls {
            Some(rustls::Error::InvalidCertificate(_)) => format!(
                "the certificate of {endpoint} is not trusted; AWS_CA_BUNDLE names a PEM file with its authority"
            ),
            Some(rustls::Error::InvalidMessage(_)) => {
                format!("{endpoint} speaks no TLS; the URL of such a host begins with http://")
            }
            Some(_) => format!("no TLS connection to {endpoint} can be made"),
            None if is_refused => {
                format!("no host answers at {endpoint}; start one with `lamina start`")
            }
            None => format!(
                "{endpoint} ended the connection before it answered; the request may have been carried out"
            ),
        };
        error.context(text)
    }

    /// Waits until a function is Active and its last update has succeeded.
    pub(super) async fn settled(&self, name: &str) -> anyhow::Result<Value> {
        let shown = self.idle(name).await?;
        let of_state = (shown["State"] == "Failed").then_some("StateReason");
        let of_update = (shown["LastUpdateStatus"] == "Failed").then_some("LastUpdateStatusReason");
        match of_state.or(of_update) {
            None => Ok(shown),
            Some(reason) => bail!(
                "{}",
                shown[reason].as_str().unwrap_or("the deployment failed")
            ),
        }
    }

    /// Waits until no change of a function is in progress.
    pub(super) async fn idle(&self, name: &str) -> anyhow::Result<Value> {
        let path = format!("/2015-03-31/functions/{name}/configuration");
        let settled = async {
            loop {
                let shown = self.lambda(Method::GET, &path, None).await?;
                if shown["State"] != "Pending" && shown["LastUpdateStatus"] != "InProgress" {
                    return Ok(shown);
                }
                tokio::time::sleep(SETTLE_POLL).await;
            }
        };
        let late = || {
            format!(
                "{name} did not become active within {} s",
                SETTLE_MAX.as_secs()
            )
        };
        tokio::time::timeout(SETTLE_MAX, settled)
            .await
            .with_context(late)?
    }
}

impl Response {
    fn refusal(&self) -> Refusal {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let header = self
            .headers
            .get("x-amzn-errortype")
            .and_then(|name| name.to_str().ok());
        let name = header
            .or_else(|| body["__type"].as_str())
            .unwrap_or("Error");
        let message = ["message", "Message"]
            .iter()
            .find_map(|key| body[key].as_str());
        Refusal {
            status: self.status,
            name: name.to_owned(),
            message: message.unwrap_or("the host gave no reason").to_owned(),
        }
    }
}

/// Error of TLS behind an error of a connection, which wraps it as an I/O error.
fn tls_error<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e rustls::Error> {
    let inner = error.downcast_ref::<std::io::Error>()?.get_ref()?;
    inner.downcast_ref()
}

/// True for status 404.
pub(super) fn is_missing(error: &anyhow::Error) -> bool {
    let refusal = error.downcast_ref::<Refusal>();
    refusal.is_some_and(|refusal| refusal.status == StatusCode::NOT_FOUND)
}

/// True for AccessDeniedException.
pub(super) fn is_denied(error: &anyhow::Error) -> bool {
    let refusal = error.downcast_ref::<Refusal>();
    refusal.is_some_and(|refusal| refusal.name == "AccessDeniedException")
}

/// True for status 409.
pub(super) fn is_conflict(error: &anyhow::Error) -> bool {
    let refusal = error.downcast_ref::<Refusal>();
    refusal.is_some_and(|refusal| refusal.status == StatusCode::CONFLICT)
}
