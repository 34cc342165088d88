//! Concurrent requests to one function: acknowledged changes hold in any order, and nothing is
//! inherited from a deleted namesake.

use std::io::{Cursor, Write};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::{ApiResponse, Lamina, guest, zipped};
use crate::signing::configure;

const FUNCTIONS: &str = "/2015-03-31/functions";
const URLS: &str = "/2021-10-31/functions";

/// Number of child resources of a function, by kind.
async fn below(host: &Lamina, name: &str) -> Vec<(String, usize)> {
    let lists = [
        (format!("{URLS}/{name}/urls"), "FunctionUrlConfigs"),
        (format!("{FUNCTIONS}/{name}/aliases"), "Aliases"),
        (
            format!("/2019-09-25/functions/{name}/event-invoke-config/list"),
            "FunctionEventInvokeConfigs",
        ),
        (
            format!("/2019-09-30/functions/{name}/provisioned-concurrency?List=ALL"),
            "ProvisionedConcurrencyConfigs",
        ),
        (format!("{FUNCTIONS}/{name}/versions"), "Versions"),
    ];
    let mut found = Vec::new();
    for (path, member) in lists {
        let answer = host.lambda("GET", &path, &Value::Null).await;
        let list = answer.json()[member].as_array().map(Vec::len);
        let count = list.unwrap_or_else(|| panic!("{path}: {}", answer.text()));
        // $LATEST is no record of its own.
        let own = usize::from(member == "Versions");
        found.push((member.to_owned(), count - own));
    }
    found
}

async fn delete(host: &Lamina, path: &str, after: Duration) -> ApiResponse {
    tokio::time::sleep(after).await;
    host.lambda("DELETE", path, &Value::Null).await
}

#[tokio::test(flavor = "multi_thread")]
async fn recreated_function_inherits_nothing() {
    let host = Lamina::start();
    let package = zipped(&guest("echo"));
    let path = format!("{FUNCTIONS}/f");
    let policy = format!("{path}/policy");
    let grant = json!({
        "StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "111111111111",
    });
    for round in 0..60 {
        let made = host.try_create("f", &package, json!({"Publish": true}));
        let made = made.await;
        assert_eq!(made.status, 201, "{}", made.text());
        let (url, aliases) = (format!("{URLS}/f/url"), format!("{path}/aliases"));
        let events = "/2019-09-25/functions/f/event-invoke-config";
        let provisioned = "/2019-09-30/functions/f/provisioned-concurrency?Qualifier=1";
        let (public, live) = (
            json!({"AuthType": "NONE"}),
            json!({"Name": "live", "FunctionVersion": "$LATEST"}),
        );
        let (tries, one) = (
            json!({"MaximumRetryAttempts": 1}),
            json!({"ProvisionedConcurrentExecutions": 1}),
        );
        let (deleted, ..) = tokio::join!(
            delete(&host, &path, Duration::from_micros(100 * (round % 20))),
            host.lambda("POST", &url, &public),
            host.lambda("POST", &aliases, &live),
            host.lambda("PUT", events, &tries),
            host.lambda("PUT", provisioned, &one),
            host.lambda("POST", &policy, &grant),
        );
        assert_eq!(deleted.status, 204, "{}", deleted.text());
        let gone = host.lambda("GET", &path, &Value::Null).await;
        assert_eq!(gone.status, 404, "{}", gone.text());
        let made = host.try_create("f", &package, json!({})).await;
        assert_eq!(made.status, 201, "{}", made.text());
        for (kind, count) in below(&host, "f").await {
            assert_eq!(count, 0, "{kind} in round {round}");
        }
        let gone = host.lambda("GET", &policy, &Value::Null).await;
        assert_eq!(gone.status, 404, "a policy in round {round}");
        let deleted = delete(&host, &path, Duration::ZERO).await;
        assert_eq!(deleted.status, 204, "{}", deleted.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn alias_never_points_to_deleted_version() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    for round in 0..40 {
        let change = json!({"Description": format!("round {round}")});
        let configuration = format!("{FUNCTIONS}/f/configuration");
        let changed = host.lambda("PUT", &configuration, &change).await;
        assert_eq!(changed.status, 200, "{}", changed.text());
        host.settled("f").await;
        let versions = format!("{FUNCTIONS}/f/versions");
        let published = host.lambda("POST", &versions, &json!({})).await.json();
        let number = published["Version"].as_str().expect("a version");
        let alias = json!({"Name": format!("a{round}"), "FunctionVersion": number});
        let (path, aliases) = (
            format!("{FUNCTIONS}/f?Qualifier={number}"),
            format!("{FUNCTIONS}/f/aliases"),
        );
        let (deleted, made) = tokio::join!(
            delete(&host, &path, Duration::from_micros(100 * (round % 10))),
            host.lambda("POST", &aliases, &alias),
        );
        // One of the two is refused, whichever came second.
        let outcome = (deleted.status.as_u16(), made.status.as_u16());
        assert!(
            matches!(outcome, (204, 404) | (409, 201)),
            "{outcome:?}: {} {}",
            deleted.text(),
            made.text()
        );
    }
}

/// Creates aliases with these numbers concurrently.
async fn made_at_once(host: &Arc<Lamina>, numbers: Vec<usize>) -> Vec<ApiResponse> {
    let mut making = JoinSet::new();
    for number in numbers {
        let host = Arc::clone(host);
        making.spawn(async move {
            let alias = json!({"Name": format!("a{number}"), "FunctionVersion": "$LATEST"});
            let path = format!("{FUNCTIONS}/f/aliases");
            host.lambda("POST", &path, &alias).await
        });
    }
    making.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_alias_creations_all_succeed() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    let host = Arc::new(host);
    for made in made_at_once(&host, (0..16).collect()).await {
        assert_eq!(made.status, 201, "{}", made.text());
    }
    // Of several identical requests, one succeeds.
    let same = made_at_once(&host, vec![99; 8]).await;
    let made = same.iter().filter(|made| made.status == 201).count();
    assert_eq!(made, 1);
    for refused in same.iter().filter(|made| made.status != 201) {
        let (_, text) = refused.error();
        assert!(text.starts_with("Alias already exists"), "{text}");
    }
}

/// The same component with different bytes, so that it is compiled, which takes a while.
fn new_to_the_host(component: &[u8], number: u8) -> Vec<u8> {
    [component, &[0, 3, 1, b'n', number]].concat()
}

fn package(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file(*name, options).expect("it is in memory");
        zip.write_all(content).expect("it is in memory");
    }
    zip.finish().expect("it is in memory").into_inner()
}

/// Updates a function's code and runs another request meanwhile.
async fn meanwhile(
    host: &Lamina,
    package: &[u8],
    other: impl Future<Output = ApiResponse>,
) -> ApiResponse {
    let code = json!({"ZipFile": STANDARD.encode(package)});
    let path = format!("{FUNCTIONS}/f/code");
    let (updated, changed) = tokio::join!(host.lambda("PUT", &path, &code), async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        other.await
    });
    assert_eq!(changed.status, 200, "{}", changed.text());
    updated
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_updates_keep_handler_and_code_consistent() {
    let host = Lamina::configured("settle_millis = 1");
    let (echo, hostile) = (guest("echo"), guest("hostile"));
    let both = package(&[("a.wasm", &hostile), ("b.wasm", &echo)]);
    let made = host.try_create("f", &both, json!({"Handler": "b"})).await;
    assert_eq!(made.status, 201, "{}", made.text());
    host.settled("f").await;
    let configuration = format!("{FUNCTIONS}/f/configuration");
    let mut overtaken = 0;
    for number in 0..6 {
        let handler = json!({"Handler": "a"});
        let changed = host.lambda("PUT", &configuration, &handler).await;
        assert_eq!(changed.status, 200, "{}", changed.text());
        host.settled("f").await;
        let component = new_to_the_host(&hostile, number);
        let both = package(&[("a.wasm", &component), ("b.wasm", &echo)]);
        let handler = json!({"Handler": "b"});
        let change = host.lambda("PUT", &configuration, &handler);
        let updated = meanwhile(&host, &both, change).await;
        assert!(
            matches!(updated.status.as_u16(), 200 | 409),
            "{}",
            updated.text()
        );
        overtaken += usize::from(updated.status == 200);
        let shown = host.settled("f").await;
        assert_eq!(shown["Handler"], "b");
        // One component has no such action, the other echoes anything.
        let event = json!({"do": "nothing"});
        let answer = host.invoke("f", &event).await;
        assert_eq!(answer.json(), event, "round {number}");
    }
    assert!(overtaken > 0, "new code came through");
}

#[tokio::test(flavor = "multi_thread")]
async fn package_satisfies_code_signing_of_function() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    let nobody = "arn:aws:signer:us-east-1:000000000000:/signing-profiles/nobody/abcdefghij";
    let config = json!({"CodeSigningConfigArn": configure(&host, &[nobody], "Enforce").await});
    let path = "/2020-06-30/functions/f/code-signing-config";
    let unsigned = zipped(&new_to_the_host(&guest("hostile"), 0));
    let refused = meanwhile(&host, &unsigned, host.lambda("PUT", path, &config)).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert_eq!(refused.error().0, "CodeVerificationFailedException");
}

#[tokio::test(flavor = "multi_thread")]
async fn recreated_alias_inherits_nothing() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    let aliases = format!("{FUNCTIONS}/f/aliases");
    let live = json!({"Name": "live", "FunctionVersion": "$LATEST"});
    let (path, url) = (
        format!("{aliases}/live"),
        format!("{URLS}/f/url?Qualifier=live"),
    );
    let (events, tries) = (
        "/2019-09-25/functions/f/event-invoke-config?Qualifier=live",
        json!({"MaximumRetryAttempts": 1}),
    );
    let public = json!({"AuthType": "NONE"});
    let mut made_first = 0;
    for round in 0..40 {
        let made = host.lambda("POST", &aliases, &live).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let (deleted, opened, _) = tokio::join!(
            delete(&host, &path, Duration::from_micros(200 * (round % 20))),
            host.lambda("POST", &url, &public),
            host.lambda("PUT", events, &tries),
        );
        assert_eq!(deleted.status, 204, "{}", deleted.text());
        made_first += usize::from(opened.status == 201);
        let made = host.lambda("POST", &aliases, &live).await;
        assert_eq!(made.status, 201, "{}", made.text());
        for (kind, count) in below(&host, "f").await {
            let own = usize::from(kind == "Aliases");
            assert_eq!(count, own, "{kind} in round {round}");
        }
        let deleted = delete(&host, &path, Duration::ZERO).await;
        assert_eq!(deleted.status, 204, "{}", deleted.text());
    }
    assert!(made_first > 0, "URLs were made before their alias was gone");
}
