//! Authorization: identity-based policies of access keys and resource-based policies of functions.

use serde_json::{Value, json};

use crate::harness::{ApiResponse, Lamina};
use crate::signed::Signed;

mod conditions;
mod doors;
mod layers;
mod resources;

const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";
const F: &str = "/2015-03-31/functions/f";

/// Host with three keys: `owner` without restrictions, `bob` of another account, and `alice` with
/// these statements.
fn host(alice: &Value) -> Lamina {
    Lamina::configured(&keys(alice))
}

fn keys(alice: &Value) -> String {
    let policy = json!({"Version": "2012-10-17", "Statement": alice});
    let key = |id: &str, more: &str| {
        format!("[[keys]]\naccess_key_id = \"{id}\"\nsecret_access_key = \"{id}\"\n{more}\n")
    };
    let keys = [
        key("owner", ""),
        key("alice", &format!("name = \"alice\"\npolicy = '{policy}'")),
        key("bob", "account = \"111111111111\"\nname = \"bob\""),
    ];
    keys.concat()
}

fn allow(action: &str, resource: &str) -> Value {
    json!({"Effect": "Allow", "Action": action, "Resource": resource})
}

struct People<'a> {
    owner: Signed<'a>,
    alice: Signed<'a>,
    bob: Signed<'a>,
}

fn people(host: &Lamina) -> People<'_> {
    let [owner, alice, bob] = ["owner", "alice", "bob"].map(|key| Signed { host, key });
    People { owner, alice, bob }
}

fn refusal(name: &str, action: &str, resource: &str, why: &str) -> (u16, String) {
    let who = match name {
        "owner" => "arn:aws:iam::000000000000:root".to_owned(),
        "bob" => "arn:aws:iam::111111111111:user/bob".to_owned(),
        name => format!("arn:aws:iam::000000000000:user/{name}"),
    };
    let message =
        format!("User: {who} is not authorized to perform: {action} on resource: {resource} {why}");
    (403, json!({"Message": message}).to_string())
}

fn silent(name: &str, kind: &str, action: &str, resource: &str) -> (u16, String) {
    let why = format!("because no {kind}-based policy allows the {action} action");
    refusal(name, action, resource, &why)
}

fn status_and_message(answer: &ApiResponse) -> (u16, String) {
    if answer.status == 403 {
        assert_eq!(answer.header("x-amzn-errortype"), "AccessDeniedException");
    }
    (answer.status.as_u16(), answer.text())
}

async fn grant(owner: Signed<'_>, path: &str, request: Value) {
    let mut whole = json!({"Action": "lambda:InvokeFunction"});
    for (key, value) in request.as_object().into_iter().flatten() {
        whole[key] = value.clone();
    }
    let added = owner.lambda("POST", path, &whole).await;
    assert_eq!(added.status, 201, "{}", added.text());
}

fn policy_path(rest: &str) -> String {
    format!("{F}/policy{rest}")
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of operations")]
async fn caller_is_limited_to_its_policy() {
    let secret = format!("{ARN}-secret");
    let mut denied = allow("lambda:*", &secret);
    denied["Effect"] = "Deny".into();
    let may = json!([allow("lambda:InvokeFunction", &format!("{ARN}*")), denied]);
    let host = host(&may);
    let People { owner, alice, .. } = people(&host);
    owner.create("f", &json!({})).await;
    owner.create("f-secret", &json!({})).await;
    assert_eq!(
        status_and_message(&alice.invoke("f").await),
        (200, r#"{"x":1}"#.into())
    );
    assert_eq!(alice.invoke(ARN).await.status, 200);
    let invoke = "lambda:InvokeFunction";
    let deny = "with an explicit deny in an identity-based policy";
    let expected = refusal("alice", invoke, &secret, deny);
    assert_eq!(
        status_and_message(&alice.invoke("f-secret").await),
        expected
    );
    // A missing function is refused alike, so that refusals do not reveal its existence.
    let other = ARN.replace("function:f", "function:g");
    let expected = silent("alice", "identity", invoke, &other);
    assert_eq!(status_and_message(&alice.invoke("g").await), expected);
    for (method, path, action, resource) in [
        ("GET", F, "lambda:GetFunction", ARN),
        (
            "GET",
            "/2015-03-31/functions/f:1",
            "lambda:GetFunction",
            &format!("{ARN}:1"),
        ),
        (
            "GET",
            "/2015-03-31/functions/f?Qualifier=no",
            "lambda:GetFunction",
            &format!("{ARN}:no"),
        ),
        ("GET", "/2015-03-31/functions", "lambda:ListFunctions", "*"),
        (
            "PUT",
            "/2015-03-31/functions/f/code",
            "lambda:UpdateFunctionCode",
            ARN,
        ),
        ("DELETE", F, "lambda:DeleteFunction", ARN),
        ("POST", &policy_path(""), "lambda:AddPermission", ARN),
        (
            "GET",
            "/2016-08-19/account-settings",
            "lambda:GetAccountSettings",
            "*",
        ),
        (
            "GET",
            &format!("/2017-03-31/tags/{ARN}"),
            "lambda:ListTags",
            ARN,
        ),
        (
            "GET",
            &format!("/2026-07-09/resource-policy/{ARN}%3A1"),
            "lambda:GetResourcePolicy",
            &format!("{ARN}:1"),
        ),
        (
            "GET",
            "/2018-10-31/layers/l/versions/3",
            "lambda:GetLayerVersion",
            "arn:aws:lambda:us-east-1:000000000000:layer:l:3",
        ),
        (
            "DELETE",
            "/2015-03-31/event-source-mappings/u",
            "lambda:DeleteEventSourceMapping",
            "arn:aws:lambda:us-east-1:000000000000:event-source-mapping:u",
        ),
    ] {
        let answer = alice.lambda(method, path, &Value::Null).await;
        let expected = silent("alice", "identity", action, resource);
        assert_eq!(status_and_message(&answer), expected, "{method} {path}");
    }
    let made = alice.try_create("h", &json!({})).await;
    let resource = ARN.replace("function:f", "function:h");
    let expected = silent("alice", "identity", "lambda:CreateFunction", &resource);
    assert_eq!(status_and_message(&made), expected);
    let missing = owner.lambda("GET", "/2015-03-31/functions/h", &Value::Null);
    assert_eq!(missing.await.status, 404, "nothing was made");
}

#[tokio::test]
async fn authorized_qualifier_is_the_invoked_one() {
    let host = host(&json!([allow(
        "lambda:InvokeFunction",
        &format!("{ARN}:$LATEST")
    )]));
    let People { owner, alice, .. } = people(&host);
    owner.create("f", &json!({})).await;
    let invoke = |query: &'static str| async move {
        let path = format!("{F}/invocations{query}");
        alice
            .lambda("POST", &path, &json!({}))
            .await
            .status
            .as_u16()
    };
    for (query, expected) in [
        ("?Qualifier=$LATEST", 200),
        ("?Qualifier=%24LATEST", 200),
        ("", 403),
        ("?Qualifier=1", 403),
        ("?%51ualifier=1&Qualifier=$LATEST", 403),
        ("?%51ualifier=$LATEST&Qualifier=1", 200),
    ] {
        assert_eq!(invoke(query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn resource_policy_suffices_within_account() {
    let host = host(&json!([allow("s3:*", "*")]));
    let People { owner, alice, .. } = people(&host);
    owner.create("f", &json!({})).await;
    assert_eq!(alice.invoke("f").await.status, 403);
    let account = json!({"StatementId": "account", "Principal": "000000000000"});
    grant(owner, &policy_path(""), account).await;
    let left = "an account's name leaves it to the account's own policies";
    assert_eq!(alice.invoke("f").await.status, 403, "{left}");
    let user = "arn:aws:iam::000000000000:user/alice";
    let user = json!({"StatementId": "alice", "Principal": user});
    grant(owner, &policy_path(""), user).await;
    assert_eq!(alice.invoke("f").await.status, 200);
    let qualified = alice.invoke("f:$LATEST").await;
    let latest = format!("{ARN}:$LATEST");
    let expected = silent("alice", "identity", "lambda:InvokeFunction", &latest);
    assert_eq!(
        status_and_message(&qualified),
        expected,
        "the statement is about the function unqualified"
    );
    let one = policy_path("/alice");
    let removed = owner.lambda("DELETE", &one, &Value::Null).await;
    assert_eq!(removed.status, 204);
    assert_eq!(
        alice.invoke("f").await.status,
        403,
        "the data plane knows at once"
    );
}

#[tokio::test]
async fn grant_on_alias_excludes_function() {
    let host = host(&json!([allow("s3:*", "*")]));
    let People { owner, alice, bob } = people(&host);
    owner.create("f", &json!({"Publish": true})).await;
    let alias = json!({"Name": "prod", "FunctionVersion": "1"});
    let made = owner.lambda("POST", &format!("{F}/aliases"), &alias).await;
    assert_eq!(made.status, 201, "{}", made.text());
    for (sid, principal) in [
        ("a", "arn:aws:iam::000000000000:user/alice"),
        ("b", "111111111111"),
    ] {
        let statement = json!({"StatementId": sid, "Principal": principal});
        grant(owner, &policy_path("?Qualifier=prod"), statement).await;
    }
    let qualified = |qualifier: &str| format!("{ARN}{qualifier}");
    for (name, expected) in [
        (qualified(":prod"), 200),
        (qualified(""), 403),
        (qualified(":1"), 403),
        (qualified(":$LATEST"), 403),
    ] {
        assert_eq!(alice.invoke(&name).await.status, expected, "{name}");
        assert_eq!(bob.invoke(&name).await.status, expected, "{name}");
    }
    let gone = owner
        .lambda("DELETE", &format!("{F}/aliases/prod"), &Value::Null)
        .await;
    assert_eq!(gone.status, 204);
    let made = owner.lambda("POST", &format!("{F}/aliases"), &alias).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(alice.invoke(&qualified(":prod")).await.status, 403);
}

#[tokio::test]
async fn tags_need_list_tags_permission() {
    let host = host(&json!([allow("lambda:GetFunction", ARN)]));
    let People { owner, alice, .. } = people(&host);
    owner.create("f", &json!({"Tags": {"team": "edge"}})).await;
    let shown = owner.lambda("GET", F, &Value::Null).await.json();
    assert_eq!(shown["Tags"], json!({"team": "edge"}));
    assert!(shown.get("TagsError").is_none());
    let shown = alice.lambda("GET", F, &Value::Null).await.json();
    assert!(shown.get("Tags").is_none());
    let text = format!(
        "User: arn:aws:iam::000000000000:user/alice is not authorized to perform: lambda:ListTags \
         on resource: {ARN} because no identity-based policy allows the lambda:ListTags action"
    );
    let error = json!({"ErrorCode": "AccessDeniedException", "Message": text});
    assert_eq!(shown["TagsError"], error);
}

#[tokio::test]
async fn explicit_deny_applies_to_owner() {
    let host = host(&json!([allow("lambda:*", "*")]));
    let People { owner, alice, .. } = people(&host);
    owner.create("f", &json!({})).await;
    let deny = json!({"Statement": [{
        "Effect": "Deny", "Principal": "*", "Action": "lambda:InvokeFunction", "Resource": format!("{ARN}*"),
        "Condition": {"StringNotEquals": {"aws:username": "alice"}},
    }]});
    let path = format!("/2026-07-09/resource-policy/{ARN}");
    let put = owner
        .lambda("PUT", &path, &json!({"Policy": deny.to_string()}))
        .await;
    assert_eq!(put.status, 200, "{}", put.text());
    let why = "with an explicit deny in a resource-based policy";
    let expected = refusal("owner", "lambda:InvokeFunction", ARN, why);
    assert_eq!(status_and_message(&owner.invoke("f").await), expected);
    let latest = refusal(
        "owner",
        "lambda:InvokeFunction",
        &format!("{ARN}:$LATEST"),
        why,
    );
    assert_eq!(status_and_message(&owner.invoke("f:$LATEST").await), latest);
    assert_eq!(alice.invoke("f").await.status, 200);
    let host = Lamina::in_dir(host.kill(), &keys(&json!([allow("lambda:*", "*")])));
    let People { owner, alice, .. } = people(&host);
    assert_eq!(
        status_and_message(&owner.invoke("f").await),
        expected,
        "it outlives the process"
    );
    assert_eq!(alice.invoke("f").await.status, 200);
    let host = Lamina::in_dir(host.kill(), "");
    assert_eq!(
        host.invoke("f", &json!({})).await.status,
        200,
        "without keys there is no one to keep out"
    );
}

#[tokio::test]
async fn cross_account_call_needs_both_policies() {
    let host = host(&json!([allow("lambda:*", "*")]));
    let People { owner, bob, .. } = people(&host);
    owner.create("f", &json!({})).await;
    let get = format!("/2015-03-31/functions/{ARN}");
    let nothing = (403, r#"{"Message":null}"#.to_owned());
    assert_eq!(
        status_and_message(&bob.lambda("GET", &get, &Value::Null).await),
        nothing
    );
    assert_eq!(
        status_and_message(
            &bob.lambda("GET", "/2015-03-31/functions", &Value::Null)
                .await
        ),
        nothing
    );
    assert_eq!(
        status_and_message(&bob.try_create("mine", &json!({})).await),
        nothing
    );
    let expected = silent("bob", "resource", "lambda:InvokeFunction", ARN);
    assert_eq!(status_and_message(&bob.invoke(ARN).await), expected);
    let account = json!({"StatementId": "theirs", "Principal": "111111111111"});
    grant(owner, &policy_path(""), account).await;
    assert_eq!(
        status_and_message(&bob.invoke(ARN).await),
        (200, r#"{"x":1}"#.into())
    );
    assert_eq!(
        status_and_message(&bob.lambda("GET", &get, &Value::Null).await),
        nothing
    );
    let own = "arn:aws:lambda:us-east-1:111111111111:function:f";
    let expected = silent("bob", "resource", "lambda:InvokeFunction", own);
    assert_eq!(
        status_and_message(&bob.invoke("f").await),
        expected,
        "a bare name is one of bob's own"
    );
    let read = json!({
        "StatementId": "read", "Principal": "arn:aws:iam::111111111111:user/bob",
        "Action": "lambda:GetFunction",
    });
    grant(owner, &policy_path(""), read).await;
    assert_eq!(bob.lambda("GET", &get, &Value::Null).await.status, 200);
    let foreign = ARN.replace("000000000000", "222222222222");
    let path = format!("/2015-03-31/functions/{foreign}");
    assert_eq!(
        status_and_message(&owner.lambda("GET", &path, &Value::Null).await),
        nothing
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn denied_caller_is_refused_until_the_alias_is_gone() {
    let host = host(&json!([allow("lambda:*", "*")]));
    let People { owner, alice, .. } = people(&host);
    owner.create("f", &json!({})).await;
    let aliases = format!("{F}/aliases");
    let live = json!({"Name": "live", "FunctionVersion": "$LATEST"});
    let deny = json!({"Statement": [{
        "Effect": "Deny", "Action": "lambda:InvokeFunction", "Resource": format!("{ARN}:live"),
        "Principal": {"AWS": "arn:aws:iam::000000000000:user/alice"},
    }]});
    let deny = json!({"Policy": deny.to_string()});
    for round in 0..30 {
        let made = owner.lambda("POST", &aliases, &live).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let path = format!("/2026-07-09/resource-policy/{ARN}:live");
        let put = owner.lambda("PUT", &path, &deny).await;
        assert_eq!(put.status, 200, "{}", put.text());
        let calls = async || loop {
            let called = alice.invoke("f:live").await;
            match called.status.as_u16() {
                403 => {}
                404 => return,
                _ => panic!("round {round}: {}", called.text()),
            }
        };
        let delete = async {
            let path = format!("{aliases}/live");
            let deleted = owner.lambda("DELETE", &path, &Value::Null).await;
            assert_eq!(deleted.status, 204, "{}", deleted.text());
        };
        tokio::join!(calls(), calls(), calls(), delete);
    }
}
