//! Log groups through CloudWatch Logs.

use serde_json::{Value, json};

use crate::clients::{client, json_of};
use crate::harness::{ApiResponse, Lamina, guest};

pub async fn logs(host: &Lamina, operation: &str, request: &Value) -> ApiResponse {
    let target = format!("Logs_20140328.{operation}");
    let headers = [
        ("x-amz-target", target.as_str()),
        ("content-type", "application/x-amz-json-1.1"),
    ];
    host.send("POST", "/", &headers, request.to_string()).await
}

async fn groups(host: &Lamina) -> Vec<String> {
    let answer = logs(host, "DescribeLogGroups", &json!({})).await.json();
    let groups = answer["logGroups"].as_array().expect("a list").clone();
    let name = |group: &Value| group["logGroupName"].as_str().expect("a name").to_owned();
    groups.iter().map(name).collect()
}

#[tokio::test]
async fn reading_does_not_create_group() {
    let host = Lamina::start();
    for n in 0..100 {
        let request = json!({"logGroupName": format!("ghost-{n}")});
        let answer = logs(&host, "FilterLogEvents", &request).await;
        let missing = json!({
            "__type": "ResourceNotFoundException",
            "message": "The specified log group does not exist.",
        });
        assert_eq!((answer.status.as_u16(), answer.json()), (400, missing));
    }
    assert_eq!(groups(&host).await, Vec::<String>::new());
    for (name, constraint) in [
        ("", "have length greater than or equal to 1"),
        (&"a".repeat(513), "have length less than or equal to 512"),
        (
            "a b",
            r"satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+",
        ),
    ] {
        let expected = format!(
            "1 validation error detected: Value '{name}' at 'logGroupName' failed to satisfy \
             constraint: Member must {constraint}"
        );
        for operation in ["FilterLogEvents", "DescribeLogStreams"] {
            let answer = logs(&host, operation, &json!({"logGroupName": name})).await;
            let refused = json!({"__type": "InvalidParameterException", "message": expected});
            assert_eq!((answer.status.as_u16(), answer.json()), (400, refused));
        }
    }
}

#[tokio::test]
async fn group_of_any_valid_name_is_kept() {
    let host = Lamina::start();
    let name = "-".repeat(512);
    let group = json!({"LoggingConfig": {"LogGroup": name}});
    host.create("f", &guest("echo"), group).await;
    assert_eq!(host.invoke("f", &json!({})).await.status, 200);
    let events = async |host: &Lamina| {
        let request = json!({"logGroupName": name, "filterPattern": "REPORT"});
        let found = logs(host, "FilterLogEvents", &request).await.json();
        found["events"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(events(&host).await, 1);
    // The writer flushes after a short delay.
    let dir = host.dir.path().join("data/logs");
    let is_written = || {
        let entries = std::fs::read_dir(&dir).into_iter().flatten();
        let mut files = entries.filter_map(|entry| Some(entry.ok()?.path().join("current")));
        files.any(|file| std::fs::read_to_string(file).is_ok_and(|it| it.contains("REPORT")))
    };
    while !is_written() {
        tokio::task::yield_now().await;
    }
    let again = Lamina::in_dir(host.kill(), "");
    assert_eq!(events(&again).await, 1);
    assert_eq!(groups(&again).await, [name]);
}

#[tokio::test(flavor = "multi_thread")]
async fn aws_cli_manages_log_groups() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    assert_eq!(host.invoke("f", &json!({})).await.status, 200);
    const GROUP: &str = "/aws/lambda/f";
    let aws = |arguments: &[&str]| {
        let mut command = client("venv/bin/aws", &host);
        json_of(command.arg("logs").args(arguments))
    };
    let on_group = |operation: &str, more: &[&str]| {
        aws(&[&[operation, "--log-group-name", GROUP], more].concat())
    };
    let group = || aws(&["describe-log-groups"])["logGroups"][0].clone();
    assert!(group()["creationTime"].as_u64() > Some(1_700_000_000_000));
    assert_eq!(group().get("retentionInDays"), None);
    on_group("put-retention-policy", &["--retention-in-days", "7"]);
    assert_eq!(group()["retentionInDays"], 7);
    on_group("delete-retention-policy", &[]);
    assert_eq!(group().get("retentionInDays"), None);
    let streams = on_group("describe-log-streams", &["--order-by", "LastEventTime"]);
    let stream = streams["logStreams"][0]["logStreamName"]
        .as_str()
        .expect("a name");
    let events = on_group(
        "get-log-events",
        &["--log-stream-name", stream, "--limit", "1"],
    );
    let newest = events["events"][0]["message"].as_str().unwrap_or_default();
    assert!(newest.starts_with("REPORT RequestId: "), "{events}");
    let token = events["nextBackwardToken"].as_str().expect("a token");
    let page = [
        "--log-stream-name",
        stream,
        "--limit",
        "1",
        "--next-token",
        token,
    ];
    let before = on_group("get-log-events", &page);
    let before = before["events"][0]["message"].as_str().unwrap_or_default();
    assert!(before.starts_with("END RequestId: "), "{before}");
    on_group("delete-log-stream", &["--log-stream-name", stream]);
    assert_eq!(on_group("filter-log-events", &[])["events"], json!([]));
    on_group("delete-log-group", &[]);
    assert_eq!(aws(&["describe-log-groups"])["logGroups"], json!([]));
    // A warm environment that keeps logging recreates the group.
    assert_eq!(host.invoke("f", &json!({})).await.status, 200);
    assert_eq!(group()["logGroupName"], GROUP);
    let events = on_group("filter-log-events", &[])["events"].clone();
    let messages = events.as_array().cloned().unwrap_or_default();
    assert_eq!(messages.len(), 3, "START, END and REPORT: {events}");
}

#[tokio::test]
async fn missing_or_misnamed_group_error_is_awss() {
    let host = Lamina::start();
    let missing = json!({
        "__type": "ResourceNotFoundException",
        "message": "The specified log group does not exist.",
    });
    for operation in [
        "DeleteLogGroup",
        "DeleteLogStream",
        "PutRetentionPolicy",
        "DeleteRetentionPolicy",
    ] {
        let request = json!({"logGroupName": "ghost", "logStreamName": "s", "retentionInDays": 1});
        let answer = logs(&host, operation, &request).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()),
            (400, missing.clone())
        );
        let answer = logs(
            &host,
            operation,
            &json!({"logStreamName": "s", "retentionInDays": 1}),
        )
        .await;
        let refused = json!({
            "__type": "InvalidParameterException",
            "message": "1 validation error detected: Value null at 'logGroupName' failed to satisfy \
                        constraint: Member must not be null",
        });
        assert_eq!((answer.status.as_u16(), answer.json()), (400, refused));
    }
    assert_eq!(groups(&host).await, Vec::<String>::new());
    let request = json!({"logGroupName": "ghost", "retentionInDays": 2});
    let refused = logs(&host, "PutRetentionPolicy", &request).await.json();
    let message = refused["message"].as_str().unwrap_or_default();
    let expected = "1 validation error detected: Value '2' at 'retentionInDays' failed to satisfy \
                    constraint: Member must satisfy enum value set: [1, 3, 5, 7, 14, ";
    assert!(message.starts_with(expected), "{message}");
    host.create("f", &guest("echo"), json!({})).await;
    assert_eq!(host.invoke("f", &json!({})).await.status, 200);
    for operation in ["DeleteLogStream", "GetLogEvents"] {
        let request = json!({"logGroupName": "/aws/lambda/f", "logStreamName": "ghost"});
        let refused = logs(&host, operation, &request).await.json();
        assert_eq!(
            refused["message"],
            "The specified log stream does not exist."
        );
    }
}

#[tokio::test]
async fn groups_and_streams_are_listed_in_pages() {
    let host = Lamina::start();
    for name in ["a", "b", "c"] {
        let group = json!({"LoggingConfig": {"LogGroup": format!("/x/{name}")}});
        host.create(name, &guest("echo"), group).await;
        assert_eq!(host.invoke(name, &json!({})).await.status, 200);
    }
    let first = json!({"limit": 2, "logGroupNamePrefix": "/x/"});
    let first = logs(&host, "DescribeLogGroups", &first).await.json();
    let names = |page: &Value| {
        let groups = page["logGroups"].as_array().cloned().unwrap_or_default();
        let name = |group: Value| group["logGroupName"].as_str().expect("a name").to_owned();
        groups.into_iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(names(&first), ["/x/a", "/x/b"]);
    let second = json!({"limit": 2, "nextToken": first["nextToken"]});
    let second = logs(&host, "DescribeLogGroups", &second).await.json();
    assert_eq!(
        (names(&second), second.get("nextToken")),
        (vec!["/x/c".to_owned()], None)
    );
    for (narrowed, expected) in [
        (json!({"logGroupNamePattern": "/b"}), vec!["/x/b"]),
        (json!({"logGroupIdentifiers": ["/x/c"]}), vec!["/x/c"]),
        (json!({"logGroupClass": "DELIVERY"}), vec![]),
        (json!({"accountIdentifiers": ["111111111111"]}), vec![]),
    ] {
        let found = logs(&host, "DescribeLogGroups", &narrowed).await.json();
        assert_eq!(names(&found), expected, "{narrowed}");
    }
}
