//! Every function as the data plane sees it: plain data that the publisher makes from the store alone.
//! Immutable, read without waiting; a new snapshot shares with the old one all that did not change.
//! Live things (pools, permits, loaded programs) hang on [`Live`](super::live::Live), keyed by deployment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::target::Target;
use crate::names::{AliasName, FunctionName, Qualifier};
use crate::payload::trace;
use crate::policy::Attached;
use crate::sandbox::{Architecture, FileSystemMount, FunctionFacts, Process};
use crate::store::blob::Digest;
use crate::telemetry::log::Format;
use crate::units::Mib;
use destination::Destinations;
use event_source::Mapping;
pub use urls::{Cors, UrlRoute};

pub mod destination;
pub mod event_source;
#[cfg(test)]
pub(super) mod tests;
mod urls;

/// All functions of the host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Counts publications, so that of two snapshots the newer is known.
    revision: u64,
    functions: imbl::HashMap<FunctionName, Arc<Function>>,
    /// Function URLs by id: the function that each belongs to.
    urls: imbl::HashMap<Arc<str>, FunctionName>,
    /// Ids of deleted function URLs, the newest last.
    former_urls: imbl::Vector<Arc<str>>,
    /// Event source mappings by id.
    mappings: imbl::HashMap<Arc<str>, Arc<Mapping>>,
    /// Functions whose policies deny something.
    denying: imbl::HashSet<FunctionName>,
    /// Functions with provisioned concurrency.
    provisioned: imbl::HashSet<FunctionName>,
    /// Concurrency that no function without a reserve can have: reserves, and provisioned concurrency
    /// outside reserves.
    set_aside: u32,
    reserved: u32,
}

/// One function: its code under every qualifier, and who may reach it.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// Its ARN without qualifier.
    pub arn: Arc<str>,
    /// Its name in the lineage of traces.
    pub lineage: trace::Key,
    /// Role of the unpublished version, which records of Kinesis name.
    pub role: Arc<str>,
    /// The unpublished version, as invocations get it: until an update has settled, the one before.
    pub latest: Arc<Version>,
    /// The published versions.
    pub versions: BTreeMap<u64, Arc<Version>>,
    /// The aliases.
    pub aliases: BTreeMap<AliasName, Alias>,
    /// Its tags, for policies with conditions on them.
    pub tags: Arc<BTreeMap<String, String>>,
    /// Its reserved concurrency.
    pub reserved: Option<u32>,
    /// Recursive loops of it are stopped.
    pub stops_loops: bool,
    /// Provisioned concurrency, by version or alias.
    pub provisions: BTreeMap<Qualifier, u32>,
    /// Its resource policies, where it has any.
    pub policies: Option<Arc<Attached>>,
    /// Its function URLs, by id.
    pub urls: BTreeMap<Arc<str>, UrlRoute>,
    /// Settings of asynchronous invocation, by version or alias. They are AWS's defaults where there are none.
    pub event_invokes: BTreeMap<Qualifier, EventInvoke>,
}

/// Settings of the asynchronous invocation of a function, a version or an alias. `None` is AWS's default.
#[derive(Clone, Debug, PartialEq)]
pub struct EventInvoke {
    /// Attempts after the first one that fails.
    pub retry_attempts_max: Option<u32>,
    /// Age at which an event is given up.
    pub event_age_max: Option<Duration>,
    /// Destinations of the records of the invocations.
    pub destinations: Destinations,
}

/// The versions of an alias.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alias {
    /// Version number; `None` is `$LATEST`.
    pub version: Option<u64>,
    /// A second version, and the share of invocations it gets, from 0 to 1.
    pub additional: Option<(u64, f64)>,
}

/// Readiness of a version for invocations.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Readiness {
    /// Can be invoked.
    Active,
    /// Is being created.
    Pending,
    /// The creation failed.
    Failed,
    /// Was idle for so long that it must be made ready again.
    Inactive,
}

/// One immutable version of a function.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// Facts that its guests may know.
    pub facts: Arc<FunctionFacts>,
    /// A number or `$LATEST`.
    pub label: Arc<str>,
    /// Names its configuration, code and label. Environments are reused as long as it stays the same.
    pub deployment: Arc<str>,
    /// Readiness for invocations.
    pub readiness: Readiness,
    /// Time limit of one invocation.
    pub timeout: Duration,
    /// Settings of its environments.
    pub settings: Settings,
    /// Its code, by digests.
    pub code: Code,
    /// The ARN of the queue or topic for events that were given up.
    pub dead_letter: Option<Arc<str>>,
}

/// The code of a version, named by digests; a [`Loader`](super::live::Loader) makes a program of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Code {
    /// The deployment package.
    pub package: Digest,
    /// The component in it. None where the host does not have the runtime.
    pub component: Option<ComponentRef>,
    /// The image; `None` for a package.
    pub image: Option<Arc<ImageCode>>,
    /// The instruction set that was asked for.
    pub architecture: Architecture,
    /// The packages of its layers, in the order they are merged.
    pub layers: Vec<Digest>,
    /// The author's environment variables, sealed.
    pub environment: Option<Arc<str>>,
}

/// An image that was pulled.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageCode {
    /// The image is a file system, which guests see at `/`.
    pub is_file_system: bool,
    /// Arguments and directory of guests.
    pub process: Arc<Process>,
    /// Environment variables of its configuration.
    pub environment: Vec<(String, String)>,
}

/// A component in a package.
#[derive(Clone, Debug, PartialEq)]
pub struct ComponentRef {
    /// Its path in the package.
    pub path: Arc<str>,
    /// The digest of its bytes.
    pub digest: Digest,
}

/// Settings of a version's environments.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Bound on all linear memories of an environment together.
    pub memory: Mib,
    /// Size of the `/tmp` of an environment.
    pub tmp: Mib,
    /// Format of their logs.
    pub logging: Format,
    /// `Handler`, for `_HANDLER`.
    pub handler: String,
    /// `Runtime`, for `AWS_EXECUTION_ENV`.
    pub runtime: String,
    /// Tenants do not share environments.
    pub tenant_isolation: bool,
    /// Access point that environments mount.
    pub file_system: Option<Arc<FileSystemMount>>,
}

impl Snapshot {
    /// The function of this name.
    pub fn function(&self, name: &FunctionName) -> Option<&Arc<Function>> {
        self.functions.get(name)
    }

    /// Counts publications.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Marks this snapshot as a newer one than that which it was cloned from.
    pub fn advance(&mut self) {
        self.revision += 1;
    }

    /// Replaces the function of this name, or takes it out.
    pub fn replace(&mut self, name: &FunctionName, function: Option<Function>) {
        let old = self.functions.remove(name);
        self.set_aside -= old.as_ref().map_or(0, |it| it.set_aside());
        self.reserved -= old.as_ref().and_then(|it| it.reserved).unwrap_or_default();
        self.denying.remove(name);
        self.provisioned.remove(name);
        self.replace_urls(name, old.as_deref(), function.as_ref());
        let Some(mut function) = function else { return };
        if let Some(old) = old {
            function.share_with(&old);
        }
        self.set_aside += function.set_aside();
        self.reserved += function.reserved.unwrap_or_default();
        if function
            .policies
            .as_ref()
            .is_some_and(|it| it.has_denials())
        {
            self.denying.insert(name.clone());
        }
        if !function.provisions.is_empty() {
            self.provisioned.insert(name.clone());
        }
        self.functions.insert(name.clone(), Arc::new(function));
    }

    /// The policies of a function, where it has any.
    pub fn policies(&self, name: &FunctionName) -> Option<&Attached> {
        self.functions.get(name)?.policies.as_deref()
    }

    /// True if a policy of any function denies anything. Otherwise the owner of the account may do everything.
    pub fn has_denials(&self) -> bool {
        !self.denying.is_empty()
    }

    /// Sum of all reserved concurrency.
    pub fn reserved_total(&self) -> u32 {
        self.reserved
    }

    /// Concurrency that functions without a reserve cannot have on demand.
    pub(super) fn set_aside_total(&self) -> u32 {
        self.set_aside
    }

    /// True if the snapshot has this version.
    pub(super) fn has(&self, version: &Version) -> bool {
        let Ok(name) = FunctionName::parse(&version.facts.name) else {
            return false;
        };
        let same = |it: &Arc<Version>| it.deployment == version.deployment;
        self.function(&name)
            .is_some_and(|function| same(&function.latest) || function.versions.values().any(same))
    }

    /// Functions with provisioned concurrency.
    pub(super) fn provisioned(&self) -> impl Iterator<Item = &Arc<Function>> {
        let names = self.provisioned.iter();
        names.filter_map(|name| self.functions.get(name))
    }
}

impl Function {
    /// Keeps versions that did not change where they are in memory.
    fn share_with(&mut self, old: &Self) {
        let share = |new: &mut Arc<Version>, old: Option<&Arc<Version>>| {
            if let Some(old) = old.filter(|old| **old == *new) {
                *new = Arc::clone(old);
            }
        };
        share(&mut self.latest, Some(&old.latest));
        for (number, version) in &mut self.versions {
            share(version, old.versions.get(number));
        }
    }

    /// Provisioned environments of all its versions together.
    pub(super) fn provisioned_total(&self) -> u32 {
        // Read by every invocation: without the map that `provision_requests` makes.
        let led = self.provisions.iter();
        let led = led.filter(|(qualifier, _)| self.provisioned_version(qualifier).is_some());
        led.map(|(_, environments)| environments).sum()
    }

    /// Provisioned environments by the number of their version.
    pub fn provision_requests(&self) -> BTreeMap<u64, u32> {
        let mut requests: BTreeMap<u64, u32> = BTreeMap::new();
        for (qualifier, environments) in &self.provisions {
            if let Some(version) = self.provisioned_version(qualifier)
                && let Ok(number) = version.label.parse()
            {
                *requests.entry(number).or_default() += environments;
            }
        }
        requests
    }

    /// True if this qualifier can be invoked.
    pub(super) fn has(&self, qualifier: &Qualifier) -> bool {
        match qualifier {
            Qualifier::Latest => true,
            Qualifier::Version(number) => self.versions.contains_key(number),
            Qualifier::Alias(name) => self.aliases.contains_key(name),
        }
    }

    /// The version that provisioned concurrency under this qualifier is for.
    pub(super) fn provisioned_version(&self, qualifier: &Qualifier) -> Option<&Arc<Version>> {
        let number = match qualifier {
            Qualifier::Latest => None,
            Qualifier::Version(number) => Some(*number),
            Qualifier::Alias(name) => self.aliases.get(name)?.version,
        };
        self.versions.get(&number?)
    }

    /// Concurrency of the account that is exclusive to this function. A reserve includes
    /// provisioned concurrency.
    fn set_aside(&self) -> u32 {
        self.reserved.unwrap_or_else(|| self.provisioned_total())
    }
}
