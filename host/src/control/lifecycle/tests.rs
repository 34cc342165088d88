//! A change is completed, whatever the store does meanwhile.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::*;
use crate::config::{self, Runtimes};
use crate::control;
use crate::control::code_signing::profile::Profiles;
use crate::control::configuration::Configuration;
use crate::control::event_invoke::Choice;
use crate::control::event_source::mapping::CreateMapping;
use crate::control::event_source::source::SourceChoice;
use crate::control::vault::Vault;
use crate::invoke::Target;
use crate::invoke::snapshot::Snapshot;
use crate::invoke::snapshot::event_source::settings::Settings;
use crate::library::image::Registries;
use crate::library::{CodeRef, Library};
use crate::names::{Home, Qualifier};
use crate::sandbox::compile::Compiler;
use crate::sandbox::{self, Egress, Sandbox};
use crate::store::blob::Digest;
use crate::store::object::Objects;
use crate::store::sqlite::Sqlite;
use crate::store::{self, Key, Range, Record, Records, Revision, Write};

/// Records of a disk that is full for some commits.
#[derive(Debug)]
struct Fickle {
    records: Sqlite,
    failures: AtomicU32,
}

#[async_trait]
impl Records for Fickle {
    async fn get(&self, key: &Key) -> Result<Option<Record>, store::Error> {
        self.records.get(key).await
    }

    async fn list(
        &self,
        kind: &'static str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>, store::Error> {
        self.records.list(kind, prefix, after, limit).await
    }

    async fn read(&self, ranges: Vec<Range>) -> Result<Vec<Record>, store::Error> {
        self.records.read(ranges).await
    }

    async fn commit(&self, batch: Vec<Write>) -> Result<Revision, store::Error> {
        let left = self.failures.load(Ordering::Relaxed);
        if left > 0 {
            self.failures.store(left - 1, Ordering::Relaxed);
            let full = std::io::Error::other("the disk is full");
            return Err(store::Error::Failed(Box::new(full)));
        }
        self.records.commit(batch).await
    }
}

async fn control(dir: &Path, records: Arc<Fickle>) -> Control {
    let clock = Clock::system();
    let scratch_dir = dir.join("scratch");
    std::fs::create_dir_all(&scratch_dir).unwrap();
    let sandbox = sandbox::Config {
        environments_max: 1,
        memory_bytes: None,
        scratch_bytes: None,
        scratch_dir,
        egress: Egress::default(),
        egress_near: Vec::new(),
        egress_rules: Vec::new(),
        trust: crate::outbound::Trust::default(),
        file_systems: Vec::new(),
    };
    let sandbox = Sandbox::new(sandbox, clock.clone()).unwrap();
    let library = Library::open(
        dir,
        sandbox,
        Compiler::InProcess,
        Objects::none(),
        Registries::for_test(),
    )
    .unwrap();
    let settings = config::Config::default();
    let home = Home {
        account: settings.account_id,
        region: settings.region,
    };
    let config = control::Config {
        signing_profiles: Profiles::read(&[], &home).unwrap(),
        home,
        settle: Duration::ZERO,
        runtimes: Runtimes::Accept,
        concurrency: 1,
        environments: 1,
        burst: 1,
        code_bytes_max: u64::MAX,
    };
    let vault = Vault::open(dir, &records.records, &clock).await.unwrap();
    Control::open(config, records, library, vault, None, clock)
        .await
        .unwrap()
}

/// A function that was being made when the process ended.
fn pending(name: &FunctionName) -> FunctionRecord {
    let configuration = Configuration::new("role".into(), "index.handler".into(), "none".into());
    let code = CodeRef {
        package: Digest::of(b""),
        size_bytes: 0,
        component: None,
        image: None,
    };
    let latest = VersionRecord::new(configuration, code, &Clock::system());
    FunctionRecord::new(name.clone(), latest, BTreeMap::new())
}

#[tokio::test]
async fn change_that_the_store_failed_to_take_is_completed_later() {
    let dir = tempfile::tempdir().unwrap();
    let name = FunctionName::parse("f").unwrap();
    let records = Arc::new(Fickle {
        records: Sqlite::open(dir.path()).unwrap(),
        failures: AtomicU32::new(0),
    });
    let made = vec![function::record::put(&pending(&name), Expect::Absent)];
    records.commit(made).await.unwrap();
    records.failures.store(1, Ordering::Relaxed);
    let control = control(dir.path(), records).await;
    for _ in 0..500 {
        let (function, _) = control.existing(&name).await.unwrap();
        if !function.is_settling() {
            assert_eq!(function.latest.state, State::Active);
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it is in progress for ever");
}

#[tokio::test]
async fn event_invoke_settings_and_mappings_are_published_until_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let name = FunctionName::parse("f").unwrap();
    let records = Arc::new(Fickle {
        records: Sqlite::open(dir.path()).unwrap(),
        failures: AtomicU32::new(0),
    });
    let mut function = pending(&name);
    function.latest.state = State::Active;
    let made = vec![function::record::put(&function, Expect::Absent)];
    records.commit(made).await.unwrap();
    let control = control(dir.path(), records).await;
    let target = Target {
        name: name.clone(),
        qualifier: None,
    };
    let choice = Choice {
        retry_attempts_max: Some(1),
        ..Choice::default()
    };
    control
        .put_event_invoke(target.clone(), choice)
        .await
        .unwrap();
    let source = SourceChoice {
        arn: Some("arn:aws:sqs:us-east-1:000000000000:q".into()),
        ..SourceChoice::default()
    };
    let create = CreateMapping {
        target: target.clone(),
        source,
        settings: Settings::default(),
        enabled: true,
        tags: BTreeMap::new(),
    };
    let id = control
        .create_event_source_mapping(create)
        .await
        .unwrap()
        .id;
    let is_enabled = |snapshot: &Snapshot| Some(snapshot.mapping(&id)?.is_enabled);
    published(&control, |snapshot| is_enabled(snapshot) == Some(true)).await;
    // A start finds what the commits had published.
    control.publish_all().await.unwrap();
    let snapshot = control.live().snapshot();
    assert_eq!(is_enabled(&snapshot), Some(true));
    let settings = &snapshot.function(&name).unwrap().event_invokes;
    assert_eq!(settings[&Qualifier::Latest].retry_attempts_max, Some(1));
    control.delete_event_invoke(&target).await.unwrap();
    control.delete_event_source_mapping(&id).await.unwrap();
    published(&control, |snapshot| is_enabled(snapshot).is_none()).await;
    let snapshot = control.live().snapshot();
    assert!(snapshot.function(&name).unwrap().event_invokes.is_empty());
}

/// Waits until the snapshot is as it should be.
async fn published(control: &Control, is_so: impl Fn(&Snapshot) -> bool) {
    for _ in 0..500 {
        if is_so(&control.live().snapshot()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it is not published");
}
