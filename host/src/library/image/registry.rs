//! Client of registries: the distribution specification over the host's own HTTP client, with authentication,
//! redirects and bounds. A registry is believed in nothing: content is checked by digest and size.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;

mod address;
#[cfg(feature = "cli")]
mod push;
mod token;

use super::challenge;
use super::credentials::Credentials;
use super::manifest::ACCEPTED;
use super::{Error, Reference};
use crate::clock::Clock;
use crate::outbound::retry::{self, Policy};
use crate::outbound::{self, Client};
use crate::store::blob::Digest;
use crate::store::object::Sink;

/// Size of a manifest or a configuration.
pub(super) const DOCUMENT_BYTES_MAX: u64 = 4 << 20;
/// Time until an answer begins, and between parts of one.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
/// Time until an upload is answered.
const UPLOAD_TIME_MAX: Duration = Duration::from_secs(900);
/// Redirects of one request, as registries send to their storage.
const REDIRECTS_MAX: usize = 5;
/// Retries of a transfer that failed with a transient error.
const RETRIES: Policy = Policy {
    retries_max: 2,
    pause_min: Duration::from_millis(200),
    pause_max: Duration::from_secs(2),
};

/// Settings of all registries.
#[derive(Clone, Debug)]
pub struct Config {
    /// Size of an image, compressed and unpacked.
    pub image_bytes_max: u64,
    /// Time for pulling an image.
    pub time_max: Duration,
    /// Registries that may be at any address.
    pub registries: Vec<RegistryConfig>,
    /// Logins.
    pub credentials: Credentials,
}

/// A registry of the configuration.
#[derive(Clone, Debug)]
pub struct RegistryConfig {
    /// Host, and port if there is one.
    pub host: String,
    /// TLS; by default, except on loopback.
    pub tls: Option<bool>,
}

/// Registries of a host; cheap to clone.
#[derive(Clone, Debug)]
pub struct Registries(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    credentials: Credentials,
    tls: HashMap<String, Option<bool>>,
    /// For registries of the configuration, and for those that callers name.
    clients: (Client, Client),
    image_bytes_max: u64,
    time_max: Duration,
}

/// Requests to one repository, which share a token.
#[derive(Debug)]
pub struct Session {
    registries: Registries,
    reference: Reference,
    /// `pull`, or `pull,push`.
    actions: &'static str,
    // A std mutex: a value is set or copied, and nothing awaits inside.
    authorization: Mutex<Option<HeaderValue>>,
}

/// A request that can be sent again.
#[derive(Clone, Debug)]
struct Message {
    method: Method,
    url: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Registries {
    /// Registries of a configuration. `listed` reaches those of the configuration, `others` all others.
    pub fn new(config: Config, listed: Client, others: Client) -> Self {
        let tls = config.registries.into_iter();
        Self(Arc::new(Inner {
            credentials: config.credentials,
            tls: tls
                .map(|it| (it.host.to_ascii_lowercase(), it.tls))
                .collect(),
            clients: (listed, others),
            image_bytes_max: config.image_bytes_max,
            time_max: config.time_max,
        }))
    }

    /// Requests to a repository; `actions` are those that a token must allow.
    pub fn session(&self, reference: &Reference, actions: &'static str) -> Session {
        Session {
            registries: self.clone(),
            reference: reference.clone(),
            actions,
            authorization: Mutex::default(),
        }
    }

    /// Registries at any address, without logins.
    #[cfg(test)]
    pub fn for_test() -> Self {
        let config = Config {
            image_bytes_max: 1 << 30,
            time_max: Duration::from_secs(30),
            registries: Vec::new(),
            credentials: Credentials::default(),
        };
        let client = Client::new(outbound::Trust::default(), Clock::system());
        Self::new(config, client.clone(), client)
    }

    pub(super) fn image_bytes_max(&self) -> u64 {
        self.0.image_bytes_max
    }

    pub(super) fn time_max(&self) -> Duration {
        self.0.time_max
    }

    pub(super) fn clock(&self) -> &Clock {
        self.0.clients.0.clock()
    }

    fn client(&self, authority: &str) -> &Client {
        match self.0.tls.contains_key(&authority.to_ascii_lowercase()) {
            true => &self.0.clients.0,
            false => &self.0.clients.1,
        }
    }
}

impl Session {
    /// The manifest of the reference's tag or digest, or of another digest of the repository.
    pub(super) async fn manifest(&self, which: &str) -> Result<(Bytes, Digest), Error> {
        let attempt = || async {
            let mut message = self.message(Method::GET, &format!("manifests/{which}"));
            let accepted = HeaderValue::from_static(ACCEPTED);
            message.headers.insert(header::ACCEPT, accepted);
            let response = self.answered(message, StatusCode::OK).await?;
            self.require_json(response.headers())?;
            let claimed = response.headers().get("docker-content-digest").cloned();
            let bytes = self.document(response, DOCUMENT_BYTES_MAX).await?;
            let digest = Digest::of(&bytes);
            let expected = format!("sha256:{digest}");
            let is_claimed =
                claimed.is_none_or(|it| it == *expected || !it.as_bytes().starts_with(b"sha256:"));
            if !is_claimed || which.starts_with("sha256:") && which != expected {
                return Err(self.content("the manifest has another digest than the registry says"));
            }
            Ok((bytes, digest))
        };
        self.retried(attempt).await
    }

    /// A small blob, whole.
    pub(super) async fn small_blob(&self, digest: &Digest, size: u64) -> Result<Bytes, Error> {
        if size > DOCUMENT_BYTES_MAX {
            return Err(self.content("its configuration is too large"));
        }
        let attempt = || async {
            let response = self.open_blob(digest).await?;
            let bytes = self.document(response, size).await?;
            match Digest::of(&bytes) == *digest {
                true => Ok(bytes),
                false => {
                    Err(self.content("its configuration has another digest than the manifest says"))
                }
            }
        };
        self.retried(attempt).await
    }

    /// Streams a blob of this size into a sink; the caller checks the digest of what was written.
    pub(super) async fn blob<S: Sink>(
        &self,
        digest: &Digest,
        size: u64,
        sink: impl Fn() -> S,
    ) -> Result<S::Done, Error> {
        let attempt = || async {
            let response = self.open_blob(digest).await?;
            self.keep(response, size, sink()).await
        };
        self.retried(attempt).await
    }

    async fn open_blob(&self, digest: &Digest) -> Result<Response<Incoming>, Error> {
        let message = self.message(Method::GET, &format!("blobs/sha256:{digest}"));
        self.answered(message, StatusCode::OK).await
    }

    async fn keep<S: Sink>(
        &self,
        response: Response<Incoming>,
        size: u64,
        mut sink: S,
    ) -> Result<S::Done, Error> {
        let mut body = response.into_body();
        let mut kept: u64 = 0;
        while let Some(part) = self.part(&mut body).await? {
            kept += part.len() as u64;
            if kept > size {
                return Err(self.content("a layer is longer than the manifest says"));
            }
            sink.write(part).await.map_err(Error::Sink)?;
        }
        if kept != size {
            return Err(self.failed("a layer ended early", true));
        }
        sink.finish().await.map_err(Error::Sink)
    }

    /// Next part of a body, within a bound of time.
    async fn part(&self, body: &mut Incoming) -> Result<Option<Bytes>, Error> {
        loop {
            let clock = self.registries.clock();
            let max = self.answer_time_max();
            let frame = clock.timeout(max, body.frame()).await;
            let Some(frame) = frame.ok_or_else(|| self.timed_out(max))? else {
                return Ok(None);
            };
            let frame = frame.map_err(|error| self.broken(outbound::failed(&error)))?;
            if let Ok(part) = frame.into_data() {
                return Ok(Some(part));
            }
        }
    }

    async fn document(&self, response: Response<Incoming>, max: u64) -> Result<Bytes, Error> {
        let mut body = response.into_body();
        let mut bytes = Vec::new();
        while let Some(part) = self.part(&mut body).await? {
            if (bytes.len() + part.len()) as u64 > max {
                return Err(self.content("a document of it is longer than it may be"));
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes.into())
    }

    /// Refuses answers of servers that are no registries.
    fn require_json(&self, headers: &HeaderMap) -> Result<(), Error> {
        let kind = headers.get(header::CONTENT_TYPE);
        let kind = kind.and_then(|it| it.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if kind.ends_with("json") {
            return Ok(());
        }
        Err(Error::MediaType {
            uri: self.reference.uri.clone(),
            problem: format!("the registry answered with {kind:.80?} and not with a manifest"),
        })
    }

    /// Sends a message until it has an answer of this status.
    async fn answered(
        &self,
        message: Message,
        expected: StatusCode,
    ) -> Result<Response<Incoming>, Error> {
        let response = self.send(message).await?;
        match response.status() {
            status if status == expected => Ok(response),
            status => Err(self.refused(status)),
        }
    }

    /// Sends a message, with a token once the registry asks for one.
    async fn send(&self, message: Message) -> Result<Response<Incoming>, Error> {
        let known = self.authorization();
        let response = self.follow(message.clone(), known).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let Some(challenge) = challenge::of(response.headers()) else {
            return Ok(response);
        };
        let Some(authorization) = self.authorize(challenge).await? else {
            return Ok(response);
        };
        *self
            .authorization
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(authorization.clone());
        self.follow(message, Some(authorization)).await
    }

    fn authorization(&self) -> Option<HeaderValue> {
        let authorization = self.authorization.lock();
        authorization
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Sends a message and follows redirects. Credentials stay with the server that they are for.
    async fn follow(
        &self,
        mut message: Message,
        mut authorization: Option<HeaderValue>,
    ) -> Result<Response<Incoming>, Error> {
        for _ in 0..=REDIRECTS_MAX {
            let response = self.once(&message, authorization.as_ref()).await?;
            let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
            if !is_redirect || !matches!(message.method, Method::GET | Method::HEAD) {
                return Ok(response);
            }
            let location = response.headers().get(header::LOCATION);
            let location = location.and_then(|it| it.to_str().ok()).unwrap_or_default();
            let next = address::redirected(&message.url, location)
                .map_err(|problem| self.failed(problem, false))?;
            if !address::is_same_server(&message.url, &next) {
                authorization = None;
            }
            message.url = next;
        }
        Err(self.failed("it redirects without end", false))
    }

    async fn once(
        &self,
        message: &Message,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response<Incoming>, Error> {
        let url: Uri = message
            .url
            .parse()
            .map_err(|_| self.failed("it names an address that is no URL", false))?;
        let authority = url.authority().map(ToString::to_string).unwrap_or_default();
        let mut request = Request::new(message.body.clone());
        *request.method_mut() = message.method.clone();
        *request.uri_mut() = url;
        *request.headers_mut() = message.headers.clone();
        if let Some(authorization) = authorization {
            let value = authorization.clone();
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        let client = self.registries.client(&authority);
        let max = match message.body.is_empty() {
            true => self.answer_time_max(),
            false => UPLOAD_TIME_MAX,
        };
        let sent = client.clock().timeout(max, client.send(request)).await;
        let sent = sent.ok_or_else(|| self.timed_out(max))?;
        sent.map_err(|error| self.broken(error))
    }

    fn answer_time_max(&self) -> Duration {
        ANSWER_TIME_MAX.min(self.registries.time_max())
    }

    fn message(&self, method: Method, path: &str) -> Message {
        let Reference {
            registry,
            repository,
            ..
        } = &self.reference;
        let tls = self.registries.0.tls.get(registry).copied().flatten();
        let base = address::base(registry, tls);
        Message {
            method,
            url: format!("{base}/v2/{repository}/{path}"),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    async fn retried<T, F: Future<Output = Result<T, Error>>>(
        &self,
        attempt: impl FnMut() -> F,
    ) -> Result<T, Error> {
        retry::attempts(RETRIES, self.registries.clock(), Error::may_pass, attempt).await
    }

    fn refused(&self, status: StatusCode) -> Error {
        let uri = self.reference.uri.clone();
        match status.as_u16() {
            401 | 403 => Error::Denied {
                uri,
                status: status.as_u16(),
            },
            404 => Error::Missing(uri),
            other => {
                let may_pass = other == 429 || other >= 500;
                self.failed(&format!("it answered with status {other}"), may_pass)
            }
        }
    }

    fn broken(&self, error: outbound::Error) -> Error {
        let may_pass = matches!(error, outbound::Error::Unreachable(_));
        self.failed(&error.to_string(), may_pass)
    }

    fn failed(&self, problem: &str, may_pass: bool) -> Error {
        Error::Registry {
            registry: self.reference.registry.clone(),
            problem: problem.to_owned(),
            may_pass,
        }
    }

    fn content(&self, problem: &str) -> Error {
        Error::Content {
            uri: self.reference.uri.clone(),
            problem: problem.to_owned(),
        }
    }

    fn timed_out(&self, after: Duration) -> Error {
        Error::TimedOut {
            registry: self.reference.registry.clone(),
            after,
        }
    }
}
