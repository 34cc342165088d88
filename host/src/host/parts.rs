//! Parts of a host that its configuration and its data directory make. Opening them blocks.

use std::sync::Arc;

use super::temporary::Temporary;
use super::{Error, HostBuilder};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::control::code_signing::profile::Profiles;
use crate::control::vault::Vault;
use crate::control::{self, Control};
use crate::event_source::Brokers;
use crate::events::Timeline;
use crate::library::Library;
use crate::library::image::{self, Login, Registries, RegistryConfig};
use crate::names::Home;
use crate::outbound;
use crate::outbound::aws::{self, Aws, Service};
use crate::outbound::redis::{Redis, Secret, Server};
use crate::outbound::sigv4::Credentials;
use crate::sandbox::{self, Sandbox, Scheduler};
#[cfg(feature = "server")]
use crate::server::Certificates;
use crate::store::object::{self, Misconfigured, Objects};
use crate::store::sqlite::{Durability, Sqlite};
use crate::telemetry::log::{self, Logs};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::observer::Observe;

/// Parts of one host.
pub(super) struct Parts {
    pub(super) config: Config,
    pub(super) clock: Clock,
    pub(super) temporary: Option<Temporary>,
    pub(super) records: Arc<Sqlite>,
    pub(super) metrics: Metrics,
    pub(super) scheduler: Arc<Scheduler>,
    pub(super) observers: Vec<Arc<dyn Observe>>,
    pub(super) logs: Logs,
    pub(super) aws: Aws,
    pub(super) objects: Objects,
    pub(super) brokers: Brokers,
    pub(super) timeline: Timeline,
    /// False for hosts of tests.
    pub(super) has_sources: bool,
    #[cfg(feature = "server")]
    pub(super) certificates: Option<Certificates>,
    library: Library,
    profiles: Profiles,
}

impl Parts {
    pub(super) fn open(builder: HostBuilder) -> Result<Self, Error> {
        let mut config = builder.config;
        let clock = Clock::system();
        let temporary = builder.is_temporary.then(|| Temporary::new(&clock));
        let temporary = temporary.transpose().map_err(Error::host)?;
        let durability = match &temporary {
            Some(temporary) => {
                temporary.path().clone_into(&mut config.data_dir);
                Durability::Unsynced
            }
            None => Durability::Synced,
        };
        let dir = &config.data_dir;
        let records = Sqlite::open_as(dir, durability).map_err(Error::host)?;
        let metrics = Metrics::new(records.commit_durations());
        let trust = outbound::Trust::open(&config.certificate_authorities).map_err(Error::host)?;
        let sandbox = sandbox(&config, &trust, &clock)?;
        let scheduler = sandbox.scheduler();
        let logs = logs(&config, &clock)?;
        let brokers = brokers(&config.brokers, &trust, &clock);
        let registries = registries(&config, &trust, &clock)?;
        let outbound = outbound::Client::new(trust, clock.clone());
        let aws = aws(&config.aws, outbound.clone());
        let objects = objects(&config, outbound).map_err(Error::host)?;
        let library = Library::open(dir, sandbox, builder.compiler, objects.clone(), registries);
        let profiles = Profiles::read(&config.signing_profiles, &home(&config));
        Ok(Self {
            library: library.map_err(Error::host)?,
            profiles: profiles.map_err(Error::host)?,
            timeline: Timeline::open(&dir.join("timeline"), clock.clone()),
            #[cfg(feature = "server")]
            certificates: super::serving::certificates(&config)?,
            records: Arc::new(records),
            observers: builder.observers,
            has_sources: builder.has_sources,
            config,
            clock,
            temporary,
            metrics,
            scheduler,
            logs,
            aws,
            objects,
            brokers,
        })
    }

    /// Control plane over these parts.
    pub(super) async fn control(&self) -> Result<Control, Error> {
        let Config { limits, .. } = &self.config;
        let settings = control::Config {
            home: home(&self.config),
            signing_profiles: self.profiles.clone(),
            settle: limits.settle(),
            runtimes: self.config.runtimes,
            concurrency: limits.concurrency,
            environments: limits.environments,
            burst: limits.burst_environments,
            code_bytes_max: limits.code_bytes,
        };
        let vault = Vault::open(&self.config.data_dir, &*self.records, &self.clock);
        let vault = vault.await.map_err(Error::host)?;
        let records = Arc::clone(&self.records);
        let (library, clock) = (self.library.clone(), self.clock.clone());
        let control = Control::open(settings, records, library, vault, None, clock);
        control.await.map_err(Error::host)
    }
}

/// Checks of the files and settings that a host reads before it opens its database, by the section of the
/// configuration.
#[cfg(feature = "cli")]
pub(crate) fn preflight(config: &Config) -> Vec<(&'static str, Error)> {
    let trust = outbound::Trust::open(&config.certificate_authorities);
    let client = outbound::Client::new(outbound::Trust::default(), Clock::system());
    let profiles = Profiles::read(&config.signing_profiles, &home(config));
    let checks = [
        (
            "certificate_authorities",
            trust.map(drop).map_err(Error::host),
        ),
        ("s3", objects(config, client).map(drop).map_err(Error::host)),
        ("signing_profiles", profiles.map(drop).map_err(Error::host)),
        ("tls", super::serving::certificates(config).map(drop)),
    ];
    let failed = checks.into_iter();
    failed
        .filter_map(|(section, checked)| Some((section, checked.err()?)))
        .collect()
}

/// Account and region of a host.
fn home(config: &Config) -> Home {
    Home {
        account: config.account_id.clone(),
        region: config.region.clone(),
    }
}

/// Sandboxes on the data directory.
fn sandbox(config: &Config, trust: &outbound::Trust, clock: &Clock) -> Result<Sandbox, Error> {
    let scratch_dir = config.data_dir.join("scratch");
    // Scratch files of a killed process; the database lock excludes other processes.
    sandbox::clear(&scratch_dir).map_err(Error::host)?;
    let config = sandbox::Config {
        environments_max: config.limits.environments,
        memory_bytes: config.limits.guest_memory_bytes,
        scratch_dir,
        scratch_bytes: config.limits.scratch_bytes,
        egress: config.egress,
        egress_near: config.egress_near.clone(),
        egress_rules: config.egress_rules.clone(),
        trust: trust.clone(),
        file_systems: config.file_systems.clone(),
    };
    Sandbox::new(config, clock.clone()).map_err(Error::host)
}

/// Logs of functions in the data directory.
fn logs(config: &Config, clock: &Clock) -> Result<Logs, Error> {
    let limits = &config.limits;
    let dir = config.data_dir.join("logs");
    let logs = log::Config {
        bytes_max: limits.log_bytes,
        ..log::Config::new(Some(dir), limits.log_bytes_per_function)
    };
    Logs::open(logs, clock.clone()).map_err(Error::host)
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

/// Redis servers by the names that event source mappings give them.
fn brokers(brokers: &[config::Broker], trust: &outbound::Trust, clock: &Clock) -> Brokers {
    let redis = |broker: &config::Broker| {
        let password = broker.password.as_ref();
        let server = Server {
            host: broker.host.clone(),
            port: broker.port,
            is_encrypted: broker.is_encrypted,
            database: broker.database,
            user: broker.user.clone(),
            password: password.map(|it| Secret(it.as_str().to_owned())),
        };
        Redis::new(server, trust.clone(), clock.clone())
    };
    let named = brokers.iter().map(|it| (it.name.clone(), redis(it)));
    named.collect()
}

/// Registries that images are pulled from. Those that only callers name are at public addresses.
fn registries(
    config: &Config,
    trust: &outbound::Trust,
    clock: &Clock,
) -> Result<Registries, Error> {
    let images = &config.images;
    let mut credentials = match &images.docker_config {
        Some(path) => image::Credentials::read_docker(path).map_err(Error::host)?,
        None => image::Credentials::default(),
    };
    for registry in &images.registries {
        let login = registry.username.clone().zip(registry.password.clone());
        if let Some((username, password)) = login {
            credentials.set(&registry.host, Login::new(username, password));
        }
    }
    let listed = images.registries.iter().map(|it| RegistryConfig {
        host: it.host.clone(),
        tls: it.tls,
    });
    let check = sandbox::address_check(config.egress, &config.egress_near);
    let config = image::Config {
        image_bytes_max: images.image_bytes,
        time_max: images.timeout(),
        registries: listed.collect(),
        credentials,
    };
    let any = outbound::Client::new(trust.clone(), clock.clone());
    let checked = outbound::Client::guarded(trust.clone(), check, clock.clone());
    Ok(Registries::new(config, any, checked))
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
