//! Objects of an S3 server, read part by part and within bounds. It knows buckets, keys and bytes, and
//! nothing of what the bytes are for.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
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

/// Objects that are read at once. Each takes a connection, a thread and a few parts in memory.
const READS_MAX: usize = 4;
/// How often a read is tried again that failed for a reason that may pass.
const RETRIES: Policy = Policy {
    retries_max: 2,
    pause_min: Duration::from_millis(200),
    pause_max: Duration::from_secs(2),
};

/// Names an object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Location {
    /// Its bucket.
    pub bucket: String,
    /// Its key, as S3 has it: any text, slashes at its ends and empty parts included.
    pub key: String,
    /// Its version, if not the newest.
    pub version: Option<String>,
}

/// Why an object was not read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no server to read from.
    #[error("no S3 server is configured")]
    NotConfigured,
    /// The server refused, in these words.
    #[error("{code}: {message}")]
    Refused {
        /// S3's name for the error.
        code: String,
        /// S3's text.
        message: String,
        /// Whether another attempt may help.
        may_pass: bool,
    },
    /// The object is larger than its reader allows.
    #[error("the object is larger than {0} bytes")]
    TooLarge(u64),
    /// Something answered that is not S3.
    #[error("the S3 server does not answer as S3 does: {problem}")]
    NotS3 {
        /// Its answer.
        problem: String,
        /// Whether another attempt may help.
        may_pass: bool,
    },
    /// Something answered as AWS Lambda does: perhaps this very host.
    #[error("the S3 server answers as AWS Lambda does: {0}")]
    IsLambda(String),
    /// Nothing answered, or the connection broke.
    #[error("the S3 server could not be reached: {0}")]
    Unreachable(String),
    /// It took longer than it may.
    #[error("the S3 server did not send the object within {} seconds", .0.as_secs())]
    TimedOut(Duration),
    /// The object's bytes could not be kept.
    #[error(transparent)]
    Sink(io::Error),
}

/// Keeps an object's bytes. A sink that is dropped before it is finished forgets them.
pub trait Sink {
    /// What there is in the end.
    type Done;
    /// Takes the next part, in order.
    fn write(&mut self, part: Bytes) -> impl Future<Output = io::Result<()>> + Send;
    /// Takes notice that there are no more parts.
    fn finish(self) -> impl Future<Output = io::Result<Self::Done>> + Send;
}

/// The objects of a server; cheap to clone.
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
    /// The objects of the server that is configured, if one is. It is not asked for anything yet.
    ///
    /// # Errors
    /// Where the configuration contradicts itself.
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

    /// The objects of no server.
    pub fn none() -> Self {
        Self(None)
    }

    /// Reads a whole object into a sink, which is made anew for each attempt, if it is no larger than
    /// `bytes_max`.
    ///
    /// # Errors
    /// Where it is larger, is not there, may not be read, or does not come in time.
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

impl Server {
    async fn read<S: Sink>(
        &self,
        location: &Location,
        bytes_max: u64,
        sink: impl Fn() -> S,
    ) -> Result<S::Done, Error> {
        let request = self.request(location)?;
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

    fn request(&self, location: &Location) -> Result<Request<Bytes>, Error> {
        let unmade = |problem: String| Error::NotS3 {
            problem,
            may_pass: false,
        };
        let mut request = Request::new(Bytes::new());
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

/// The size that the server announces. Without one, nobody knows when the object is whole.
fn length(headers: &HeaderMap) -> Result<u64, Error> {
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|it| it.to_str().ok()?.parse().ok());
    length.ok_or_else(|| Error::NotS3 {
        problem: "it does not say how long the object is".into(),
        may_pass: false,
    })
}

/// Moves an object of this size into a sink. hyper fails a body that is shorter or longer.
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
    /// Whether another attempt may help.
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
        let objects = Objects::new(config, Client::new(Clock::system())).unwrap();
        let location = Location {
            bucket: "bucket".into(),
            key: "key".into(),
            version: None,
        };
        let read = objects.read(&location, 1, || Nowhere).await;
        assert!(matches!(read, Err(Error::NotConfigured)), "{read:?}");
    }
}
