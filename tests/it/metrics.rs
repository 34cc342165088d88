//! Metrics page: counts after real invocations, and access.

use std::collections::BTreeMap;

use serde_json::json;

use crate::harness::{ApiResponse, Lamina, guest};
use crate::signed::Signed;

const PATH: &str = "/_lamina/metrics";

/// Samples by name and labels. Any other line fails the test.
fn samples(answer: &ApiResponse) -> BTreeMap<String, f64> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        answer.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let scrape = answer.text();
    let lines = scrape.lines().map(|line| Ok(line.to_owned()));
    let parsed = prometheus_parse::Scrape::parse(lines).expect("a page of metrics");
    let sample = |sample: prometheus_parse::Sample| {
        let mut labels: Vec<_> = sample
            .labels
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        labels.sort();
        let name = format!("{} {}", sample.metric, labels.join(","));
        match sample.value {
            prometheus_parse::Value::Counter(value)
            | prometheus_parse::Value::Gauge(value)
            | prometheus_parse::Value::Untyped(value) => vec![(name, value)],
            prometheus_parse::Value::Histogram(buckets) => {
                let counts: Vec<f64> = buckets.iter().map(|bucket| bucket.count).collect();
                assert!(counts.is_sorted(), "{name}: {counts:?}");
                let last = buckets.last().expect("a bucket");
                assert_eq!(last.less_than, f64::INFINITY);
                vec![(format!("{name} all"), last.count)]
            }
            prometheus_parse::Value::Summary(_) => panic!("{name} is a summary"),
        }
    };
    parsed.samples.into_iter().flat_map(sample).collect()
}

/// One number of the page, 0 where it is not there.
pub async fn sample(host: &Lamina, series: &str) -> f64 {
    let found = samples(&host.send("GET", PATH, &[], "").await);
    found.get(series).copied().unwrap_or_default()
}

/// Waits until a number of the page is at least this.
pub async fn reaches(host: &Lamina, series: &str, expected: f64) {
    for _ in 0..2_000 {
        if sample(host, series).await >= expected {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("{series} stays at {}", sample(host, series).await);
}

#[tokio::test]
async fn metrics_page_tells_qualifiers_apart() {
    let host = std::sync::Arc::new(Lamina::start());
    let more = json!({"Publish": true, "Timeout": 20});
    host.create("f", &guest("hostile"), more).await;
    let alias = json!({"Name": "live", "FunctionVersion": "1"});
    let made = host
        .lambda("POST", "/2015-03-31/functions/f/aliases", &alias)
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
    let path = "/2019-09-30/functions/f/provisioned-concurrency?Qualifier=live";
    let asked = json!({"ProvisionedConcurrentExecutions": 2});
    assert_eq!(host.lambda("PUT", path, &asked).await.status, 202);
    let of =
        |name: &str, qualifier: &str| format!("lamina_{name} function=f,qualifier={qualifier}");
    reaches(&host, "lamina_environments_provisioned ", 2.0).await;
    let sleep = json!({"do": "sleep", "ms": 5_000});
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let (host, sleep) = (host.clone(), sleep.clone());
            tokio::spawn(async move { host.invoke("f:live", &sleep).await })
        })
        .collect();
    reaches(&host, &of("concurrent_executions", "live"), 3.0).await;
    assert_eq!(
        sample(&host, &of("provisioned_concurrency_utilization", "live")).await,
        1.0
    );
    assert_eq!(
        sample(&host, "lamina_unreserved_concurrent_executions ").await,
        1.0
    );
    assert_eq!(host.invoke("f", &json!({"do": "echo"})).await.status, 200);
    for call in calls {
        assert_eq!(call.await.expect("it ends").status, 200);
    }
    for (name, live, latest) in [
        ("qualified_invocations_total", 3.0, 1.0),
        ("qualified_errors_total", 0.0, 0.0),
        ("provisioned_concurrency_invocations_total", 2.0, 0.0),
        (
            "provisioned_concurrency_spillover_invocations_total",
            1.0,
            0.0,
        ),
        ("concurrent_executions", 0.0, 0.0),
    ] {
        let found = [
            sample(&host, &of(name, "live")).await,
            sample(&host, &of(name, "$LATEST")).await,
        ];
        assert_eq!(found, [live, latest], "{name}");
    }
    let none = json!({"ReservedConcurrentExecutions": 2});
    let path = "/2017-10-31/functions/f/concurrency";
    assert_eq!(host.lambda("PUT", path, &none).await.status, 200);
    assert_eq!(host.invoke("f", &json!({"do": "echo"})).await.status, 429);
    assert_eq!(
        sample(&host, &of("qualified_throttles_total", "$LATEST")).await,
        1.0
    );
}

#[tokio::test]
async fn metrics_page_counts_invocations() {
    let host = Lamina::configured("log_bytes_per_function = 16777216");
    let more = json!({"Timeout": 1, "MemorySize": 256});
    host.create("f", &guest("hostile"), more).await;
    for event in [
        json!({"do": "echo"}),
        json!({"do": "fail", "type": "Mine", "message": "as told"}),
        json!({"do": "exit", "code": 3}),
        json!({"do": "loop"}),
    ] {
        assert_eq!(host.invoke("f", &event).await.status, 200);
    }
    assert_eq!(host.invoke("missing", &json!({})).await.status, 404);
    let none = json!({"ReservedConcurrentExecutions": 0});
    let path = "/2017-10-31/functions/f/concurrency";
    assert_eq!(host.lambda("PUT", path, &none).await.status, 200);
    assert_eq!(host.invoke("f", &json!({})).await.status, 429);
    let found = samples(&host.send("GET", PATH, &[], "").await);
    let value = |series: &str| {
        *found
            .get(series)
            .unwrap_or_else(|| panic!("{series}: {found:?}"))
    };
    assert_eq!(value("lamina_invocations_total function=f"), 4.0);
    for kind in ["handler", "environment", "timeout"] {
        let series = format!("lamina_function_errors_total function=f,kind={kind}");
        assert_eq!(value(&series), 1.0, "{kind}");
    }
    assert_eq!(
        value("lamina_invocation_duration_seconds function=f all"),
        4.0
    );
    // The environment that exited was started again.
    assert_eq!(
        value("lamina_init_duration_seconds function=f,type=on-demand all"),
        2.0
    );
    assert_eq!(value("lamina_throttles_total reason=reserved"), 1.0);
    assert_eq!(value("lamina_invocation_failures_total fault=caller"), 1.0);
    assert_eq!(value("lamina_environments state=busy"), 0.0);
    assert_eq!(value("lamina_environments state=idle"), 1.0);
    assert_eq!(value("lamina_permits_in_use "), 0.0);
    assert_eq!(value("lamina_permits_limit "), 1_000.0);
    for step in ["compile", "fetch", "unpack"] {
        for state in ["running", "waiting"] {
            let series = format!("lamina_deployment_steps state={state},step={step}");
            assert_eq!(value(&series), 0.0);
        }
    }
    assert!(value("lamina_store_commit_duration_seconds  all") > 0.0);
}

#[tokio::test]
async fn metrics_page_of_keyed_host_needs_permission() {
    let policy = |action: &str| {
        let statement = json!({"Effect": "Allow", "Action": action, "Resource": "*"});
        json!({"Version": "2012-10-17", "Statement": [statement]})
    };
    let key = |id: &str, more: &str| {
        format!("[[keys]]\naccess_key_id = \"{id}\"\nsecret_access_key = \"{id}\"\n{more}\n")
    };
    let of = |id: &str, action: &str| {
        key(
            id,
            &format!("name = \"{id}\"\npolicy = '{}'", policy(action)),
        )
    };
    let keys = [
        key("owner", ""),
        of("scraper", "lamina:GetMetrics"),
        of("other", "lambda:*"),
    ];
    let settings = format!("metrics_token = \"a token\"\n{}", keys.concat());
    let host = Lamina::with(&settings, "");
    let by = async |key: &str| {
        let client = Signed { host: &host, key };
        client
            .send("lambda", "GET", PATH, &[], "")
            .await
            .status
            .as_u16()
    };
    assert_eq!((by("owner").await, by("scraper").await), (200, 200));
    assert_eq!((by("other").await, by("nobody").await), (403, 403));
    let with = async |token: &str| {
        let headers = [("authorization", token)];
        host.send("GET", PATH, &headers, "").await.status.as_u16()
    };
    assert_eq!(with("Bearer a token").await, 200);
    assert_eq!(with("Bearer a tokem").await, 403);
    assert_eq!(with("Bearer ").await, 403);
    let anonymous = host.send("GET", PATH, &[], "").await;
    assert_eq!(anonymous.status, 403);
    assert!(!anonymous.text().contains("lamina_"));
    assert_eq!(
        host.send("GET", "/_lamina/health", &[], "").await.status,
        200
    );
}
