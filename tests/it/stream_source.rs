//! Streams of Kinesis and DynamoDB as event sources, on moto.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::collector::Collector;
use crate::harness::{Lamina, guest};
use crate::moto::Moto;
use crate::sqs_source::{Queue, map_source, settings};

/// A host with a function whose batches fail with their first record that does.
async fn host(moto: &Moto) -> Lamina {
    let host = Lamina::with(&settings(moto), "settle_millis = 20");
    create(&host, json!({"BATCH": "throw"})).await;
    host
}

async fn create(host: &Lamina, variables: Value) {
    let more = json!({"Timeout": 30, "Environment": {"Variables": variables}});
    host.create("f", &guest("hostile"), more).await;
}

/// Makes a stream; returns its ARN.
async fn stream(moto: &Moto, shards: u32) -> String {
    let asked = json!({"StreamName": "s", "ShardCount": shards});
    moto.kinesis("CreateStream", &asked).await;
    let asked = json!({"StreamName": "s"});
    let shown = moto.kinesis("DescribeStreamSummary", &asked).await;
    let arn = shown["StreamDescriptionSummary"]["StreamARN"].as_str();
    arn.expect("an ARN").to_owned()
}

async fn put(moto: &Moto, key: &str, event: &Value) {
    let data = STANDARD.encode(event.to_string());
    let record = json!({"StreamName": "s", "PartitionKey": key, "Data": data});
    moto.kinesis("PutRecord", &record).await;
}

fn from_start(more: &Value) -> Value {
    let mut asked = more.clone();
    asked["StartingPosition"] = "TRIM_HORIZON".into();
    asked
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|it| it.to_string()).collect()
}

/// Lines without repetitions, in the order of their numbers.
fn distinct(lines: &[String]) -> Vec<String> {
    let mut lines = lines.to_vec();
    lines.sort_by_key(|line| line.parse::<u32>().expect("a number"));
    lines.dedup();
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_a_key_stay_in_order() {
    let (moto, collector) = (Moto::start().await, Collector::start().await);
    let (host, arn) = (host(&moto).await, stream(&moto, 2).await);
    for number in 0..10 {
        for key in ["a", "b", "c"] {
            put(&moto, key, &collector.event(&format!("{key}{number}"))).await;
        }
    }
    let more = json!({"BatchSize": 3, "ParallelizationFactor": 4});
    map_source(&host, &arn, &from_start(&more)).await;
    collector.until(|lines| lines.len() >= 30).await;
    for key in ["a", "b", "c"] {
        let lines = collector.lines();
        let own = lines.iter().filter(|it| it.starts_with(key)).cloned();
        let expected = (0..10).map(|it| format!("{key}{it}"));
        assert_eq!(own.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_record_is_found_and_described_to_the_destination() {
    let (moto, collector) = (Moto::start().await, Collector::start().await);
    let (host, arn) = (host(&moto).await, stream(&moto, 1).await);
    let failures = Queue::new(&moto, "failures").await;
    for line in ["0", "1", "bad", "2"] {
        let mut event = collector.event(line);
        event["fail"] = (line == "bad").into();
        put(&moto, "k", &event).await;
    }
    let more = json!({"BisectBatchOnFunctionError": true, "MaximumRetryAttempts": 0,
        "DestinationConfig": {"OnFailure": {"Destination": failures.arn}}});
    let id = map_source(&host, &arn, &from_start(&more)).await;
    let record = failures.receive().await;
    let context = &record["requestContext"];
    assert_eq!(context["condition"], "RetryAttemptsExhausted");
    let function = context["functionArn"].as_str().unwrap_or_default();
    assert!(function.ends_with(":function:f"), "{record}");
    assert_eq!(record["responseContext"]["functionError"], "Unhandled");
    let batch = &record["KinesisBatchInfo"];
    assert_eq!(
        (&batch["batchSize"], &batch["streamArn"]),
        (&json!(1), &json!(arn))
    );
    assert_eq!(batch["shardId"], "shardId-000000000000");
    assert_eq!(batch["startSequenceNumber"], batch["endSequenceNumber"]);
    let is_done = |lines: &[String]| lines.iter().any(|it| it == "2");
    collector.until(is_done).await;
    until_processed(&host, &id, "OK").await;
}

/// Waits for a `LastProcessingResult` that begins with this.
async fn until_processed(host: &Lamina, id: &str, result: &str) {
    let path = format!("/2015-03-31/event-source-mappings/{id}");
    for _ in 0..1_000 {
        let shown = host.lambda("GET", &path, &Value::Null).await.json();
        let last = shown["LastProcessingResult"].as_str().unwrap_or_default();
        if last.starts_with(result) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the last result is not {result}");
}

#[tokio::test(flavor = "multi_thread")]
async fn source_that_is_missing_shows_in_the_mapping() {
    let moto = Moto::start().await;
    let host = host(&moto).await;
    let arn = "arn:aws:kinesis:us-east-1:123456789012:stream/missing";
    let id = map_source(&host, arn, &from_start(&json!({}))).await;
    until_processed(&host, &id, "PROBLEM: ResourceNotFoundException").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoint_survives_a_kill_and_a_disabled_mapping() {
    let (moto, collector) = (Moto::start().await, Collector::start().await);
    let (host, arn) = (host(&moto).await, stream(&moto, 1).await);
    let more = from_start(&json!({"BatchSize": 5}));
    let id = map_source(&host, &arn, &more).await;
    for number in 0..20 {
        put(&moto, "k", &collector.event(&number.to_string())).await;
    }
    collector.until(|lines| lines.len() >= 20).await;
    let dir = host.kill();
    for number in 20..30 {
        put(&moto, "k", &collector.event(&number.to_string())).await;
    }
    let host = Lamina::in_dir_with(dir, &settings(&moto));
    let has = |number: &'static str| move |lines: &[String]| lines.iter().any(|it| it == number);
    collector.until(has("29")).await;
    assert_eq!(distinct(&collector.lines()), numbers(0..30));
    // At most the batch in work at the kill runs again.
    assert!(collector.lines().len() <= 35, "{:?}", collector.lines());
    let path = format!("/2015-03-31/event-source-mappings/{id}");
    let enable = async |enabled: bool| {
        let changed = host
            .lambda("PUT", &path, &json!({"Enabled": enabled}))
            .await;
        assert_eq!(changed.status, 202, "{}", changed.text());
        let state = if enabled { "Enabled" } else { "Disabled" };
        crate::sqs_source::until(&host, &id, state).await;
    };
    enable(false).await;
    let before = collector.lines().len();
    put(&moto, "k", &collector.event("30")).await;
    enable(true).await;
    collector.until(has("30")).await;
    assert_eq!(collector.lines().len(), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn mapping_begins_at_the_latest_or_at_a_time() {
    let (moto, collector) = (Moto::start().await, Collector::start().await);
    let (host, arn) = (host(&moto).await, stream(&moto, 1).await);
    put(&moto, "k", &collector.event("0")).await;
    map_source(&host, &arn, &json!({"StartingPosition": "LATEST"})).await;
    // The first list of shards; until then, the mapping has not begun.
    let path = "/2015-03-31/functions";
    let mut number = 1;
    while collector.lines().is_empty() {
        put(&moto, "k", &collector.event(&number.to_string())).await;
        number += 1;
        assert_eq!(host.lambda("GET", path, &Value::Null).await.status, 200);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(!collector.lines().contains(&"0".to_owned()));
    // One second later than all of them.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let now = std::process::Command::new("sh")
        .args(["-c", "date +%s"])
        .output();
    let now = String::from_utf8(now.expect("it runs").stdout).expect("digits");
    let now: u64 = now.trim().parse().expect("a number");
    let more = json!({"Timeout": 30, "Environment": {"Variables": {"BATCH": "throw"}}});
    host.create("g", &guest("hostile"), more).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    put(&moto, "k", &collector.event("9999")).await;
    let more = json!({"FunctionName": "g", "StartingPosition": "AT_TIMESTAMP",
        "StartingPositionTimestamp": now});
    map_source(&host, &arn, &more).await;
    let count = |lines: &[String]| lines.iter().filter(|it| *it == "9999").count();
    collector.until(|lines| count(lines) == 2).await;
    let repeated = |lines: &[String]| distinct(lines).len() + 1 == lines.len();
    assert!(repeated(&collector.lines()), "{:?}", collector.lines());
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_of_a_split_are_read_after_it() {
    let (moto, collector) = (Moto::start().await, Collector::start().await);
    let (host, arn) = (host(&moto).await, stream(&moto, 1).await);
    map_source(&host, &arn, &from_start(&json!({}))).await;
    put(&moto, "k", &collector.event("0")).await;
    collector.until(|lines| lines.len() == 1).await;
    let half = "170141183460469231731687303715884105728";
    let split = json!({"StreamName": "s", "ShardToSplit": "shardId-000000000000",
        "NewStartingHashKey": half});
    moto.kinesis("SplitShard", &split).await;
    for number in 1..20 {
        put(
            &moto,
            &number.to_string(),
            &collector.event(&number.to_string()),
        )
        .await;
    }
    // Moto moves the record of the parent to a child, where it is read again.
    collector.until(|lines| distinct(lines).len() == 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn state_is_handed_on_through_a_tumbling_window() {
    let (moto, collector) = (Moto::start().await, Collector::start().await);
    let host = Lamina::with(&settings(&moto), "settle_millis = 20");
    create(&host, json!({"BATCH": "report"})).await;
    let arn = stream(&moto, 1).await;
    let more = json!({"BatchSize": 2, "TumblingWindowInSeconds": 2,
        "FunctionResponseTypes": ["ReportBatchItemFailures"]});
    for number in 0..7 {
        put(&moto, "k", &collector.event(&number.to_string())).await;
    }
    map_source(&host, &arn, &from_start(&more)).await;
    let total = |lines: &[String]| {
        let windows = lines.iter().filter_map(|it| it.strip_prefix("window "));
        windows
            .map(|it| it.parse::<u32>().expect("a number"))
            .sum::<u32>()
    };
    // The records may lie in two windows.
    collector.until(|lines| total(lines) == 7).await;
    assert_eq!(
        collector
            .lines()
            .iter()
            .filter(|it| !it.starts_with('w'))
            .count(),
        7
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_a_table_reach_the_function() {
    let (moto, collector) = (Moto::start().await, Collector::start().await);
    let host = Lamina::with(&settings(&moto), "settle_millis = 20");
    create(&host, json!({"BATCH": "report"})).await;
    let table = json!({"TableName": "t", "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"}});
    let made = moto.dynamo_db("CreateTable", &table).await;
    let arn = made["TableDescription"]["LatestStreamArn"].as_str();
    let arn = arn.expect("an ARN").to_owned();
    let put = async |id: &str, event: &Value| {
        let item = json!({"id": {"S": id}, "action": {"S": event.to_string()}});
        moto.dynamo_db("PutItem", &json!({"TableName": "t", "Item": item}))
            .await;
    };
    put("a", &collector.event("0")).await;
    put("a", &collector.event("not inserted")).await;
    let mut bad = collector.event("1");
    bad["fail"] = true.into();
    put("b", &bad).await;
    put("c", &collector.event("2")).await;
    let failures = Queue::new(&moto, "failures").await;
    let pattern = json!({"eventName": ["INSERT"]}).to_string();
    let more = json!({"FunctionResponseTypes": ["ReportBatchItemFailures"],
        "MaximumRetryAttempts": 1, "BisectBatchOnFunctionError": true,
        "FilterCriteria": {"Filters": [{"Pattern": pattern}]},
        "DestinationConfig": {"OnFailure": {"Destination": failures.arn}}});
    map_source(&host, &arn, &from_start(&more)).await;
    let record = failures.receive().await;
    assert_eq!(record["DDBStreamBatchInfo"]["batchSize"], 1, "{record}");
    assert_eq!(record["responseContext"]["functionError"], Value::Null);
    collector
        .until(|lines| lines.iter().any(|it| it == "2"))
        .await;
    assert_eq!(distinct(&collector.lines()), numbers(0..3));
}

/// Kills of the host in one test.
const KILLS: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn every_record_runs_in_order_while_the_host_is_killed() {
    let (moto, collector) = (Moto::start().await, Collector::start().await);
    let (mut host, arn) = (host(&moto).await, stream(&moto, 2).await);
    let more = json!({"BatchSize": 4, "ParallelizationFactor": 2});
    map_source(&host, &arn, &from_start(&more)).await;
    let keys = ["a", "b", "c", "d"];
    let mut next = 0;
    for kill in 0..KILLS {
        // At another moment of the work each time.
        let reached = collector.lines().len() + 3 + 5 * kill;
        for _ in 0..10 {
            for key in keys {
                put(&moto, key, &collector.event(&format!("{key}{next}"))).await;
            }
            next += 1;
        }
        collector.until(|lines| lines.len() >= reached).await;
        host = Lamina::in_dir_with(host.kill(), &settings(&moto));
    }
    let last = format!("{}", next - 1);
    let has = |lines: &[String], key: &str| lines.contains(&format!("{key}{last}"));
    collector
        .until(|lines| keys.iter().all(|key| has(lines, key)))
        .await;
    let lines = collector.lines().clone();
    for key in keys {
        let mut own: Vec<_> = lines.iter().filter(|it| it.starts_with(key)).collect();
        let mut seen = std::collections::HashSet::new();
        own.retain(|it| seen.insert(it.as_str()));
        let expected = (0..next).map(|it| format!("{key}{it}"));
        assert_eq!(
            own.into_iter().cloned().collect::<Vec<_>>(),
            expected.collect::<Vec<_>>()
        );
    }
    drop(host);
}
