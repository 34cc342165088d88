//! Streams of Redis as event sources, on a server that each test starts.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::Value as Reply;
use redis::aio::MultiplexedConnection;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::collector::Collector;
use crate::harness::{Lamina, guest};
use crate::moto::Moto;
use crate::sqs_source::{self, Queue, map_source, until};

const ARN: &str = "arn:aws-lamina:redis:us-east-1:000000000000:events/orders:new";
const KEY: &str = "orders:new";
const MAPPINGS: &str = "/2015-03-31/event-source-mappings";

/// Process of a server; stopped on drop.
struct Server(Child);

/// Redis of Debian on a port of its own, in memory; stopped on drop.
struct Redis {
    _server: Server,
    port: u16,
    connection: MultiplexedConnection,
    _dir: TempDir,
}

impl Redis {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        drop(listener);
        let dir = tempfile::tempdir().expect("a temporary directory");
        let child = Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
            ])
            .args(["--user", "lamina", "on", ">secret", "~*", "&*", "+@all"])
            .current_dir(dir.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed by tests/run");
        let server = Server(child);
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).expect("a URL");
        for _ in 0..600 {
            if let Ok(connection) = client.get_multiplexed_async_connection().await {
                return Self {
                    _server: server,
                    port,
                    connection,
                    _dir: dir,
                };
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("Redis does not answer");
    }

    /// Settings of a host that knows the server.
    fn settings(&self, before: &str) -> String {
        let port = self.port;
        format!(
            "{before}\n[[brokers]]\nname = \"events\"\nurl = \"redis://127.0.0.1:{port}\"\nuser = \"lamina\"\n\
             password = \"secret\""
        )
    }

    async fn send(&self, words: &[&str]) -> Reply {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        let sent = command.query_async(&mut self.connection.clone()).await;
        sent.expect("Redis takes it")
    }

    async fn add(&self, action: &Value) {
        let action = action.to_string();
        self.send(&["XADD", KEY, "*", "action", &action, "kind", "order"])
            .await;
    }

    /// Consumer groups of the stream.
    async fn groups(&self) -> usize {
        match self.send(&["XINFO", "GROUPS", KEY]).await {
            Reply::Array(groups) => groups.len(),
            other => panic!("{other:?}"),
        }
    }

    /// Waits until the stream has so many consumer groups.
    async fn until_groups(&self, wanted: usize) {
        for _ in 0..600 {
            if self.groups().await == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("there are not {wanted} consumer groups");
    }

    /// Waits until all entries are read and acknowledged.
    async fn until_acknowledged(&self, mapping: &str) {
        let group = format!("lamina-{mapping}");
        for _ in 0..1_200 {
            let pending = self.send(&["XPENDING", KEY, &group]).await;
            if matches!(&pending, Reply::Array(parts) if parts[0] == Reply::Int(0)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("entries are not acknowledged");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn create(host: &Lamina) {
    host.create("f", &guest("hostile"), json!({"Timeout": 30}))
        .await;
}

async fn host(redis: &Redis) -> Lamina {
    let settings = redis.settings(crate::collector::SETTINGS);
    let host = Lamina::with(&settings, "settle_millis = 20");
    create(&host).await;
    host
}

async fn map(host: &Lamina, more: Value) -> String {
    map_source(host, ARN, &more).await
}

fn count(lines: &[String], line: &str) -> usize {
    lines.iter().filter(|it| *it == line).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_worked_on_in_order_and_acknowledged() {
    let (redis, collector) = (Redis::start().await, Collector::start().await);
    let host = host(&redis).await;
    for number in 0..25 {
        redis.add(&collector.event(&number.to_string())).await;
    }
    let id = map(&host, json!({"BatchSize": 10})).await;
    collector.until(|lines| lines.len() >= 25).await;
    redis.add(&collector.event("25")).await;
    collector.until(|lines| lines.len() >= 26).await;
    redis.until_acknowledged(&id).await;
    let expected: Vec<_> = (0..26).map(|it| it.to_string()).collect();
    assert_eq!(*collector.lines(), expected);
    let path = format!("{MAPPINGS}/{id}");
    let shown = host.lambda("GET", &path, &Value::Null).await.json();
    assert_eq!(shown["LastProcessingResult"], "OK", "{shown}");
    assert_eq!(shown["StartingPosition"], "TRIM_HORIZON");
    assert_eq!(shown["EventSourceArn"], ARN);
}

#[tokio::test(flavor = "multi_thread")]
async fn reported_failure_comes_again_and_filtered_entry_does_not() {
    let (redis, collector) = (Redis::start().await, Collector::start().await);
    let host = host(&redis).await;
    redis.add(&collector.event("good")).await;
    let mut bad = collector.event("bad");
    bad["fail"] = true.into();
    redis.add(&bad).await;
    let other = collector.event("other").to_string();
    redis
        .send(&["XADD", KEY, "*", "action", &other, "kind", "x"])
        .await;
    let pattern = json!({"fields": {"kind": ["order"]}}).to_string();
    let more = json!({"FunctionResponseTypes": ["ReportBatchItemFailures"],
        "FilterCriteria": {"Filters": [{"Pattern": pattern}]}});
    map(&host, more).await;
    collector.until(|lines| count(lines, "bad") >= 3).await;
    assert_eq!(count(&collector.lines(), "good"), 1);
    assert_eq!(count(&collector.lines(), "other"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn entry_without_a_retry_goes_to_the_destination() {
    let (redis, moto) = (Redis::start().await, Moto::start().await);
    let collector = Collector::start().await;
    let queue = Queue::new(&moto, "failed").await;
    let settings = redis.settings(&sqs_source::settings(&moto));
    let host = Lamina::with(&settings, "settle_millis = 20");
    create(&host).await;
    let mut bad = collector.event("bad");
    bad["fail"] = true.into();
    redis.add(&bad).await;
    let more = json!({"MaximumRetryAttempts": 1, "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "DestinationConfig": {"OnFailure": {"Destination": queue.arn}}});
    let id = map(&host, more).await;
    let record = queue.receive().await;
    let context = &record["requestContext"];
    assert_eq!(context["condition"], "RetryAttemptsExhausted", "{record}");
    assert_eq!(context["approximateInvokeCount"], 2, "{record}");
    assert_eq!(record["RedisBatchInfo"]["batchSize"], 1, "{record}");
    assert_eq!(record["RedisBatchInfo"]["streamArn"], ARN);
    redis.until_acknowledged(&id).await;
    assert_eq!(count(&collector.lines(), "bad"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn disabled_mapping_reads_nothing_and_deleted_one_leaves_no_group() {
    let (redis, collector) = (Redis::start().await, Collector::start().await);
    let host = host(&redis).await;
    let id = map(&host, json!({})).await;
    redis.add(&collector.event("before")).await;
    collector.until(|lines| count(lines, "before") == 1).await;
    let path = format!("{MAPPINGS}/{id}");
    host.lambda("PUT", &path, &json!({"Enabled": false})).await;
    until(&host, &id, "Disabled").await;
    redis.add(&collector.event("meanwhile")).await;
    // Entries of a second mapping show that time has passed.
    host.create("g", &guest("hostile"), json!({"Timeout": 30}))
        .await;
    let other = json!({"FunctionName": "g", "StartingPosition": "LATEST"});
    map(&host, other).await;
    // `LATEST` begins with the group, soon after the mapping is enabled.
    redis.until_groups(2).await;
    redis.add(&collector.event("after")).await;
    collector.until(|lines| count(lines, "after") == 1).await;
    assert_eq!(count(&collector.lines(), "meanwhile"), 0);
    host.lambda("PUT", &path, &json!({"Enabled": true})).await;
    collector
        .until(|lines| count(lines, "meanwhile") == 1)
        .await;
    until(&host, &id, "Enabled").await;
    host.lambda("DELETE", &path, &Value::Null).await;
    redis.until_groups(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_broker_and_unreachable_server_are_shown() {
    let redis = Redis::start().await;
    let host = host(&redis).await;
    drop(redis);
    let other = ARN.replace("events/", "other/");
    for (arn, expected) in [(ARN, "could not be reached"), (&other, "no broker other")] {
        let id = map_source(&host, arn, &json!({})).await;
        let path = format!("{MAPPINGS}/{id}");
        let mut last = Value::Null;
        for _ in 0..600 {
            last = host.lambda("GET", &path, &Value::Null).await.json();
            if last["LastProcessingResult"].to_string().contains(expected) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let result = last["LastProcessingResult"].to_string();
        assert!(result.contains(expected), "{last}");
    }
    let refused = json!({"FunctionName": "f", "EventSourceArn": ARN, "ParallelizationFactor": 2});
    let answer = host.lambda("POST", MAPPINGS, &refused).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_survive_kills_of_the_host() {
    const KILLS: u64 = 4;
    const BATCH: usize = 5;
    let (redis, collector) = (Redis::start().await, Collector::start().await);
    let settings = redis.settings(crate::collector::SETTINGS);
    let mut host = Lamina::with(&settings, "settle_millis = 20");
    create(&host).await;
    let id = map(&host, json!({"BatchSize": BATCH})).await;
    let mut sent = 0;
    for kill in 0..KILLS {
        for _ in 0..40 {
            redis.add(&collector.event(&sent.to_string())).await;
            sent += 1;
        }
        let wanted = usize::try_from(10 + 40 * kill).expect("it is small");
        collector.until(|lines| lines.len() >= wanted).await;
        host = Lamina::in_dir_with(host.kill(), &settings);
    }
    let run = |lines: &[String]| {
        let mut lines = lines.to_vec();
        lines.sort();
        lines.dedup();
        lines.len()
    };
    collector.until(|lines| run(lines) == sent).await;
    redis.until_acknowledged(&id).await;
    let twice = collector.lines().len() - sent;
    let most = usize::try_from(KILLS).expect("it is small") * BATCH;
    assert!(twice <= most, "{twice} entries ran again");
    drop(host);
}
