//! Function lifecycle through the API: states, revisions, listings, deletion, downloads.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::{Lamina, example, guest, log_of, zipped};

const FUNCTIONS: &str = "/2015-03-31/functions";

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told from start to end")]
async fn function_lifecycle_is_awss() {
    let host = Lamina::start();
    let package = zipped(&example("hello"));
    let made = host
        .try_create("hello", &package, json!({"Tags": {"k": "v"}}))
        .await;
    assert_eq!(made.status, 201);
    let made = made.json();
    assert_eq!(
        (&made["State"], &made["StateReasonCode"]),
        (&json!("Pending"), &json!("Creating"))
    );
    assert!(made.get("LastUpdateStatus").is_none());
    assert_eq!(
        (&made["Timeout"], &made["MemorySize"]),
        (&json!(3), &json!(128))
    );
    assert_eq!(made["CodeSize"], package.len());
    assert!(made.get("Environment").is_none());
    let active = host.settled("hello").await;
    assert_ne!(active["RevisionId"], made["RevisionId"]);

    let answer = host.invoke("hello", &json!({"name": "test"})).await;
    assert_eq!(
        (answer.status.as_u16(), answer.text().as_str()),
        (200, "\"Hello, test!\"")
    );
    assert_eq!(answer.header("x-amz-executed-version"), "$LATEST");
    let log = log_of(&answer);
    let id = answer.header("x-amzn-requestid");
    assert!(
        log.starts_with(&format!("START RequestId: {id} Version: $LATEST\n")),
        "{log}"
    );
    assert!(
        log.contains("greeting test\n") && log.contains("Init Duration: "),
        "{log}"
    );
    let again = host.invoke("hello", &json!({})).await;
    assert!(
        !log_of(&again).contains("Init Duration"),
        "the environment is warm"
    );

    let path = format!("{FUNCTIONS}/hello/configuration");
    let change = json!({"Timeout": 9, "Environment": {"Variables": {"KEY": "1"}}});
    let changed = host.lambda("PUT", &path, &change).await;
    assert_eq!(
        (changed.status.as_u16(), &changed.json()["LastUpdateStatus"]),
        (200, &json!("InProgress"))
    );
    let conflict = host.lambda("PUT", &path, &change).await;
    assert_eq!(conflict.error().0, "ResourceConflictException");
    let shown = host.settled("hello").await;
    assert_eq!(
        (&shown["Timeout"], &shown["Environment"]),
        (&json!(9), &json!({"Variables": {"KEY": "1"}}))
    );

    let stale = json!({"Timeout": 10, "RevisionId": made["RevisionId"]});
    let refused = host.lambda("PUT", &path, &stale).await;
    assert_eq!(
        (refused.status.as_u16(), refused.error().0.as_str()),
        (412, "PreconditionFailedException")
    );

    let code = json!({"ZipFile": STANDARD.encode(zipped(&guest("echo")))});
    let updated = host
        .lambda("PUT", &format!("{FUNCTIONS}/hello/code"), &code)
        .await;
    assert_eq!(updated.status, 200);
    assert_ne!(updated.json()["CodeSha256"], made["CodeSha256"]);
    host.settled("hello").await;
    assert_eq!(
        host.invoke("hello", &json!({"x": 1})).await.text(),
        r#"{"x":1}"#
    );

    let listed = host.lambda("GET", FUNCTIONS, &Value::Null).await.json();
    assert_eq!(listed["Functions"][0]["FunctionName"], "hello");
    assert!(listed["Functions"][0].get("State").is_none());
    let deleted = host
        .lambda("DELETE", &format!("{FUNCTIONS}/hello"), &Value::Null)
        .await;
    assert_eq!(deleted.status, 204);
    let gone = host.invoke("hello", &json!({})).await;
    assert_eq!(gone.status, 404);
    assert!(
        gone.error().1.ends_with(":function:hello:$LATEST"),
        "{:?}",
        gone.error()
    );
}

#[tokio::test]
async fn downloaded_package_is_unchanged() {
    let host = Lamina::start();
    let package = zipped(&guest("echo"));
    host.create("f", &guest("echo"), json!({})).await;
    let got = host
        .lambda("GET", &format!("{FUNCTIONS}/f"), &Value::Null)
        .await
        .json();
    let location = got["Code"]["Location"].as_str().expect("a link");
    let path = location
        .strip_prefix(&host.endpoint())
        .expect("on this host");
    assert_eq!(host.send("GET", path, &[], "").await.body, package);
    let forged = path.replace("signature=", "signature=00");
    assert_eq!(host.send("GET", &forged, &[], "").await.status, 403);
}

#[tokio::test]
async fn functions_are_listed_in_pages() {
    let host = Lamina::start();
    let echo = guest("echo");
    for name in ["a", "b", "c"] {
        host.create(name, &echo, json!({})).await;
    }
    let page = host
        .lambda("GET", &format!("{FUNCTIONS}?MaxItems=2"), &Value::Null)
        .await
        .json();
    assert_eq!(page["Functions"].as_array().map(Vec::len), Some(2));
    let marker = page["NextMarker"].as_str().expect("there is more");
    let path = format!("{FUNCTIONS}?MaxItems=2&Marker={marker}");
    let last = host.lambda("GET", &path, &Value::Null).await.json();
    assert_eq!(last["Functions"][0]["FunctionName"], "c");
    assert!(last.get("NextMarker").is_none());
}

#[tokio::test]
async fn revision_id_admits_one_of_two_writers() {
    let host = std::sync::Arc::new(Lamina::start());
    host.create("f", &guest("echo"), json!({})).await;
    let revision = host.settled("f").await["RevisionId"].clone();
    let racers = (0..8).map(|n| {
        let (host, revision) = (host.clone(), revision.clone());
        tokio::spawn(async move {
            let body = json!({"Description": n.to_string(), "RevisionId": revision});
            let path = format!("{FUNCTIONS}/f/configuration");
            host.lambda("PUT", &path, &body).await.status.as_u16()
        })
    });
    let mut statuses = Vec::new();
    for racer in racers.collect::<Vec<_>>() {
        statuses.push(racer.await.expect("it ends"));
    }
    assert_eq!(
        statuses.iter().filter(|it| **it == 200).count(),
        1,
        "{statuses:?}"
    );
    assert!(
        statuses.iter().all(|it| [200, 409, 412].contains(it)),
        "{statuses:?}"
    );
}

#[tokio::test]
async fn dry_run_does_not_invoke() {
    let host = Lamina::start();
    host.create("f", &guest("hostile"), json!({})).await;
    let path = format!("{FUNCTIONS}/f/invocations");
    let dry = [("x-amz-invocation-type", "DryRun")];
    assert_eq!(
        host.send("POST", &path, &dry, r#"{"do":"loop"}"#)
            .await
            .status,
        204
    );
}

#[tokio::test]
async fn account_concurrency_is_not_exceeded() {
    let host = std::sync::Arc::new(Lamina::configured("concurrency = 3"));
    host.create("f", &guest("hostile"), json!({})).await;
    let calls = (0..9).map(|_| {
        let host = host.clone();
        tokio::spawn(async move { host.invoke("f", &json!({"do": "sleep", "ms": 700})).await })
    });
    let (mut ran, mut throttled) = (0, 0);
    for call in calls.collect::<Vec<_>>() {
        let answer = call.await.expect("it ends");
        match answer.status.as_u16() {
            200 => ran += 1,
            429 => {
                assert_eq!(answer.json()["Reason"], "ConcurrentInvocationLimitExceeded");
                throttled += 1;
            }
            other => panic!("{other}: {}", answer.text()),
        }
    }
    assert_eq!((ran, throttled), (3, 6));
    assert_eq!(host.invoke("f", &json!({"do": "echo"})).await.status, 200);
}

#[tokio::test]
async fn idle_environment_is_evicted_for_other_function() {
    let host = Lamina::configured("environments = 1");
    host.create("a", &guest("echo"), json!({})).await;
    host.create("b", &guest("echo"), json!({})).await;
    for name in ["a", "b", "a"] {
        assert_eq!(host.invoke(name, &json!(1)).await.text(), "1", "{name}");
    }
}
