//! Authorization before the request body is read.

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::Lamina;
use crate::signed::{DIGEST, Signed};

/// Digest of a body that is never sent.
const UNSENT: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const F: &str = "/2015-03-31/functions/f";

fn host(statement: &Value) -> Lamina {
    let policy = json!({"Version": "2012-10-17", "Statement": statement});
    let key = |id: &str, more: &str| {
        format!("[[keys]]\naccess_key_id = \"{id}\"\nsecret_access_key = \"{id}\"\n{more}\n")
    };
    let alice = key("alice", &format!("name = \"alice\"\npolicy = '{policy}'"));
    Lamina::configured(&format!("{}{alice}", key("owner", "")))
}

fn allow(action: &str, resource: &str) -> Value {
    json!({"Effect": "Allow", "Action": action, "Resource": resource})
}

/// Response to a request head without its body.
async fn answer_to_head(
    who: Signed<'_>,
    host_name: &str,
    (method, path): (&str, &str),
    length: &str,
) -> String {
    let headers = [("host", host_name), (DIGEST, UNSENT)];
    let signature = who.sign("lambda", method, path, &headers, &Bytes::new());
    let mut head = format!("{method} {path} HTTP/1.1\r\n{length}\r\n");
    for (name, value) in &headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    for (name, value) in signature.iter().filter(|(name, _)| name != DIGEST) {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut stream = TcpStream::connect(who.host.address)
        .await
        .expect("it listens");
    let sent = stream.write_all(format!("{head}\r\n").as_bytes()).await;
    sent.expect("the head is taken");
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        let read = stream.read_buf(&mut answer).await.expect("it answers");
        assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
    }
    String::from_utf8(answer).expect("it is text")
}

#[tokio::test]
async fn caller_without_permission_is_refused_before_the_body() {
    let host = host(&allow("lambda:GetFunction", "*"));
    let owner = Signed {
        host: &host,
        key: "owner",
    };
    owner.create("f", &Value::Null).await;
    let alice = Signed {
        host: &host,
        key: "alice",
    };
    let address = host.address.to_string();
    for (operation, asked) in [
        ("CreateFunction", ("POST", "/2015-03-31/functions")),
        (
            "UpdateFunctionCode",
            ("PUT", "/2015-03-31/functions/f/code"),
        ),
        (
            "PublishLayerVersion",
            ("POST", "/2018-10-31/layers/l/versions"),
        ),
        (
            "CreateEventSourceMapping",
            ("POST", "/2015-03-31/event-source-mappings"),
        ),
        (
            "InvokeFunction",
            ("POST", "/2015-03-31/functions/f/invocations"),
        ),
        (
            "CreateCodeSigningConfig",
            ("POST", "/2020-04-22/code-signing-configs"),
        ),
    ] {
        for length in ["content-length: 52428800", "transfer-encoding: chunked"] {
            let answer = answer_to_head(alice, &address, asked, length).await;
            assert!(answer.starts_with("HTTP/1.1 403"), "{operation}: {answer}");
            let text = format!("is not authorized to perform: lambda:{operation} on resource:");
            assert!(answer.contains(&text), "{answer}");
        }
    }
}

#[tokio::test]
async fn url_caller_without_permission_is_refused_before_the_body() {
    let host = host(&allow("lambda:GetFunction", "*"));
    let owner = Signed {
        host: &host,
        key: "owner",
    };
    owner.create("f", &Value::Null).await;
    let made = json!({"AuthType": "AWS_IAM"});
    let made = owner
        .lambda("POST", "/2021-10-31/functions/f/url", &made)
        .await;
    let alice = Signed {
        host: &host,
        key: "alice",
    };
    let length = "content-length: 6000000";
    let answer = answer_to_head(alice, &made.url_domain(), ("POST", "/"), length).await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(answer.contains("Forbidden"), "{answer}");
}

/// Covers declared and undeclared digests.
#[tokio::test]
async fn body_of_caller_without_permission_takes_no_memory() {
    const BYTES: usize = 50 << 20;
    let host = host(&allow("s3:*", "*"));
    let alice = Signed {
        host: &host,
        key: "alice",
    };
    let body = Bytes::from(vec![b' '; BYTES]);
    // Warms up connections and buffers.
    let refused = alice
        .lambda("POST", "/2015-03-31/functions", &json!({}))
        .await;
    assert_eq!(refused.status, 403);
    let before = host.peak_kib();
    for headers in [vec![], vec![(DIGEST, UNSENT)]] {
        let send = || {
            alice.send(
                "lambda",
                "PUT",
                "/2015-03-31/functions/f/code",
                &headers,
                body.clone(),
            )
        };
        let (one, two, three) = tokio::join!(send(), send(), send());
        for answer in [one, two, three] {
            assert_eq!(answer.status, 403, "{}", answer.text());
            assert_eq!(answer.error().0, "AccessDeniedException");
        }
    }
    let grown = host.peak_kib() - before;
    assert!(grown < 16 << 10, "{grown} KiB");
}

#[tokio::test]
async fn bad_signature_is_reported_before_missing_permission() {
    let host = host(&allow("s3:*", "*"));
    let alice = Signed {
        host: &host,
        key: "alice",
    };
    let address = host.address.to_string();
    let headers = [("host", address.as_str())];
    let path = format!("{F}/code");
    // Signed over another body.
    let signature = alice.sign("lambda", "PUT", &path, &headers, &Bytes::new());
    let mut all = headers.to_vec();
    all.extend(signature.iter().map(|(name, value)| (&**name, &**value)));
    let answer = host.send("PUT", &path, &all, vec![b' '; 1 << 20]).await;
    assert_eq!(
        answer.error().0,
        "InvalidSignatureException",
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn caller_permitted_for_another_name_is_refused() {
    let arn = |name: &str| format!("arn:aws:lambda:us-east-1:000000000000:function:{name}");
    let host = host(&allow("lambda:CreateFunction", &arn("g")));
    let alice = Signed {
        host: &host,
        key: "alice",
    };
    let padding = "x".repeat(1 << 20);
    for (name, expected) in [("f", 403), ("g", 400)] {
        let body = json!({"FunctionName": name, "Description": padding});
        let answer = alice.lambda("POST", "/2015-03-31/functions", &body).await;
        assert_eq!(answer.status, expected, "{}", answer.text());
        assert_eq!(
            answer.text().contains(&arn(name)),
            expected == 403,
            "{}",
            answer.text()
        );
    }
}
