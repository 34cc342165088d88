//! Logs as CloudWatch Logs shows them: what is there, and nothing that was only asked for.

use serde_json::{Value, json};

use crate::harness::{Answer, Lamina, guest};

pub async fn logs(host: &Lamina, operation: &str, request: &Value) -> Answer {
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
async fn a_group_is_not_made_by_asking_for_it() {
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
async fn a_group_of_any_name_is_kept() {
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
    // The writer has it on disk a moment later.
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
