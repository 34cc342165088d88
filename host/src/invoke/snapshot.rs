//! Every function as the data plane sees it: immutable, published whole by `control`, read without
//! waiting. A new snapshot shares with the old one all that did not change.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::OnceCell;

use super::admit::Gates;
use super::pool::Pool;
pub use super::provision::{Provision, Provisioning};
use super::request::Target;
use super::resolve::Error;
use crate::clock::Clock;
use crate::names::{AliasName, FunctionName, Qualifier};
use crate::policy::Attached;
use crate::sandbox::{FunctionFacts, Program};
use crate::telemetry::log::Format;
use crate::units::Mib;
pub use urls::{Cors, UrlRoute};

mod urls;

/// All functions of the host.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    functions: imbl::HashMap<FunctionName, Arc<Function>>,
    urls: imbl::HashMap<Arc<str>, UrlRoute>,
    url_ids: imbl::HashMap<FunctionName, BTreeSet<Arc<str>>>,
    /// Ids of function URLs that are gone, the newest last.
    former_urls: imbl::Vector<Arc<str>>,
    policies: imbl::HashMap<FunctionName, Arc<Attached>>,
    /// Those of them that deny something.
    denying: imbl::HashSet<FunctionName>,
    reserved_total: u32,
    /// Functions with provisioned concurrency.
    provisioned: imbl::HashSet<FunctionName>,
}

/// One function: its code under every qualifier.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its ARN without qualifier.
    pub arn: Arc<str>,
    /// The unpublished version.
    pub latest: Arc<Version>,
    /// The published versions.
    pub versions: BTreeMap<u64, Arc<Version>>,
    /// The aliases.
    pub aliases: BTreeMap<AliasName, Alias>,
    /// Its tags, for policies that depend on them.
    pub tags: Arc<BTreeMap<String, String>>,
    /// Invocations that may run at once, where some are reserved for it.
    pub reserved: Option<u32>,
    /// Environments that shall be ready beforehand, by version or alias.
    pub provisions: BTreeMap<Qualifier, u32>,
    /// Where its invocations are counted, once it has had a reserve. Goes on when the function is changed.
    pub gates: Option<Arc<Gates>>,
}

/// Where an alias leads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alias {
    /// The version it names; None is the unpublished one.
    pub version: Option<u64>,
    /// A second version, and the share of invocations it gets, from 0 to 1.
    pub additional: Option<(u64, f64)>,
}

/// Whether a version can be invoked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Readiness {
    /// It can.
    Active,
    /// It is being created.
    Pending,
}

/// One immutable version of a function, and the environments that run it.
#[derive(Debug)]
pub struct Version {
    /// What its guests may know of it.
    pub facts: Arc<FunctionFacts>,
    /// A number or `$LATEST`.
    pub label: Arc<str>,
    /// Names its configuration and code. Another version may have the same.
    pub deployment: Arc<str>,
    /// Whether it can be invoked.
    pub readiness: Readiness,
    /// How long one invocation may take.
    pub timeout: Duration,
    /// What its environments are made with.
    pub settings: Settings,
    /// Its environments that are opened before they are needed.
    pub provisioning: Arc<Provisioning>,
    /// Its idle environments.
    pub(super) pool: Arc<Pool>,
    /// Those of Lambda's own environment variables that all its environments have.
    pub(super) variables: OnceLock<Arc<[(String, String)]>>,
    source: Box<dyn ProgramSource>,
    program: OnceCell<Program>,
}

/// What the environments of a version are made with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bound on the memories of an environment.
    pub memory: Mib,
    /// Size of the `/tmp` of an environment.
    pub tmp: Mib,
    /// How their logs are written.
    pub logging: Format,
    /// `Handler`, for `_HANDLER`.
    pub handler: String,
    /// `Runtime`, for `AWS_EXECUTION_ENV`.
    pub runtime: String,
    /// Whether tenants never share an environment.
    pub tenant_isolation: bool,
}

/// Why a version's code could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Its runtime is not one of this host's; the text says which are.
    #[error("{0}")]
    Runtime(String),
    /// There is no component in its package.
    #[error("the function's package has no component")]
    NoComponent,
    /// The host failed.
    #[error("the function's code could not be loaded: {0}")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Makes a version's code ready when it is first needed.
#[async_trait]
pub trait ProgramSource: fmt::Debug + Send + Sync {
    /// Loads the program.
    async fn load(&self) -> Result<Program, LoadError>;

    /// The author's environment variables.
    fn variables(&self) -> Result<Vec<(String, String)>, LoadError>;
}

impl Version {
    /// A version without environments; its code is loaded with the first one.
    pub fn new(
        facts: FunctionFacts,
        deployment: Arc<str>,
        readiness: Readiness,
        timeout: Duration,
        settings: Settings,
        source: Box<dyn ProgramSource>,
    ) -> Self {
        Self {
            label: facts.version.as_str().into(),
            facts: Arc::new(facts),
            deployment,
            readiness,
            timeout,
            settings,
            provisioning: Arc::default(),
            pool: Arc::default(),
            variables: OnceLock::new(),
            source,
            program: OnceCell::new(),
        }
    }

    /// The version's program, loaded now if it was not before.
    ///
    /// # Errors
    /// Where it cannot be loaded; the next call tries again.
    pub async fn program(&self) -> Result<&Program, LoadError> {
        self.program.get_or_try_init(|| self.source.load()).await
    }

    /// The author's environment variables.
    pub(super) fn chosen_variables(&self) -> Result<Vec<(String, String)>, LoadError> {
        self.source.variables()
    }
}

impl Snapshot {
    /// The function of this name.
    pub fn function(&self, name: &FunctionName) -> Option<&Arc<Function>> {
        self.functions.get(name)
    }

    /// Puts a function in the place of what had its name.
    pub fn insert(&mut self, name: FunctionName, function: Function) {
        self.reserved_total += function.reserved.unwrap_or_default();
        if function.provisions.is_empty() {
            self.provisioned.remove(&name);
        } else {
            self.provisioned.insert(name.clone());
        }
        let old = self.functions.insert(name, Arc::new(function));
        self.forget(old.as_deref());
    }

    /// Takes a function out.
    pub fn remove(&mut self, name: &FunctionName) {
        let old = self.functions.remove(name);
        self.provisioned.remove(name);
        self.forget(old.as_deref());
        self.set_policies(name, Attached::default());
    }

    /// The policies of a function, where it has any.
    pub fn policies(&self, name: &FunctionName) -> Option<&Attached> {
        self.policies.get(name).map(Arc::as_ref)
    }

    /// Whether any policy of any function denies anything. Where none does, there is nothing to ask
    /// them about the owner of the account.
    pub fn has_denials(&self) -> bool {
        !self.denying.is_empty()
    }

    /// Makes these the only policies of a function.
    pub fn set_policies(&mut self, name: &FunctionName, policies: Attached) {
        self.denying.remove(name);
        self.policies.remove(name);
        if policies.has_denials() {
            self.denying.insert(name.clone());
        }
        if !policies.is_empty() {
            self.policies.insert(name.clone(), Arc::new(policies));
        }
    }

    fn forget(&mut self, old: Option<&Function>) {
        self.reserved_total -= old.and_then(|old| old.reserved).unwrap_or_default();
    }

    /// Invocations at once that are set aside for some function or other.
    pub fn reserved_total(&self) -> u32 {
        self.reserved_total
    }

    /// The versions that have provisioned concurrency.
    pub(super) fn provisioned(&self) -> impl Iterator<Item = Arc<Version>> {
        let functions = self
            .provisioned
            .iter()
            .filter_map(|name| self.functions.get(name));
        functions.flat_map(|function| {
            let versions = function.versions.values();
            let wanted = versions.filter(|it| it.provisioning.progress().requested > 0);
            wanted.cloned()
        })
    }

    pub(super) fn resolve(
        &self,
        target: &Target,
        clock: &Clock,
    ) -> Result<(Arc<Function>, Arc<Version>), Error> {
        let missing = || Error::NotFound(target.clone());
        let function = self.function(&target.name).ok_or_else(missing)?;
        let version = match &target.qualifier {
            None | Some(Qualifier::Latest) => Some(&function.latest),
            Some(Qualifier::Version(number)) => function.versions.get(number),
            Some(Qualifier::Alias(name)) => {
                let alias = function.aliases.get(name).ok_or_else(missing)?;
                match alias.pick(clock) {
                    Some(number) => function.versions.get(&number),
                    None => Some(&function.latest),
                }
            }
        };
        let version = version.ok_or_else(missing)?;
        match version.readiness {
            Readiness::Active => Ok((Arc::clone(function), Arc::clone(version))),
            state => Err(Error::NotActive {
                target: target.clone(),
                state,
            }),
        }
    }
}

impl Function {
    /// How far the provisioned concurrency of a version or alias has come.
    pub fn provision_of(&self, qualifier: &Qualifier) -> Provision {
        let version = self.provisioned_version(qualifier);
        let progress = version.map(|version| version.provisioning.progress());
        progress.unwrap_or_default()
    }

    /// Environments that shall be ready beforehand, of all versions together.
    pub(super) fn provisioned_total(&self) -> u32 {
        let led =
            |(qualifier, _): &(&Qualifier, &u32)| self.provisioned_number(qualifier).is_some();
        let provisions = self.provisions.iter().filter(led);
        provisions.map(|(_, environments)| environments).sum()
    }

    /// Tells each version how many environments shall be ready.
    pub fn request_provisions(&self) {
        let mut requests: BTreeMap<u64, u32> = BTreeMap::new();
        for (qualifier, environments) in &self.provisions {
            if let Some(number) = self.provisioned_number(qualifier) {
                *requests.entry(number).or_default() += environments;
            }
        }
        for (number, version) in &self.versions {
            let requested = requests.get(number).copied();
            version.provisioning.request(requested.unwrap_or_default());
        }
    }

    fn provisioned_number(&self, qualifier: &Qualifier) -> Option<u64> {
        match qualifier {
            Qualifier::Latest => None,
            Qualifier::Version(number) => Some(*number),
            Qualifier::Alias(name) => self.aliases.get(name)?.version,
        }
    }

    fn provisioned_version(&self, qualifier: &Qualifier) -> Option<&Arc<Version>> {
        self.versions.get(&self.provisioned_number(qualifier)?)
    }
}

impl Alias {
    fn pick(&self, clock: &Clock) -> Option<u64> {
        let Some((version, share)) = self.additional else {
            return self.version;
        };
        let dice = f64::from(u32::from_le_bytes(clock.random())) / f64::from(u32::MAX);
        if dice < share {
            Some(version)
        } else {
            self.version
        }
    }
}
