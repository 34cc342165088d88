//! Queues of SQS as event sources, on moto.

use std::time::Duration;

use serde_json::{Value, json};

use crate::collector::{Collector, SETTINGS};
use crate::harness::{Lamina, guest};
use crate::moto::Moto;

const MAPPINGS: &str = "/2015-03-31/event-source-mappings";

/// A queue whose messages return after a second.
struct Queue<'a> {
    moto: &'a Moto,
    url: String,
    arn: String,
}

impl<'a> Queue<'a> {
    async fn new(moto: &'a Moto, name: &str) -> Self {
        let attributes = json!({"VisibilityTimeout": "1"});
        let asked = json!({"QueueName": name, "Attributes": attributes});
        let made = moto.sqs("CreateQueue", &asked).await;
        let url = made["QueueUrl"].as_str().expect("a URL").to_owned();
        let asked = json!({"QueueUrl": url, "AttributeNames": ["QueueArn"]});
        let shown = moto.sqs("GetQueueAttributes", &asked).await;
        let arn = shown["Attributes"]["QueueArn"].as_str();
        let arn = arn.expect("an ARN").to_owned();
        Self { moto, url, arn }
    }

    async fn send(&self, body: &Value) {
        let message = json!({"QueueUrl": self.url, "MessageBody": body.to_string()});
        self.moto.sqs("SendMessage", &message).await;
    }

    /// Waits until no message is left, visible or not.
    async fn until_empty(&self) {
        let names = [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
        ];
        let asked = json!({"QueueUrl": self.url, "AttributeNames": names});
        for _ in 0..600 {
            let shown = self.moto.sqs("GetQueueAttributes", &asked).await;
            if names.iter().all(|name| shown["Attributes"][name] == "0") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("messages are left");
    }
}

async fn host(moto: &Moto) -> Lamina {
    let settings = format!(
        "{SETTINGS}\n[aws]\nendpoint = \"{}\"\naccess_key_id = \"x\"\nsecret_access_key = \"x\"",
        moto.endpoint
    );
    let host = Lamina::with(&settings, "settle_millis = 20");
    host.create("f", &guest("hostile"), json!({"Timeout": 30}))
        .await;
    host
}

/// Makes a mapping, and waits until it is enabled.
async fn map(host: &Lamina, queue: &Queue<'_>, more: Value) -> String {
    let mut asked = json!({"FunctionName": "f", "EventSourceArn": queue.arn});
    for (name, value) in more.as_object().into_iter().flatten() {
        asked[name] = value.clone();
    }
    let made = host.lambda("POST", MAPPINGS, &asked).await;
    assert_eq!(made.status, 202, "{}", made.text());
    let id = made.json()["UUID"].as_str().expect("a UUID").to_owned();
    until(host, &id, "Enabled").await;
    id
}

async fn until(host: &Lamina, id: &str, state: &str) {
    let path = format!("{MAPPINGS}/{id}");
    for _ in 0..1_000 {
        if host.lambda("GET", &path, &Value::Null).await.json()["State"] == state {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{id} is not {state}");
}

fn count(lines: &[String], line: &str) -> usize {
    lines.iter().filter(|it| *it == line).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_worked_on_and_deleted() {
    let (moto, collector) = (Moto::start().await, Collector::start().await);
    let (host, queue) = (host(&moto).await, Queue::new(&moto, "q").await);
    for number in 0..25 {
        queue.send(&collector.event(&number.to_string())).await;
    }
    map(
        &host,
        &queue,
        json!({"ScalingConfig": {"MaximumConcurrency": 2}}),
    )
    .await;
    collector.until(|lines| lines.len() >= 25).await;
    queue.until_empty().await;
    let mut lines = collector.lines().clone();
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), 25);
}

#[tokio::test(flavor = "multi_thread")]
async fn reported_failure_returns_and_the_rest_of_its_batch_does_not() {
    let (moto, collector) = (Moto::start().await, Collector::start().await);
    let (host, queue) = (host(&moto).await, Queue::new(&moto, "q").await);
    queue.send(&collector.event("good")).await;
    let mut bad = collector.event("bad");
    bad["fail"] = true.into();
    queue.send(&bad).await;
    let reports = json!({"FunctionResponseTypes": ["ReportBatchItemFailures"]});
    map(&host, &queue, reports).await;
    collector.until(|lines| count(lines, "bad") >= 2).await;
    assert_eq!(count(&collector.lines(), "good"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn filtered_message_is_deleted_unseen() {
    let (moto, collector) = (Moto::start().await, Collector::start().await);
    let (host, queue) = (host(&moto).await, Queue::new(&moto, "q").await);
    for line in ["wanted", "other", "wanted"] {
        queue.send(&collector.event(line)).await;
    }
    let pattern = json!({"body": {"line": [{"prefix": "want"}]}}).to_string();
    let filters = json!({"FilterCriteria": {"Filters": [{"Pattern": pattern}]}});
    map(&host, &queue, filters).await;
    collector.until(|lines| lines.len() >= 2).await;
    queue.until_empty().await;
    assert_eq!(*collector.lines(), ["wanted", "wanted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn disabled_mapping_takes_no_messages_until_it_is_enabled() {
    let (moto, collector) = (Moto::start().await, Collector::start().await);
    let (host, queue) = (host(&moto).await, Queue::new(&moto, "q").await);
    let id = map(&host, &queue, json!({"Enabled": true})).await;
    queue.send(&collector.event("before")).await;
    collector.until(|lines| lines.len() == 1).await;
    queue.until_empty().await;
    let path = format!("{MAPPINGS}/{id}");
    let disable = json!({"Enabled": false});
    assert_eq!(host.lambda("PUT", &path, &disable).await.status, 202);
    until(&host, &id, "Disabled").await;
    queue.send(&collector.event("after")).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(*collector.lines(), ["before"]);
    let enable = json!({"Enabled": true});
    assert_eq!(host.lambda("PUT", &path, &enable).await.status, 202);
    collector.until(|lines| lines.len() >= 2).await;
    assert_eq!(count(&collector.lines(), "after"), 1);
}
