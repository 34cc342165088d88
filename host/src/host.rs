//! Embedding API: a host, and handles of its functions. Assembles the components.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio_util::task::AbortOnDropHandle;

use crate::api::access::Access;
use crate::api::{Front, Owner, Triggers, UrlNames};
use crate::clock::Clock;
use crate::config::Config;
use crate::control::{self, Control};
use crate::event_source::schedule::Schedules;
use crate::event_source::{Brokers, Sources};
use crate::events::Events;
use crate::invoke::{self, Invoker, Target};
use crate::names::FunctionRef;
use crate::outbound::aws::Aws;
use crate::payload::Body;
use crate::sandbox::{Scheduler, compile::Compiler};
#[cfg(feature = "server")]
use crate::server::Certificates;
use crate::store::Records;
use crate::store::queue::Queue;
use crate::store::sqlite::Sqlite;
#[cfg(feature = "metrics")]
use crate::telemetry::metrics::Metrics;
use crate::telemetry::observer::Observe;

mod builder;
mod compiler;
mod deploy;
mod error;
mod handle;
mod parts;
mod service;
#[cfg(feature = "server")]
mod serving;
mod temporary;

pub use builder::HostBuilder;
pub use compiler::compiler_main;
pub use deploy::Function;
pub use error::{Error, FunctionError, FunctionErrorKind, Throttle};
pub use handle::{FunctionHandle, InvokeOptions, InvokeResponse};
#[cfg(feature = "cli")]
pub(crate) use parts::preflight;
#[cfg(feature = "server")]
pub use serving::ReloadError;

use parts::Parts;
use temporary::Temporary;

/// Period of garbage collection.
const COLLECTION_PERIOD: Duration = Duration::from_secs(3_600);

/// Debounce between a rejected upload and the garbage collection that it triggers.
const REFUSALS_PERIOD: Duration = Duration::from_secs(10);

/// Period at which counters and gauges of the host are exported through the `metrics` facade.
#[cfg(feature = "metrics")]
const EXPORT_PERIOD: Duration = Duration::from_secs(10);

/// Period at which a host that closes looks whether its database is closed. Tasks have it that end at their next poll.
const CLOSING_PERIOD: Duration = Duration::from_millis(1);

/// A running host. When it is dropped, its handles fail with [`Error::Ended`], and invocations in progress run to their end.
/// [`close`](Self::close) waits for that.
#[derive(Debug)]
pub struct Host {
    core: Arc<Core>,
    /// As it was when the host was opened.
    #[cfg(feature = "server")]
    config: Config,
    events: Events,
    /// Certificates of the TLS listener, if there is one.
    #[cfg(feature = "server")]
    certificates: Option<Certificates>,
    tasks: Vec<AbortOnDropHandle<()>>,
    data_dir: PathBuf,
}

/// Parts that handles use. They hold it weakly, so that a host ends with its owner.
#[derive(Debug)]
struct Core {
    front: Arc<Front>,
    control: Control,
    invoker: Invoker,
    clock: Clock,
    #[cfg(feature = "metrics")]
    metrics: Metrics,
    is_draining: AtomicBool,
    /// Deleted last.
    _temporary: Option<Temporary>,
}

impl Core {
    fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Acquire)
    }
}

impl Host {
    /// Builder of a host.
    pub fn builder() -> HostBuilder {
        HostBuilder::default()
    }

    /// Opens a host on its data directory. Components are compiled in this process, without limits.
    ///
    /// # Errors
    /// If the data directory or the engine cannot be had.
    pub async fn open(config: Config) -> Result<Self, Error> {
        Self::open_with(config, Compiler::InProcess).await
    }

    /// Opens a host with this compiler.
    ///
    /// # Errors
    /// If the data directory or the engine cannot be had.
    pub async fn open_with(config: Config, compiler: Compiler) -> Result<Self, Error> {
        Self::builder()
            .config(config)
            .compiler(compiler)
            .build()
            .await
    }

    /// Opens a host as its builder says. Reading, writing and mapping files stays off the caller's worker.
    async fn start(builder: HostBuilder) -> Result<Self, Error> {
        #[cfg(feature = "metrics")]
        let has_facade = builder.has_facade;
        let opened = tokio::task::spawn_blocking(move || Parts::open(builder)).await;
        let opened = opened.map_err(Error::host)??;
        let control = opened.control().await?;
        let host = Self::assemble(opened, control);
        #[cfg(feature = "metrics")]
        if has_facade {
            return Ok(host.exporting());
        }
        Ok(host)
    }

    fn assemble(parts: Parts, control: Control) -> Self {
        let Parts {
            config,
            clock,
            temporary,
            records,
            metrics,
            scheduler,
            observers,
            logs,
            aws,
            objects,
            brokers,
            timeline,
            has_sources,
            ..
        } = parts;
        let invoker = Invoker::new(
            pipeline(&config, &control, scheduler, observers),
            control.live().clone(),
            logs.clone(),
            metrics.clone(),
            clock.clone(),
        );
        let upkeep = upkeep(&invoker, &control, &clock);
        let events = Events::new(
            Arc::clone(&records) as Arc<dyn Queue>,
            invoker.clone(),
            (aws.clone(), objects),
            metrics.clone(),
            config.limits.concurrency,
            timeline,
        );
        let dispatch = dispatch(&events);
        let names = names(&config, aws.clone());
        let pipeline = (invoker.clone(), events.clone());
        let of_sources = (control.clone(), clock.clone());
        let sources = has_sources.then(|| sources(of_sources, pipeline, records, (aws, brokers)));
        let front = Front::new(
            control.clone(),
            (invoker.clone(), events.clone()),
            logs,
            (metrics.clone(), config.metrics_token.clone()),
            Access::new(&config, &clock),
            names,
            clock.clone(),
        );
        let core = Core {
            front: Arc::new(front),
            control,
            invoker,
            clock,
            #[cfg(feature = "metrics")]
            metrics,
            is_draining: AtomicBool::new(false),
            _temporary: temporary,
        };
        Self {
            core: Arc::new(core),
            events,
            #[cfg(feature = "server")]
            certificates: parts.certificates,
            tasks: upkeep
                .into_iter()
                .chain(sources.into_iter().flatten())
                .chain([dispatch])
                .collect(),
            data_dir: config.data_dir.clone(),
            #[cfg(feature = "server")]
            config,
        }
    }

    /// Answers one request of the AWS Lambda API, or to a function URL, of an unknown client: with keys it must be signed.
    pub async fn handle<B>(&self, request: http::Request<B>) -> http::Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        if self.core.is_draining() {
            return service::ended();
        }
        self.core.front.handle(request).await
    }

    /// Answers one request of the AWS Lambda API as the owner of the account, whatever the keys: for the embedder's own
    /// calls, never for those of clients.
    pub async fn handle_as_owner<B>(&self, mut request: http::Request<B>) -> http::Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        request.extensions_mut().insert(Owner);
        self.handle(request).await
    }

    /// Handle of a function: `name`, `name:alias`, `name:7` or an ARN. There need not be such a function yet.
    ///
    /// # Errors
    /// If the name is malformed.
    pub fn function(&self, name: &str) -> Result<FunctionHandle, Error> {
        let named = FunctionRef::parse(name).map_err(|error| Error::Invalid(error.to_string()))?;
        Ok(FunctionHandle {
            core: Arc::downgrade(&self.core),
            target: Target {
                name: named.name,
                qualifier: named.qualifier,
            },
            readiness: service::Readiness::default(),
        })
    }

    /// Ends the host: new calls fail with [`Error::Ended`] or are answered with 503, no queued event begins, and
    /// invocations in progress may finish. True if all did within the time.
    pub async fn drain(&self, time_max: Duration) -> bool {
        let core = &self.core;
        core.is_draining.store(true, Ordering::Release);
        self.events.stop();
        let idle = core.clock.timeout(time_max, core.invoker.idle());
        let (idle, ()) = tokio::join!(idle, self.events.stopped(time_max));
        idle.is_some()
    }

    /// Drains the host and ends it. True if all invocations ended within the time; then its data directory is free for
    /// another host. A host that is only dropped frees its directory soon after.
    pub async fn close(mut self, time_max: Duration) -> bool {
        let is_idle = self.drain(time_max).await;
        let (clock, data_dir) = (self.core.clock.clone(), self.data_dir.clone());
        self.tasks.clear();
        drop(self);
        let closed = async {
            while Sqlite::is_open(&data_dir) {
                clock.sleep(CLOSING_PERIOD).await;
            }
        };
        is_idle && clock.timeout(time_max, closed).await.is_some()
    }
}

#[cfg(feature = "metrics")]
impl Host {
    /// Exports counters and gauges through the `metrics` facade, for ever.
    fn exporting(mut self) -> Self {
        let core = &self.core;
        let (metrics, invoker) = (core.metrics.clone(), core.invoker.clone());
        let clock = core.clock.clone();
        let exporting = tokio::spawn(async move {
            loop {
                metrics.export(&invoker.gauges());
                clock.sleep(EXPORT_PERIOD).await;
            }
        });
        self.tasks.push(AbortOnDropHandle::new(exporting));
        self
    }
}

/// Settings of the invoke pipeline.
fn pipeline(
    config: &Config,
    control: &Control,
    scheduler: Arc<Scheduler>,
    observers: Vec<Arc<dyn Observe>>,
) -> invoke::Config {
    invoke::Config {
        idle_timeout: config.limits.idle_timeout(),
        idle_large_timeout: config.limits.idle_large_timeout(),
        region: config.region.to_string(),
        runtime_version_arn: control::behaviour::runtime_version_arn(control.home()),
        scheduler,
        observers,
    }
}

/// Starts the tasks that keep environments, deployments and the data directory in order.
fn upkeep(invoker: &Invoker, control: &Control, clock: &Clock) -> [AbortOnDropHandle<()>; 3] {
    let reclaim = tokio::spawn({
        let invoker = invoker.clone();
        async move { invoker.reclaim().await }
    });
    let follow = tokio::spawn({
        let invoker = invoker.clone();
        async move { invoker.follow().await }
    });
    let housekeeping = tokio::spawn(housekeeping(control.clone(), clock.clone()));
    [reclaim, follow, housekeeping].map(AbortOnDropHandle::new)
}

/// Starts the dispatcher of queued events.
fn dispatch(events: &Events) -> AbortOnDropHandle<()> {
    let events = events.clone();
    AbortOnDropHandle::new(tokio::spawn(async move { events.run().await }))
}

/// Names of function URLs and of triggers.
fn names(config: &Config, aws: Aws) -> (UrlNames, Triggers) {
    let triggers = Triggers::new(&config.triggers, aws);
    (UrlNames::new(&config.urls), triggers)
}

/// Starts the pollers of event source mappings, and the schedules.
fn sources(
    (control, clock): (Control, Clock),
    (invoker, events): (Invoker, Events),
    records: Arc<dyn Records>,
    servers: (Aws, Brokers),
) -> [AbortOnDropHandle<()>; 2] {
    let schedules = Schedules::new(
        control.clone(),
        invoker.clone(),
        events.clone(),
        clock.clone(),
    );
    let sources = Sources::new(control, (invoker, events), records, servers, clock);
    let sources = tokio::spawn(async move { sources.run().await });
    let schedules = tokio::spawn(async move { schedules.run().await });
    [sources, schedules].map(AbortOnDropHandle::new)
}

/// Work of the host that no request waits for.
async fn housekeeping(control: Control, clock: Clock) {
    tokio::join!(control.autoscale(), keep_data_directory(&control, clock));
}

/// Upkeep of the data directory: compiles missing artifacts and deletes unused packages.
async fn keep_data_directory(control: &Control, clock: Clock) {
    if let Err(error) = control.recompile().await {
        tracing::warn!(%error, "components could not be compiled for this engine");
    }
    loop {
        match control.collect_garbage().await {
            Ok(0) => {}
            Ok(packages) => tracing::debug!(packages, "deleted packages that no function uses"),
            Err(error) => tracing::warn!(%error, "unused packages could not be deleted"),
        }
        // After the period; soon, if an upload was refused.
        let refused = clock.timeout(COLLECTION_PERIOD, control.left_over());
        if refused.await.is_some() {
            clock.sleep(REFUSALS_PERIOD).await;
        }
    }
}
