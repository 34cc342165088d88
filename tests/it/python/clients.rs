//! The AWS CLI with a zip that a user of Lambda has.

use std::process::Command;

use serde_json::json;

use super::host;
use crate::clients::{client, json_of};
use crate::harness::ROLE;
use crate::layers::zip_of;

const SOURCE: &str = "import json\n\ndef lambda_handler(event, context):\n    \
    return {'statusCode': 200, 'body': json.dumps({'path': event.get('rawPath'), 'name': context.function_name})}\n";

#[tokio::test(flavor = "multi_thread")]
async fn aws_cli_deploys_and_invokes_an_unmodified_zip() {
    let host = host().await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    std::fs::write(path("f.zip"), zip_of(&[("lambda_function.py", SOURCE)]))
        .expect("it is written");
    let aws = |line: &str| {
        let arguments = line.split(' ').chain(["--function-name", "cli"]);
        json_of(client("venv/bin/aws", &host).arg("lambda").args(arguments))
    };
    let made = aws(&format!(
        "create-function --runtime python3.14 --handler lambda_function.lambda_handler --role {ROLE} --zip-file fileb://{}",
        path("f.zip")
    ));
    assert_eq!(
        (&made["State"], &made["Runtime"]),
        (&json!("Pending"), &json!("python3.14"))
    );
    aws("wait function-active-v2");
    let answer = json_of(
        client("venv/bin/aws", &host)
            .args([
                "lambda",
                "invoke",
                "--function-name",
                "cli",
                "--payload",
                "{}",
            ])
            .arg(path("out.json")),
    );
    assert_eq!(answer["StatusCode"], 200);
    let out = std::fs::read_to_string(path("out.json")).expect("it is written");
    let expected = json!({"statusCode": 200, "body": "{\"path\": null, \"name\": \"cli\"}"});
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&out).ok(),
        Some(expected)
    );
    let url = aws("create-function-url-config --auth-type NONE");
    let url = format!("{}orders", url["FunctionUrl"].as_str().expect("a URL"));
    aws(
        "add-permission --statement-id u --action lambda:InvokeFunctionUrl --principal * --function-url-auth-type NONE",
    );
    let curl = Command::new("curl").arg("-s").arg(url).output();
    let body = String::from_utf8_lossy(&curl.expect("curl runs").stdout).into_owned();
    assert_eq!(body, r#"{"path": "/orders", "name": "cli"}"#);
}
