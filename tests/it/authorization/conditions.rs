//! Policy conditions with real requests.

use serde_json::{Value, json};

use super::{ARN, F, People, allow, host, people, refusal, silent, status_and_message};

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one story, status_and_message from start to end"
)]
async fn conditions_match_request_and_function_context() {
    let conditioned = |action: &str, resource: &str, condition: Value| {
        let mut statement = allow(action, resource);
        statement["Condition"] = condition;
        statement
    };
    let tag = json!({"StringEquals": {"aws:ResourceTag/team": "${aws:username}"}});
    let here = json!({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}});
    let elsewhere = json!({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}});
    let keys = json!({
        "ForAllValues:StringEquals": {"aws:TagKeys": ["team"]},
        "StringEquals": {"aws:RequestTag/team": "alice"},
    });
    let to_s3 = json!({"StringLike": {"lambda:Principal": "s3.*"}});
    let host = host(&json!([
        conditioned("lambda:InvokeFunction", "*", tag),
        conditioned("lambda:GetFunctionConfiguration", "*", here),
        conditioned("lambda:GetFunction", "*", elsewhere),
        conditioned("lambda:TagResource", "*", keys),
        conditioned("lambda:AddPermission", "*", to_s3),
        conditioned(
            "lambda:GetPolicy",
            "*",
            json!({"StringSoundsLike": {"aws:username": "alis"}})
        ),
        conditioned(
            "lambda:ListTags",
            "*",
            json!({"StringEquals": {"aws:SomethingNew": "x"}})
        ),
        conditioned(
            "lambda:ListFunctions",
            "*",
            json!({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01"}})
        ),
        allow("lambda:CreateFunction", "*"),
    ]));
    let People { owner, alice, .. } = people(&host);
    owner.create("f", &json!({"Tags": {"team": "alice"}})).await;
    owner.create("g", &json!({"Tags": {"team": "bob"}})).await;
    assert_eq!(alice.invoke("f").await.status, 200);
    assert_eq!(alice.invoke("g").await.status, 403);
    let status = |method: &'static str, path: &'static str, body: Value| async move {
        alice.lambda(method, path, &body).await.status.as_u16()
    };
    let tags = |name: &str, tags: Value| {
        let path = format!(
            "/2017-03-31/tags/{}",
            ARN.replace("function:f", &format!("function:{name}"))
        );
        async move {
            alice
                .lambda("POST", &path, &json!({"Tags": tags}))
                .await
                .status
                .as_u16()
        }
    };
    assert_eq!(
        status("GET", "/2015-03-31/functions/f/configuration", Value::Null).await,
        200
    );
    assert_eq!(status("GET", F, Value::Null).await, 403);
    assert_eq!(tags("g", json!({"team": "alice"})).await, 204);
    assert_eq!(
        alice.invoke("g").await.status,
        200,
        "the data plane knows the new tag"
    );
    assert_eq!(tags("g", json!({"team": "alice", "more": "x"})).await, 403);
    assert_eq!(tags("g", json!({"team": "bob"})).await, 403);
    let grant = |principal: &str| {
        let principal = principal.to_owned();
        let request = json!({"StatementId": "s", "Action": "lambda:*", "Principal": principal});
        status("POST", "/2015-03-31/functions/f/policy", request)
    };
    assert_eq!(grant("sns.amazonaws.com").await, 403);
    assert_eq!(grant("s3.amazonaws.com").await, 201);
    assert_eq!(
        status("GET", "/2015-03-31/functions/f/policy", Value::Null).await,
        403
    );
    let list = "/2017-03-31/tags/arn:aws:lambda:us-east-1:000000000000:function:f";
    assert_eq!(status("GET", list, Value::Null).await, 403);
    assert_eq!(
        status("GET", "/2015-03-31/functions", Value::Null).await,
        200
    );
    // CreateFunction with tags requires TagResource too.
    let tagged = alice
        .try_create("h", &json!({"Tags": {"team": "bob"}}))
        .await;
    let resource = ARN.replace("function:f", "function:h");
    let expected = silent("alice", "identity", "lambda:TagResource", &resource);
    assert_eq!(status_and_message(&tagged), expected);
    assert_eq!(
        alice
            .try_create("h", &json!({"Tags": {"team": "alice"}}))
            .await
            .status,
        201
    );
    // A layer needs GetLayerVersion of its user.
    let layer = "arn:aws:lambda:us-east-1:000000000000:layer:l:1";
    let layered = alice.try_create("i", &json!({"Layers": [layer]})).await;
    let expected = silent("alice", "identity", "lambda:GetLayerVersion", layer);
    assert_eq!(status_and_message(&layered), expected);
}

#[tokio::test]
async fn deny_with_unknown_condition_applies() {
    let mut denial = allow("lambda:InvokeFunction", "*");
    denial["Effect"] = "Deny".into();
    denial["Condition"] = json!({"StringEquals": {"aws:SomethingNew": "x"}});
    let host = host(&json!([allow("lambda:*", "*"), denial]));
    let People { owner, alice, .. } = people(&host);
    owner.create("f", &json!({})).await;
    let why = "with an explicit deny in an identity-based policy";
    let expected = refusal("alice", "lambda:InvokeFunction", ARN, why);
    assert_eq!(status_and_message(&alice.invoke("f").await), expected);
    assert_eq!(alice.lambda("GET", F, &Value::Null).await.status, 200);
}
