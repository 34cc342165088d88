//! Security Token Service: the identity that tools for infrastructure as code ask first.

use serde_json::json;

use crate::harness::{ApiResponse, Lamina, root};
use crate::signed::Signed;

const KEYS: &str = "[[keys]]\naccess_key_id = \"OWNER\"\nsecret_access_key = \"OWNER\"\n\
                    [[keys]]\naccess_key_id = \"ALICE\"\nsecret_access_key = \"ALICE\"\nname = \"alice\"\n\
                    account = \"111111111111\"\n";

async fn ask(host: &Lamina, key: Option<&str>, body: &str) -> ApiResponse {
    let form = [(
        "content-type",
        "application/x-www-form-urlencoded; charset=utf-8",
    )];
    match key {
        Some(key) => {
            let signed = Signed { host, key };
            signed
                .send("sts", "POST", "/", &form, body.to_owned())
                .await
        }
        None => host.send("POST", "/", &form, body.to_owned()).await,
    }
}

const IDENTITY: &str = "Action=GetCallerIdentity&Version=2011-06-15";

#[tokio::test]
async fn caller_learns_its_identity() {
    let host = Lamina::with(KEYS, "");
    for (key, arn, account) in [
        ("OWNER", "arn:aws:iam::000000000000:root", "000000000000"),
        (
            "ALICE",
            "arn:aws:iam::111111111111:user/alice",
            "111111111111",
        ),
    ] {
        let answer = ask(&host, Some(key), IDENTITY).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), "text/xml");
        for part in [
            format!("<Arn>{arn}</Arn>"),
            format!("<Account>{account}</Account>"),
        ] {
            assert!(answer.text().contains(&part), "{part} in {}", answer.text());
        }
    }
    let open = Lamina::start();
    let answer = ask(&open, None, IDENTITY).await;
    assert!(
        answer.text().contains("<Account>000000000000</Account>"),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn unknown_action_and_bad_signature_are_refused() {
    let host = Lamina::with(KEYS, "");
    let unsigned = ask(&host, None, IDENTITY).await;
    assert_eq!(unsigned.status, 403);
    assert!(
        unsigned
            .text()
            .contains("<Code>MissingAuthenticationToken</Code>")
    );
    let unknown = ask(&host, Some("NOBODY"), IDENTITY).await;
    assert_eq!(unknown.status, 403);
    assert!(
        unknown.text().contains("<Code>InvalidClientTokenId</Code>"),
        "{}",
        unknown.text()
    );
    let other = ask(
        &host,
        Some("OWNER"),
        "Action=AssumeRole%3C&Version=2011-06-15",
    )
    .await;
    assert_eq!(other.status, 400);
    assert!(
        other
            .text()
            .contains("Could not find operation AssumeRole&lt;"),
        "{}",
        other.text()
    );
    // A form from a web page, on a host without keys.
    let open = Lamina::start();
    let form = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("origin", "http://evil.example"),
    ];
    let answer = open.send("POST", "/", &form, IDENTITY).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn aws_cli_gets_caller_identity() {
    let host = Lamina::with(KEYS, "");
    let aws = root().join(".tools/venv/bin/aws");
    let output = tokio::process::Command::new(aws)
        .args([
            "sts",
            "get-caller-identity",
            "--endpoint-url",
            &host.endpoint(),
        ])
        .env("AWS_ACCESS_KEY_ID", "ALICE")
        .env("AWS_SECRET_ACCESS_KEY", "ALICE")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .output()
        .await
        .expect("the AWS CLI runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let identity: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let expected = json!({
        "UserId": "alice", "Account": "111111111111", "Arn": "arn:aws:iam::111111111111:user/alice",
    });
    assert_eq!(identity, expected);
}

#[tokio::test]
async fn request_to_sts_over_its_limit_is_refused() {
    let host = Lamina::start();
    let fits = format!(
        "{IDENTITY}&Padding={}",
        "x".repeat(8_192 - IDENTITY.len() - 9)
    );
    assert_eq!(fits.len(), 8_192);
    assert_eq!(ask(&host, None, &fits).await.status, 200);
    assert_eq!(ask(&host, None, &(fits + "x")).await.status, 400);
}
