//! Versions and aliases: what is published stays, aliases lead to it, traffic is split, and concurrency
//! is set aside.

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

async fn publish(host: &Lamina, name: &str) -> Value {
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
async fn a_version_is_pending_while_something_is_made_for_it() {
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
async fn what_is_invoked_and_not_there_is_named_with_its_version() {
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
async fn what_is_published_stays_as_it_was() {
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
async fn pages_of_versions_leave_nothing_out() {
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
async fn an_alias_splits_traffic_by_weight() {
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
    // 100 are expected; so far off, one run in a million million would be.
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
async fn a_reserve_is_kept_and_never_exceeded() {
    let host = std::sync::Arc::new(Lamina::start());
    host.create("f", &guest("hostile"), json!({})).await;
    let path = "/2017-10-31/functions/f/concurrency";
    let too_many = host
        .lambda("PUT", path, &json!({"ReservedConcurrentExecutions": 901}))
        .await;
    assert!(too_many.error().1.ends_with("minimum value of [100]."));
    let set = host
        .lambda("PUT", path, &json!({"ReservedConcurrentExecutions": 2}))
        .await;
    assert_eq!(set.json(), json!({"ReservedConcurrentExecutions": 2}));
    let calls = (0..6).map(|_| {
        let host = host.clone();
        tokio::spawn(async move { host.invoke("f", &json!({"do": "sleep", "ms": 700})).await })
    });
    let mut ran = 0;
    for call in calls.collect::<Vec<_>>() {
        let answer = call.await.expect("it ends");
        if answer.status == 200 {
            ran += 1;
        } else {
            let reason = "ReservedFunctionConcurrentInvocationLimitExceeded";
            assert_eq!(answer.json()["Reason"], reason);
        }
    }
    assert_eq!(ran, 2);
    let settings = host
        .lambda("GET", "/2016-08-19/account-settings", &Value::Null)
        .await
        .json();
    assert_eq!(
        settings["AccountLimit"]["UnreservedConcurrentExecutions"],
        998
    );
    assert_eq!(settings["AccountUsage"]["FunctionCount"], 1);
    assert_eq!(host.lambda("DELETE", path, &Value::Null).await.status, 204);
    let read = "/2019-09-30/functions/f/concurrency";
    assert_eq!(
        host.lambda("GET", read, &Value::Null).await.json(),
        json!({})
    );
}

#[tokio::test]
async fn provisioned_environments_are_ready_before_they_are_needed() {
    let host = Lamina::start();
    host.create(
        "f",
        &guest("hostile"),
        json!({"Publish": true, "Timeout": 1}),
    )
    .await;
    let path = "/2019-09-30/functions/f/provisioned-concurrency?Qualifier=1";
    let asked = json!({"ProvisionedConcurrentExecutions": 2});
    let put = host.lambda("PUT", path, &asked).await;
    assert_eq!(
        (put.status.as_u16(), &put.json()["Status"]),
        (202, &json!("IN_PROGRESS"))
    );
    let ready = async || {
        for _ in 0..1_000 {
            let shown = host.lambda("GET", path, &Value::Null).await.json();
            if shown["Status"] == "READY" {
                assert_eq!(shown["AvailableProvisionedConcurrentExecutions"], 2);
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("it does not become ready");
    };
    ready().await;
    let answer = host.invoke("f:1", &json!({"do": "echo"})).await;
    assert!(!crate::harness::log_of(&answer).contains("Init Duration"));
    // One that is lost is made again.
    host.invoke("f:1", &json!({"do": "loop"})).await;
    ready().await;
    let latest = "/2019-09-30/functions/f/provisioned-concurrency?Qualifier=%24LATEST";
    assert_eq!(host.lambda("PUT", latest, &asked).await.status, 400);
    let kind = json!({"do": "variable", "name": "AWS_LAMBDA_INITIALIZATION_TYPE"});
    let made_for = async || host.invoke("f:1", &kind).await.json();
    assert_eq!(made_for().await, "provisioned-concurrency");
    assert_eq!(host.lambda("DELETE", path, &Value::Null).await.status, 204);
    assert_eq!(made_for().await, "on-demand", "they went with their reason");
    let gone = host.lambda("GET", path, &Value::Null).await;
    assert_eq!(
        gone.error().0,
        "ProvisionedConcurrencyConfigNotFoundException"
    );
}

#[tokio::test]
async fn what_is_provisioned_of_a_reserve_is_for_that_version_alone() {
    let host = Lamina::start();
    let more = json!({"Publish": true});
    host.create("f", &guest("hostile"), more).await;
    let of =
        |number: u32| format!("/2019-09-30/functions/f/provisioned-concurrency?Qualifier={number}");
    let asked = |number: u32| json!({"ProvisionedConcurrentExecutions": number});
    let reserve = "/2017-10-31/functions/f/concurrency";
    let reserved = json!({"ReservedConcurrentExecutions": 2});
    assert_eq!(host.lambda("PUT", reserve, &reserved).await.status, 200);
    let echo = json!({"do": "echo"});
    assert_eq!(host.invoke("f", &echo).await.status, 200);
    assert_eq!(host.lambda("PUT", &of(1), &asked(2)).await.status, 202);

    let refused = host.invoke("f", &echo).await;
    assert_eq!(refused.status, 429);
    assert_eq!(
        refused.json()["Reason"],
        "ReservedFunctionConcurrentInvocationLimitExceeded"
    );
    assert_eq!(host.invoke("f:1", &echo).await.status, 200);

    let change = json!({"Timeout": 9});
    let path = format!("{FUNCTIONS}/f/configuration");
    assert_eq!(host.lambda("PUT", &path, &change).await.status, 200);
    host.settled("f").await;
    publish(&host, "f").await;
    for (version, number) in [(2, 1), (1, 3)] {
        let refused = host.lambda("PUT", &of(version), &asked(number)).await;
        let text = "Requested Provisioned Concurrency should not be greater than the \
                    reservedConcurrentExecution for function";
        assert_eq!(refused.error().1, text, "{number} of {version}");
    }
    assert_eq!(host.lambda("PUT", &of(1), &asked(1)).await.status, 202);
    assert_eq!(host.invoke("f", &echo).await.status, 200, "one is free");
}

#[tokio::test]
async fn what_is_provisioned_is_used_before_all_else() {
    let host = Lamina::start();
    host.create("f", &guest("hostile"), json!({"Publish": true}))
        .await;
    let path = "/2019-09-30/functions/f/provisioned-concurrency?Qualifier=1";
    let asked = json!({"ProvisionedConcurrentExecutions": 1});
    assert_eq!(host.lambda("PUT", path, &asked).await.status, 202);
    is_ready(&host, path).await;
    // Two at once, of which one is not provisioned, and whichever it is, comes back last.
    for (first, second) in [(300, 600), (600, 300)] {
        let sleep = |ms: u32| json!({"do": "sleep", "ms": ms});
        let (first, second) = (sleep(first), sleep(second));
        tokio::join!(host.invoke("f:1", &first), host.invoke("f:1", &second));
        let kind = json!({"do": "variable", "name": "AWS_LAMBDA_INITIALIZATION_TYPE"});
        let told = host.invoke("f:1", &kind).await.json();
        assert_eq!(told, "provisioned-concurrency");
    }
}

#[tokio::test]
async fn that_environments_are_made_ready_is_seen() {
    let host = Lamina::configured("settle_millis = 2_000");
    let more = json!({"Publish": true});
    host.create("f", &guest("hostile"), more).await;
    let path = "/2019-09-30/functions/f/provisioned-concurrency?Qualifier=1";
    let asked = json!({"ProvisionedConcurrentExecutions": 1});
    assert_eq!(host.lambda("PUT", path, &asked).await.status, 202);
    let shown = host.lambda("GET", path, &Value::Null).await.json();
    assert_eq!(shown["Status"], "IN_PROGRESS");
    assert_eq!(shown["AllocatedProvisionedConcurrentExecutions"], 0);
    assert_eq!(shown["AvailableProvisionedConcurrentExecutions"], 0);
}

/// Waits until what is provisioned is there.
async fn is_ready(host: &Lamina, path: &str) {
    for _ in 0..1_000 {
        if host.lambda("GET", path, &Value::Null).await.json()["Status"] == "READY" {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("it does not become ready");
}

/// Where calls run on what was provisioned for the version before.
#[tokio::test]
async fn a_reserve_is_kept_while_what_is_provisioned_moves() {
    let host = Lamina::start();
    host.create(
        "f",
        &guest("hostile"),
        json!({"Publish": true, "Timeout": 20}),
    )
    .await;
    let change = json!({"Timeout": 19});
    let path = format!("{FUNCTIONS}/f/configuration");
    assert_eq!(host.lambda("PUT", &path, &change).await.status, 200);
    host.settled("f").await;
    publish(&host, "f").await;
    let reserve = json!({"ReservedConcurrentExecutions": 2});
    let path = "/2017-10-31/functions/f/concurrency";
    assert_eq!(host.lambda("PUT", path, &reserve).await.status, 200);
    let aliases = format!("{FUNCTIONS}/f/aliases");
    let alias = json!({"Name": "a", "FunctionVersion": "1"});
    assert_eq!(host.lambda("POST", &aliases, &alias).await.status, 201);
    let path = "/2019-09-30/functions/f/provisioned-concurrency?Qualifier=a";
    let asked = json!({"ProvisionedConcurrentExecutions": 1});
    assert_eq!(host.lambda("PUT", path, &asked).await.status, 202);
    is_ready(&host, path).await;

    let (sleep, echo) = (json!({"do": "sleep", "ms": 6_000}), json!({"do": "echo"}));
    let begun = std::time::Duration::from_millis(500);
    let story = async {
        tokio::time::sleep(begun).await;
        let to_latest = json!({"FunctionVersion": "$LATEST"});
        let alias = format!("{aliases}/a");
        let refused = host.lambda("PUT", &alias, &to_latest).await;
        assert_eq!(refused.error().0, "InvalidParameterValueException");
        let moved = json!({"FunctionVersion": "2"});
        assert_eq!(host.lambda("PUT", &alias, &moved).await.status, 200);
        is_ready(&host, path).await;
        let second = host.invoke("f:a", &sleep);
        let third = async {
            tokio::time::sleep(begun).await;
            host.invoke("f:a", &echo).await
        };
        tokio::join!(second, third)
    };
    let (first, (second, third)) = tokio::join!(host.invoke("f:a", &sleep), story);
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (200, 200));
    assert_eq!(third.status, 429, "{}", third.text());
}

#[tokio::test]
async fn what_is_provisioned_moves_with_its_alias() {
    let host = Lamina::configured("settle_millis = 3_000");
    let more = json!({"Publish": true});
    host.create("f", &guest("hostile"), more).await;
    let change = json!({"Timeout": 9});
    let path = format!("{FUNCTIONS}/f/configuration");
    assert_eq!(host.lambda("PUT", &path, &change).await.status, 200);
    host.settled("f").await;
    publish(&host, "f").await;
    let alias = json!({"Name": "a", "FunctionVersion": "1"});
    let aliases = format!("{FUNCTIONS}/f/aliases");
    assert_eq!(host.lambda("POST", &aliases, &alias).await.status, 201);

    let path = "/2019-09-30/functions/f/provisioned-concurrency?Qualifier=a";
    let asked = json!({"ProvisionedConcurrentExecutions": 1});
    assert_eq!(host.lambda("PUT", path, &asked).await.status, 202);
    let shown = async || host.lambda("GET", path, &Value::Null).await.json();
    is_ready(&host, path).await;
    let moved = json!({"FunctionVersion": "2"});
    let to = format!("{aliases}/a");
    assert_eq!(host.lambda("PUT", &to, &moved).await.status, 200);
    let moving = shown().await;
    assert_eq!(
        (
            &moving["Status"],
            &moving["AllocatedProvisionedConcurrentExecutions"]
        ),
        (&json!("IN_PROGRESS"), &json!(1))
    );
    is_ready(&host, path).await;
    let kind = json!({"do": "variable", "name": "AWS_LAMBDA_INITIALIZATION_TYPE"});
    for (version, made_for) in [("1", "on-demand"), ("2", "provisioned-concurrency")] {
        let told = host.invoke(&format!("f:{version}"), &kind).await.json();
        assert_eq!(told, made_for, "version {version}");
    }
}

#[tokio::test]
async fn tenants_do_not_share_environments() {
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
