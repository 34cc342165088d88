//! Permissions of layer versions through the API: added, shown, removed, with revisions.

use serde_json::{Value, json};

use crate::harness::Lamina;
use crate::layers::{ARN, LAYERS, delete, error_of, published, refusal};

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one story, error_of from start to end"
)]
async fn layer_permissions_are_added_and_removed() {
    let host = Lamina::start();
    published(&host, "l", json!({})).await;
    let path = format!("{LAYERS}/l/versions/1/policy");
    let add = |id: &str, principal: &str| json!({"StatementId": id, "Principal": principal, "Action": "lambda:GetLayerVersion"});
    let none = refusal(
        404,
        "ResourceNotFoundException",
        "No policy is associated with the given resource.",
    );
    assert_eq!(
        error_of(&host.lambda("GET", &path, &Value::Null).await),
        none
    );
    let missing = refusal(
        404,
        "ResourceNotFoundException",
        &format!("Layer version {ARN}:l:2 does not exist."),
    );
    let elsewhere = format!("{LAYERS}/l/versions/2/policy");
    for (method, path) in [
        ("POST", elsewhere.clone()),
        ("GET", elsewhere.clone()),
        ("DELETE", format!("{elsewhere}/s")),
    ] {
        let answer = host.lambda(method, &path, &add("s", "*")).await;
        assert_eq!(error_of(&answer), missing, "{method}");
    }

    let added = host.lambda("POST", &path, &add("one", "*")).await;
    assert_eq!(added.status, 201);
    let added = added.json();
    let statement = format!(
        r#"{{"Sid":"one","Effect":"Allow","Principal":"*","Action":"lambda:GetLayerVersion","Resource":"{ARN}:l:1"}}"#
    );
    assert_eq!(added["Statement"], statement);
    let first = added["RevisionId"].as_str().expect("a revision").to_owned();
    let shown = host.lambda("GET", &path, &Value::Null).await.json();
    let policy = format!(r#"{{"Version":"2012-10-17","Id":"default","Statement":[{statement}]}}"#);
    assert_eq!(
        (&shown["Policy"], &shown["RevisionId"]),
        (&json!(policy), &json!(first))
    );

    let twice = host.lambda("POST", &path, &add("one", "*")).await;
    assert_eq!(
        error_of(&twice),
        refusal(
            409,
            "ResourceConflictException",
            "The statement id (one) provided already exists. Please provide a new statement id, or \
             remove the existing statement."
        )
    );
    let stale = refusal(
        412,
        "PreconditionFailedException",
        "The Revision Id provided does not match the latest Revision Id. Call the GetLayerPolicy \
         API to retrieve the latest Revision Id",
    );
    let wrong = format!("{path}?RevisionId=00000000-0000-4000-8000-000000000000");
    let refused = host.lambda("POST", &wrong, &add("two", "*")).await;
    assert_eq!(error_of(&refused), stale);
    let mut second = add("two", "arn:aws:iam::123456789012:root");
    second["OrganizationId"] = "o-abcdefghij".into();
    let right = format!("{path}?RevisionId={first}");
    let added = host.lambda("POST", &right, &second).await.json();
    assert_ne!(added["RevisionId"], first);
    let statement: Value =
        serde_json::from_str(added["Statement"].as_str().expect("text")).expect("JSON");
    assert_eq!(
        statement["Principal"],
        json!({"AWS": "arn:aws:iam::123456789012:root"})
    );
    assert_eq!(
        statement["Condition"],
        json!({"StringEquals": {"aws:PrincipalOrgID": "o-abcdefghij"}})
    );

    let remove = |id: &str, revision: &str| format!("{path}/{id}?RevisionId={revision}");
    let old = delete(&host, &remove("one", &first)).await;
    assert_eq!(error_of(&old), stale);
    let unknown = delete(&host, &format!("{path}/three")).await;
    assert_eq!(
        error_of(&unknown),
        refusal(
            404,
            "ResourceNotFoundException",
            "Statement three is not found in resource policy."
        )
    );
    let newest = added["RevisionId"].as_str().expect("a revision");
    for path in [remove("one", newest), format!("{path}/two")] {
        assert_eq!(delete(&host, &path).await.status, 204, "{path}");
    }
    assert_eq!(
        error_of(&host.lambda("GET", &path, &Value::Null).await),
        none
    );
    let again = delete(&host, &format!("{path}/two")).await;
    assert_eq!(error_of(&again), none);
}

#[tokio::test]
async fn layer_policy_over_limit_is_refused() {
    let host = Lamina::start();
    published(&host, "l", json!({})).await;
    let path = format!("{LAYERS}/l/versions/1/policy");
    for number in 0..200 {
        let id = format!("{number:0>100}");
        let statement =
            json!({"StatementId": id, "Principal": "*", "Action": "lambda:GetLayerVersion"});
        let answer = host.lambda("POST", &path, &statement).await;
        if answer.status != 201 {
            let (status, name, text) = error_of(&answer);
            assert_eq!(
                (status, name.as_str()),
                (400, "PolicyLengthExceededException")
            );
            assert!(
                text.ends_with("is bigger than the limit (20480)."),
                "{text}"
            );
            return;
        }
    }
    panic!("a policy may be as long as one likes");
}
