//! Queues of SQS as event sources, on moto.

use std::time::Duration;

use serde_json::{Value, json};

use crate::collector::{Collector, SETTINGS};
use crate::harness::{Lamina, guest};
use crate::moto::Moto;

const MAPPINGS: &str = "/2015-03-31/event-source-mappings";

/// A queue whose messages return after a second.
pub struct Queue<'a> {
    moto: &'a Moto,
    pub url: String,
    pub arn: String,
}

impl<'a> Queue<'a> {
    pub async fn new(moto: &'a Moto, name: &str) -> Self {
        Self::with(moto, name, json!({"VisibilityTimeout": "1"})).await
    }

    pub async fn with(moto: &'a Moto, name: &str, attributes: Value) -> Self {
        let asked = json!({"QueueName": name, "Attributes": attributes});
        let made = moto.sqs("CreateQueue", &asked).await;
        let url = made["QueueUrl"].as_str().expect("a URL").to_owned();
        let asked = json!({"QueueUrl": url, "AttributeNames": ["QueueArn"]});
        let shown = moto.sqs("GetQueueAttributes", &asked).await;
        let arn = shown["Attributes"]["QueueArn"].as_str();
        let arn = arn.expect("an ARN").to_owned();
        Self { moto, url, arn }
    }

    pub async fn send(&self, body: &Value) {
        let message = json!({"QueueUrl": self.url, "MessageBody": body.to_string()});
        self.moto.sqs("SendMessage", &message).await;
    }

    /// Sends a message of a group to a FIFO queue.
    async fn send_in_order(&self, body: &Value, group: &str, deduplication: &str) {
        let message = json!({"QueueUrl": self.url, "MessageBody": body.to_string(),
            "MessageGroupId": group, "MessageDeduplicationId": deduplication});
        self.moto.sqs("SendMessage", &message).await;
    }

    /// Waits for a message; returns its body.
    pub async fn receive(&self) -> Value {
        let asked = json!({"QueueUrl": self.url, "WaitTimeSeconds": 1});
        for _ in 0..60 {
            let received = self.moto.sqs("ReceiveMessage", &asked).await;
            if let Some(body) = received["Messages"][0]["Body"].as_str() {
                return serde_json::from_str(body).expect("a record is JSON");
            }
        }
        panic!("no message came");
    }

    /// Waits until no message is left, visible or not.
    pub async fn until_empty(&self) {
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

/// Settings of a host whose services are moto's.
pub fn settings(moto: &Moto) -> String {
    format!(
        "{SETTINGS}\n[aws]\nendpoint = \"{}\"\naccess_key_id = \"x\"\nsecret_access_key = \"x\"",
        moto.endpoint
    )
}

async fn host(moto: &Moto) -> Lamina {
    let host = Lamina::with(&settings(moto), "settle_millis = 20");
    host.create("f", &guest("hostile"), json!({"Timeout": 30}))
        .await;
    host
}

async fn map(host: &Lamina, queue: &Queue<'_>, more: Value) -> String {
    map_source(host, &queue.arn, &more).await
}

/// Makes a mapping of the function `f`, and waits until it is enabled.
pub async fn map_source(host: &Lamina, arn: &str, more: &Value) -> String {
    let mut asked = json!({"FunctionName": "f", "EventSourceArn": arn});
    for (name, value) in more.as_object().into_iter().flatten() {
        asked[name] = value.clone();
    }
    let made = host.lambda("POST", MAPPINGS, &asked).await;
    assert_eq!(made.status, 202, "{}", made.text());
    let id = made.json()["UUID"].as_str().expect("a UUID").to_owned();
    until(host, &id, "Enabled").await;
    id
}

pub async fn until(host: &Lamina, id: &str, state: &str) {
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

/// Most lines that had begun and not ended at a time.
fn overlap_max(lines: &[String]) -> usize {
    let (mut running, mut most) = (0_usize, 0);
    for line in lines {
        match line.ends_with(" ended") {
            true => running -= 1,
            false => running += 1,
        }
        most = most.max(running);
    }
    most
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_at_a_time_are_as_many_as_the_mapping_allows() {
    let (moto, collector) = (Moto::start().await, Collector::start().await);
    let attributes = json!({"VisibilityTimeout": "60"});
    let (host, queue) = (host(&moto).await, Queue::with(&moto, "q", attributes).await);
    for number in 0..12 {
        let mut event = collector.event(&number.to_string());
        event["ms"] = 300.into();
        queue.send(&event).await;
    }
    let few = json!({"ScalingConfig": {"MaximumConcurrency": 2}, "BatchSize": 1});
    map(&host, &queue, few).await;
    collector.until(|lines| lines.len() == 24).await;
    queue.until_empty().await;
    assert_eq!(overlap_max(&collector.lines()), 2);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "moto gives messages of one group to two concurrent receives at times"]
async fn messages_of_a_group_stay_in_order_and_groups_run_at_once() {
    let (moto, collector) = (Moto::start().await, Collector::start().await);
    let attributes = json!({"VisibilityTimeout": "60", "FifoQueue": "true"});
    let (host, queue) = (
        host(&moto).await,
        Queue::with(&moto, "q.fifo", attributes).await,
    );
    for number in 0..5 {
        for group in ["a", "b", "c"] {
            let line = format!("{group}{number}");
            let mut event = collector.event(&line);
            event["ms"] = 200.into();
            queue.send_in_order(&event, group, &line).await;
            // A duplicate, which the queue drops.
            queue.send_in_order(&event, group, &line).await;
        }
    }
    map(&host, &queue, json!({"BatchSize": 2})).await;
    collector.until(|lines| lines.len() == 30).await;
    queue.until_empty().await;
    let lines = collector.lines().clone();
    for group in ["a", "b", "c"] {
        let own = lines.iter().filter(|it| it.starts_with(group));
        let expected = (0..5).flat_map(|it| [format!("{group}{it}"), format!("{group}{it} ended")]);
        assert_eq!(
            own.cloned().collect::<Vec<_>>(),
            expected.collect::<Vec<_>>()
        );
    }
    assert!(overlap_max(&lines) > 1, "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_message_of_a_group_comes_before_those_that_follow_it() {
    let (moto, collector) = (Moto::start().await, Collector::start().await);
    let attributes = json!({"VisibilityTimeout": "1", "FifoQueue": "true"});
    let (host, queue) = (
        host(&moto).await,
        Queue::with(&moto, "q.fifo", attributes).await,
    );
    let mut bad = collector.event("bad");
    bad["fail"] = true.into();
    queue.send_in_order(&bad, "g", "1").await;
    queue
        .send_in_order(&collector.event("next"), "g", "2")
        .await;
    let more = json!({"BatchSize": 1, "FunctionResponseTypes": ["ReportBatchItemFailures"]});
    map(&host, &queue, more).await;
    collector.until(|lines| count(lines, "bad") >= 3).await;
    assert_eq!(count(&collector.lines(), "next"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_collected_for_the_batching_window() {
    let (moto, collector) = (Moto::start().await, Collector::start().await);
    let attributes = json!({"VisibilityTimeout": "60"});
    let (host, queue) = (host(&moto).await, Queue::with(&moto, "q", attributes).await);
    let window = json!({"BatchSize": 100, "MaximumBatchingWindowInSeconds": 3});
    map(&host, &queue, window).await;
    for number in 0..25 {
        queue.send(&collector.event(&number.to_string())).await;
    }
    collector.until(|lines| lines.len() == 25).await;
    queue.until_empty().await;
    // One invocation for each of the pollers that took a part of them.
    let page = host.send("GET", "/_lamina/metrics", &[], "").await.text();
    let series = "lamina_invocations_total{function=\"f\"} ";
    let count = page.lines().find_map(|line| line.strip_prefix(series));
    let count: u64 = count.expect(&page).parse().expect("a number");
    assert!(count <= 5, "{count} invocations");
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
