//! Durability: `kill -9` at any moment loses no acknowledged change.

use serde_json::{Value, json};

use crate::harness::{self, Lamina, guest, zipped};

#[tokio::test]
async fn acknowledged_change_survives_kill() {
    let mut host = Lamina::start();
    let package = zipped(&guest("echo"));
    let mut acknowledged = Vec::new();
    for round in 0..6 {
        let name = format!("f{round}");
        // Killed while Pending, right after the acknowledgement.
        assert_eq!(
            host.try_create(&name, &package, json!({})).await.status,
            201
        );
        acknowledged.push(name);
        host = Lamina::in_dir(host.kill(), "");
        for name in &acknowledged {
            host.settled(name).await;
            assert_eq!(
                host.invoke(name, &json!(round)).await.json(),
                json!(round),
                "{name}"
            );
        }
    }
    for name in &acknowledged {
        let path = format!("/2015-03-31/functions/{name}");
        assert_eq!(host.lambda("DELETE", &path, &Value::Null).await.status, 204);
    }
    host = Lamina::in_dir(host.kill(), "");
    let left = host
        .lambda("GET", "/2015-03-31/functions", &Value::Null)
        .await
        .json();
    assert_eq!(left["Functions"], json!([]));
}

#[tokio::test]
async fn kill_during_upload_leaves_no_partial_package() {
    let host = std::sync::Arc::new(Lamina::start());
    let package = zipped(&guest("hostile"));
    let upload = tokio::spawn({
        let (host, package) = (host.clone(), package.clone());
        async move {
            let sent = host.try_create("f", &package, json!({}));
            tokio::time::timeout(std::time::Duration::from_millis(40), sent)
                .await
                .is_ok()
        }
    });
    let _ = upload.await;
    let host = std::sync::Arc::into_inner(host).expect("the upload has ended");
    let host = Lamina::in_dir(host.kill(), "");
    let found = host
        .lambda("GET", "/2015-03-31/functions/f", &Value::Null)
        .await
        .status;
    if found == 200 {
        host.settled("f").await;
    } else {
        assert_eq!(found, 404);
        host.create("f", &guest("hostile"), json!({})).await;
    }
    assert_eq!(host.invoke("f", &json!({"do": "echo"})).await.status, 200);
}

#[tokio::test]
async fn unused_package_is_collected() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    let count = |host: &Lamina| {
        ["packages", "trees", "artifacts"].map(|name| {
            let dir = host.dir.path().join("data").join(name);
            std::fs::read_dir(dir).map_or(0, Iterator::count)
        })
    };
    assert_eq!(count(&host), [1, 1, 1]);
    host.lambda("DELETE", "/2015-03-31/functions/f", &Value::Null)
        .await;
    // Collection runs at start and every hour.
    let host = Lamina::in_dir(host.kill(), "");
    for _ in 0..500 {
        if count(&host) == [0, 0, 0] {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{:?} are left", count(&host));
}

#[tokio::test]
async fn artifact_of_other_engine_is_recompiled() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    let dir = host.kill();
    let artifacts = dir.path().join("data/artifacts");
    // Renamed to another engine's hash, as after an engine upgrade.
    for artifact in std::fs::read_dir(&artifacts)
        .expect("artifacts")
        .filter_map(Result::ok)
    {
        let name = artifact.file_name().to_string_lossy().into_owned();
        let component = name.split('-').next().unwrap_or_default();
        let old = artifacts.join(format!("{component}-0000000000000000.cwasm"));
        std::fs::rename(artifact.path(), old).expect("renamed");
    }
    let host = Lamina::in_dir(dir, "");
    for _ in 0..1_000 {
        if std::fs::read_dir(&artifacts).map_or(0, Iterator::count) == 2 {
            assert_eq!(host.invoke("f", &json!(1)).await.json(), json!(1));
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("it was not compiled again");
}

#[tokio::test]
async fn replaced_program_does_not_affect_running_host() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let program = dir.path().join("lamina");
    std::fs::copy(harness::program(), &program).expect("it is copied");
    let host = Lamina::run_by(&program);
    // Replaced by rename, as package managers do.
    let next = dir.path().join("next");
    std::fs::write(&next, "not the program any more").expect("it is written");
    std::fs::rename(&next, &program).expect("it is replaced");
    host.create("f", &guest("echo"), json!({})).await;
    assert_eq!(host.invoke("f", &json!(1)).await.json(), json!(1));
}

#[tokio::test]
async fn partial_artifact_of_killed_host_is_deleted() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    let dir = host.kill();
    let artifacts = dir.path().join("data/artifacts");
    let files = || -> Vec<_> {
        let entries = std::fs::read_dir(&artifacts).expect("it is there");
        entries.flatten().map(|it| it.file_name()).collect()
    };
    let whole = files();
    assert_eq!(whole.len(), 1);
    let name = whole[0].to_str().expect("a plain name");
    for half in [".unfinished-1-0", &name.replace(".cwasm", ".tmp-7")] {
        std::fs::write(artifacts.join(half), "half").expect("it is written");
    }
    let host = Lamina::in_dir(dir, "");
    assert_eq!(host.invoke("f", &json!(1)).await.json(), json!(1));
    let left = std::fs::read_dir(host.dir.path().join("data/artifacts"));
    let left: Vec<_> = left.expect("it is there").flatten().collect();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].file_name(), whole[0]);
}
