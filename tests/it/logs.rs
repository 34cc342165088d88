//! JSON logs: platform events, application lines and level filters.

use serde_json::{Value, json};

use crate::harness::{ApiResponse, Lamina, guest, log_of};

/// Host with the function `f`, which no busy machine brings to its time-out.
async fn host(logging: Value) -> Lamina {
    let host = Lamina::start();
    create(&host, "f", 600, logging).await;
    host
}

async fn create(host: &Lamina, name: &str, timeout_seconds: u32, mut logging: Value) {
    logging["LogFormat"] = "JSON".into();
    let more = json!({
        "Timeout": timeout_seconds, "MemorySize": 256, "LoggingConfig": logging,
    });
    host.create(name, &guest("hostile"), more).await;
}

fn print(text: &str) -> Value {
    json!({"do": "print", "stdout": text, "stderr": ""})
}

/// JSON lines without their variable members, which are checked.
fn objects(lines: &str) -> Vec<Value> {
    let clean = |line: &str| {
        let mut object: Value = serde_json::from_str(line).expect(line);
        let time = match object.get("type") {
            Some(_) => object.as_object_mut().and_then(|it| it.remove("time")),
            None => object.as_object_mut().and_then(|it| it.remove("timestamp")),
        };
        if let Some(time) = time {
            let time = time.as_str().expect("a text").to_owned();
            let form: String = time
                .chars()
                .map(|it| if it.is_ascii_digit() { '0' } else { it })
                .collect();
            assert_eq!(form, "0000-00-00T00:00:00.000Z");
        }
        let metrics = object
            .pointer_mut("/record/metrics")
            .and_then(Value::as_object_mut);
        for (name, metric) in metrics.into_iter().flatten() {
            if !["memorySizeMB", "producedBytes"].contains(&name.as_str()) {
                assert!(metric.as_f64() > Some(0.0), "{line}");
                *metric = "a number".into();
            }
        }
        object
    };
    lines.lines().map(clean).collect()
}

fn tail(answer: &ApiResponse) -> Vec<Value> {
    objects(&log_of(answer))
}

fn report(id: &str, is_first: bool, status: &Value) -> Value {
    let mut metrics = json!({
        "durationMs": "a number", "billedDurationMs": "a number", "memorySizeMB": 256,
        "maxMemoryUsedMB": "a number",
    });
    if is_first {
        metrics["initDurationMs"] = "a number".into();
    }
    let mut record = json!({"requestId": id, "metrics": metrics});
    for (name, value) in status.as_object().into_iter().flatten() {
        record[name] = value.clone();
    }
    json!({"type": "platform.report", "record": record})
}

fn start(id: &str) -> Value {
    let record = json!({
        "requestId": id, "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
        "version": "$LATEST",
    });
    json!({"type": "platform.start", "record": record})
}

/// All log lines of the function.
async fn logged(host: &Lamina, group: &str) -> Vec<Value> {
    let target = [("x-amz-target", "Logs_20140328.FilterLogEvents")];
    let body = json!({"logGroupName": group});
    let found = host
        .send("POST", "/", &target, body.to_string())
        .await
        .json();
    let events = found["events"].as_array().cloned().unwrap_or_default();
    let lines: Vec<&str> = events
        .iter()
        .filter_map(|it| it["message"].as_str())
        .collect();
    objects(&lines.concat())
}

#[tokio::test]
async fn json_log_has_events_and_lines() {
    let host = host(json!({})).await;
    let text = "plain\n{\"level\":\"DEBUG\",\"n\":1}\n {\"level\":\"ERROR\",\"n\":2}\n[3]\n";
    let first = host.invoke("f", &print(text)).await;
    let id = first.header("x-amzn-requestid");
    let line = |text: &str| json!({"level": "INFO", "requestId": id, "message": text});
    let first = tail(&first);
    let begun = &first[0];
    assert_eq!(begun["type"], "platform.initStart");
    let record = &begun["record"];
    let stream = record["instanceId"].as_str().expect("a text").to_owned();
    assert!(stream.contains("/[$LATEST]"), "{stream}");
    let version = record["runtimeVersion"].as_str().unwrap_or_default();
    assert!(version.starts_with("lamina:"), "{version}");
    assert_eq!(
        *record,
        json!({
            "initializationType": "on-demand", "phase": "init", "runtimeVersion": version,
            "functionName": "f", "functionVersion": "$LATEST", "instanceId": stream,
            "instanceMaxMemory": 256 << 20,
            "runtimeVersionArn": record["runtimeVersionArn"],
        })
    );
    let success = json!({"status": "success"});
    let expected = [
        start(id),
        line("plain"),
        json!({"level": "ERROR", "n": 2}),
        line("[3]"),
        report(id, true, &success),
    ];
    assert_eq!(first[1..], expected);
    let second = host.invoke("f", &print("again")).await;
    let other = second.header("x-amzn-requestid");
    let again = json!({"level": "INFO", "requestId": other, "message": "again"});
    let then = [start(other), again, report(other, false, &success)];
    assert_eq!(tail(&second), then);
    let all = logged(&host, "/aws/lambda/f").await;
    assert_eq!(all, [&first[..], &then].concat());
}

#[tokio::test]
async fn debug_level_logs_every_event() {
    let host = host(json!({"SystemLogLevel": "DEBUG", "ApplicationLogLevel": "TRACE"})).await;
    let answer = host.invoke("f", &print("{\"level\":\"trace\"}")).await;
    let id = answer.header("x-amzn-requestid");
    let init = json!({
        "initializationType": "on-demand", "phase": "init", "status": "success",
    });
    let mut initialised = init.clone();
    initialised["metrics"] = json!({"durationMs": "a number"});
    let done = json!({
        "requestId": id, "status": "success",
        "metrics": {"durationMs": "a number", "producedBytes": 4},
    });
    let expected = [
        json!({"type": "platform.initRuntimeDone", "record": init}),
        json!({"type": "platform.initReport", "record": initialised}),
        start(id),
        json!({"level": "trace"}),
        json!({"type": "platform.runtimeDone", "record": done}),
        report(id, true, &json!({"status": "success"})),
    ];
    assert_eq!(tail(&answer)[1..], expected);
}

#[tokio::test]
async fn warn_level_logs_failures_only() {
    let logging = json!({"SystemLogLevel": "WARN", "ApplicationLogLevel": "FATAL"});
    let host = host(logging.clone()).await;
    // A time-out of 1 s for the endless one alone: a busy machine takes longer for the others.
    create(&host, "endless", 1, logging).await;
    let quiet = host
        .invoke("f", &print("plain\n{\"level\":\"ERROR\"}\n"))
        .await;
    assert_eq!(tail(&quiet), Vec::<Value>::new());
    let failed = json!({"do": "fail", "type": "Mine", "message": "as told"});
    assert_eq!(tail(&host.invoke("f", &failed).await), Vec::<Value>::new());
    let cases = [
        (
            "endless",
            json!({"do": "loop"}),
            json!({"status": "timeout"}),
            "Task timed out after 1.00 seconds",
        ),
        (
            "f",
            json!({"do": "exit", "code": 3}),
            json!({"status": "error", "errorType": "Runtime.ExitError"}),
            "exit status 1",
        ),
        (
            "f",
            json!({"do": "allocate"}),
            json!({"status": "error", "errorType": "Runtime.OutOfMemory"}),
            "signal: killed",
        ),
    ];
    for (function, event, status, message) in cases {
        let answer = host.invoke(function, &event).await;
        let id = answer.header("x-amzn-requestid");
        let tail = tail(&answer);
        let reason = tail
            .iter()
            .rev()
            .find(|it| it["level"] == "ERROR")
            .expect("it is told");
        assert_eq!(reason["requestId"], id);
        let text = reason["message"].as_str().unwrap_or_default();
        assert!(text.contains(message), "{text}");
        let [.., done, last] = &tail[..] else {
            panic!("{tail:?}")
        };
        // `f` has an environment from the invocations before, until it exits.
        let is_first = event["do"] != "exit";
        assert_eq!(*last, report(id, is_first, &status), "{event}");
        assert_eq!(done["type"], "platform.runtimeDone");
        assert_eq!(done["record"]["status"], status["status"]);
        assert!(tail.iter().all(|it| it["type"] != "platform.start"));
    }
}

#[tokio::test]
async fn failed_environment_start_is_logged() {
    let host = Lamina::start();
    let more = json!({
        "LoggingConfig": {"LogFormat": "JSON", "SystemLogLevel": "WARN"},
        "Environment": {"Variables": {"INIT": "fail"}},
    });
    host.create("f", &guest("hostile"), more).await;
    let log = tail(&host.invoke("f", &json!({"do": "echo"})).await);
    assert_eq!(log[0]["errorType"], "InitRefused");
    let kinds: Vec<&str> = log.iter().filter_map(|it| it["type"].as_str()).collect();
    assert_eq!(kinds, ["platform.initRuntimeDone", "platform.initReport"]);
    for event in &log[1..] {
        assert_eq!(event["record"]["status"], "error");
        assert_eq!(event["record"]["errorType"], "InitRefused");
    }
}

#[tokio::test]
async fn restarted_environment_logs_phase_invoke() {
    let host = host(json!({"SystemLogLevel": "DEBUG"})).await;
    host.invoke("f", &json!({"do": "exit", "code": 3})).await;
    let log = tail(&host.invoke("f", &json!({"do": "echo"})).await);
    for event in &log[..3] {
        assert_eq!(
            event["record"]["initializationType"], "on-demand",
            "{event}"
        );
        assert_eq!(event["record"]["phase"], "invoke", "{event}");
    }
}

#[tokio::test]
async fn function_sees_log_format_variables() {
    let host = host(json!({"ApplicationLogLevel": "WARN"})).await;
    let variables = async |name: &str| host.invoke(name, &json!({"do": "env"})).await.json();
    let env = variables("f").await;
    assert_eq!(env["AWS_LAMBDA_LOG_FORMAT"], "JSON");
    assert_eq!(env["AWS_LAMBDA_LOG_LEVEL"], "WARN");
    let mine =
        json!({"Environment": {"Variables": {"AWS_LAMBDA_LOG_FORMAT": "mine", "TZ": "CET"}}});
    host.create("g", &guest("hostile"), mine).await;
    let env = variables("g").await;
    assert_eq!(env["AWS_LAMBDA_LOG_FORMAT"], "mine");
    assert_eq!(env["TZ"], "CET");
    host.create("h", &guest("hostile"), json!({})).await;
    let env = variables("h").await;
    assert_eq!(env.get("AWS_LAMBDA_LOG_FORMAT"), None);
    assert_eq!(env.get("AWS_LAMBDA_LOG_LEVEL"), None);
}

#[tokio::test]
async fn custom_group_has_streams_named_after_function() {
    let host = host(json!({"LogGroup": "shared"})).await;
    let env = host.invoke("f", &json!({"do": "env"})).await.json();
    assert_eq!(env["AWS_LAMBDA_LOG_GROUP_NAME"], "shared");
    let stream = env["AWS_LAMBDA_LOG_STREAM_NAME"]
        .as_str()
        .unwrap_or_default();
    assert!(stream.contains("/f[$LATEST]"), "{stream}");
    let first = &logged(&host, "shared").await[0];
    assert_eq!(first["record"]["instanceId"], stream);
}

#[tokio::test]
async fn changed_log_format_applies_to_next_environment() {
    let host = host(json!({})).await;
    host.invoke("f", &json!({"do": "echo"})).await;
    let path = "/2015-03-31/functions/f/configuration";
    let text = json!({"LoggingConfig": {"LogFormat": "Text"}});
    assert_eq!(host.lambda("PUT", path, &text).await.status, 200);
    host.settled("f").await;
    let log = log_of(
        &host
            .invoke("f", &print("{\"level\":\"TRACE\"}\nplain\n"))
            .await,
    );
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines[0].starts_with("START RequestId: "), "{log}");
    assert_eq!(lines[1..3], ["{\"level\":\"TRACE\"}", "plain"]);
    assert!(lines[3].starts_with("END RequestId: "), "{log}");
    assert!(lines[4].starts_with("REPORT RequestId: "), "{log}");
}

#[tokio::test]
async fn log_events_name_tenant() {
    let host = Lamina::start();
    let more = json!({
        "LoggingConfig": {"LogFormat": "JSON"},
        "TenancyConfig": {"TenantIsolationMode": "PER_TENANT"},
    });
    host.create("f", &guest("hostile"), more).await;
    let headers = [("x-amz-tenant-id", "blue"), ("x-amz-log-type", "Tail")];
    let path = "/2015-03-31/functions/f/invocations";
    let answer = host
        .send("POST", path, &headers, print("plain").to_string())
        .await;
    let log = tail(&answer);
    assert_eq!(log[1]["record"]["tenantId"], "blue");
    assert_eq!(log[2]["tenantId"], "blue");
    assert_eq!(log[3]["record"]["tenantId"], "blue");
}

#[tokio::test]
async fn handler_error_is_logged() {
    let failed = json!({"do": "fail", "type": "Mine", "message": "as told"});
    let host = host(json!({})).await;
    host.create("g", &guest("hostile"), json!({})).await;
    let answer = host.invoke("f", &failed).await;
    let lines = tail(&answer);
    let [.., error, report] = &lines[..] else {
        panic!("{lines:?}")
    };
    let id = answer.header("x-amzn-requestid");
    let expected = json!({
        "level": "ERROR", "requestId": id, "errorType": "Mine", "errorMessage": "as told",
    });
    assert_eq!(*error, expected);
    assert_eq!(report["record"]["status"], "success");
    let log = log_of(&host.invoke("g", &failed).await);
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines[1], "[ERROR] Mine: as told", "{log}");
    assert!(!log.contains("Status: error"), "{log}");
}
