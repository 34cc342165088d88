//! Execution environments: capacity, host limits that are not the function's fault, and environment
//! variables.

use std::sync::Arc;

use serde_json::json;

use crate::harness::{ApiResponse, Lamina, guest, log_of};

/// True for a response of the function itself.
fn is_answer(answer: &ApiResponse) -> bool {
    assert_eq!(
        answer.header("x-amz-function-error"),
        "",
        "{}",
        answer.text()
    );
    answer.status == 200
}

#[tokio::test]
async fn host_raises_descriptor_limit() {
    let host = Lamina::limited("-Sn 256", "");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", host.pid()));
    let limits = limits.expect("the host runs");
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let mut columns = line.expect("it is listed").split_whitespace().skip(3);
    let (soft, hard) = (columns.next(), columns.next());
    assert!(
        soft.is_some() && soft == hard && soft != Some("256"),
        "{limits}"
    );

    let short = Lamina::limited("-n 300", "");
    let warned = short
        .said
        .iter()
        .any(|line| line.contains("1000 and 150 connections") && line.contains("ulimit -Hn"));
    assert!(warned, "{:?}", short.said);
}

#[tokio::test]
async fn descriptor_shortage_is_not_function_error() {
    let host = Arc::new(Lamina::limited("-n 120", "connections_per_address = 1000"));
    host.create("f", &guest("hostile"), json!({"Timeout": 30}))
        .await;
    let calls: Vec<_> = (0..60)
        .map(|_| {
            let host = Arc::clone(&host);
            let sleep = json!({"do": "sleep", "ms": 1_000});
            tokio::spawn(async move { host.invoke("f", &sleep).await })
        })
        .collect();
    let (mut answered, mut refused) = (0, 0);
    for call in calls {
        let answer = call.await.expect("it ends");
        if is_answer(&answer) {
            answered += 1;
        } else {
            refused += 1;
            let (name, _) = answer.error();
            assert_eq!(
                (answer.status.as_u16(), name.as_str()),
                (429, "TooManyRequestsException"),
                "{}",
                answer.text()
            );
            assert_eq!(answer.json()["Reason"], "ConcurrentInvocationLimitExceeded");
        }
    }
    assert!(answered > 0 && refused > 0, "{answered} and {refused}");
    assert!(is_answer(&host.invoke("f", &json!({"do": "echo"})).await));
}

/// Adds core modules to a component, each instantiated.
fn with_modules(component: &[u8], modules: &[&[u8]]) -> Vec<u8> {
    const HEADER_BYTES: usize = 8;
    const CORE_MODULE: u8 = 1;
    const CORE_INSTANCES: u8 = 2;
    let mut made = component.to_vec();
    let (mut at, mut count) = (HEADER_BYTES, 0_u8);
    while at < component.len() {
        let section = component[at];
        let (mut size, mut shift) = (0_usize, 0);
        loop {
            at += 1;
            size |= usize::from(component[at] & 0x7f) << shift;
            shift += 7;
            if component[at] < 0x80 {
                break;
            }
        }
        at += 1 + size;
        count += u8::from(section == CORE_MODULE);
    }
    for module in modules {
        let size = u8::try_from(module.len()).expect("the module is small");
        made.extend([CORE_MODULE, size]);
        made.extend(*module);
        // One instance of the module just added, without arguments.
        made.extend([CORE_INSTANCES, 4, 1, 0, count, 0]);
        count += 1;
    }
    made
}

#[tokio::test]
async fn environment_slot_fits_largest_component() {
    const MEMORY: &[u8] = b"\0asm\x01\0\0\0\x05\x03\x01\0\x01";
    const TABLE: &[u8] = b"\0asm\x01\0\0\0\x04\x04\x01\x70\0\x01";
    let host = Lamina::configured("environments = 1");
    let modules = [[MEMORY; 7].as_slice(), &[TABLE; 25]].concat();
    host.create("many", &with_modules(&guest("echo"), &modules), json!({}))
        .await;
    host.create("few", &guest("echo"), json!({})).await;
    // Each evicts the other.
    for name in ["many", "few", "many", "many"] {
        let answer = host.invoke(name, &json!(name)).await;
        assert!(is_answer(&answer), "{}", answer.text());
        assert_eq!(answer.json(), json!(name));
    }
}

#[tokio::test]
async fn response_counts_despite_later_runtime_failure() {
    let host = Lamina::start();
    host.create("r", &guest("runtime"), json!({"Timeout": 1}))
        .await;
    for then in ["sleep", "loop", "trap", "exit"] {
        let answer = host.invoke("r", &json!(then)).await;
        assert!(is_answer(&answer), "{}", answer.text());
        assert_eq!(answer.json(), json!(then));
        if then == "trap" {
            assert!(
                log_of(&answer).contains("unreachable"),
                "{}",
                log_of(&answer)
            );
        }
        let next = host.invoke("r", &json!("ready")).await;
        assert_eq!(next.json(), json!("ready"));
        assert!(
            log_of(&next).contains("Init Duration"),
            "{then}: a new environment"
        );
        let warm = host.invoke("r", &json!("ready")).await;
        assert!(
            !log_of(&warm).contains("Init Duration"),
            "{}",
            log_of(&warm)
        );
    }
}

#[tokio::test]
async fn refused_memory_does_not_explain_later_exit() {
    let host = Lamina::start();
    host.create("f", &guest("hostile"), json!({})).await;
    let reserve = json!({"do": "reserve", "bytes": 1_u64 << 30});
    assert_eq!(host.invoke("f", &reserve).await.json(), json!(false));
    let ended = host.invoke("f", &json!({"do": "trap"})).await;
    assert_eq!(
        ended.json()["errorType"],
        "Runtime.ExitError",
        "{}",
        ended.text()
    );
}

#[tokio::test]
async fn user_variables_override_defaults() {
    let host = Lamina::start();
    let chosen = json!({
        "TZ": "Europe/Berlin", "LANG": "C", "LAMBDA_RUNTIME_DIR": "/mine", "PATH": "/opt/mine",
    });
    let environment = json!({"Environment": {"Variables": chosen}});
    host.create("chosen", &guest("hostile"), environment).await;
    host.create("plain", &guest("hostile"), json!({})).await;
    let plain = json!({
        "TZ": ":UTC", "LANG": "en_US.UTF-8", "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "PATH": "/usr/local/bin:/usr/bin/:/bin:/opt/bin",
        "LD_LIBRARY_PATH":
            "/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
    });
    for (function, expected) in [("chosen", chosen), ("plain", plain)] {
        for (name, value) in expected.as_object().expect("it is one") {
            let ask = json!({"do": "variable", "name": name});
            assert_eq!(
                host.invoke(function, &ask).await.json(),
                *value,
                "{function}: {name}"
            );
        }
    }
}

#[tokio::test]
async fn log_starts_with_init_start() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    host.invoke("f", &json!(1)).await;
    let target = [("x-amz-target", "Logs_20140328.FilterLogEvents")];
    let group = json!({"logGroupName": "/aws/lambda/f"}).to_string();
    let log = host.send("POST", "/", &target, group).await.json();
    let first = log["events"][0]["message"].as_str().expect("a line");
    let path = "/2015-03-31/functions/f/configuration";
    let shown = host
        .lambda("GET", path, &serde_json::Value::Null)
        .await
        .json();
    let arn = shown["RuntimeVersionConfig"]["RuntimeVersionArn"]
        .as_str()
        .expect("an ARN");
    let (version, end) = first.split_once('\t').expect("two parts");
    assert!(
        version.starts_with("INIT_START Runtime Version: lamina:"),
        "{first}"
    );
    assert_eq!(end, format!("Runtime Version ARN: {arn}\n"));
    let lines = log["events"].as_array().expect("a list").iter();
    let is_whole = |it: &serde_json::Value| it["message"].as_str()?.strip_suffix('\n').map(drop);
    assert!(lines.map(is_whole).all(|it| it.is_some()), "{log}");
}

#[tokio::test]
async fn execution_env_names_runtime_unless_provided() {
    let host = Lamina::start();
    for (runtime, told) in [
        ("wasip2", Some("AWS_Lambda_wasip2")),
        ("provided.al2023", None),
    ] {
        let name = runtime.replace('.', "-");
        let more = json!({"Runtime": runtime});
        host.create(&name, &guest("hostile"), more).await;
        let env = host.invoke(&name, &json!({"do": "env"})).await.json();
        assert_eq!(
            env.get("AWS_EXECUTION_ENV").and_then(|it| it.as_str()),
            told,
            "{runtime}"
        );
    }
}

/// This guest's data segment is large, so it is mapped; small ones are copied.
#[tokio::test]
async fn guest_data_is_reset_in_new_environment() {
    let host = Lamina::start();
    host.create("f", &guest("hostile"), json!({})).await;
    let data = json!({"do": "data"});
    let sum = async || host.invoke("f", &data).await.json();
    assert_eq!((sum().await, sum().await), (json!(6144), json!(2 * 6144)));
    host.invoke("f", &json!({"do": "trap"})).await;
    assert_eq!((sum().await, sum().await), (json!(6144), json!(2 * 6144)));
}
