//! CloudWatch Logs Insights through the AWS CLI, and `aws logs tail`.

use serde_json::{Value, json};

use crate::harness::{ApiResponse, Lamina, guest, root};

async fn logs(host: &Lamina, operation: &str, request: &Value) -> ApiResponse {
    let target = format!("Logs_20140328.{operation}");
    let headers = [("x-amz-target", target.as_str())];
    host.send("POST", "/", &headers, request.to_string()).await
}

/// A host with a function that has logged three lines.
async fn host() -> Lamina {
    let host = Lamina::start();
    host.create("f", &guest("hostile"), json!({})).await;
    let lines = "{\"level\":\"INFO\",\"ms\":5}\n{\"level\":\"ERROR\",\"ms\":20}\n{\"level\":\"INFO\",\"ms\":7}\n";
    host.invoke("f", &json!({"do": "print", "stdout": lines, "stderr": ""}))
        .await;
    host
}

fn query(text: &str) -> Value {
    json!({
        "logGroupName": "/aws/lambda/f", "startTime": 0, "endTime": 4_000_000_000u64, "queryString": text,
    })
}

/// Results of a query, once it has ended.
async fn results(host: &Lamina, id: &Value) -> Value {
    loop {
        let found = logs(host, "GetQueryResults", &json!({"queryId": id})).await;
        let found = found.json();
        if found["status"] != "Running" {
            return found;
        }
        tokio::task::yield_now().await;
    }
}

fn values(results: &Value) -> Vec<Vec<String>> {
    let rows = results.as_array().expect("rows").iter();
    let cells = |row: &Value| {
        let cells = row.as_array().expect("cells").iter();
        let cells = cells.filter(|it| it["field"] != "@ptr");
        cells
            .map(|it| it["value"].as_str().expect("a text").to_owned())
            .collect()
    };
    rows.map(cells).collect()
}

#[tokio::test]
async fn query_returns_rows_and_statistics() {
    let host = host().await;
    let started = logs(
        &host,
        "StartQuery",
        &query("filter ispresent(ms) | stats max(ms) as m by level | sort m"),
    )
    .await;
    let id = started.json()["queryId"].clone();
    let found = results(&host, &id).await;
    assert_eq!(found["status"], "Complete");
    assert_eq!(values(&found["results"]), [["INFO", "7"], ["ERROR", "20"]]);
    assert_eq!(found["statistics"]["recordsMatched"], 3.0);
    let started = logs(
        &host,
        "StartQuery",
        &query("filter @type = 'REPORT' | fields @duration > 0 as d, @memorySize"),
    )
    .await;
    let id = started.json()["queryId"].clone();
    let found = results(&host, &id).await;
    assert_eq!(values(&found["results"]), [["1", "128000000"]]);
    let all = logs(
        &host,
        "DescribeQueries",
        &json!({"logGroupName": "/aws/lambda/f"}),
    )
    .await
    .json();
    assert_eq!(all["queries"].as_array().map(Vec::len), Some(2));
    assert_eq!(all["queries"][0]["queryId"], id);
    let wrong = logs(&host, "StartQuery", &query("filter (")).await;
    assert_eq!(wrong.status, 400);
    assert_eq!(wrong.json()["__type"], "MalformedQueryException");
    let missing = logs(&host, "GetQueryResults", &json!({"queryId": "none"})).await;
    assert_eq!(missing.json()["__type"], "ResourceNotFoundException");
    let no_group =
        json!({"logGroupNames": ["other"], "startTime": 0, "endTime": 1, "queryString": ""});
    let missing = logs(&host, "StartQuery", &no_group).await;
    assert_eq!(missing.json()["__type"], "ResourceNotFoundException");
}

#[tokio::test]
async fn results_of_64_queries_are_kept() {
    let host = host().await;
    let mut ids = Vec::new();
    for _ in 0..65 {
        let started = logs(&host, "StartQuery", &query("limit 1")).await;
        let id = started.json()["queryId"].clone();
        // One after another: four may run at once.
        assert_eq!(results(&host, &id).await["status"], "Complete");
        ids.push(id);
    }
    let status = async |id: &Value| {
        logs(&host, "GetQueryResults", &json!({"queryId": id}))
            .await
            .status
    };
    assert_eq!(status(&ids[0]).await, 400);
    assert_eq!(status(&ids[1]).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn aws_cli_queries_and_tails_logs() {
    let host = host().await;
    let aws = |arguments: &[&str]| {
        let mut aws = std::process::Command::new(root().join(".tools/venv/bin/aws"));
        aws.arg("logs")
            .args(arguments)
            .args(["--endpoint-url", &host.endpoint()]);
        aws.env("AWS_ACCESS_KEY_ID", "any")
            .env("AWS_SECRET_ACCESS_KEY", "any");
        aws.env("AWS_DEFAULT_REGION", "us-east-1");
        let output = aws.output().expect("the AWS CLI runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let text = "filter level = 'ERROR' | display ms";
    let times = ["--start-time", "0", "--end-time", "4000000000"];
    let start = [
        "start-query",
        "--log-group-name",
        "/aws/lambda/f",
        "--query-string",
        text,
    ];
    let started: Value = serde_json::from_str(&aws(&[&start[..], &times].concat())).expect("JSON");
    let id = started["queryId"].as_str().expect("an id");
    let found: Value = loop {
        let found = aws(&["get-query-results", "--query-id", id]);
        let found: Value = serde_json::from_str(&found).expect("JSON");
        if found["status"] != "Running" {
            break found;
        }
    };
    assert_eq!(values(&found["results"]), [["20"]]);
    // `aws logs tail` of version 2 is a loop of this; `--follow` continues at the last event.
    let filter = [
        "filter-log-events",
        "--log-group-name",
        "/aws/lambda/f",
        "--filter-pattern",
        "ERROR",
    ];
    let found: Value = serde_json::from_str(&aws(&filter)).expect("JSON");
    assert_eq!(found["events"].as_array().map(Vec::len), Some(1));
}
