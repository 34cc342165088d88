//! Ends of Node.js functions that the corpus does not show: uncaught errors, exits, timeouts, and what the sandbox refuses.

use serde_json::{Value, json};

use super::{HELLO, call, create, host};
use crate::harness::log_of;

const ACT: &str = r#"
let calls = 0;
export const handler = async (event) => {
  calls += 1;
  const act = new Function('event', `return (async () => { ${event.code} })()`);
  return (await act(event)) ?? calls;
};
"#;

#[tokio::test(flavor = "multi_thread")]
async fn error_has_awss_document_and_log_line() {
    let host = host().await;
    let source = "class OrderError extends Error {\n  constructor(text) { super(text); this.name = 'OrderError'; this.code = 7; }\n}\n\
                  const fail = () => { throw new OrderError('none'); };\nexport const handler = async () => fail();\n";
    create(&host, "f", source, json!({})).await;
    let answer = host.invoke("f", &json!({})).await;
    assert_eq!(answer.header("x-amz-function-error"), "Unhandled");
    let document = answer.json();
    let names: Vec<_> = document.as_object().expect("an object").keys().collect();
    assert_eq!(names, ["errorType", "errorMessage", "trace"]);
    assert_eq!(document["errorType"], "OrderError");
    let trace: Vec<_> = document["trace"]
        .as_array()
        .expect("a list")
        .iter()
        .collect();
    assert_eq!(trace[0], "OrderError: none");
    let frame = trace[1].as_str().expect("a text");
    assert!(
        frame.starts_with("    at fail (") && frame.contains("/var/task/index.mjs:4"),
        "{frame}"
    );
    let (log, id) = (log_of(&answer), answer.header("x-amzn-requestid"));
    let mark = format!("\t{id}\tERROR\tInvoke Error \t");
    let line = log
        .lines()
        .find_map(|it| it.split_once(&mark))
        .expect("a line")
        .1;
    let line: Value = serde_json::from_str(line).expect("JSON");
    assert_eq!(
        (&line["errorType"], &line["code"]),
        (&json!("OrderError"), &json!(7))
    );
    assert!(!log.contains("[ERROR]"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn uncaught_errors_end_the_environment() {
    let host = host().await;
    create(&host, "f", ACT, json!({})).await;
    let cases = [
        (
            "Promise.reject(new Error('lost')); await new Promise((it) => setTimeout(it, 20))",
            "Runtime.UnhandledPromiseRejection",
            "Error: lost",
        ),
        (
            "setTimeout(() => { throw new RangeError('later') }, 1); await new Promise((it) => setTimeout(it, 20))",
            "RangeError",
            "later",
        ),
    ];
    for (code, error_type, message) in cases {
        let answer = host.invoke("f", &json!({"code": code})).await;
        let document = answer.json();
        assert_eq!(
            document["errorType"],
            error_type,
            "{code}: {document} {}",
            log_of(&answer)
        );
        assert_eq!(document["errorMessage"], message, "{code}");
        // A new environment has taken its place.
        assert_eq!(call(&host, "f", json!({"code": ""})).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exits_and_timeouts_have_awss_errors() {
    let host = host().await;
    create(&host, "f", ACT, json!({"Timeout": 1})).await;
    let cases = [
        (
            "process.exit(0)",
            "Runtime.ExitError",
            "without providing a reason",
        ),
        (
            "process.exit(1)",
            "Runtime.ExitError",
            "with error: exit status 1",
        ),
        (
            "for (;;) ;",
            "Sandbox.Timedout",
            "timed out after 1.00 seconds",
        ),
        (
            "await new Promise((it) => setTimeout(it, 5000))",
            "Sandbox.Timedout",
            "timed out after 1.00 seconds",
        ),
    ];
    for (code, error_type, message) in cases {
        let document = host.invoke("f", &json!({"code": code})).await.json();
        assert_eq!(document["errorType"], error_type, "{code}: {document}");
        let text = document["errorMessage"].as_str().expect("a text");
        assert!(text.ends_with(message), "{code}: {text}");
        assert_eq!(call(&host, "f", json!({"code": "return 7"})).await, 7);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn timer_that_is_left_does_not_hold_up_the_answer() {
    let host = host().await;
    let source = "setInterval(() => {}, 1000);\nexport const handler = async () => { setTimeout(() => {}, 20_000); return 1; };\n";
    create(&host, "f", source, json!({"Timeout": 3})).await;
    assert_eq!(call(&host, "f", json!({})).await, 1);
    assert_eq!(call(&host, "f", json!({})).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_of_functions_is_bounded() {
    let host = host().await;
    let source = "const kept = [];\nexport const handler = async ({ mib }) => kept.push(new Uint8Array(mib << 20).fill(1));\n";
    create(&host, "f", source, json!({"MemorySize": 128})).await;
    assert_eq!(call(&host, "f", json!({"mib": 30})).await, 1);
    let answer = host.invoke("f", &json!({"mib": 120})).await;
    assert_eq!(answer.header("x-amz-function-error"), "Unhandled");
    call(&host, "f", json!({"mib": 1})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_of_the_host_are_isolated_and_run_on() {
    let host = host().await;
    create(&host, "f", HELLO, json!({})).await;
    for name in ["a", "b"] {
        let greeting = call(&host, "f", json!({"name": name})).await;
        assert_eq!(greeting, format!("Hello, {name}"));
    }
}
