//! Authorization of function URLs and logs.

use serde_json::json;

use super::{ARN, F, People, allow, grant, host, people, policy_path, status_and_message};
use crate::signed::Signed;

async fn url_of(owner: Signed<'_>, name: &str, auth: &str) -> String {
    owner.create(name, &json!({})).await;
    let path = format!("/2021-10-31/functions/{name}/url");
    let made = owner
        .lambda("POST", &path, &json!({"AuthType": auth}))
        .await;
    made.url_domain()
}

fn forbidden() -> (u16, String) {
    let message = "Forbidden. For troubleshooting Function URL authorization issues, see: \
                   https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html";
    (403, json!({"Message": message}).to_string())
}

#[tokio::test]
async fn unauthenticated_url_needs_resource_policy() {
    let host = host(&json!([allow("s3:*", "*")]));
    let People { owner, .. } = people(&host);
    let domain = url_of(owner, "f", "NONE").await;
    let get =
        || async { status_and_message(&host.send("GET", "/", &[("host", &domain)], "").await) };
    assert_eq!(get().await, forbidden());
    let call = json!({
        "StatementId": "call", "Principal": "*", "Action": "lambda:InvokeFunctionUrl",
        "FunctionUrlAuthType": "NONE",
    });
    grant(owner, &policy_path(""), call).await;
    assert_eq!(get().await, forbidden(), "it takes two");
    let run = json!({"StatementId": "run", "Principal": "*", "InvokedViaFunctionUrl": true});
    grant(owner, &policy_path(""), run).await;
    assert_eq!(get().await.0, 200);
    let direct = host
        .lambda("POST", &format!("{F}/invocations"), &json!({}))
        .await;
    assert_eq!(direct.error().0, "MissingAuthenticationTokenException");
    let alice = Signed {
        host: &host,
        key: "alice",
    };
    assert_eq!(
        alice.invoke("f").await.status,
        403,
        "the leave is for the URL only"
    );
    let nowhere = [("host", "nobody.lambda-url.us-east-1.localhost")];
    let nowhere = host.send("GET", "/", &nowhere, "").await;
    assert_eq!(
        status_and_message(&nowhere),
        (403, r#"{"Message":null}"#.into())
    );
}

#[tokio::test]
async fn signed_url_call_needs_either_policy() {
    let may = json!([
        allow("lambda:InvokeFunctionUrl", ARN),
        allow("lambda:InvokeFunction", ARN)
    ]);
    let host = host(&may);
    let People { owner, alice, bob } = people(&host);
    let domain = url_of(owner, "f", "AWS_IAM").await;
    let unsigned = host.send("GET", "/", &[("host", &domain)], "").await;
    assert_eq!(status_and_message(&unsigned), forbidden());
    let stranger = Signed {
        host: &host,
        key: "stranger",
    };
    let refused = stranger.url(&domain).await;
    let text = "The security token included in the request is invalid.";
    assert_eq!(
        (refused.status.as_u16(), refused.error().1),
        (403, text.to_owned())
    );
    assert_eq!(owner.url(&domain).await.status, 200);
    assert_eq!(alice.url(&domain).await.status, 200);
    assert_eq!(status_and_message(&bob.url(&domain).await), forbidden());
    for (sid, action) in [
        ("a", "lambda:InvokeFunctionUrl"),
        ("b", "lambda:InvokeFunction"),
    ] {
        let statement = json!({"StatementId": sid, "Principal": "111111111111", "Action": action});
        grant(owner, &policy_path(""), statement).await;
    }
    assert_eq!(bob.url(&domain).await.status, 200);
    let other = url_of(owner, "g", "AWS_IAM").await;
    assert_eq!(status_and_message(&alice.url(&other).await), forbidden());
    assert_eq!(owner.url(&other).await.status, 200);
}

#[tokio::test]
async fn log_reading_needs_permission() {
    let group = "arn:aws:logs:us-east-1:000000000000:log-group:/aws/lambda/f:*";
    let host = host(&json!([allow("logs:FilterLogEvents", group)]));
    let People { owner, alice, bob } = people(&host);
    owner.create("f", &json!({})).await;
    owner.create("g", &json!({})).await;
    assert_eq!(owner.invoke("f").await.status, 200);
    assert_eq!(owner.invoke("g").await.status, 200);
    let filter = |of: &str| json!({"logGroupName": format!("/aws/lambda/{of}")});
    assert_eq!(
        alice.logs("FilterLogEvents", &filter("f")).await.status,
        200
    );
    let refused = alice.logs("FilterLogEvents", &filter("g")).await;
    let text = "User: arn:aws:iam::000000000000:user/alice is not authorized to perform: \
                logs:FilterLogEvents on resource: arn:aws:logs:us-east-1:000000000000:log-group:\
                /aws/lambda/g:log-stream: because no identity-based policy allows the \
                logs:FilterLogEvents action";
    assert_eq!(
        refused.json(),
        json!({"__type": "AccessDeniedException", "message": text})
    );
    assert_eq!(
        alice.logs("DescribeLogGroups", &json!({})).await.status,
        400
    );
    assert_eq!(
        owner.logs("DescribeLogGroups", &json!({})).await.status,
        200
    );
    assert_eq!(bob.logs("FilterLogEvents", &filter("f")).await.status, 400);
}

#[tokio::test]

async fn grant_on_one_stream_excludes_others() {
    const STREAM: &str = "2026/01/01/[$LATEST]abc";
    let group = "arn:aws:logs:us-east-1:000000000000:log-group:";
    let stream = format!("{group}/aws/lambda/f:log-stream:{STREAM}");
    let host = host(&json!([allow("logs:*", &stream)]));
    let People { owner, alice, .. } = people(&host);
    owner.create("f", &json!({})).await;
    assert_eq!(owner.invoke("f").await.status, 200);
    let request = json!({"logGroupName": "/aws/lambda/f", "logStreamName": STREAM});
    for (operation, resource) in [
        ("DescribeLogGroups", ":log-stream:"),
        ("DescribeLogStreams", "/aws/lambda/f:log-stream:"),
        ("FilterLogEvents", "/aws/lambda/f:log-stream:"),
    ] {
        let refused = alice.logs(operation, &request).await.json();
        let text = format!(
            "User: arn:aws:iam::000000000000:user/alice is not authorized to perform: \
             logs:{operation} on resource: {group}{resource} because no identity-based policy \
             allows the logs:{operation} action"
        );
        assert_eq!(
            refused,
            json!({"__type": "AccessDeniedException", "message": text})
        );
    }
    // The permitted stream does not exist, which only callers with the permission learn.
    let permitted = alice.logs("GetLogEvents", &request).await.json();
    assert_eq!(permitted["__type"], "ResourceNotFoundException");
    let other = json!({"logGroupName": "/aws/lambda/f", "logStreamName": "other"});
    let refused = alice.logs("GetLogEvents", &other).await.json();
    assert_eq!(refused["__type"], "AccessDeniedException");
}

#[tokio::test]
async fn name_below_url_domain_reaches_no_other_api() {
    let host = host(&json!([allow("lambda:*", "*")]));
    let People { owner, .. } = people(&host);
    let domain = url_of(owner, "f", "AWS_IAM").await;
    let port = host.address.port();
    for (name, expected) in [
        (domain.to_uppercase(), 200),
        (format!("a.{domain}"), 403),
        (format!("A.{}", domain.to_uppercase()), 403),
        (format!("nobody.LAMBDA-URL.us-east-1.localhost:{port}"), 403),
        (format!("lambda-url.us-east-1.localhost:{port}"), 403),
    ] {
        let named = [("host", name.as_str())];
        let path = "/2015-03-31/functions";
        let answer = owner.send("lambda", "GET", path, &named, "").await;
        assert_eq!(answer.status, expected, "{name}: {}", answer.text());
        assert!(!answer.text().contains("\"Functions\""), "{name}");
    }
}

#[tokio::test]
async fn signed_url_event_names_caller() {
    let may = json!([allow("lambda:*", "*")]);
    let host = host(&may);
    let People { owner, alice, bob } = people(&host);
    let domain = url_of(owner, "f", "AWS_IAM").await;
    for (sid, action) in [
        ("a", "lambda:InvokeFunctionUrl"),
        ("b", "lambda:InvokeFunction"),
    ] {
        let statement = json!({"StatementId": sid, "Principal": "111111111111", "Action": action});
        grant(owner, &policy_path(""), statement).await;
    }
    for (who, account, arn) in [
        (
            alice,
            "000000000000",
            "arn:aws:iam::000000000000:user/alice",
        ),
        (bob, "111111111111", "arn:aws:iam::111111111111:user/bob"),
        (owner, "000000000000", "arn:aws:iam::000000000000:root"),
    ] {
        let context = who.url(&domain).await.json()["requestContext"].clone();
        let iam = &context["authorizer"]["iam"];
        assert_eq!(context["accountId"], account, "{context}");
        assert_eq!(iam["accountId"], account);
        assert_eq!(iam["accessKey"], who.key);
        assert_eq!(iam["userArn"], arn);
        assert!(iam["userId"].is_string() && iam["userId"] == iam["callerId"]);
    }
}

#[tokio::test]
async fn bad_url_signature_is_explained() {
    let host = host(&json!([allow("lambda:*", "*")]));
    let People { owner, .. } = people(&host);
    let domain = url_of(owner, "f", "AWS_IAM").await;
    let claim = "AWS4-HMAC-SHA256 Credential=owner/20200101/us-east-1/lambda/aws4_request, \
                 SignedHeaders=host;x-amz-date, Signature=0";
    let headers = [
        ("host", domain.as_str()),
        ("x-amz-date", "20200101T000000Z"),
        ("authorization", claim),
    ];
    let old = host.send("GET", "/", &headers, "").await;
    assert_eq!(old.status, 403);
    assert!(
        old.error().1.starts_with("Signature expired:"),
        "{}",
        old.text()
    );
    let unsigned = host.send("GET", "/", &[("host", &domain)], "").await;
    assert_eq!(status_and_message(&unsigned), forbidden());
}
