//! Delivery endpoints of S3, SNS and EventBridge: what they take, who may deliver, and the events that functions get.

use serde_json::{Value, json};

use crate::clients::{client, json_of};
use crate::harness::{Lamina, guest};
use crate::moto::Moto;
use crate::sqs_source::{Queue, settings};

mod signed;

const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:orders";
const RULE: &str = "arn:aws:events:us-east-1:123456789012:rule/orders";
const TOKEN: &str = "0123456789abcdef";

fn triggers() -> String {
    let trigger = |name: &str, source: &str, arn: &str| {
        let token = match source {
            "sns" => String::new(),
            _ => format!("token = \"{TOKEN}\"\n"),
        };
        format!(
            "[[triggers]]\nname = \"{name}\"\nsource = \"{source}\"\nfunction = \"f\"\nsource_arns = [\"{arn}\"]\n{token}"
        )
    };
    [
        trigger("orders", "sns", TOPIC),
        trigger("uploads", "s3", "arn:aws:s3:::uploads"),
        trigger("bus", "eventbridge", RULE),
    ]
    .concat()
}

/// Host with triggers of `f`, whose events come out of the queue.
async fn host(settings: &str, queue: &Queue<'_>) -> Lamina {
    let settings = format!("{settings}\n{}", triggers());
    let host = Lamina::with(&settings, "settle_millis = 20");
    host.create("f", &guest("echo"), json!({})).await;
    let path = "/2019-09-25/functions/f/event-invoke-config";
    let sent = json!({"DestinationConfig": {"OnSuccess": {"Destination": queue.arn}}});
    let put = host.lambda("PUT", path, &sent).await;
    assert_eq!(put.status, 200, "{}", put.text());
    host
}

/// Event that the function got next.
async fn next_event(queue: &Queue<'_>) -> Value {
    queue.receive().await["requestPayload"].take()
}

/// Allows a service to invoke `f` for a source, with the AWS CLI.
fn allow(host: &Lamina, service: &str, source: &str, account: &str) {
    let id = service.replace('.', "-");
    let mut aws = client("venv/bin/aws", host);
    aws.args(["lambda", "add-permission", "--function-name", "f"]);
    aws.args(["--action", "lambda:InvokeFunction", "--statement-id", &id]);
    aws.args(["--principal", service, "--source-arn", source]);
    json_of(aws.args(["--source-account", account]));
}

async fn deliver(
    host: &Lamina,
    trigger: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> (u16, String) {
    let path = format!("/_lamina/triggers/{trigger}");
    let answer = host.send("POST", &path, headers, body.to_string()).await;
    let text = answer.json()["message"].as_str().unwrap_or_default().into();
    (answer.status.as_u16(), text)
}

fn notification(bucket: &str) -> Value {
    json!({"EventName": "s3:ObjectCreated:Put", "Records": [{"eventSource": "minio:s3",
        "eventName": "s3:ObjectCreated:Put", "awsRegion": "", "s3": {"bucket": {"name": bucket,
        "arn": format!("arn:aws:s3:::{bucket}")}, "object": {"key": "a+b"}}}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn notification_of_a_topic_is_delivered_once_the_policy_allows_it() {
    let moto = Moto::start().await;
    let queue = Queue::new(&moto, "q").await;
    let host = host(&settings(&moto), &queue).await;
    let sns = async |form: &str| moto.send("sns", "POST", "/", form.as_bytes()).await;
    sns("Action=CreateTopic&Name=orders").await;
    let endpoint = format!("{}/_lamina/triggers/orders", host.endpoint());
    let endpoint = endpoint.replace(':', "%3A").replace('/', "%2F");
    let arn = TOPIC.replace(':', "%3A");
    sns(&format!(
        "Action=Subscribe&Protocol=http&TopicArn={arn}&Endpoint={endpoint}"
    ))
    .await;
    let publish = format!("Action=Publish&TopicArn={arn}&Message=");
    sns(&format!("{publish}refused")).await;
    host.hears("User: sns.amazonaws.com is not authorized to perform: lambda:InvokeFunction")
        .await;
    allow(&host, "sns.amazonaws.com", TOPIC, "123456789012");
    sns(&format!("{publish}%7B%22order%22%3A1%7D")).await;
    let event = next_event(&queue).await;
    let record = &event["Records"][0];
    assert_eq!(record["EventSource"], "aws:sns", "{event}");
    let subscription = record["EventSubscriptionArn"].as_str();
    assert!(
        subscription.is_some_and(|it| it.starts_with(TOPIC)),
        "{event}"
    );
    assert_eq!(record["Sns"]["Message"], "{\"order\":1}");
    assert_eq!(record["Sns"]["TopicArn"], TOPIC);
    assert_eq!(record["Sns"]["Subject"], Value::Null);
    assert_eq!(record["Sns"]["MessageAttributes"], json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn bucket_and_rule_deliver_with_a_token_and_a_permission() {
    let moto = Moto::start().await;
    let queue = Queue::new(&moto, "q").await;
    let host = host(&settings(&moto), &queue).await;
    let bearer = format!("Bearer {TOKEN}");
    let bearer = [("authorization", bearer.as_str())];
    let key = [("x-api-key", TOKEN)];
    let event = json!({"version": "0", "id": "1", "detail-type": "Order", "source": "shop",
        "account": "123456789012", "time": "2026-01-01T00:00:00Z", "region": "us-east-1",
        "resources": [], "detail": {"order": 1}});
    for (name, headers, body, status, expected) in [
        ("uploads", &[][..], &notification("uploads"), 401, "token"),
        ("bus", &[("x-api-key", "x")], &event, 401, "token"),
        (
            "uploads",
            &bearer,
            &notification("other"),
            403,
            "source_arns",
        ),
        (
            "uploads",
            &bearer,
            &notification("uploads"),
            403,
            "s3.amazonaws.com",
        ),
        ("bus", &key, &event, 403, "events.amazonaws.com"),
        ("uploads", &bearer, &json!({}), 400, "\"Records\""),
        ("bus", &key, &json!({"detail": 1}), 400, "\"source\""),
        ("none", &key, &event, 404, "[[triggers]]"),
    ] {
        let (found, text) = deliver(&host, name, headers, body).await;
        assert_eq!(found, status, "{name}: {text}");
        assert!(text.contains(expected), "{name}: {text}");
    }
    // The account of another owner of the bucket.
    let bucket = "arn:aws:s3:::uploads";
    allow(&host, "s3.amazonaws.com", bucket, "111111111111");
    let (status, _) = deliver(&host, "uploads", &bearer, &notification("uploads")).await;
    assert_eq!(status, 403);
    let path = "/2015-03-31/functions/f/policy/s3-amazonaws-com";
    host.lambda("DELETE", path, &Value::Null).await;
    allow(&host, "s3.amazonaws.com", bucket, "000000000000");
    let (status, text) = deliver(&host, "uploads", &bearer, &notification("uploads")).await;
    assert_eq!(status, 200, "{text}");
    let got = next_event(&queue).await;
    assert_eq!(
        got,
        json!({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
            "awsRegion": "us-east-1", "s3": {"bucket": {"name": "uploads", "arn": bucket},
            "object": {"key": "a+b"}}}]})
    );
    allow(&host, "events.amazonaws.com", RULE, "123456789012");
    let (status, text) = deliver(&host, "bus", &key, &event).await;
    assert_eq!(status, 200, "{text}");
    assert_eq!(next_event(&queue).await, event);
}

#[tokio::test(flavor = "multi_thread")]
async fn delivery_outside_the_bounds_is_refused() {
    let host = Lamina::with(&triggers(), "settle_millis = 20");
    let path = "/_lamina/triggers/bus";
    let key = [("x-api-key", TOKEN)];
    let got = host.send("GET", path, &key, "").await;
    assert_eq!(got.status, 405);
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    let got = host.send("POST", path, &key, large).await;
    assert_eq!(got.status, 413, "{}", got.text());
    let got = host.send("POST", path, &key, "{").await;
    assert_eq!(got.status, 400, "{}", got.text());
    let without = Lamina::start();
    let got = without.send("POST", path, &key, "{}").await;
    assert_eq!(got.status, 404, "{}", got.text());
}
