//! Cross-account access to layers by their resource-based policies.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{People, host, people, silent, status_and_message};
use crate::harness::zipped;

#[tokio::test]
async fn layer_policy_grants_cross_account_read() {
    let host = host(&json!([super::allow("lambda:GetLayerVersion", "*")]));
    let People { owner, alice, bob } = people(&host);
    let content = json!({"Content": {"ZipFile": STANDARD.encode(zipped(b"text"))}});
    let layers = "/2018-10-31/layers";
    for name in ["l", "m"] {
        let path = format!("{layers}/{name}/versions");
        let made = owner.lambda("POST", &path, &content).await;
        assert_eq!(made.status, 201, "{}", made.text());
    }
    let arn = |name: &str| format!("arn:aws:lambda:us-east-1:000000000000:layer:{name}:1");
    let by_arn = |name: &str| format!("{layers}?find=LayerVersion&Arn={}", arn(name));
    let get = "lambda:GetLayerVersion";
    let refused = bob.lambda("GET", &by_arn("l"), &Value::Null).await;
    assert_eq!(
        status_and_message(&refused),
        silent("bob", "resource", get, &arn("l"))
    );
    let statement = json!({"StatementId": "s", "Principal": "111111111111", "Action": get});
    let path = format!("{layers}/l/versions/1/policy");
    let added = owner.lambda("POST", &path, &statement).await;
    assert_eq!(added.status, 201, "{}", added.text());
    let shown = bob.lambda("GET", &by_arn("l"), &Value::Null).await;
    assert_eq!(shown.json()["LayerVersionArn"], arn("l"));
    let refused = bob.lambda("GET", &by_arn("m"), &Value::Null).await;
    assert_eq!(
        status_and_message(&refused),
        silent("bob", "resource", get, &arn("m"))
    );
    let path = format!("{layers}/l/versions/1");
    assert_eq!(alice.lambda("GET", &path, &Value::Null).await.status, 200);
    let refused = alice.lambda("DELETE", &path, &Value::Null).await;
    let delete = "lambda:DeleteLayerVersion";
    assert_eq!(
        status_and_message(&refused),
        silent("alice", "identity", delete, &arn("l"))
    );
}
