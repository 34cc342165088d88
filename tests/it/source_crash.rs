//! Crash harness of the SQS source and of destinations: numbered messages flow while the host is killed with SIGKILL at
//! random moments. Every message that went in comes out.
//!
//! `LAMINA_CRASH_KILLS=n` kills the host so often.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::collector::Collector;
use crate::event_crash::{Moments, kills};
use crate::harness::{Lamina, guest};
use crate::moto::Moto;
use crate::sqs_source::{Queue, map_source, settings};

const KILLS_DEFAULT: u64 = 4;
/// Messages between two kills.
const MESSAGES: u64 = 40;
/// Time after which messages in work at a kill return.
const VISIBILITY: &str = "5";

async fn start(settings: &str) -> Lamina {
    let host = Lamina::with(settings, "settle_millis = 20");
    host.create("f", &guest("hostile"), json!({"Timeout": 30}))
        .await;
    host
}

fn distinct(lines: &[String]) -> BTreeSet<u64> {
    let numbers = lines.iter().map(|line| line.parse().expect("a number"));
    numbers.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_queue_survive_kills() {
    let (moto, collector) = (Moto::start().await, Collector::start().await);
    let settings = settings(&moto);
    let attributes = json!({"VisibilityTimeout": VISIBILITY});
    let queue = Queue::with(&moto, "q", attributes).await;
    let mut host = start(&settings).await;
    let few = json!({"ScalingConfig": {"MaximumConcurrency": 2}, "BatchSize": 5});
    map_source(&host, &queue.arn, &few).await;
    let (mut moments, mut sent) = (Moments::new(), 0);
    for _ in 0..kills(KILLS_DEFAULT) {
        for _ in 0..MESSAGES {
            queue.send(&collector.event(&sent.to_string())).await;
            sent += 1;
        }
        tokio::time::sleep(moments.next()).await;
        host = Lamina::in_dir_with(host.kill(), &settings);
    }
    let all: BTreeSet<u64> = (0..sent).collect();
    collector.until(|lines| distinct(lines) == all).await;
    queue.until_empty().await;
    let run = collector.lines().len();
    eprintln!("{sent} messages in, {run} runs");
    drop(host);
}

/// Takes all records out of a queue.
async fn take(moto: &Moto, queue: &Queue<'_>, into: &mut BTreeSet<u64>) {
    let asked = json!({"QueueUrl": queue.url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 0});
    loop {
        let received = moto.sqs("ReceiveMessage", &asked).await;
        let messages = received["Messages"].as_array().cloned().unwrap_or_default();
        if messages.is_empty() {
            return;
        }
        for message in messages {
            let record = message["Body"].as_str().unwrap_or_default();
            let record: Value = serde_json::from_str(record).expect("a record is JSON");
            let number = record["requestPayload"]["line"].as_str().expect("a line");
            into.insert(number.parse().expect("a number"));
            let done = json!({"QueueUrl": queue.url, "ReceiptHandle": message["ReceiptHandle"]});
            moto.sqs("DeleteMessage", &done).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_for_a_destination_survive_kills() {
    let (moto, collector) = (Moto::start().await, Collector::start().await);
    let settings = settings(&moto);
    let queue = Queue::new(&moto, "done").await;
    let mut host = start(&settings).await;
    let path = "/2019-09-25/functions/f/event-invoke-config";
    let sent = json!({"DestinationConfig": {"OnSuccess": {"Destination": queue.arn}}});
    assert_eq!(host.lambda("PUT", path, &sent).await.status, 200);
    let (mut moments, mut next) = (Moments::new(), 0);
    let mut acknowledged = BTreeSet::new();
    for _ in 0..kills(KILLS_DEFAULT) {
        for _ in 0..MESSAGES {
            let event = collector.event(&next.to_string());
            assert_eq!(host.send_event("f", &event).await.status, 202);
            acknowledged.insert(next);
            next += 1;
        }
        tokio::time::sleep(moments.next()).await;
        host = Lamina::in_dir_with(host.kill(), &settings);
    }
    let mut told = BTreeSet::new();
    for _ in 0..600 {
        take(&moto, &queue, &mut told).await;
        if told == acknowledged {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let lost: Vec<_> = acknowledged.difference(&told).collect();
    assert!(lost.is_empty(), "{lost:?} did not reach the destination");
    assert_eq!(told, acknowledged);
    drop(host);
}
