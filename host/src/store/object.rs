//! Objects of an S3 server, read whole and within bounds. It knows buckets, keys and bytes; what the
//! bytes are for, it does not know.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{BackoffConfig, GetOptions, ObjectStore, RetryConfig};
use tokio::sync::Semaphore;

mod address;
mod config;
mod refusal;
mod transport;

pub use config::{Config, Misconfigured};

use address::Address;
use transport::Connector;

/// Objects that are read at once: each may be as large as its reader allows, and is held whole.
const READS_MAX: usize = 4;
/// How often a read is tried again that failed for a reason that may pass.
const RETRIES_MAX: usize = 2;
const RETRY_PAUSE: Duration = Duration::from_millis(200);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(2);

/// Names an object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Location {
    /// The bucket it is in.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// The version of it, if not the newest.
    pub version: Option<String>,
}

/// Why an object was not read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// There is no server to read from.
    #[error("no S3 server is configured")]
    NotConfigured,
    /// The key has a form that cannot be asked for.
    #[error("a key with empty parts, or with the parts . or .., cannot be asked for")]
    Key,
    /// The server said no, in these words.
    #[error("{code}: {message}")]
    Refused {
        /// S3's name for the error.
        code: String,
        /// S3's text.
        message: String,
    },
    /// The object is larger than its reader allows.
    #[error("the object is larger than {0} bytes")]
    TooLarge(u64),
    /// Something answered, and it was not S3.
    #[error("the S3 server does not answer as S3 does: {0}")]
    NotS3(String),
    /// Something answered as AWS Lambda does: perhaps this very host.
    #[error("the S3 server answers as AWS Lambda does: {0}")]
    IsLambda(String),
    /// Nothing answered, or the connection broke.
    #[error("the S3 server could not be reached: {0}")]
    Unreachable(String),
    /// It took longer than it may.
    #[error("the S3 server did not send the object within {} seconds", .0.as_secs())]
    TimedOut(Duration),
}

/// The objects of a server; cheap to clone.
#[derive(Clone, Debug)]
pub struct Objects(Option<Arc<Server>>);

#[derive(Debug)]
struct Server {
    config: Config,
    address: Address,
    connector: Connector,
    turns: Semaphore,
}

impl Objects {
    /// The objects of the server that is configured, if one is. It is not asked for anything yet.
    ///
    /// # Errors
    /// Where the configuration contradicts itself.
    pub fn new(config: Config) -> Result<Self, Misconfigured> {
        config.check()?;
        if config.endpoint.is_none() && config.access_key_id.is_none() {
            return Ok(Self(None));
        }
        let address = Address::new(
            config.endpoint.as_deref(),
            &config.region,
            config.path_style,
        )?;
        let connector = Connector::new(address.is_encrypted());
        let turns = Semaphore::new(READS_MAX);
        Ok(Self(Some(Arc::new(Server {
            config,
            address,
            connector,
            turns,
        }))))
    }

    /// The whole object, if it is no larger than `bytes_max`.
    ///
    /// # Errors
    /// Where it is larger, is not there, may not be read, or does not come in time.
    pub async fn read(&self, location: &Location, bytes_max: u64) -> Result<Bytes, Error> {
        let server = self.0.as_ref().ok_or(Error::NotConfigured)?;
        let time_max = server.config.time_max;
        let reading = async {
            let turn = server.turns.acquire().await;
            let _turn = turn.expect("the semaphore is never closed");
            server.read(location, bytes_max).await
        };
        let read = tokio::time::timeout(time_max, reading).await;
        read.unwrap_or(Err(Error::TimedOut(time_max)))
    }
}

impl Server {
    async fn read(&self, location: &Location, bytes_max: u64) -> Result<Bytes, Error> {
        let key = Path::parse(&location.key).map_err(|_| Error::Key)?;
        // It would ask for another object: slashes at the ends are left out.
        if key.as_ref() != location.key {
            return Err(Error::Key);
        }
        let options = GetOptions {
            version: location.version.clone(),
            ..GetOptions::default()
        };
        self.connector.prepare().await?;
        let bucket = self.bucket(&location.bucket).map_err(failed)?;
        let found = bucket.get_opts(&key, options).await.map_err(failed)?;
        let size = found.meta.size;
        if size > bytes_max {
            return Err(Error::TooLarge(bytes_max));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
        let mut parts = found.into_stream();
        while let Some(part) = parts.next().await {
            let part = part.map_err(failed)?;
            // What was announced is not believed.
            if (bytes.len() + part.len()) as u64 > bytes_max {
                return Err(Error::TooLarge(bytes_max));
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes.into())
    }

    fn bucket(&self, name: &str) -> object_store::Result<AmazonS3> {
        let place = self.address.of(name);
        let retry = RetryConfig {
            backoff: BackoffConfig {
                init_backoff: RETRY_PAUSE,
                max_backoff: RETRY_PAUSE_MAX,
                base: 2.0,
            },
            max_retries: RETRIES_MAX,
            retry_timeout: self.config.time_max,
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(name)
            .with_region(&self.config.region)
            .with_endpoint(place.endpoint)
            .with_virtual_hosted_style_request(place.is_virtual_hosted)
            .with_allow_http(true)
            .with_retry(retry)
            .with_http_connector(self.connector.clone());
        builder = match (&self.config.access_key_id, &self.config.secret_access_key) {
            (Some(id), Some(secret)) => builder
                .with_access_key_id(id)
                .with_secret_access_key(secret),
            _ => builder.with_skip_signature(true),
        };
        if let Some(token) = &self.config.session_token {
            builder = builder.with_token(token);
        }
        builder.build()
    }
}

/// What went wrong, as the transport told it; or else as the library did, of an answer that it could
/// not use.
fn failed(error: object_store::Error) -> Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(it) = cause {
        if let Some(told) = it.downcast_ref::<Error>() {
            return told.clone();
        }
        cause = it.source();
    }
    Error::NotS3(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config {
            region: "us-east-1".into(),
            time_max: Duration::from_secs(1),
            ..Config::default()
        }
    }

    #[tokio::test]
    async fn without_endpoint_and_keys_there_is_no_server() {
        let objects = Objects::new(config()).unwrap();
        let location = Location {
            bucket: "bucket".into(),
            key: "key".into(),
            version: None,
        };
        let read = objects.read(&location, 1).await;
        assert!(matches!(read, Err(Error::NotConfigured)), "{read:?}");
    }

    #[tokio::test]
    async fn keys_that_would_be_changed_on_the_way_are_refused() {
        let objects = Objects::new(Config {
            endpoint: Some("http://127.0.0.1:9".into()),
            ..config()
        });
        let objects = objects.unwrap();
        for key in ["/a", "a/", "a//b", "a/../b", "./a", "..", "a\nb"] {
            let location = Location {
                bucket: "bucket".into(),
                key: key.into(),
                version: None,
            };
            let read = objects.read(&location, 1).await;
            assert!(matches!(read, Err(Error::Key)), "{key:?}: {read:?}");
        }
    }
}
