//! Objects of an S3 server, streamed within bounds. It knows buckets, keys and bytes, and not their
//! purpose.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::Semaphore;

mod address;
mod config;
mod refusal;

pub use config::{Config, Misconfigured};

use crate::outbound::retry::{self, Policy};
use crate::outbound::sigv4::{self, Scope};
use crate::outbound::{self, Client};
use address::Address;

/// Concurrent reads. Each takes a connection, a thread and a few parts in memory.
const READS_MAX: usize = 4;
/// Retries of a read that failed with a transient error.
const RETRIES: Policy = Policy {
    retries_max: 2,
    pause_min: Duration::from_millis(200),
    pause_max: Duration::from_secs(2),
};

/// Location of an object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Location {
    /// Bucket.
    pub bucket: String,
    /// Key as S3 defines it: any text, with leading slashes and empty segments.
    pub key: String,
    /// Version id; `None` is the latest.
    pub version: Option<String>,
}

/// Failure of a transfer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No server is configured.
    #[error("no S3 server is configured")]
    NotConfigured,
    /// S3 error response.
    #[error("{code}: {message}")]
    Refused {
        /// S3 error code.
        code: String,
        /// S3 error message.
        message: String,
        /// True if a retry may succeed.
        may_pass: bool,
    },
    /// Object exceeds the reader's limit.
    #[error("the object is larger than {0} bytes")]
    TooLarge(u64),
    /// Response is not S3's.
    #[error("the S3 server does not answer as S3 does: {problem}")]
    NotS3 {
        /// Deviation from the protocol.
        problem: String,
        /// True if a retry may succeed.
        may_pass: bool,
    },
    /// Response of a Lambda API: the endpoint may be this very host.
    #[error("the S3 server answers as AWS Lambda does: {0}")]
    IsLambda(String),
    /// Connection failed or broke.
    #[error("the S3 server could not be reached: {0}")]
    Unreachable(String),
    /// Timeout of the whole transfer.
    #[error("the S3 server did not transfer the object within {} seconds", .0.as_secs())]
    TimedOut(Duration),
    /// Sink failed to keep the bytes.
    #[error(transparent)]
    Sink(io::Error),
}

/// Destination of an object's bytes. A sink dropped before it is finished discards them.
pub trait Sink {
    /// Result of a finished sink.
    type Done;
    /// Appends the next part.
    fn write(&mut self, part: Bytes) -> impl Future<Output = io::Result<()>> + Send;
    /// Completes the sink after the last part.
    fn finish(self) -> impl Future<Output = io::Result<Self::Done>> + Send;
}

/// Objects of one server; cheap to clone.
#[derive(Clone, Debug)]
pub struct Objects(Option<Arc<Server>>);

#[derive(Debug)]
struct Server {
    config: Config,
    address: Address,
    client: Client,
    turns: Semaphore,
}

impl Objects {
    /// Objects of the configured server, if any. No request is sent yet.
    ///
    /// # Errors
    /// If the configuration is inconsistent.
    pub fn new(config: Config, client: Client) -> Result<Self, Misconfigured> {
        config.check()?;
        if config.endpoint.is_none() && config.access_key_id.is_none() {
            return Ok(Self::none());
        }
        let address = Address::new(
            config.endpoint.as_deref(),
            &config.region,
            config.path_style,
        )?;
        Ok(Self(Some(Arc::new(Server {
            config,
            address,
            client,
            turns: Semaphore::new(READS_MAX),
        }))))
    }

    /// Objects without a server: every read fails.
    pub fn none() -> Self {
        Self(None)
    }

    /// Streams a whole object into a sink of at most `bytes_max`. Each retry gets a new sink.
    ///
    /// # Errors
    /// If the object is too large, missing, forbidden or too slow.
    pub async fn read<S: Sink>(
        &self,
        location: &Location,
        bytes_max: u64,
        sink: impl Fn() -> S,
    ) -> Result<S::Done, Error> {
        let server = self.0.as_ref().ok_or(Error::NotConfigured)?;
        let (clock, time_max) = (server.client.clock(), server.config.time_max);
        let reading = async {
            let turn = server.turns.acquire().await;
            let _turn = turn.expect("the semaphore is never closed");
            let attempt = || server.read(location, bytes_max, &sink);
            retry::attempts(RETRIES, clock, Error::may_pass, attempt).await
        };
        let read = clock.timeout(time_max, reading).await;
        read.unwrap_or(Err(Error::TimedOut(time_max)))
    }
}

impl Objects {
    /// Writes a whole object.
    ///
    /// # Errors
    /// If the server refuses it or is too slow.
    pub async fn write(&self, location: &Location, object: Bytes) -> Result<(), Error> {
        let server = self.0.as_ref().ok_or(Error::NotConfigured)?;
        let (clock, time_max) = (server.client.clock(), server.config.time_max);
        let attempt = || server.write(location, object.clone());
        let writing = retry::attempts(RETRIES, clock, Error::may_pass, attempt);
        let written = clock.timeout(time_max, writing).await;
        written.unwrap_or(Err(Error::TimedOut(time_max)))
    }
}

impl Server {
    async fn write(&self, location: &Location, object: Bytes) -> Result<(), Error> {
        let request = self.request(Method::PUT, location, object)?;
        let response = self.client.send(request).await?;
        if response.status().is_success() {
            return Ok(());
        }
        let (parts, body) = response.into_parts();
        Err(refusal::read(&parts, body).await)
    }

    async fn read<S: Sink>(
        &self,
        location: &Location,
        bytes_max: u64,
        sink: impl Fn() -> S,
    ) -> Result<S::Done, Error> {
        let request = self.request(Method::GET, location, Bytes::new())?;
        let response = self.client.send(request).await?;
        if !response.status().is_success() {
            let (parts, body) = response.into_parts();
            return Err(refusal::read(&parts, body).await);
        }
        let size = length(response.headers())?;
        if size > bytes_max {
            return Err(Error::TooLarge(bytes_max));
        }
        keep(response, size, sink()).await
    }

    fn request(
        &self,
        method: Method,
        location: &Location,
        body: Bytes,
    ) -> Result<Request<Bytes>, Error> {
        let unmade = |problem: String| Error::NotS3 {
            problem,
            may_pass: false,
        };
        let mut request = Request::new(body);
        *request.method_mut() = method;
        let url = self.address.url(location);
        *request.uri_mut() = url
            .parse()
            .map_err(|error: http::uri::InvalidUri| unmade(error.to_string()))?;
        if let Some(credentials) = self.config.credentials() {
            let scope = Scope {
                region: &self.config.region,
                service: "s3",
            };
            let now = self.client.clock().now();
            let signed = sigv4::sign(&mut request, &credentials, scope, now);
            signed.map_err(|error| unmade(error.to_string()))?;
        }
        Ok(request)
    }
}

/// Announced size. Without one, a truncated object could not be detected.
fn length(headers: &HeaderMap) -> Result<u64, Error> {
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|it| it.to_str().ok()?.parse().ok());
    length.ok_or_else(|| Error::NotS3 {
        problem: "it does not say how long the object is".into(),
        may_pass: false,
    })
}

/// Streams an object of known size into a sink. hyper fails a body of another length.
async fn keep<S: Sink>(
    response: Response<Incoming>,
    size: u64,
    mut sink: S,
) -> Result<S::Done, Error> {
    let mut body = response.into_body();
    let mut kept: u64 = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| outbound::failed(&error))?;
        let Ok(part) = frame.into_data() else {
            continue;
        };
        kept += u64::try_from(part.len()).expect("a length fits in 64 bits");
        sink.write(part).await.map_err(Error::Sink)?;
    }
    if kept != size {
        return Err(Error::Unreachable("the object ended early".into()));
    }
    sink.finish().await.map_err(Error::Sink)
}

impl Error {
    /// True if a retry may succeed.
    fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused { may_pass, .. } | Self::NotS3 { may_pass, .. } => *may_pass,
            _ => false,
        }
    }
}

impl From<outbound::Error> for Error {
    fn from(error: outbound::Error) -> Self {
        match error {
            outbound::Error::NotHttp(problem) => Self::NotS3 {
                problem,
                may_pass: false,
            },
            error => Self::Unreachable(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    struct Nowhere;

    impl Sink for Nowhere {
        type Done = ();

        async fn write(&mut self, _part: Bytes) -> io::Result<()> {
            Ok(())
        }

        async fn finish(self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn read_without_endpoint_and_keys_is_refused() {
        let config = Config {
            region: "us-east-1".into(),
            time_max: Duration::from_secs(1),
            ..Config::default()
        };
        let objects = Objects::new(
            config,
            Client::new(crate::outbound::Trust::default(), Clock::system()),
        )
        .unwrap();
        let location = Location {
            bucket: "bucket".into(),
            key: "key".into(),
            version: None,
        };
        let read = objects.read(&location, 1, || Nowhere).await;
        assert!(matches!(read, Err(Error::NotConfigured)), "{read:?}");
    }
}
