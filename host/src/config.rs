//! A host's configuration: plain data, read from `lamina.toml` or made by an embedder. It is passed to the parts
//! that need it; nothing reads it from anywhere else.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::names::{AccountId, Region, UserName};
use crate::policy::Policy;
use crate::sandbox::{Cidr, Egress};

mod network;
mod s3;
mod signing;

pub use network::Network;
pub use s3::S3;
pub use signing::{SigningAlgorithm, SigningProfile};

/// The configuration of a host. Every key has a default.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The address the host answers on. Since 0.1.0.
    pub listen: SocketAddr,
    /// The data directory. Since 0.1.0.
    pub data_dir: PathBuf,
    /// The region in ARNs and signatures. Since 0.1.0.
    pub region: Region,
    /// The account in ARNs: twelve digits. Since 0.1.0.
    pub account_id: AccountId,
    /// Access keys. Without any, every program on this machine may call, and no other. Since 0.1.0.
    pub keys: Vec<Key>,
    /// The bearer token with which the metrics of a host with keys can be read without a signature. Since 0.1.0.
    pub metrics_token: Option<Token>,
    /// Which addresses functions may reach: "public", "any" or "deny". Since 0.1.0.
    pub egress: Egress,
    /// Addresses and CIDR blocks that functions do not reach besides, with `egress = "public"`: the
    /// public address of a host behind NAT, which the machine does not know. Since 0.1.0.
    pub egress_near: Vec<Cidr>,
    /// Treatment of functions whose runtime this host does not have: "refuse" them at once, or
    /// "accept" them and say so when they are invoked, for tools that move functions. Since 0.1.0.
    pub runtimes: Runtimes,
    /// The S3 server that packages are read from. Since 0.1.0.
    pub s3: S3,
    /// Whose signatures on packages can be checked. Since 0.1.0.
    pub signing_profiles: Vec<SigningProfile>,
    /// Proxies before this host, by address or network: clients of many addresses come through them, so
    /// that their connections and bodies are no single client's. Since 0.1.0.
    pub trusted_proxies: Vec<Network>,
    /// Bounds. Since 0.1.0.
    pub limits: Limits,
}

/// Treatment of functions whose runtime this host does not have.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Runtimes {
    /// They are refused when they are created.
    #[default]
    Refuse,
    /// They are taken, and cannot be invoked.
    Accept,
}

/// A secret that is sent as it is.
#[derive(Clone, Eq, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Token(String);

impl Token {
    /// Its bytes, to compare in constant time.
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
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// `AWS_ACCESS_KEY_ID`. Since 0.1.0.
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`. Since 0.1.0.
    pub secret_access_key: String,
    /// `AWS_SESSION_TOKEN`, where the client must send one. Since 0.1.0.
    pub session_token: Option<String>,
    /// The account whose key it is: twelve digits. Without it, the host's own. Since 0.1.0.
    pub account: Option<AccountId>,
    /// The user whose key it is, as in `arn:aws:iam::<account>:user/<name>`. Without it, it is the
    /// key of the account's root user. Since 0.1.0.
    pub name: Option<UserName>,
    /// Permissions of the key: an identity policy of AWS IAM, as JSON text or as a table.
    /// Without it, everything. Since 0.1.0.
    pub policy: Option<Policy>,
}

/// Bounds of a host.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Invocations at once, in the whole account. Since 0.1.0.
    pub concurrency: u32,
    /// Connections of one address at once; without it, a quarter of all. Since 0.1.0.
    pub connections_per_address: Option<usize>,
    /// Environments at once, busy or idle. Since 0.1.0.
    pub environments: u32,
    /// Memory of all environments together, in bytes; without it, three quarters of what the machine and its
    /// control groups (`memory.max`, `memory.limit_in_bytes`) give the host. Since 0.1.0.
    pub guest_memory_bytes: Option<u64>,
    /// Seconds that an idle environment is kept; 0 gives each invocation a new one. Since 0.1.0.
    pub idle_seconds: u64,
    /// Seconds that an idle environment is kept which holds 64 MiB of memory and `/tmp`, or more. Since 0.1.0.
    pub idle_large_seconds: u64,
    /// Bytes of all packages of the account: of functions, their versions and layers. Since 0.1.0.
    pub code_bytes: u64,
    /// Bytes of log that each function keeps. Since 0.1.0.
    pub log_bytes_per_function: usize,
    /// Bytes of log that all functions keep on disk, deleted ones included. Since 0.1.0.
    pub log_bytes: u64,
    /// Files in the `/tmp`s of all environments together, in bytes; without it, half of what is free on the disk
    /// of the data directory. Since 0.1.0.
    pub scratch_bytes: Option<u64>,
    /// Milliseconds that a change of a function shows as in progress. Clients written for AWS
    /// expect to see it. Since 0.1.0.
    pub settle_millis: u64,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{path} cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The file has a mistake.
    #[error("{path} is no configuration")]
    Parse {
        /// The file.
        path: PathBuf,
        /// The mistake and its place.
        source: Box<toml::de::Error>,
    },
    /// Anyone who can reach this address could run code.
    #[error(
        "{0} is not a loopback address, and there are no keys: anyone who reaches it could run \
         code on this machine. Add [[keys]] to lamina.toml, or listen on 127.0.0.1"
    )]
    Open(SocketAddr),
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
            runtimes: Runtimes::default(),
            s3: S3::default(),
            signing_profiles: Vec::new(),
            trusted_proxies: Vec::new(),
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrency: crate::units::ACCOUNT_CONCURRENCY_DEFAULT,
            connections_per_address: None,
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
    /// Reads a file.
    ///
    /// # Errors
    /// Where it cannot be read, or has an unknown key or a value that is not allowed.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
        let config: Self = toml::from_str(&text).map_err(|source| Error::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        if config.has_secrets() && can_be_read_by_others(path) {
            tracing::warn!(
                "{path} can be read by other users and has secrets: chmod 600 {path}",
                path = path.display()
            );
        }
        Ok(config)
    }

    /// The settings other than keys in which another configuration differs.
    pub(crate) fn fixed_differences(&self, other: &Self) -> Vec<&'static str> {
        let settings = [
            ("listen", self.listen != other.listen),
            ("data_dir", self.data_dir != other.data_dir),
            ("region", self.region != other.region),
            ("account_id", self.account_id != other.account_id),
            ("metrics_token", self.metrics_token != other.metrics_token),
            ("egress", self.egress != other.egress),
            ("egress_near", self.egress_near != other.egress_near),
            ("runtimes", self.runtimes != other.runtimes),
            ("s3", self.s3 != other.s3),
            (
                "signing_profiles",
                self.signing_profiles != other.signing_profiles,
            ),
            (
                "trusted_proxies",
                self.trusted_proxies != other.trusted_proxies,
            ),
            ("limits", self.limits != other.limits),
        ];
        let differing = settings.into_iter().filter(|(_, differs)| *differs);
        differing.map(|(name, _)| name).collect()
    }

    fn has_secrets(&self) -> bool {
        let others = self.s3.secret_access_key.is_some() || self.metrics_token.is_some();
        !self.keys.is_empty() || others
    }

    /// Refuses to serve strangers.
    ///
    /// # Errors
    /// Where the address is not loopback and there are no keys.
    pub fn require_safe(&self) -> Result<(), Error> {
        if self.keys.is_empty() && !self.listen.ip().is_loopback() {
            return Err(Error::Open(self.listen));
        }
        Ok(())
    }
}

fn can_be_read_by_others(path: &Path) -> bool {
    /// Mode bits that let the group or others read.
    const READABLE_BY_OTHERS: u32 = 0o044;
    let found = std::fs::metadata(path);
    found.is_ok_and(|found| found.permissions().mode() & READABLE_BY_OTHERS != 0)
}

impl Limits {
    /// Time that an idle environment is kept.
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_seconds)
    }

    /// Time that a large idle environment is kept.
    pub fn idle_large_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_large_seconds)
    }

    /// Time that a change shows as in progress.
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
    fn mistake_is_reported_with_its_place() {
        for (text, expected) in [
            ("lisen = \"x\"", "unknown field `lisen`"),
            ("[limits]\nconcurrency = -1", "line 2"),
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
            let error = toml::from_str::<Config>(text).unwrap_err().to_string();
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
