//! Reserved and provisioned concurrency.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Lamina, guest};
use crate::log_groups::logs;
use crate::versions::publish;

const FUNCTIONS: &str = "/2015-03-31/functions";

#[tokio::test]
async fn reserved_concurrency_is_kept_and_not_exceeded() {
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
async fn provisioned_environments_start_ahead_of_calls() {
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
        is_ready(&host, path).await;
        let shown = host.lambda("GET", path, &Value::Null).await.json();
        assert_eq!(shown["AvailableProvisionedConcurrentExecutions"], 2);
    };
    ready().await;
    let answer = host.invoke("f:1", &json!({"do": "echo"})).await;
    assert!(!crate::harness::log_of(&answer).contains("Init Duration"));
    // A lost environment is replaced.
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
async fn provisioned_share_of_reserve_is_for_its_version() {
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

    publish_another(&host).await;
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
async fn provisioned_environment_is_used_first() {
    let host = Lamina::start();
    host.create("f", &guest("hostile"), json!({"Publish": true}))
        .await;
    let path = "/2019-09-30/functions/f/provisioned-concurrency?Qualifier=1";
    let asked = json!({"ProvisionedConcurrentExecutions": 1});
    assert_eq!(host.lambda("PUT", path, &asked).await.status, 202);
    is_ready(&host, path).await;
    // Two concurrent calls, one of them not provisioned; either may finish last.
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
async fn provisioning_shows_in_progress() {
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

/// Changes `f` and publishes a version.
async fn publish_another(host: &Lamina) {
    let change = json!({"Timeout": 19});
    let path = format!("{FUNCTIONS}/f/configuration");
    assert_eq!(host.lambda("PUT", &path, &change).await.status, 200);
    host.settled("f").await;
    publish(host, "f").await;
}

/// Waits until provisioned concurrency is READY.
async fn is_ready(host: &Lamina, path: &str) {
    for _ in 0..1_000 {
        if host.lambda("GET", path, &Value::Null).await.json()["Status"] == "READY" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it does not become ready");
}

/// Calls run on environments provisioned for the previous version.
#[tokio::test]
async fn reserve_holds_while_provisioned_version_changes() {
    let host = Lamina::start();
    host.create(
        "f",
        &guest("hostile"),
        json!({"Publish": true, "Timeout": 20}),
    )
    .await;
    publish_another(&host).await;
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
    let begun = Duration::from_millis(500);
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
async fn provisioned_concurrency_follows_its_alias() {
    let host = Lamina::configured("settle_millis = 3_000");
    let more = json!({"Publish": true});
    host.create("f", &guest("hostile"), more).await;
    publish_another(&host).await;
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
async fn lowered_provisioned_concurrency_keeps_environments() {
    let host = Lamina::configured("idle_seconds = 1");
    host.create("f", &guest("hostile"), json!({"Publish": true}))
        .await;
    let path = "/2019-09-30/functions/f/provisioned-concurrency?Qualifier=1";
    let provision = async |environments: u32| {
        let asked = json!({"ProvisionedConcurrentExecutions": environments});
        assert_eq!(host.lambda("PUT", path, &asked).await.status, 202);
        is_ready(&host, path).await;
    };
    provision(4).await;
    provision(3).await;
    let allocated = async || {
        let shown = host.lambda("GET", path, &Value::Null).await.json();
        shown["AvailableProvisionedConcurrentExecutions"].clone()
    };
    for _ in 0..100 {
        if allocated().await == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Long enough for surplus environments to be removed and replaced, if they were counted as
    // such.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(allocated().await, 3);
    // A provisioned environment without calls logs its start on eviction, in its own stream.
    let group = json!({"logGroupName": "/aws/lambda/f"});
    let streams = logs(&host, "DescribeLogStreams", &group).await.json();
    let streams = streams["logStreams"].as_array().map(Vec::len);
    assert_eq!(streams, Some(1));
}

#[tokio::test]
async fn concurrent_requests_keep_account_sums() {
    let host = std::sync::Arc::new(Lamina::start());
    let more = json!({"Publish": true});
    for name in ["f", "g"] {
        host.create(name, &guest("hostile"), more.clone()).await;
    }
    let both = async |path: fn(&str) -> String, body: Value| {
        let ask = |name: &'static str| {
            let (host, path, body) = (host.clone(), path(name), body.clone());
            tokio::spawn(async move { host.lambda("PUT", &path, &body).await.status.as_u16() })
        };
        let (f, g) = (ask("f"), ask("g"));
        let mut both = [f.await.expect("it ends"), g.await.expect("it ends")];
        both.sort_unstable();
        both
    };
    let reserve = |name: &str| format!("/2017-10-31/functions/{name}/concurrency");
    for _ in 0..10 {
        let asked = json!({"ReservedConcurrentExecutions": 900});
        assert_eq!(both(reserve, asked).await, [200, 400]);
        for name in ["f", "g"] {
            let gone = host.lambda("DELETE", &reserve(name), &Value::Null).await;
            assert_eq!(gone.status, 204);
        }
    }
    let provision =
        |name: &str| format!("/2019-09-30/functions/{name}/provisioned-concurrency?Qualifier=1");
    let asked = json!({"ProvisionedConcurrentExecutions": 500});
    assert_eq!(both(provision, asked).await, [202, 400]);
}

#[tokio::test]
async fn lowered_provisioned_concurrency_converges() {
    let host = Lamina::start();
    let more = json!({"Publish": true});
    host.create("f", &guest("hostile"), more).await;
    let path = "/2019-09-30/functions/f/provisioned-concurrency?Qualifier=1";
    for environments in [3, 2, 1] {
        let asked = json!({"ProvisionedConcurrentExecutions": environments});
        assert_eq!(host.lambda("PUT", path, &asked).await.status, 202);
        is_ready(&host, path).await;
        let shown = host.lambda("GET", path, &Value::Null).await.json();
        assert_eq!(
            shown["AvailableProvisionedConcurrentExecutions"],
            environments
        );
        assert_eq!(
            shown["AllocatedProvisionedConcurrentExecutions"],
            environments
        );
    }
}

/// Waits until provisioning has failed, and gives back the reason.
async fn failure_of(host: &Lamina, path: &str) -> String {
    for _ in 0..1_000 {
        let shown = host.lambda("GET", path, &Value::Null).await.json();
        if shown["Status"] == "FAILED" {
            return shown["StatusReason"].as_str().unwrap_or_default().into();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it does not fail");
}

#[tokio::test]
async fn full_host_is_not_the_reason_of_a_failed_init() {
    let host = std::sync::Arc::new(Lamina::configured("environments = 4"));
    let published = json!({"Publish": true, "Timeout": 60});
    host.create("f", &guest("hostile"), published.clone()).await;
    let mut fails = published.clone();
    fails["Environment"] = json!({"Variables": {"INIT": "fail"}});
    host.create("fails", &guest("hostile"), fails).await;
    let of =
        |name: &str| format!("/2019-09-30/functions/{name}/provisioned-concurrency?Qualifier=1");
    let asked = |count: u32| json!({"ProvisionedConcurrentExecutions": count});
    assert_eq!(
        host.lambda("PUT", &of("fails"), &asked(1)).await.status,
        202
    );
    assert_eq!(
        failure_of(&host, &of("fails")).await,
        "FUNCTION_ERROR_INIT_FAILURE"
    );

    host.create("busy", &guest("hostile"), published).await;
    let busy: Vec<_> = (0..3)
        .map(|_| {
            let host = std::sync::Arc::clone(&host);
            let sleep = json!({"do": "sleep", "ms": 40_000});
            tokio::spawn(async move { host.invoke("busy", &sleep).await })
        })
        .collect();
    crate::metrics::reaches(&host, "lamina_environments state=busy", 3.0).await;
    assert_eq!(host.lambda("PUT", &of("f"), &asked(2)).await.status, 202);
    let reason = failure_of(&host, &of("f")).await;
    assert!(reason.starts_with("INSUFFICIENT_CAPACITY: "), "{reason}");
    busy.iter().for_each(tokio::task::JoinHandle::abort);
}
