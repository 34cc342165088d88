//! Snapshots share what did not change, and remember deleted function URLs.

use super::*;
use crate::units::Mib;

fn version(label: &str, deployment: &str) -> Arc<Version> {
    Arc::new(Version {
        facts: Arc::new(FunctionFacts {
            name: "f".into(),
            version: label.into(),
            memory: Mib::new(128),
            log_group: "/aws/lambda/f".into(),
        }),
        label: label.into(),
        deployment: deployment.into(),
        readiness: Readiness::Active,
        timeout: Duration::from_secs(3),
        settings: Settings {
            memory: Mib::new(128),
            tmp: Mib::new(512),
            logging: Format::Text,
            handler: "bootstrap".into(),
            runtime: "provided".into(),
            tenant_isolation: false,
            file_system: None,
        },
        code: Code {
            package: Digest::of(deployment.as_bytes()),
            component: None,
            image: None,
            architecture: Architecture::X86_64,
            layers: Vec::new(),
            environment: None,
        },
        dead_letter: None,
    })
}

pub(in crate::invoke) fn function(name: &FunctionName, url: Option<&str>) -> Function {
    let route = UrlRoute {
        target: Target {
            name: name.clone(),
            qualifier: None,
        },
        signed: false,
        streams: false,
        cors: None,
    };
    Function {
        arn: "arn".into(),
        lineage: trace::Key::of("arn"),
        role: "role".into(),
        latest: version("$LATEST", "d1"),
        versions: BTreeMap::from([(1, version("1", "d1/1"))]),
        aliases: BTreeMap::new(),
        tags: Arc::default(),
        reserved: None,
        stops_loops: true,
        provisions: BTreeMap::new(),
        policies: None,
        urls: url.map(|id| (id.into(), route)).into_iter().collect(),
        event_invokes: BTreeMap::new(),
    }
}

#[test]
fn version_that_did_not_change_is_shared() {
    let name = FunctionName::parse("f").unwrap();
    let mut snapshot = Snapshot::default();
    snapshot.replace(&name, Some(function(&name, None)));
    let before = Arc::clone(snapshot.function(&name).unwrap());
    let mut changed = function(&name, None);
    changed.latest = version("$LATEST", "d2");
    snapshot.replace(&name, Some(changed));
    let after = snapshot.function(&name).unwrap();
    assert!(Arc::ptr_eq(&before.versions[&1], &after.versions[&1]));
    assert!(!Arc::ptr_eq(&before.latest, &after.latest));
    assert!(snapshot.has(&after.latest) && !snapshot.has(&before.latest));
}

#[test]
fn sums_follow_functions_that_come_change_and_go() {
    let (f, g) = (
        FunctionName::parse("f").unwrap(),
        FunctionName::parse("g").unwrap(),
    );
    let mut snapshot = Snapshot::default();
    let with = |reserved, provisioned: u32| {
        let mut made = function(&f, None);
        made.reserved = reserved;
        made.provisions = [(Qualifier::Version(1), provisioned)].into();
        Some(made)
    };
    snapshot.replace(&f, with(Some(10), 4));
    snapshot.replace(&g, with(None, 3));
    assert_eq!(
        (snapshot.set_aside_total(), snapshot.reserved_total()),
        (13, 10)
    );
    snapshot.replace(&f, with(None, 4));
    assert_eq!(
        (snapshot.set_aside_total(), snapshot.reserved_total()),
        (7, 0)
    );
    snapshot.replace(&f, None);
    snapshot.replace(&g, None);
    assert_eq!(
        snapshot,
        Snapshot {
            former_urls: snapshot.former_urls.clone(),
            ..Snapshot::default()
        }
    );
}

#[test]
fn last_thousand_deleted_urls_are_remembered() {
    let name = FunctionName::parse("f").unwrap();
    let mut snapshot = Snapshot::default();
    let id = |number: usize| format!("id{number}");
    for number in 0..=1_000 {
        snapshot.replace(&name, Some(function(&name, Some(&id(number)))));
    }
    let last = id(1_000);
    assert!(snapshot.url(&last).is_some() && !snapshot.was_url(&last));
    assert!(snapshot.url("id0").is_none() && snapshot.was_url("id0"));
    snapshot.replace(&name, None);
    assert!(snapshot.url(&last).is_none() && snapshot.was_url(&last));
    assert!(!snapshot.was_url("id0") && snapshot.was_url("id1"));
    assert!(!snapshot.was_url("never"));
}
