//! From records to the snapshot that the data plane reads. Publishing reads the record anew and one
//! publication follows another, so the last word is always the newest record.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::configuration::{FunctionRecord, State};
use super::record::decode;
use super::{Control, Error, function, url};
use crate::invoke::snapshot::{Function, Readiness, Settings, Snapshot, Version};
use crate::names::FunctionName;
use crate::sandbox::FunctionFacts;
use crate::store::Record;

/// Records read at a time when all are read.
const PAGE: usize = 1_000;

impl Control {
    /// Makes the data plane see the function's newest record.
    pub(super) async fn publish(&self, name: &FunctionName) -> Result<(), Error> {
        let _turn = self
            .0
            .turns
            .acquire()
            .await
            .expect("the semaphore is never closed");
        let record = self.load(name).await?.map(|(record, _)| record);
        let urls = self.url_routes(name).await?;
        self.0.snapshot.send_modify(|current| {
            let mut next = Snapshot::clone(current);
            match &record {
                None => next.remove(name),
                // Until an update has settled, invocations go on with the code they had.
                Some(record) if record.is_settling() && has_active(&next, name) => {}
                Some(record) => next.insert(name.clone(), self.function_of(record)),
            }
            next.replace_urls(name, urls);
            *current = Arc::new(next);
        });
        Ok(())
    }

    /// Makes the data plane see a change that is about to be recorded as done.
    pub(super) async fn publish_settled(&self, record: &FunctionRecord) {
        let _turn = self
            .0
            .turns
            .acquire()
            .await
            .expect("the semaphore is never closed");
        let function = self.function_of(record);
        self.0.snapshot.send_modify(|current| {
            let mut next = Snapshot::clone(current);
            next.insert(record.name.clone(), function);
            *current = Arc::new(next);
        });
    }

    /// Makes the data plane see every record, and completes changes that were cut short.
    pub(super) async fn publish_all(&self) -> Result<(), Error> {
        let mut snapshot = Snapshot::default();
        let mut settling = Vec::new();
        self.each(function::KIND, |record| {
            let mut record: FunctionRecord = decode(record)?;
            if record.is_settling() {
                settling.push(record.name.clone());
                record.latest.state = State::Active;
            }
            snapshot.insert(record.name.clone(), self.function_of(&record));
            Ok(())
        })
        .await?;
        self.each(url::KIND, |record| {
            let (id, route) = url::route(record)?;
            snapshot.insert_url(id, route);
            Ok(())
        })
        .await?;
        let policies = self.all_policies().await?;
        for (name, policies) in policies {
            snapshot.set_policies(&name, policies);
        }
        self.0.snapshot.send_replace(Arc::new(snapshot));
        settling
            .into_iter()
            .for_each(|name| self.settle_later(name));
        Ok(())
    }

    /// Compiles what this engine has not compiled yet, one after another.
    ///
    /// # Errors
    /// Where the store cannot be read. A component that does not compile is told in the log; its
    /// function answers with the same when it is invoked.
    pub async fn recompile(&self) -> Result<(), Error> {
        let mut codes = Vec::new();
        self.each(function::KIND, |record| {
            let record: FunctionRecord = decode(record)?;
            codes.push((record.name, record.latest.code));
            Ok(())
        })
        .await?;
        for (name, code) in codes {
            if let Err(error) = self.0.library.refresh(&code).await {
                tracing::error!(%name, %error, "a function's code does not compile any more");
            }
        }
        Ok(())
    }

    /// Deletes packages and compiled components that no function uses.
    ///
    /// # Errors
    /// Where the store or the data directory cannot be read.
    pub async fn collect_garbage(&self) -> Result<usize, Error> {
        let failed = |error: std::io::Error| Error::Internal(error.to_string());
        let collection = self.0.library.begin_collection().map_err(failed)?;
        let mut used = HashSet::new();
        self.each(function::KIND, |record| {
            let record: FunctionRecord = decode(record)?;
            used.extend([record.latest.code.package, record.latest.code.component]);
            Ok(())
        })
        .await?;
        let finish = tokio::task::spawn_blocking(move || collection.finish(&used));
        let ended = |_| Error::Internal("the collection of unused packages ended early".into());
        finish.await.map_err(ended)?.map_err(failed)
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

    fn function_of(&self, record: &FunctionRecord) -> Function {
        Function {
            arn: self.home().function_arn(&record.name).into(),
            latest: Arc::new(self.version_of(record)),
            versions: BTreeMap::new(),
            aliases: BTreeMap::new(),
            tags: Arc::new(record.tags.clone()),
            reserved: None,
        }
    }

    fn version_of(&self, record: &FunctionRecord) -> Version {
        let configuration = &record.latest.configuration;
        let facts = FunctionFacts {
            name: record.name.as_str().to_owned(),
            version: "$LATEST".to_owned(),
            memory: configuration.memory,
            log_group: configuration.log_group(&record.name),
        };
        let settings = Settings {
            memory: configuration.memory,
            handler: configuration.handler.clone(),
            variables: configuration.environment.clone().unwrap_or_default(),
        };
        let readiness = match record.latest.state {
            State::Pending => Readiness::Pending,
            State::Active => Readiness::Active,
        };
        let timeout = Duration::from_secs(configuration.timeout_seconds.into());
        let source = self.0.library.source(&record.latest.code);
        Version::new(facts, readiness, timeout, settings, source)
    }
}

fn has_active(snapshot: &Snapshot, name: &FunctionName) -> bool {
    snapshot
        .function(name)
        .is_some_and(|found| found.latest.readiness == Readiness::Active)
}
