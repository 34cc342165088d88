//! Configuration of a host: plain data, read from `lamina.toml` or built by an embedder, and passed
//! to the components that need it. There is no global configuration.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::names::{AccountId, Region, UserName};
use crate::policy::Policy;
use crate::sandbox::{Cidr, Egress, EgressRule, FileSystem};

mod aws;
mod broker;
mod document;
mod images;
mod log;
mod network;
mod s3;
mod signing;
mod tls;
mod trigger;
mod urls;

pub use aws::Aws;
pub use broker::Broker;
#[cfg(feature = "cli")]
pub(crate) use document::Document;
pub use document::Located;
pub use images::{ImageRegistry, Images};
pub use log::{HostLog, LogFormat};
pub use network::Network;
pub use s3::S3;
pub use signing::{SigningAlgorithm, SigningProfile};
pub use tls::{Tls, TlsCertificate};
pub use trigger::{Trigger, TriggerSource};
pub use urls::{CustomDomain, CustomTarget, UrlDomain, UrlScheme, Urls};

/// Minimum of `guest_memory_bytes`: less runs no environment, and each invocation would be throttled.
const GUEST_MEMORY_BYTES_MIN: u64 = 16 << 20;

/// The configuration of a host. Every key has a default.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address and port to listen on. Since 0.1.0.
    pub listen: SocketAddr,
    /// Data directory. Since 0.1.0.
    pub data_dir: PathBuf,
    /// Region in ARNs and signatures. Since 0.1.0.
    #[schemars(with = "String")]
    pub region: Region,
    /// Account id in ARNs: twelve digits. Since 0.1.0.
    #[schemars(with = "String")]
    pub account_id: AccountId,
    /// Access keys. Without any, only programs on this machine may call. Since 0.1.0.
    #[serde(deserialize_with = "distinct_keys")]
    #[schemars(with = "Vec<Key>")]
    pub keys: Vec<Key>,
    /// Bearer token that gives access to the metrics page of a host with keys. Since 0.1.0.
    pub metrics_token: Option<Token>,
    /// Egress policy of functions: "public", "any" or "deny". Since 0.1.0.
    pub egress: Egress,
    /// Addresses and CIDR blocks blocked in addition, with `egress = "public"`: for example the
    /// public address of a host behind NAT, which the machine does not know. Since 0.1.0.
    #[schemars(with = "Vec<String>")]
    pub egress_near: Vec<Cidr>,
    /// Rules on outgoing connections of functions, decided in order before `egress`. Since 0.1.0.
    pub egress_rules: Vec<EgressRule>,
    /// PEM files with certificate authorities that outgoing requests trust besides the machine's.
    /// Since 0.1.0.
    pub certificate_authorities: Vec<PathBuf>,
    /// Runtimes that this host lacks: "refuse" CreateFunction, or "accept" it and fail invocations,
    /// for tools that migrate functions. Since 0.1.0.
    pub runtimes: Runtimes,
    /// Access points that `FileSystemConfigs` of functions mount. Since 0.1.0.
    pub file_systems: Vec<FileSystem>,
    /// S3 server for deployment packages, and for records of failures. Since 0.1.0.
    pub s3: S3,
    /// Registries of container images. Since 0.1.0.
    pub images: Images,
    /// SQS, SNS and EventBridge: destinations, dead-letter queues and event sources. Since 0.1.0.
    pub aws: Aws,
    /// Redis servers whose streams are event sources. Since 0.1.0.
    #[schemars(with = "Vec<broker::BrokerKeys>")]
    pub brokers: Vec<Broker>,
    /// HTTP endpoints that S3, SNS and EventBridge deliver events to. Since 0.1.0.
    #[schemars(with = "Vec<trigger::TriggerKeys>")]
    pub triggers: Vec<Trigger>,
    /// Signing profiles with the public keys that verify signed packages. Since 0.1.0.
    pub signing_profiles: Vec<SigningProfile>,
    /// Trusted reverse proxies, by address or CIDR block. Their connections carry many clients, so
    /// per-address limits do not apply to them, and their `x-forwarded-for`, `x-forwarded-proto` and
    /// `x-forwarded-port` are believed. Since 0.1.0.
    #[schemars(with = "Vec<String>")]
    pub trusted_proxies: Vec<Network>,
    /// True if connections of trusted proxies begin with a head of the PROXY protocol, version 1 or
    /// 2. Since 0.1.0.
    pub proxy_protocol: bool,
    /// Function URLs. Since 0.1.0.
    pub urls: Urls,
    /// TLS listener. Since 0.1.0.
    pub tls: Option<Tls>,
    /// Log of the host itself. Since 0.1.0.
    pub log: HostLog,
    /// Limits. Since 0.1.0.
    pub limits: Limits,
}

/// Treatment of functions whose runtime this host lacks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Runtimes {
    /// CreateFunction is refused.
    #[default]
    Refuse,
    /// CreateFunction succeeds; invocations fail.
    Accept,
}

/// A secret sent in clear, such as a bearer token.
#[derive(Clone, Eq, PartialEq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Token(
    #[serde(deserialize_with = "document::not_empty")]
    #[schemars(with = "String")]
    String,
);

impl Token {
    /// Text of the token.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Bytes of the token, for constant-time comparison.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

/// An access key.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// `AWS_ACCESS_KEY_ID`. Since 0.1.0.
    #[serde(deserialize_with = "document::not_empty")]
    #[schemars(with = "String")]
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`. Since 0.1.0.
    #[serde(deserialize_with = "document::not_empty")]
    #[schemars(with = "String")]
    pub secret_access_key: String,
    /// `AWS_SESSION_TOKEN`, if the client must send one. Since 0.1.0.
    pub session_token: Option<String>,
    /// Account of the key: twelve digits. Default: the host's own. Since 0.1.0.
    #[schemars(with = "Option<String>")]
    pub account: Option<AccountId>,
    /// User of the key, as in `arn:aws:iam::<account>:user/<name>`. Default: the account's root
    /// user. Since 0.1.0.
    #[schemars(with = "Option<String>")]
    pub name: Option<UserName>,
    /// Identity-based policy of the key, as JSON text or as a table. Default: every action is
    /// allowed. Since 0.1.0.
    #[schemars(with = "Option<serde_json::Value>")]
    pub policy: Option<Policy>,
}

/// Limits of a host.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Concurrent invocations of the account. Since 0.1.0.
    #[serde(deserialize_with = "document::at_least::<1, _, _>")]
    #[schemars(with = "u32")]
    pub concurrency: u32,
    /// Environments by which one function may grow in 10 s. Since 0.1.0.
    #[serde(deserialize_with = "document::at_least::<1, _, _>")]
    #[schemars(with = "u32")]
    pub burst_environments: u32,
    /// Concurrent connections per client address; default: a quarter of all. Since 0.1.0.
    pub connections_per_address: Option<usize>,
    /// Seconds that requests and events in work may take to finish when the host is stopped; then they are cut off.
    /// Since 0.1.0.
    pub drain_seconds: u64,
    /// Environments of the host, busy or idle. Since 0.1.0.
    #[serde(deserialize_with = "document::at_least::<1, _, _>")]
    #[schemars(with = "u32")]
    pub environments: u32,
    /// Memory of all environments in bytes. Default: three quarters of the limit of the machine and
    /// its control groups (`memory.max`, `memory.limit_in_bytes`). Since 0.1.0.
    #[serde(deserialize_with = "guest_memory")]
    #[schemars(with = "Option<u64>")]
    pub guest_memory_bytes: Option<u64>,
    /// Seconds before an idle environment is evicted; 0 disables reuse. Since 0.1.0.
    pub idle_seconds: u64,
    /// Seconds before an idle environment with 64 MiB or more of memory and `/tmp` is evicted.
    /// Since 0.1.0.
    pub idle_large_seconds: u64,
    /// Code storage of the account in bytes: functions, versions and layers. Since 0.1.0.
    pub code_bytes: u64,
    /// Log bytes kept per function. Since 0.1.0.
    pub log_bytes_per_function: usize,
    /// Log bytes on disk of all functions, deleted ones included. Since 0.1.0.
    pub log_bytes: u64,
    /// Files in `/tmp` of all environments in bytes. Default: half of the free space on the data
    /// directory's disk. Since 0.1.0.
    pub scratch_bytes: Option<u64>,
    /// Milliseconds that a change of a function shows as in progress, at least. Clients written for
    /// AWS expect to see that state. Since 0.1.0.
    pub settle_millis: u64,
}

/// Configuration error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// I/O error while reading the file.
    #[error("{path} cannot be read")]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// Syntax error, unknown key or invalid value.
    #[error("{path} is not a valid configuration")]
    Parse {
        /// Path of the file.
        path: PathBuf,
        /// Error with its line and column.
        source: Located,
    },
    /// Unauthenticated listener on a public address: anyone could run code.
    #[error(
        "{0} is not a loopback address, and there are no keys: anyone who reaches it could run \
         code on this machine. Add [[keys]] to lamina.toml, or listen on 127.0.0.1"
    )]
    Open(SocketAddr),
    /// Two triggers of one name.
    #[error("two [[triggers]] have the name {0:?}")]
    SameTrigger(String),
    /// Two access points with one ARN.
    #[error("file_systems has the access point {0} more than once")]
    FileSystemTwice(String),
    /// PROXY protocol without a proxy that could speak it.
    #[error("proxy_protocol is on, and trusted_proxies has no proxy that could speak it")]
    NoProxies,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 3001)),
            data_dir: ".lamina".into(),
            region: Region::parse("us-east-1").expect("it is the name of a region"),
            account_id: AccountId::parse("000000000000").expect("it is twelve digits"),
            keys: Vec::new(),
            metrics_token: None,
            egress: Egress::default(),
            egress_near: Vec::new(),
            egress_rules: Vec::new(),
            certificate_authorities: Vec::new(),
            runtimes: Runtimes::default(),
            file_systems: Vec::new(),
            s3: S3::default(),
            images: Images::default(),
            aws: Aws::default(),
            brokers: Vec::new(),
            triggers: Vec::new(),
            signing_profiles: Vec::new(),
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            urls: Urls::default(),
            tls: None,
            log: HostLog::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrency: crate::units::ACCOUNT_CONCURRENCY_DEFAULT,
            burst_environments: crate::units::BURST_ENVIRONMENTS_DEFAULT,
            connections_per_address: None,
            drain_seconds: 30,
            environments: crate::units::ACCOUNT_CONCURRENCY_DEFAULT,
            guest_memory_bytes: None,
            idle_seconds: 600,
            idle_large_seconds: 60,
            code_bytes: crate::units::CODE_BYTES_DEFAULT,
            log_bytes_per_function: 1 << 20,
            log_bytes: crate::telemetry::log::BYTES_MAX_DEFAULT,
            scratch_bytes: None,
            settle_millis: 500,
        }
    }
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// If the file cannot be read, or has an unknown key or an invalid value.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
        let config: Self = document::parse(&text).map_err(|source| Error::Parse {
            path: path.to_owned(),
            source,
        })?;
        if config.has_secrets() {
            warn_of_readers(path);
        }
        Ok(config)
    }

    /// Names of the settings in which `other` differs, except keys and certificates, which can be reloaded.
    pub(crate) fn fixed_differences(&self, other: &Self) -> Vec<&'static str> {
        let settings = [
            ("listen", self.listen != other.listen),
            ("data_dir", self.data_dir != other.data_dir),
            ("region", self.region != other.region),
            ("account_id", self.account_id != other.account_id),
            ("metrics_token", self.metrics_token != other.metrics_token),
            ("egress", self.egress != other.egress),
            ("egress_near", self.egress_near != other.egress_near),
            ("egress_rules", self.egress_rules != other.egress_rules),
            (
                "certificate_authorities",
                self.certificate_authorities != other.certificate_authorities,
            ),
            ("runtimes", self.runtimes != other.runtimes),
            ("file_systems", self.file_systems != other.file_systems),
            ("s3", self.s3 != other.s3),
            ("images", self.images != other.images),
            ("aws", self.aws != other.aws),
            ("brokers", self.brokers != other.brokers),
            ("triggers", self.triggers != other.triggers),
            (
                "signing_profiles",
                self.signing_profiles != other.signing_profiles,
            ),
            (
                "trusted_proxies",
                self.trusted_proxies != other.trusted_proxies,
            ),
            (
                "proxy_protocol",
                self.proxy_protocol != other.proxy_protocol,
            ),
            ("urls", self.urls != other.urls),
            ("tls.listen", self.tls_listen() != other.tls_listen()),
            ("log", self.log != other.log),
            ("limits", self.limits != other.limits),
        ];
        let differing = settings.into_iter().filter(|(_, differs)| *differs);
        differing.map(|(name, _)| name).collect()
    }

    fn has_secrets(&self) -> bool {
        let others = [&self.s3.secret_access_key, &self.aws.secret_access_key];
        let others = others.iter().any(|it| it.is_some()) || self.metrics_token.is_some();
        let of_triggers = self.triggers.iter().any(|it| it.token.is_some());
        let of_brokers = self.brokers.iter().any(|it| it.password.is_some());
        let mut registries = self.images.registries.iter();
        let of_registries = registries.any(|it| it.password.is_some());
        !self.keys.is_empty() || others || of_triggers || of_brokers || of_registries
    }

    /// Refuses a public address without keys, triggers of one name, access points of one ARN, and the PROXY protocol
    /// without proxies.
    ///
    /// # Errors
    /// If an address is not loopback and there are no keys, two triggers have one name or two access points one ARN, or
    /// no proxy can send the head.
    pub fn require_safe(&self) -> Result<(), Error> {
        let mut seen = HashSet::new();
        let mut arns = self.file_systems.iter().map(|it| it.arn.as_str());
        if let Some(twice) = arns.find(|it| !seen.insert(*it)) {
            return Err(Error::FileSystemTwice(twice.to_owned()));
        }
        let listens = [Some(self.listen), self.tls_listen()].into_iter().flatten();
        let public = listens.into_iter().find(|it| !it.ip().is_loopback());
        match public {
            Some(address) if self.keys.is_empty() => Err(Error::Open(address)),
            _ if self.proxy_protocol && self.trusted_proxies.is_empty() => Err(Error::NoProxies),
            _ => self.require_distinct_triggers(),
        }
    }

    fn require_distinct_triggers(&self) -> Result<(), Error> {
        let mut seen = std::collections::BTreeSet::new();
        let mut names = self.triggers.iter().map(|it| &it.name);
        match names.find(|name| !seen.insert(*name)) {
            Some(name) => Err(Error::SameTrigger(name.clone())),
            None => Ok(()),
        }
    }

    fn tls_listen(&self) -> Option<SocketAddr> {
        self.tls.as_ref().map(|tls| tls.listen)
    }
}

/// Warns if a file with secrets can be read by other users.
pub(crate) fn warn_of_readers(path: &Path) {
    /// Mode bits for reading by group and others.
    const READABLE_BY_OTHERS: u32 = 0o044;
    let found = std::fs::metadata(path);
    if found.is_ok_and(|found| found.permissions().mode() & READABLE_BY_OTHERS != 0) {
        tracing::warn!(
            "{path} can be read by other users and has secrets: chmod 600 {path}",
            path = path.display()
        );
    }
}

/// Reads keys, each with another id: of two with one id, one could never sign.
fn distinct_keys<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Key>, D::Error> {
    let keys = Vec::<Key>::deserialize(from)?;
    for (at, key) in keys.iter().enumerate() {
        if keys[..at]
            .iter()
            .any(|it| it.access_key_id == key.access_key_id)
        {
            let id = &key.access_key_id;
            return Err(D::Error::custom(format!(
                "the access key {id} is given twice"
            )));
        }
    }
    Ok(keys)
}

/// Reads the memory of all environments, which is that of one environment at least.
fn guest_memory<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    document::at_least::<GUEST_MEMORY_BYTES_MIN, u64, _>(from).map(Some)
}

impl Limits {
    /// Idle time before eviction of an environment.
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_seconds)
    }

    /// Idle time before eviction of a large environment.
    pub fn idle_large_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_large_seconds)
    }

    /// Time for requests and events in work to finish when the host is stopped.
    pub fn drain_time(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }

    /// Minimum time that a change shows as in progress.
    pub fn settle(&self) -> Duration {
        Duration::from_millis(self.settle_millis)
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key")
            .field("access_key_id", &self.access_key_id)
            .field("account", &self.account)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_file_is_the_default() {
        let config: Config = toml::from_str("").unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:3001");
        assert!(config.require_safe().is_ok());
    }

    #[test]
    fn proxy_protocol_without_proxies_is_refused() {
        let read = |text: &str| toml::from_str::<Config>(text).unwrap().require_safe();
        assert!(read("proxy_protocol = true").is_err());
        assert!(read("proxy_protocol = true\ntrusted_proxies = [\"10.0.0.1\"]").is_ok());
        let tls = "[tls]\nlisten = \"0.0.0.0:443\"\ncertificates = []";
        assert!(matches!(read(tls), Err(Error::Open(_))));
    }

    #[test]
    fn triggers_of_one_name_are_refused() {
        let trigger = "[[triggers]]\nname = \"t\"\nfunction = \"f\"\nsource = \"sns\"\n\
                       source_arns = [\"arn:aws:sns:us-east-1:123456789012:t\"]\n";
        let read = |text: &str| toml::from_str::<Config>(text).unwrap().require_safe();
        assert!(read(trigger).is_ok());
        let error = read(&trigger.repeat(2)).unwrap_err();
        assert!(error.to_string().contains("\"t\""), "{error}");
    }

    const STATEMENT: &str =
        r#"{"Statement": {"Effect": "Allow", "Action": "lambda:*", "Resource": "*"}}"#;

    fn key(more: &str) -> String {
        format!("[[keys]]\naccess_key_id = \"a\"\nsecret_access_key = \"b\"\n{more}")
    }

    #[test]
    fn key_may_have_a_user_and_a_policy() {
        let table = "[[keys.policy.Statement]]\nEffect = \"Deny\"\nAction = [\"lambda:Invoke*\"]\n\
                     Resource = \"*\"\nCondition.Bool.\"aws:SecureTransport\" = false";
        for policy in [&format!("policy = '{STATEMENT}'"), table] {
            let text = key(&format!(
                "account = \"123456789012\"\nname = \"alice\"\n{policy}"
            ));
            let config: Config = toml::from_str(&text).unwrap();
            assert!(config.keys[0].policy.is_some(), "{policy}");
            assert_eq!(config.keys[0].name.as_ref().unwrap().as_str(), "alice");
        }
    }

    #[test]
    fn malformed_config_is_reported_with_path() {
        for (text, expected) in [
            ("lisen = \"x\"", "unknown field `lisen`"),
            ("[limits]\nconcurrency = -1", "line 2"),
            ("[limits]\nconcurrency = 0", "the minimum is 1"),
            ("[limits]\nenvironments = 0", "the minimum is 1"),
            ("[limits]\nburst_environments = 0", "the minimum is 1"),
            (
                "[limits]\nguest_memory_bytes = 1",
                "the minimum is 16777216",
            ),
            ("metrics_token = \"\"", "the value is empty"),
            (
                "[[keys]]\naccess_key_id = \"a\"\nsecret_access_key = \"\"",
                "line 3, column 21: the value is empty",
            ),
            (&key("").repeat(2), "the access key a is given twice"),
            ("account_id = \"12\"", "twelve digits"),
            ("[[keys]]\naccess_key_id = \"a\"", "secret_access_key"),
            (&key("account = \"1\""), "twelve digits"),
            (&key("name = \"a b\""), "the name of a user"),
            (&key("policy = \"{\""), "not a policy: it is not JSON"),
            (
                &key("[keys.policy]\nStatement = []"),
                "one or more statements",
            ),
            (
                &key(&format!(
                    "policy = '{}'",
                    STATEMENT.replace("Allow", "allow")
                )),
                "Statement[0].Effect: Allow or Deny is expected",
            ),
        ] {
            let error = document::parse::<Config>(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn public_address_without_keys_is_refused() {
        let open = "listen = \"0.0.0.0:3001\"";
        let config: Config = toml::from_str(open).unwrap();
        assert!(
            config
                .require_safe()
                .unwrap_err()
                .to_string()
                .contains("[[keys]]")
        );
        let keys = "[[keys]]\naccess_key_id = \"a\"\nsecret_access_key = \"hidden\"";
        let config: Config = toml::from_str(&format!("{open}\n{keys}")).unwrap();
        assert!(config.require_safe().is_ok());
        assert!(!format!("{config:?}").contains("hidden"));
    }
}
