//! Hostile guests. Each ends in Lambda's own error, the next invocation works, and the host is
//! unaffected.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::harness::{ApiResponse, Lamina, example, guest, log_of, zipped};

async fn host() -> Lamina {
    let host = Lamina::start();
    host.create(
        "f",
        &guest("hostile"),
        json!({"Timeout": 1, "MemorySize": 128}),
    )
    .await;
    host
}

/// Error of a failed invocation; checks that the next one works.
async fn failed(host: &Lamina, event: &Value) -> (String, String, ApiResponse) {
    let answer = host.invoke("f", event).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        answer.header("x-amz-function-error"),
        "Unhandled",
        "{}",
        answer.text()
    );
    let body = answer.json();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let next = host.invoke("f", &json!({"do": "echo"})).await;
    assert_eq!(
        next.json(),
        json!({"do": "echo"}),
        "the next invocation works"
    );
    (text("errorType"), text("errorMessage"), answer)
}

#[tokio::test]
async fn endless_loop_times_out() {
    let host = host().await;
    for event in [json!({"do": "loop"}), json!({"do": "sleep", "ms": 60_000})] {
        let (kind, message, answer) = failed(&host, &event).await;
        assert_eq!(kind, "Sandbox.Timedout");
        let id = answer.header("x-amzn-requestid");
        assert_eq!(
            message,
            format!("RequestId: {id} Error: Task timed out after 1.00 seconds")
        );
        assert!(
            log_of(&answer).contains("Status: timeout"),
            "{}",
            log_of(&answer)
        );
    }
}

#[tokio::test]
async fn endless_loops_do_not_delay_others() {
    let host = std::sync::Arc::new(host().await);
    host.create("echo", &guest("echo"), json!({})).await;
    let loops: Vec<_> = (0..6)
        .map(|_| {
            let host = host.clone();
            tokio::spawn(async move { host.invoke("f", &json!({"do": "loop"})).await.status })
        })
        .collect();
    for n in 0..20 {
        assert_eq!(host.invoke("echo", &json!(n)).await.json(), json!(n));
    }
    for one in loops {
        assert_eq!(one.await.expect("it ends"), 200);
    }
}

#[tokio::test]
async fn guest_failures_have_distinct_errors() {
    let host = host().await;
    let cases = [
        (json!({"do": "trap"}), "Runtime.ExitError", "unreachable"),
        (
            json!({"do": "panic", "message": "boom"}),
            "Runtime.ExitError",
            "unreachable",
        ),
        (
            json!({"do": "exit", "code": 0}),
            "Runtime.ExitError",
            "without providing a reason",
        ),
        (
            json!({"do": "exit", "code": 3}),
            "Runtime.ExitError",
            "exit status 1",
        ),
        (json!({"do": "recurse"}), "Runtime.ExitError", "stack"),
        (
            json!({"do": "allocate"}),
            "Runtime.OutOfMemory",
            "signal: killed",
        ),
        (
            json!({"do": "return", "bytes": 7_000_000}),
            "Function.ResponseSizeTooLarge",
            "(6291556 bytes)",
        ),
        (
            json!({"do": "fail", "type": "Mine", "message": "as told"}),
            "Mine",
            "as told",
        ),
    ];
    for (event, kind, message) in cases {
        let (found, text, answer) = failed(&host, &event).await;
        assert_eq!(found, kind, "{event}: {text}");
        assert!(text.contains(message), "{event}: {text}");
        if event["do"] == "panic" {
            assert!(log_of(&answer).contains("boom"), "{}", log_of(&answer));
        }
    }
}

#[tokio::test]
async fn failed_guests_leave_no_host_memory() {
    let host = host().await;
    for event in [
        json!({"do": "allocate"}),
        json!({"do": "log", "bytes": 30_000_000, "line_bytes": 100}),
    ] {
        host.invoke("f", &event).await;
    }
    let before = host.resident_kib();
    for _ in 0..30 {
        host.invoke("f", &json!({"do": "allocate"})).await;
        host.invoke("f", &json!({"do": "trap"})).await;
        host.invoke(
            "f",
            &json!({"do": "log", "bytes": 8_000_000, "line_bytes": 100}),
        )
        .await;
    }
    host.requires_growth_below(before, 40 << 10).await;
}

#[tokio::test]
async fn stack_of_deep_recursion_is_released() {
    let host = Arc::new(host().await);
    let at_once = async |event: Value| {
        let call = |host: Arc<Lamina>, event| async move { host.invoke("f", &event).await };
        let calls = (0..24).map(|_| tokio::spawn(call(Arc::clone(&host), event.clone())));
        for call in calls.collect::<Vec<_>>() {
            let answer = call.await.expect("it ends").text();
            assert_eq!(
                answer.contains("call stack"),
                event["do"] == "recurse",
                "{answer}"
            );
        }
    };
    at_once(json!({"do": "sleep", "ms": 300})).await;
    let before = host.resident_kib();
    at_once(json!({"do": "recurse"})).await;
    host.requires_growth_below(before, 40 << 10).await;
}

/// Small memories are decommitted in batches, large ones at once.
#[tokio::test]
async fn large_guest_memory_is_released_at_once() {
    let host = host().await;
    host.invoke("f", &json!({"do": "trap"})).await;
    let before = host.resident_kib();
    host.invoke("f", &json!({"do": "allocate"})).await;
    let grown = host.resident_kib().saturating_sub(before);
    assert!(grown < 24 << 10, "{grown} KiB more than before");
}

#[tokio::test]
async fn guest_sees_only_its_own_files() {
    let host = host().await;
    let ask = async |event: Value| host.invoke("f", &event).await;
    let task = ask(json!({"do": "list", "path": "/var/task"})).await.json();
    assert_eq!(task, json!(["bootstrap.wasm"]));
    for (event, allowed) in [
        (json!({"do": "write", "path": "/tmp/x", "bytes": 10}), true),
        (json!({"do": "read", "path": "/tmp/x"}), true),
        (
            json!({"do": "write", "path": "/var/task/x", "bytes": 10}),
            false,
        ),
        (
            json!({"do": "write", "path": "/var/task/bootstrap.wasm", "bytes": 10}),
            false,
        ),
        (json!({"do": "read", "path": "/etc/passwd"}), false),
        (
            json!({"do": "read", "path": "/tmp/../../etc/passwd"}),
            false,
        ),
        (json!({"do": "list", "path": "/var/task/.."}), false),
    ] {
        let answer = ask(event.clone()).await;
        let worked = answer.header("x-amz-function-error").is_empty();
        assert_eq!(worked, allowed, "{event}: {}", answer.text());
    }
}

#[tokio::test]
async fn guest_cannot_reach_host_networks() {
    let host = host().await;
    for address in [
        host.address.to_string(),
        "169.254.169.254:80".into(),
        "10.0.0.1:80".into(),
    ] {
        let answer = host
            .invoke("f", &json!({"do": "connect", "address": address}))
            .await;
        assert_eq!(
            answer.header("x-amz-function-error"),
            "Unhandled",
            "{}",
            answer.text()
        );
    }
}

#[tokio::test]
async fn guest_sees_lambda_variables_and_context() {
    let host = Lamina::start();
    let more = json!({"Environment": {"Variables": {"MINE": "yes"}}, "MemorySize": 256});
    host.create("f", &guest("hostile"), more).await;
    let env = host.invoke("f", &json!({"do": "env"})).await.json();
    for (name, value) in [
        ("MINE", "yes"),
        ("_HANDLER", "bootstrap"),
        ("AWS_LAMBDA_FUNCTION_NAME", "f"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_REGION", "us-east-1"),
        ("LAMBDA_TASK_ROOT", "/var/task"),
    ] {
        assert_eq!(env[name], value, "{name}");
    }
    let answer = host.invoke("f", &json!({"do": "context"})).await;
    let text = answer.text();
    for part in [
        answer.header("x-amzn-requestid"),
        "arn:aws:lambda:us-east-1:000000000000:function:f",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test]
async fn init_failure_is_reported() {
    let host = Lamina::start();
    let cases = [
        ("fail", "InitRefused", "INIT asked for it"),
        ("trap", "Runtime.ExitError", "unreachable"),
        ("exit:4", "Runtime.ExitError", "exit status 1"),
    ];
    for (at, (init, kind, message)) in cases.into_iter().enumerate() {
        let name = format!("f{at}");
        let more = json!({"Environment": {"Variables": {"INIT": init}}});
        host.create(&name, &guest("hostile"), more).await;
        for _ in 0..2 {
            let body = host.invoke(&name, &json!({"do": "echo"})).await.json();
            assert_eq!(body["errorType"], kind, "{init}: {body}");
            assert!(
                body["errorMessage"]
                    .as_str()
                    .unwrap_or_default()
                    .contains(message),
                "{body}"
            );
        }
    }
}

#[tokio::test]
async fn unsuitable_package_is_refused_with_reason() {
    let host = Lamina::start();
    let hello = example("hello");
    let cases: [(Vec<u8>, &str); 6] = [
        (zipped(&guest("noexport")), "exports"),
        (
            zipped(&guest("missing-import")),
            "imports what this host does not have",
        ),
        (zipped(&hello[..hello.len() / 2]), "not valid WebAssembly"),
        (zipped(b"\x7fELF\x02\x01\x01\0"), "native executable"),
        (zipped(b"\0asm\x01\0\0\0"), "core WebAssembly module"),
        (
            b"neither zip nor wasm".to_vec(),
            "Could not unzip uploaded file.",
        ),
    ];
    for (package, expected) in cases {
        let answer = host.try_create("f", &package, json!({})).await;
        let (kind, message) = answer.error();
        assert_eq!(
            (answer.status.as_u16(), kind.as_str()),
            (400, "InvalidParameterValueException")
        );
        assert!(message.contains(expected), "{expected}: {message}");
    }
    let answer = host.try_create("f", &vec![0; 52_428_801], json!({})).await;
    assert_eq!(answer.status, 413);
    let expected = "Zipped size must be smaller than 52428800 bytes";
    let expected = ("RequestEntityTooLargeException".into(), expected.into());
    assert_eq!(answer.error(), expected);
    assert_eq!(
        host.invoke("f", &json!({})).await.status,
        404,
        "nothing was made"
    );
}
