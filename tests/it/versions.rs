//! Versions and aliases: immutable versions, alias resolution, traffic splitting, reserved
//! concurrency.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::{Lamina, example, guest, zipped};

const FUNCTIONS: &str = "/2015-03-31/functions";

async fn update_code(host: &Lamina, name: &str, component: &[u8]) {
    let code = json!({"ZipFile": STANDARD.encode(zipped(component))});
    let path = format!("{FUNCTIONS}/{name}/code");
    assert_eq!(host.lambda("PUT", &path, &code).await.status, 200);
    host.settled(name).await;
}

pub async fn publish(host: &Lamina, name: &str) -> Value {
    let path = format!("{FUNCTIONS}/{name}/versions");
    let answer = host.lambda("POST", &path, &json!({})).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let version = answer.json();
    let at = format!(
        "{FUNCTIONS}/{name}/configuration?Qualifier={}",
        version["Version"].as_str().expect("a version")
    );
    for _ in 0..1_000 {
        if host.lambda("GET", &at, &Value::Null).await.json()["State"] == "Active" {
            return version;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("version {version} does not become active");
}

#[tokio::test]
async fn version_is_pending_until_compiled_or_snapshotted() {
    let host = Lamina::start();
    let snap_start = json!({"SnapStart": {"ApplyOn": "PublishedVersions"}});
    host.create("snap", &example("hello"), snap_start).await;
    assert_eq!(publish(&host, "snap").await["State"], "Pending");
    host.create("f", &example("hello"), json!({})).await;
    let code = json!({"ZipFile": STANDARD.encode(zipped(&guest("echo"))), "Publish": true});
    let path = format!("{FUNCTIONS}/f/code");
    let updated = host.lambda("PUT", &path, &code).await.json();
    assert_eq!(
        (&updated["Version"], &updated["State"]),
        (&json!("1"), &json!("Pending"))
    );
    host.settled("f").await;
    let path = format!("{FUNCTIONS}/f/configuration?Qualifier=1");
    let settled = host.lambda("GET", &path, &Value::Null).await.json();
    assert_eq!(settled["State"], "Active");
    assert_ne!(settled["RevisionId"], updated["RevisionId"]);
}

#[tokio::test]
async fn missing_version_error_names_it() {
    let host = Lamina::start();
    host.create("f", &example("hello"), json!({})).await;
    for (name, named) in [("f:3", "f:3"), ("g", "g:$LATEST")] {
        let missing = host.invoke(name, &json!({})).await;
        assert_eq!(missing.status, 404);
        assert!(missing.error().1.ends_with(&format!(":function:{named}")));
    }
    let path = format!("{FUNCTIONS}/f/invocations?Qualifier=");
    let invoke = async |qualifier| {
        let path = format!("{path}{qualifier}");
        host.lambda("POST", &path, &json!({})).await.error()
    };
    assert!(invoke("%24latest").await.1.ends_with(":function:f:$latest"));
    assert_eq!(invoke("a%21").await.0, "ValidationException");
}

#[tokio::test]
async fn published_version_is_immutable() {
    let host = Lamina::start();
    host.create("f", &example("hello"), json!({})).await;
    let first = publish(&host, "f").await;
    assert_eq!(
        (&first["Version"], &first["State"]),
        (&json!("1"), &json!("Active")),
        "the function was ready, and so is what is made of it"
    );
    let path = format!("{FUNCTIONS}/f/configuration?Qualifier=1");
    let read = host.lambda("GET", &path, &Value::Null).await.json();
    assert_eq!(read["RevisionId"], first["RevisionId"]);
    assert!(
        first["FunctionArn"]
            .as_str()
            .expect("an ARN")
            .ends_with(":f:1")
    );
    let again = publish(&host, "f").await;
    assert_eq!(again["Version"], "1", "nothing has changed");
    update_code(&host, "f", &guest("echo")).await;
    assert_eq!(publish(&host, "f").await["Version"], "2");
    let event = json!({"name": "x"});
    assert_eq!(host.invoke("f:1", &event).await.text(), "\"Hello, x!\"");
    assert_eq!(host.invoke("f:2", &event).await.json(), event);
    assert_eq!(
        host.invoke("f:2", &event)
            .await
            .header("x-amz-executed-version"),
        "2"
    );

    let listed = host
        .lambda("GET", &format!("{FUNCTIONS}/f/versions"), &Value::Null)
        .await
        .json();
    let versions: Vec<&str> = listed["Versions"]
        .as_array()
        .expect("versions")
        .iter()
        .filter_map(|it| it["Version"].as_str())
        .collect();
    assert_eq!(versions, ["$LATEST", "1", "2"]);
    let all = host
        .lambda(
            "GET",
            &format!("{FUNCTIONS}?FunctionVersion=ALL"),
            &Value::Null,
        )
        .await
        .json();
    assert_eq!(all["Functions"].as_array().map(Vec::len), Some(3));
    let deleted = format!("{FUNCTIONS}/f?Qualifier=2");
    assert_eq!(
        host.lambda("DELETE", &deleted, &Value::Null).await.status,
        204
    );
    assert_eq!(
        host.lambda("DELETE", &deleted, &Value::Null).await.status,
        204
    );
    assert_eq!(
        publish(&host, "f").await["Version"],
        "3",
        "numbers are not used again"
    );
    let host = Lamina::in_dir(host.kill(), "");
    assert_eq!(host.invoke("f:1", &event).await.text(), "\"Hello, x!\"");
}

#[tokio::test]
async fn version_pages_are_complete() {
    let host = Lamina::start();
    host.create("a", &guest("echo"), json!({"Publish": true}))
        .await;
    host.create("b", &guest("echo"), json!({})).await;
    for (path, list, expected) in [
        (format!("{FUNCTIONS}/a/versions?MaxItems=1"), "Versions", 2),
        (
            format!("{FUNCTIONS}?FunctionVersion=ALL&MaxItems=1"),
            "Functions",
            3,
        ),
    ] {
        let (mut seen, mut marker) = (Vec::new(), String::new());
        loop {
            let page = host
                .lambda("GET", &format!("{path}{marker}"), &Value::Null)
                .await
                .json();
            for item in page[list].as_array().expect("a list") {
                seen.push(item["FunctionArn"].as_str().expect("an ARN").to_owned());
            }
            match page["NextMarker"].as_str() {
                Some(next) => marker = format!("&Marker={}", next.replace('/', "%2F")),
                None => break,
            }
        }
        assert_eq!(seen.len(), expected, "{seen:?}");
    }
}

#[tokio::test]
async fn alias_splits_traffic_by_weight() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({"Publish": true}))
        .await;
    update_code(&host, "f", &example("hello")).await;
    publish(&host, "f").await;
    let path = format!("{FUNCTIONS}/f/aliases");
    let split = json!({
        "Name": "live", "FunctionVersion": "1",
        "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.1}},
    });
    let made = host.lambda("POST", &path, &split).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    assert_eq!(
        made["RoutingConfig"],
        json!({"AdditionalVersionWeights": {"2": 0.1}})
    );
    assert_eq!(made["Description"], "");
    let twice = host.lambda("POST", &path, &split).await;
    assert_eq!(twice.error().0, "ResourceConflictException");
    let mut counts: HashMap<String, u32> = HashMap::new();
    for _ in 0..1_000 {
        let answer = host.invoke("f:live", &json!({"name": "x"})).await;
        *counts
            .entry(answer.header("x-amz-executed-version").into())
            .or_default() += 1;
    }
    // 100 are expected; a result outside this range has a probability below 1e-12.
    assert!((40..180).contains(&counts["2"]), "{counts:?}");
    let used = host
        .lambda(
            "DELETE",
            &format!("{FUNCTIONS}/f?Qualifier=2"),
            &Value::Null,
        )
        .await;
    assert_eq!(used.error().0, "ResourceConflictException");
    let one = json!({"RoutingConfig": {}, "RevisionId": made["RevisionId"]});
    let changed = host.lambda("PUT", &format!("{path}/live"), &one).await;
    assert_eq!(changed.status, 200);
    assert!(changed.json().get("RoutingConfig").is_none());
    let stale = host.lambda("PUT", &format!("{path}/live"), &one).await;
    assert_eq!(stale.status, 412);
    let gone = host
        .lambda("GET", &format!("{path}/none"), &Value::Null)
        .await;
    assert!(gone.error().1.starts_with("Cannot find alias arn: "));
    for _ in 0..2 {
        let deleted = host
            .lambda("DELETE", &format!("{path}/live"), &Value::Null)
            .await;
        assert_eq!(deleted.status, 204);
    }
}

#[tokio::test]
async fn tenants_get_separate_environments() {
    let host = Lamina::start();
    let isolation = json!({"TenancyConfig": {"TenantIsolationMode": "PER_TENANT"}});
    host.create("f", &example("counter"), isolation).await;
    let path = format!("{FUNCTIONS}/f/invocations");
    let count = async |tenant: &str| {
        let headers = [("x-amz-tenant-id", tenant)];
        host.send("POST", &path, &headers, "{}").await.json()
    };
    let first = count("a").await;
    assert_eq!(count("b").await, first, "another environment");
    assert_ne!(count("a").await, first, "the same environment again");
    let none = host.send("POST", &path, &[], "{}").await;
    assert_eq!(none.error().0, "InvalidParameterValueException");
}
