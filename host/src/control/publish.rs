//! From records to the snapshot that the data plane reads. Publishing reads the record anew and one
//! publication follows another, so the last word is always the newest record.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::SemaphorePermit;

use super::alias::AliasRecord;
use super::concurrency::ProvisionedRecord;
use super::configuration::{FunctionRecord, State, VersionRecord};
use super::record::decode;
use super::{Control, Error, alias, concurrency, function, url, version};
use crate::invoke::snapshot::{Function, Readiness, Settings, Snapshot, Version};
use crate::names::FunctionName;
use crate::sandbox::FunctionFacts;
use crate::store::Record;

/// Records read at a time when all are read.
const PAGE: usize = 1_000;

/// What a function is made of, as it was read.
struct Parts {
    record: FunctionRecord,
    versions: Vec<VersionRecord>,
    aliases: Vec<AliasRecord>,
    provisions: Vec<ProvisionedRecord>,
}

impl Control {
    /// Makes the data plane see the function's newest record.
    pub(super) async fn publish(&self, name: &FunctionName) -> Result<(), Error> {
        let _turn = self.turn().await;
        let parts = match self.load(name).await? {
            Some((record, _)) => Some(self.parts(record).await?),
            None => None,
        };
        let urls = self.url_routes(name).await?;
        self.0.snapshot.send_modify(|current| {
            let mut next = Snapshot::clone(current);
            let old = next.function(name).cloned();
            match &parts {
                None => next.remove(name),
                Some(parts) => next.insert(name.clone(), self.function_of(parts, old.as_deref())),
            }
            next.replace_urls(name, urls);
            *current = Arc::new(next);
        });
        Ok(())
    }

    /// Makes the data plane see a change that is about to be recorded as done: of the function, and of
    /// versions of it.
    pub(super) async fn publish_settled(
        &self,
        record: &FunctionRecord,
        settled: &[VersionRecord],
    ) -> Result<(), Error> {
        let _turn = self.turn().await;
        let mut parts = self.parts(record.clone()).await?;
        for version in &mut parts.versions {
            if let Some(settled) = settled.iter().find(|it| it.number == version.number) {
                version.clone_from(settled);
            }
        }
        self.0.snapshot.send_modify(|current| {
            let mut next = Snapshot::clone(current);
            let old = next.function(&record.name).cloned();
            let function = self.function_of(&parts, old.as_deref());
            next.insert(record.name.clone(), function);
            *current = Arc::new(next);
        });
        Ok(())
    }

    async fn turn(&self) -> SemaphorePermit<'_> {
        let turn = self.0.turns.acquire().await;
        turn.expect("the semaphore is never closed")
    }

    async fn parts(&self, record: FunctionRecord) -> Result<Parts, Error> {
        let below = format!("{}/", record.name);
        Ok(Parts {
            versions: self.children(version::KIND, &below).await?,
            aliases: self.children(alias::KIND, &below).await?,
            provisions: self.children(concurrency::KIND, &below).await?,
            record,
        })
    }

    /// Makes the data plane see every record, and completes changes that were cut short.
    pub(super) async fn publish_all(&self) -> Result<(), Error> {
        let mut snapshot = Snapshot::default();
        let mut settling = Vec::new();
        let mut functions = BTreeMap::new();
        self.each(function::KIND, |record| {
            let mut record: FunctionRecord = decode(record)?;
            if record.is_settling() {
                settling.push(record.name.clone());
                record.latest.state = State::Active;
                record.latest.last_update = None;
            }
            let function = self.function_of(&Parts::of(record.clone()), None);
            functions.insert(record.name, function);
            Ok(())
        })
        .await?;
        self.each_below(version::KIND, &mut functions, |function, record| {
            let version: VersionRecord = decode(record)?;
            let number = version.number.unwrap_or_default();
            let name = FunctionName::parse(&function.latest.facts.name);
            let name = name.expect("it was the name of a record");
            function
                .versions
                .insert(number, Arc::new(self.version_of(&name, &version)));
            Ok(())
        })
        .await?;
        self.each_below(alias::KIND, &mut functions, |function, record| {
            let alias: AliasRecord = decode(record)?;
            function.aliases.insert(alias.name.clone(), alias.route());
            Ok(())
        })
        .await?;
        self.each_below(concurrency::KIND, &mut functions, |function, record| {
            let provisioned: ProvisionedRecord = decode(record)?;
            function
                .provisions
                .insert(provisioned.qualifier, provisioned.requested);
            Ok(())
        })
        .await?;
        for (name, function) in functions {
            function.request_provisions();
            snapshot.insert(name, function);
        }
        self.each(url::KIND, |record| {
            let (id, route) = url::route(record)?;
            snapshot.insert_url(id, route);
            Ok(())
        })
        .await?;
        for (name, policies) in self.all_policies().await? {
            snapshot.set_policies(&name, policies);
        }
        self.0.snapshot.send_replace(Arc::new(snapshot));
        settling
            .into_iter()
            .for_each(|name| self.settle_later(name));
        Ok(())
    }

    /// Visits records that belong to functions, each with its function.
    async fn each_below(
        &self,
        kind: &'static str,
        functions: &mut BTreeMap<FunctionName, Function>,
        mut visit: impl FnMut(&mut Function, &Record) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.each(kind, |record| {
            let name = record.key.id.split('/').next().unwrap_or_default();
            functions
                .get_mut(name)
                .map_or(Ok(()), |function| visit(function, record))
        })
        .await
    }

    /// Visits all records of a kind.
    pub(super) async fn each(
        &self,
        kind: &'static str,
        mut visit: impl FnMut(&Record) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut after: Option<String> = None;
        loop {
            let page = self
                .0
                .records
                .list(kind, "", after.as_deref(), PAGE)
                .await?;
            page.iter().try_for_each(&mut visit)?;
            match page.into_iter().last() {
                Some(last) => after = Some(last.key.id),
                None => return Ok(()),
            }
        }
    }

    /// A function for the data plane. What has not changed is taken over from `old`, with its warm
    /// environments; until an update has settled, invocations go on with the code they had.
    fn function_of(&self, parts: &Parts, old: Option<&Function>) -> Function {
        let Parts {
            record,
            versions,
            aliases,
            provisions,
        } = parts;
        let latest = match old.map(|old| &old.latest) {
            Some(old) if record.latest.is_settling() && old.readiness == Readiness::Active => {
                Arc::clone(old)
            }
            old => self.kept_or_new(&record.name, &record.latest, old),
        };
        let versions = versions.iter().filter_map(|version| {
            let number = version.number?;
            let old = old.and_then(|old| old.versions.get(&number));
            Some((number, self.kept_or_new(&record.name, version, old)))
        });
        let aliases = aliases
            .iter()
            .map(|alias| (alias.name.clone(), alias.route()));
        let provisions = provisions
            .iter()
            .map(|it| (it.qualifier.clone(), it.requested));
        let function = Function {
            arn: self.home().function_arn(&record.name).into(),
            latest,
            versions: versions.collect(),
            aliases: aliases.collect(),
            tags: Arc::new(record.tags.clone()),
            reserved: record.reserved,
            provisions: provisions.collect(),
            gates: old
                .and_then(|old| old.gates.clone())
                .or_else(|| record.reserved.map(|_| Arc::default())),
        };
        function.request_provisions();
        function
    }

    fn kept_or_new(
        &self,
        name: &FunctionName,
        version: &VersionRecord,
        old: Option<&Arc<Version>>,
    ) -> Arc<Version> {
        let same = |old: &&Arc<Version>| {
            *old.deployment == *version.deployment.as_str()
                && old.readiness == readiness(version.state)
        };
        match old.filter(same) {
            Some(old) => Arc::clone(old),
            None => Arc::new(self.version_of(name, version)),
        }
    }

    fn version_of(&self, name: &FunctionName, version: &VersionRecord) -> Version {
        let configuration = &version.configuration;
        let facts = FunctionFacts {
            name: name.as_str().to_owned(),
            version: version.qualifier().to_string(),
            memory: configuration.memory,
            log_group: configuration.log_group(name),
        };
        let settings = Settings {
            memory: configuration.memory,
            tmp: configuration.ephemeral,
            logging: configuration.logging.format(),
            handler: configuration.handler.clone(),
            runtime: configuration.runtime.clone(),
            tenant_isolation: configuration.tenant_isolation,
        };
        let timeout = Duration::from_secs(configuration.timeout_seconds.into());
        Version::new(
            facts,
            version.deployment.as_str().into(),
            readiness(version.state),
            timeout,
            settings,
            self.source(version),
        )
    }
}

impl Parts {
    /// A function without versions and aliases.
    fn of(record: FunctionRecord) -> Self {
        Self {
            record,
            versions: Vec::new(),
            aliases: Vec::new(),
            provisions: Vec::new(),
        }
    }
}

fn readiness(state: State) -> Readiness {
    match state {
        State::Pending => Readiness::Pending,
        State::Active => Readiness::Active,
    }
}
