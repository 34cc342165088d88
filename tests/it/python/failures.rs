//! Ends of Python functions that native Python does not show: exits, timeouts, and what a sandbox without threads and
//! processes refuses.

use serde_json::{Value, json};

use super::{HELLO, call, create, host, lines_of};
use crate::harness::log_of;

const ACT: &str = r#"
import os, sys, time

def lambda_handler(event, context):
    print("before")
    exec(event["code"], globals())
    return event.get("result")
"#;

#[tokio::test(flavor = "multi_thread")]
async fn exits_and_timeouts_have_awss_errors() {
    let host = host().await;
    create(&host, "f", ACT, json!({"Timeout": 1})).await;
    let cases = [
        (
            "sys.exit(0)",
            "Runtime.ExitError",
            "without providing a reason",
        ),
        (
            "sys.exit(3)",
            "Runtime.ExitError",
            "with error: exit status 1",
        ),
        (
            "sys.exit('reason')",
            "Runtime.ExitError",
            "with error: exit status 1",
        ),
        (
            "os._exit(1)",
            "Runtime.ExitError",
            "with error: exit status 1",
        ),
        (
            "raise KeyboardInterrupt",
            "Runtime.ExitError",
            "exit status 1",
        ),
        (
            "while True: pass",
            "Sandbox.Timedout",
            "timed out after 1.00 seconds",
        ),
        (
            "time.sleep(5)",
            "Sandbox.Timedout",
            "timed out after 1.00 seconds",
        ),
    ];
    for (code, error_type, message) in cases {
        let answer = host.invoke("f", &json!({"code": code})).await;
        let payload = answer.json();
        assert_eq!(payload["errorType"], error_type, "{code}: {payload}");
        let id = answer.header("x-amzn-requestid");
        let text = payload["errorMessage"].as_str().expect("a text");
        assert!(
            text.starts_with(&format!("RequestId: {id} Error: ")),
            "{text}"
        );
        assert!(text.ends_with(message), "{code}: {text}");
        assert!(log_of(&answer).contains("\nbefore\n"), "{code}");
        // The next environment starts anew.
        assert_eq!(call(&host, "f", json!({"code": "", "result": 7})).await, 7);
    }
    let answer = host
        .invoke("f", &json!({"code": "sys.exit('reason')"}))
        .await;
    assert!(
        lines_of(&answer).contains(&"reason".to_owned()),
        "{}",
        log_of(&answer)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_abilities_are_errors_that_say_so() {
    let host = host().await;
    create(&host, "f", ACT, json!({})).await;
    let cases = [
        (
            "import threading; threading.Thread(target=print).start()",
            "RuntimeError",
            "can't start new thread",
        ),
        (
            "import subprocess; subprocess.run(['ls'])",
            "OSError",
            "wasi does not support processes.",
        ),
        ("import ctypes", "ModuleNotFoundError", "_ctypes"),
        (
            "import numpy",
            "ModuleNotFoundError",
            "No module named 'numpy'",
        ),
        (
            "open('/var/task/new', 'w')",
            "PermissionError",
            "Operation not permitted",
        ),
        ("os.fork()", "AttributeError", "fork"),
        ("import bz2", "ModuleNotFoundError", "_bz2"),
        (
            "import multiprocessing.pool as p; p.Pool(1)",
            "AttributeError",
            "pipe",
        ),
        (
            "import hashlib; hashlib.pbkdf2_hmac",
            "AttributeError",
            "pbkdf2_hmac",
        ),
        (
            "import zoneinfo; zoneinfo.ZoneInfo('Europe/Berlin')",
            "ZoneInfoNotFoundError",
            "No time zone found",
        ),
    ];
    for (code, error_type, message) in cases {
        let payload = host.invoke("f", &json!({"code": code})).await.json();
        assert_eq!(payload["errorType"], error_type, "{code}: {payload}");
        let text = payload["errorMessage"].as_str().expect("a text");
        assert!(text.contains(message), "{code}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_import_is_reported_by_every_invocation() {
    let host = host().await;
    create(&host, "f", "import no_such\n", json!({})).await;
    for _ in 0..2 {
        let answer = host.invoke("f", &json!({})).await;
        let expected = json!({
            "errorMessage": "Unable to import module 'lambda_function': No module named 'no_such'",
            "errorType": "Runtime.ImportModuleError",
            "requestId": answer.header("x-amzn-requestid"),
            "stackTrace": [],
        });
        assert_eq!(answer.json(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn late_import_of_the_standard_library_succeeds() {
    let host = host().await;
    let source = "def lambda_handler(event, context):\n    import wsgiref.util, smtplib, http.server, ast, pdb, zoneinfo\n    \
                  import email.mime.image, sched, shelve, netrc, imaplib, xmlrpc.client, json.tool\n    \
                  return wsgiref.util.guess_scheme({})\n";
    create(&host, "f", source, json!({})).await;
    assert_eq!(call(&host, "f", json!({})).await, "http");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_text_is_no_failure_of_the_runtime() {
    let host = host().await;
    create(&host, "f", ACT, json!({})).await;
    let cases: [(&str, Value); 2] = [
        ("raise ValueError('\\ud83d')", json!("\\ud83d")),
        (
            "class E(Exception):\n    def __str__(self): raise KeyError\nraise E",
            json!(""),
        ),
    ];
    for (code, message) in cases {
        let payload = host.invoke("f", &json!({"code": code})).await.json();
        assert_eq!(payload["errorMessage"], message, "{payload}");
    }
    let source = "import sys\ndef lambda_handler(event, context):\n    sys.stdout.close()\n    return HELLO\nHELLO = '\\ud83d'\n";
    create(&host, "g", source, json!({})).await;
    let answer = host.invoke("g", &json!({})).await;
    assert_eq!(answer.text(), r#""\ud83d""#);
    create(&host, "h", HELLO, json!({})).await;
    assert_eq!(call(&host, "h", json!({})).await, "Hello, world");
}
