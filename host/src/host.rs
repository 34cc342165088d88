//! Embedding API: a host, and handles of its functions. Assembles the components.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio_util::task::AbortOnDropHandle;

use crate::api::access::Access;
use crate::api::{Front, UrlNames};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::control::code_signing::profile::Profiles;
use crate::control::vault::Vault;
use crate::control::{self, Control};
use crate::event_source::Sources;
use crate::event_source::schedule::Schedules;
use crate::events::{Events, Timeline};
use crate::invoke::{self, Blame, Invoke, Invoker, Target};
use crate::library::Library;
use crate::names::{FunctionRef, Home, RequestId};
use crate::outbound;
use crate::outbound::aws::{self, Aws, Service};
use crate::outbound::sigv4::Credentials;
use crate::payload::{Body, Document, Event};
use crate::sandbox::{self, Sandbox, Scheduler, compile::Compiler};
use crate::server::{self, Certificates, Server};
use crate::store::Records;
use crate::store::object::{self, Misconfigured, Objects};
use crate::store::queue::Queue;
use crate::store::sqlite::Sqlite;
use crate::telemetry::log::{self, Logs};
use crate::telemetry::metrics::Metrics;

/// Period of garbage collection.
const COLLECTION_PERIOD: Duration = Duration::from_secs(3_600);

/// Debounce between a rejected upload and the garbage collection that it triggers.
const REFUSALS_PERIOD: Duration = Duration::from_secs(10);

/// Error of a host or an invocation, by fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's: a malformed name, a function that is not there, a concurrency limit reached.
    #[error("{0}")]
    Caller(String),
    /// The function's: this host cannot run it. A handler that fails is an [`InvokeResponse`].
    #[error("{0}")]
    Function(String),
    /// The host's, or its machine's: it is full, or something of its own failed.
    #[error(transparent)]
    Host(Box<dyn std::error::Error + Send + Sync>),
    /// The address is in use, or not one of this machine.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Error of the operating system.
        source: std::io::Error,
    },
}

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

/// Queue and records of the data directory.
type Store = (Arc<dyn Queue>, Arc<dyn Records>);

/// A running host.
#[derive(Debug)]
pub struct Host {
    /// As it was when the host was opened.
    config: Config,
    front: Arc<Front>,
    invoker: Invoker,
    events: Events,
    clock: Clock,
    connections_per_address: Option<usize>,
    /// Certificates of the TLS listener, if there is one.
    certificates: Option<Certificates>,
    _reclaim: AbortOnDropHandle<()>,
    _follow: AbortOnDropHandle<()>,
    _housekeeping: AbortOnDropHandle<()>,
    _dispatch: AbortOnDropHandle<()>,
    _sources: [AbortOnDropHandle<()>; 2],
}

/// A function of a host; cheap to clone. It stays good when the function is updated or deleted and
/// made again: calls go to whatever has its name.
#[derive(Clone, Debug)]
pub struct FunctionHandle {
    front: Arc<Front>,
    invoker: Invoker,
    target: Target,
    clock: Clock,
}

/// Response of a function.
#[derive(Clone, Debug)]
pub struct InvokeResponse {
    /// A JSON document: the function's result, or the error it failed with.
    pub payload: Bytes,
    /// True for a function error.
    pub failed: bool,
    /// The version that ran: a number or `$LATEST`.
    pub executed_version: Arc<str>,
    /// Duration of the invocation.
    pub duration: Duration,
}

impl Host {
    /// Opens a host on its data directory. Components are compiled in this process.
    ///
    /// # Errors
    /// Where the data directory or the engine cannot be had.
    pub async fn open(config: Config) -> Result<Self, Error> {
        Self::open_with(config, Compiler::InProcess).await
    }

    /// Opens a host that compiles as told.
    ///
    /// # Errors
    /// Where the data directory or the engine cannot be had.
    pub async fn open_with(config: Config, compiler: Compiler) -> Result<Self, Error> {
        let clock = Clock::system();
        let dir = &config.data_dir;
        let records = Arc::new(Sqlite::open(dir).map_err(host)?);
        let metrics = Metrics::new(records.commit_durations());
        let trust = outbound::Trust::open(&config.certificate_authorities).map_err(host)?;
        let scratch_dir = dir.join("scratch");
        // Scratch files of a killed process; the database lock excludes other processes.
        sandbox::clear(&scratch_dir).map_err(host)?;
        let sandbox = sandbox::Config {
            environments_max: config.limits.environments,
            memory_bytes: config.limits.guest_memory_bytes,
            scratch_dir,
            scratch_bytes: config.limits.scratch_bytes,
            egress: config.egress,
            egress_near: config.egress_near.clone(),
            egress_rules: config.egress_rules.clone(),
            trust: trust.clone(),
        };
        let sandbox = Sandbox::new(sandbox, clock.clone()).map_err(host)?;
        let scheduler = sandbox.scheduler();
        let limits = &config.limits;
        let logs = log::Config {
            bytes_max: limits.log_bytes,
            ..log::Config::new(Some(dir.join("logs")), limits.log_bytes_per_function)
        };
        let logs = Logs::open(logs, clock.clone()).map_err(host)?;
        let outbound = outbound::Client::new(trust, clock.clone());
        let aws = aws(&config.aws, outbound.clone());
        let objects = objects(&config, outbound).map_err(host)?;
        let services = (aws, objects.clone());
        let library = Library::open(dir, sandbox, compiler, objects).map_err(host)?;
        let home = Home {
            account: config.account_id.clone(),
            region: config.region.clone(),
        };
        let profiles = Profiles::read(&config.signing_profiles, &home).map_err(host)?;
        let settings = control::Config {
            home,
            signing_profiles: profiles,
            settle: config.limits.settle(),
            runtimes: config.runtimes,
            concurrency: config.limits.concurrency,
            environments: config.limits.environments,
            code_bytes_max: config.limits.code_bytes,
        };
        let vault = Vault::open(dir, &*records, &clock).await.map_err(host)?;
        let store = (
            Arc::clone(&records) as Arc<dyn Queue>,
            Arc::clone(&records) as Arc<dyn Records>,
        );
        let control = Control::open(settings, records, library, vault, None, clock.clone())
            .await
            .map_err(host)?;
        let telemetry = (logs, metrics);
        let certificates = config
            .tls
            .as_ref()
            .map(|tls| Certificates::open(&tls.certificates));
        let certificates = certificates.transpose().map_err(host)?;
        let planes = (control, store, services);
        let opened = Self::assemble(&config, planes, scheduler, telemetry, clock);
        Ok(Self {
            certificates,
            ..opened
        })
    }

    fn assemble(
        config: &Config,
        (control, (queue, records), services): (Control, Store, (Aws, Objects)),
        scheduler: Arc<Scheduler>,
        (logs, metrics): (Logs, Metrics),
        clock: Clock,
    ) -> Self {
        let pipeline = invoke::Config {
            idle_timeout: config.limits.idle_timeout(),
            idle_large_timeout: config.limits.idle_large_timeout(),
            region: config.region.to_string(),
            runtime_version_arn: control::behaviour::runtime_version_arn(control.home()),
            scheduler,
        };
        let invoker = Invoker::new(
            pipeline,
            control.live().clone(),
            logs.clone(),
            metrics.clone(),
            clock.clone(),
        );
        let reclaim = tokio::spawn({
            let invoker = invoker.clone();
            async move { invoker.reclaim().await }
        });
        let follow = tokio::spawn({
            let invoker = invoker.clone();
            async move { invoker.follow().await }
        });
        let housekeeping = tokio::spawn(housekeeping(control.clone(), clock.clone()));
        let aws = services.0.clone();
        let events = Events::new(
            queue,
            invoker.clone(),
            services,
            metrics.clone(),
            config.limits.concurrency,
            Timeline::open(&config.data_dir.join("timeline"), clock.clone()),
        );
        let dispatch = tokio::spawn({
            let events = events.clone();
            async move { events.run().await }
        });
        let pipeline = (invoker.clone(), events.clone());
        let sources = sources(control.clone(), pipeline, records, aws, clock.clone());
        let front = Front::new(
            control,
            (invoker.clone(), events.clone()),
            logs,
            (metrics, config.metrics_token.clone()),
            Access::new(config, &clock),
            UrlNames::new(&config.urls),
            clock.clone(),
        );
        Self {
            config: config.clone(),
            front: Arc::new(front),
            invoker,
            events,
            clock,
            connections_per_address: config.limits.connections_per_address,
            certificates: None,
            _reclaim: AbortOnDropHandle::new(reclaim),
            _follow: AbortOnDropHandle::new(follow),
            _housekeeping: AbortOnDropHandle::new(housekeeping),
            _dispatch: AbortOnDropHandle::new(dispatch),
            _sources: sources,
        }
    }

    /// Offers the host on an address, and on that of the configuration's TLS listener, until `shutdown` is ready.
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
        let taken = |address| move |source| Error::Listen { address, source };
        let mut config = server::Config {
            trusted_proxies: self.config.trusted_proxies.clone(),
            proxy_protocol: self.config.proxy_protocol,
            ..server::Config::default()
        };
        if let Some(share) = self.connections_per_address {
            config.per_address_max = share;
        }
        let drain_time = config.drain_time;
        let mut server = Server::bind(listen, Arc::clone(&self.front), config)
            .await
            .map_err(taken(listen))?;
        if let (Some(tls), Some(certificates)) = (&self.config.tls, &self.certificates) {
            let binding = server.bind_tls(tls.listen, certificates.clone());
            let address = binding.await.map_err(taken(tls.listen))?;
            tracing::info!("TLS on https://{address}");
        }
        bound(server.local_addr().map_err(host)?);
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

    /// Puts the keys of another configuration in force, with their policies, and its certificates. Connections stay; requests that
    /// have begun are judged by the keys they began with. Gives back the settings that differ otherwise and
    /// stay as they are until the host is opened anew.
    ///
    /// # Errors
    /// Where the configuration would serve strangers.
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
        self.front.set_access(Access::new(&served, &self.clock));
        Ok(self.config.fixed_differences(config))
    }

    /// Answers one request of the AWS Lambda API, or to a function URL.
    pub async fn handle<B>(&self, request: http::Request<B>) -> http::Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        self.front.handle(request).await
    }

    /// A handle on a function: `name`, `name:alias`, `name:7` or an ARN.
    ///
    /// # Errors
    /// Where it is none of these. Whether there is such a function shows when it is called.
    pub fn function(&self, name: &str) -> Result<FunctionHandle, Error> {
        let named = FunctionRef::parse(name).map_err(|error| Error::Caller(error.to_string()))?;
        Ok(FunctionHandle {
            front: Arc::clone(&self.front),
            invoker: self.invoker.clone(),
            target: Target {
                name: named.name,
                qualifier: named.qualifier,
            },
            clock: self.clock.clone(),
        })
    }
}

impl FunctionHandle {
    /// Calls the function with a JSON document. The call goes on when this future is dropped.
    ///
    /// # Errors
    /// Where the function is not there, is not ready, or a limit is reached. What the function
    /// itself does wrong is an [`InvokeResponse`].
    pub async fn invoke(&self, event: Bytes) -> Result<InvokeResponse, Error> {
        let event = Document::parse(event)
            .map_err(|error| Error::Caller(format!("the event is not taken: {error}")))?;
        let id = RequestId::random(&self.clock);
        let invoke = Invoke::new(id, self.target.clone(), Event::Json(event));
        let finished = self.invoker.invoke(invoke).await.map_err(of_invoke)?;
        let failed = finished.blame().is_some();
        let payload = match finished.outcome {
            Ok(reply) => reply.into_bytes(),
            Err(failure) => failure.document(),
        };
        let executed_version = finished.executed_version;
        Ok(InvokeResponse {
            payload,
            failed,
            executed_version,
            duration: finished.usage.duration,
        })
    }
}

/// The function as HTTP: what its function URL would answer, without the URL.
impl<B> tower::Service<http::Request<B>> for FunctionHandle
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let function = self.clone();
        Box::pin(async move {
            let id = RequestId::random(&function.clock);
            Ok(function
                .front
                .call_function(&function.target, id, request)
                .await)
        })
    }
}

/// Starts the pollers of event source mappings, and the schedules.
fn sources(
    control: Control,
    (invoker, events): (Invoker, Events),
    records: Arc<dyn Records>,
    aws: Aws,
    clock: Clock,
) -> [AbortOnDropHandle<()>; 2] {
    let schedules = Schedules::new(
        control.clone(),
        invoker.clone(),
        events.clone(),
        clock.clone(),
    );
    let sources = Sources::new(control, (invoker, events), records, aws, clock);
    let sources = tokio::spawn(async move { sources.run().await });
    let schedules = tokio::spawn(async move { schedules.run().await });
    [sources, schedules].map(AbortOnDropHandle::new)
}

/// Services of AWS that records are sent to.
fn aws(config: &config::Aws, client: outbound::Client) -> Aws {
    let endpoints = [
        (None, &config.endpoint),
        (Some(Service::Sqs), &config.endpoint_sqs),
        (Some(Service::Sns), &config.endpoint_sns),
        (Some(Service::EventBridge), &config.endpoint_eventbridge),
        (Some(Service::Kinesis), &config.endpoint_kinesis),
        (
            Some(Service::DynamoDbStreams),
            &config.endpoint_dynamodb_streams,
        ),
    ];
    let endpoints = endpoints.into_iter();
    let key = config.access_key_id.clone();
    let credentials = key.zip(config.secret_access_key.clone());
    let credentials = credentials.map(|(access_key_id, secret_access_key)| Credentials {
        access_key_id,
        secret_access_key,
        session_token: config.session_token.clone(),
    });
    let config = aws::Config {
        endpoints: endpoints
            .filter_map(|(service, url)| Some((service, url.clone()?)))
            .collect(),
        credentials,
    };
    Aws::new(client, config)
}

/// The S3 server that packages are read from.
fn objects(config: &Config, client: outbound::Client) -> Result<Objects, Misconfigured> {
    let s3 = &config.s3;
    let config = object::Config {
        endpoint: s3.endpoint.clone(),
        region: s3
            .region
            .clone()
            .unwrap_or_else(|| config.region.to_string()),
        access_key_id: s3.access_key_id.clone(),
        secret_access_key: s3.secret_access_key.clone(),
        session_token: s3.session_token.clone(),
        path_style: s3.path_style,
        time_max: s3.timeout(),
    };
    Objects::new(config, client)
}

/// Keeps the data directory in order: what is missing is made, what is unused deleted.
async fn housekeeping(control: Control, clock: Clock) {
    if let Err(error) = control.recompile().await {
        tracing::warn!(%error, "components could not be compiled for this engine");
    }
    loop {
        match control.collect_garbage().await {
            Ok(0) => {}
            Ok(packages) => tracing::info!(packages, "deleted packages that no function uses"),
            Err(error) => tracing::warn!(%error, "unused packages could not be deleted"),
        }
        // After the period; soon, if an upload was refused.
        let refused = clock.timeout(COLLECTION_PERIOD, control.left_over());
        if refused.await.is_some() {
            clock.sleep(REFUSALS_PERIOD).await;
        }
    }
}

fn host(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Host(error.into())
}

fn of_invoke(error: invoke::Error) -> Error {
    match error.blame() {
        Blame::Caller => Error::Caller(error.to_string()),
        Blame::Function => Error::Function(error.to_string()),
        Blame::Host => {
            error.log();
            host(error)
        }
    }
}
