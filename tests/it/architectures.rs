//! Architectures: functions are compiled for their own, and run on this machine whatever it is.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::{Lamina, example, guest, zipped};

const FUNCTIONS: &str = "/2015-03-31/functions";
const X86_64: u16 = 62;
const AARCH64: u16 = 183;

/// Number of compiled artifacts by ELF machine type.
fn compiled(host: &Lamina) -> BTreeMap<u16, usize> {
    let dir = host.dir.path().join("data/artifacts");
    let mut machines = BTreeMap::new();
    for entry in std::fs::read_dir(dir).expect("it is there").flatten() {
        let code = std::fs::read(entry.path()).expect("it can be read");
        assert!(code.starts_with(b"\x7fELF"), "{}", entry.path().display());
        let machine = u16::from_le_bytes([code[18], code[19]]);
        *machines.entry(machine).or_default() += 1;
    }
    machines
}

/// ELF machine of this host, the other one, and AWS's name of the latter.
fn kinds() -> (u16, u16, &'static str) {
    if cfg!(target_arch = "x86_64") {
        (X86_64, AARCH64, "arm64")
    } else {
        (AARCH64, X86_64, "x86_64")
    }
}

fn own_name() -> &'static str {
    if kinds().2 == "arm64" {
        "x86_64"
    } else {
        "arm64"
    }
}

async fn shown(host: &Lamina, name: &str) -> Value {
    let path = format!("{FUNCTIONS}/{name}/configuration");
    let shown = host.lambda("GET", &path, &Value::Null).await.json();
    shown["Architectures"].clone()
}

#[tokio::test]
async fn function_of_other_architecture_runs_here() {
    let host = Lamina::start();
    let (own, other, asked) = kinds();
    host.create("f", &example("hello"), json!({"Architectures": [asked]}))
        .await;
    assert_eq!(compiled(&host), BTreeMap::from([(own, 1), (other, 1)]));
    assert_eq!(shown(&host, "f").await, json!([asked]));
    let answer = host.invoke("f", &json!({"name": "you"})).await;
    assert_eq!(answer.text(), "\"Hello, you!\"");
    // A function of this machine's architecture has one artifact.
    let more = json!({"Architectures": [own_name()]});
    host.create("g", &guest("echo"), more).await;
    assert_eq!(compiled(&host), BTreeMap::from([(own, 2), (other, 1)]));
}

#[tokio::test]
async fn code_update_changes_architecture() {
    let host = Lamina::start();
    let (own, other, asked) = kinds();
    let component = guest("echo");
    host.create("f", &component, json!({"Architectures": [own_name()]}))
        .await;
    assert_eq!(compiled(&host), BTreeMap::from([(own, 1)]));
    let zip = STANDARD.encode(zipped(&component));
    let update = async |architecture: Option<&str>, dry_run: bool| {
        let mut code = json!({"ZipFile": zip, "DryRun": dry_run});
        if let Some(architecture) = architecture {
            code["Architectures"] = json!([architecture]);
        }
        let path = format!("{FUNCTIONS}/f/code");
        let updated = host.lambda("PUT", &path, &code).await;
        assert_eq!(updated.status, 200, "{}", updated.text());
        if !dry_run {
            host.settled("f").await;
        }
        updated.json()["Architectures"].clone()
    };
    assert_eq!(update(Some(asked), true).await, json!([asked]));
    assert_eq!(shown(&host, "f").await, json!([own_name()]));
    assert_eq!(update(Some(asked), false).await, json!([asked]));
    assert_eq!(compiled(&host), BTreeMap::from([(own, 1), (other, 1)]));
    assert_eq!(host.invoke("f", &json!({"a": 1})).await.status, 200);
    // Without `Architectures`, the update keeps them.
    assert_eq!(update(None, false).await, json!([asked]));
    assert_eq!(update(Some(own_name()), false).await, json!([own_name()]));
    assert_eq!(host.invoke("f", &json!({"a": 1})).await.status, 200);

    // The next host on this directory collects unused artifacts.
    let host = Lamina::in_dir(host.kill(), "");
    for _ in 0..500 {
        if compiled(&host) == BTreeMap::from([(own, 1)]) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{:?}", compiled(&host));
}
