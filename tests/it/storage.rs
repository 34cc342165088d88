//! `/tmp` of a guest: size limit, and reuse after the guest ends while its environment lives on.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Lamina, guest};

const MIB: u64 = 1 << 20;

async fn host(timeout: u64) -> Lamina {
    let host = Lamina::start();
    host.create("f", &guest("hostile"), json!({"Timeout": timeout}))
        .await;
    host
}

/// Response of the function, or its error type.
async fn ask(host: &Lamina, event: Value) -> Value {
    let answer = host.invoke("f", &event).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    match answer.header("x-amz-function-error") {
        "" => answer.json(),
        _ => answer.json()["errorType"].clone(),
    }
}

/// Disk usage of the host's environments in bytes.
fn on_disk(host: &Lamina) -> u64 {
    fn visit(dir: &Path) -> u64 {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries
            .map(|entry| {
                let path = entry.path();
                let blocks = std::fs::symlink_metadata(&path).map_or(0, |it| it.blocks());
                blocks * 512 + if path.is_dir() { visit(&path) } else { 0 }
            })
            .sum()
    }
    visit(&host.dir.path().join("data/scratch"))
}

#[tokio::test]
async fn guest_cannot_fill_host_disk() {
    let host = host(30).await;
    let hole = json!({"do": "sparse", "path": "/tmp/hole", "bytes": 500 * MIB});
    assert_eq!(ask(&host, hole.clone()).await, Value::Null);
    let more = json!({"do": "sparse", "path": "/tmp/more", "bytes": 12 * MIB + 1});
    assert_eq!(ask(&host, more).await, "StorageFull");
    let fill = json!({"do": "fill", "path": "/tmp/more"});
    let full = json!({"bytes": 12 * MIB, "error": "StorageFull"});
    assert_eq!(ask(&host, fill.clone()).await, full);
    assert!(on_disk(&host) < 14 * MIB, "{}", on_disk(&host));
    let echo = json!({"do": "echo"});
    assert_eq!(ask(&host, echo.clone()).await, echo);
    // Removed files free their space, once the last link is gone.
    let link = json!({"do": "link", "from": "/tmp/more", "to": "/tmp/same"});
    assert_eq!(ask(&host, link).await, Value::Null);
    assert_eq!(
        ask(&host, json!({"do": "remove", "path": "/tmp/more"})).await,
        Value::Null
    );
    let nothing = json!({"bytes": 0, "error": "StorageFull"});
    assert_eq!(ask(&host, fill.clone()).await, nothing);
    assert_eq!(
        ask(&host, json!({"do": "remove", "path": "/tmp/same"})).await,
        Value::Null
    );
    assert_eq!(ask(&host, fill).await, full);
    assert_eq!(
        ask(&host, json!({"do": "remove", "path": "/tmp/hole"})).await,
        Value::Null
    );
    assert_eq!(ask(&host, hole).await, Value::Null);
}

#[tokio::test]
async fn tmp_has_configured_size() {
    let host = Lamina::start();
    let more = json!({"EphemeralStorage": {"Size": 1024}});
    host.create("f", &guest("hostile"), more).await;
    let file = |mib: u64| json!({"do": "sparse", "path": "/tmp/f", "bytes": mib * MIB});
    assert_eq!(ask(&host, file(1_024)).await, Value::Null);
    assert_eq!(ask(&host, file(1_025)).await, "StorageFull");
}

#[tokio::test]
async fn tmp_has_65536_names() {
    let host = host(60).await;
    let names = json!({"do": "names", "dir": "/tmp"});
    let all = json!({"made": 65_536, "error": "StorageFull"});
    assert_eq!(ask(&host, names).await, all);
    let link = json!({"do": "link", "from": "/tmp/0", "to": "/tmp/x"});
    assert_eq!(ask(&host, link).await, "StorageFull");
    let write = json!({"do": "write", "path": "/tmp/x", "bytes": 3});
    assert_eq!(ask(&host, write.clone()).await, "StorageFull");
    let remove = json!({"do": "remove", "path": "/tmp/0"});
    assert_eq!(ask(&host, remove).await, Value::Null);
    assert_eq!(ask(&host, write).await, 3);
    let echo = json!({"do": "echo"});
    assert_eq!(ask(&host, echo.clone()).await, echo);
}

#[tokio::test]
async fn unlinked_open_file_counts_until_environment_ends() {
    let host = host(30).await;
    let orphan = json!({"do": "orphan", "path": "/tmp/gone", "bytes": 100 * MIB});
    assert_eq!(ask(&host, orphan).await, 100 * MIB);
    let large = json!({"do": "sparse", "path": "/tmp/large", "bytes": 450 * MIB});
    assert_eq!(ask(&host, large.clone()).await, "StorageFull");
    assert_eq!(ask(&host, json!({"do": "trap"})).await, "Runtime.ExitError");
    assert_eq!(ask(&host, large).await, Value::Null);
}

#[tokio::test]
async fn tmp_survives_guest_restart() {
    let host = host(1).await;
    let stream =
        async || ask(&host, json!({"do": "env"})).await["AWS_LAMBDA_LOG_STREAM_NAME"].clone();
    let before = stream().await;
    for end in [
        json!({"do": "loop"}),
        json!({"do": "trap"}),
        json!({"do": "allocate"}),
    ] {
        assert_eq!(ask(&host, json!({"do": "count"})).await, 1);
        assert_eq!(ask(&host, json!({"do": "count"})).await, 2);
        let path = format!("/tmp/{}", end["do"].as_str().unwrap_or_default());
        let write = json!({"do": "write", "path": path, "bytes": 3});
        assert_eq!(ask(&host, write).await, 3);
        assert!(ask(&host, end).await.is_string());
        assert_eq!(ask(&host, json!({"do": "read", "path": path})).await, "xxx");
    }
    assert_eq!(
        ask(&host, json!({"do": "count"})).await,
        1,
        "memory begins anew"
    );
    assert_eq!(stream().await, before, "it is the same environment");
    let listed = ask(&host, json!({"do": "list", "path": "/tmp"})).await;
    assert_eq!(listed, json!(["allocate", "loop", "trap"]));
}

#[tokio::test]
async fn tmp_is_not_shared_between_tenants() {
    let host = Lamina::start();
    let more = json!({"Timeout": 1, "TenancyConfig": {"TenantIsolationMode": "PER_TENANT"}});
    host.create("f", &guest("hostile"), more).await;
    let ask = async |tenant: &str, event: Value| {
        let path = "/2015-03-31/functions/f/invocations";
        let headers = [("x-amz-tenant-id", tenant)];
        host.send("POST", path, &headers, event.to_string())
            .await
            .json()
    };
    let list = json!({"do": "list", "path": "/tmp"});
    ask(
        "one",
        json!({"do": "write", "path": "/tmp/mine", "bytes": 3}),
    )
    .await;
    ask("one", json!({"do": "loop"})).await;
    assert_eq!(ask("two", list.clone()).await, json!([]));
    assert_eq!(ask("one", list).await, json!(["mine"]));
}
