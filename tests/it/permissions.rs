//! Resource-based policies: statements added and removed, policies put and deleted as a whole.

use serde_json::{Value, json};

use crate::harness::{ApiResponse, Lamina, guest};

const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";
const F: &str = "/2015-03-31/functions/f";
const POLICY: &str = "/2015-03-31/functions/f/policy";

async fn host() -> Lamina {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    host
}

fn grant(sid: &str, more: Value) -> Value {
    let mut request = json!({
        "StatementId": sid, "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com",
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        request[key] = value.clone();
    }
    request
}

async fn add(host: &Lamina, sid: &str, more: Value) -> ApiResponse {
    host.lambda("POST", POLICY, &grant(sid, more)).await
}

async fn get(host: &Lamina) -> ApiResponse {
    host.lambda("GET", POLICY, &Value::Null).await
}

async fn remove(host: &Lamina, rest: &str) -> ApiResponse {
    host.lambda("DELETE", &format!("{POLICY}/{rest}"), &Value::Null)
        .await
}

fn error_of(answer: &ApiResponse) -> (u16, String, String) {
    let (name, text) = answer.error();
    (answer.status.as_u16(), name, text)
}

fn not_found(text: &str) -> (u16, String, String) {
    (404, "ResourceNotFoundException".into(), text.into())
}

/// Path of the resource policy of a qualifier, given with its colon.
fn whole(qualifier: &str) -> String {
    let arn = format!("{ARN}{qualifier}").replace(':', "%3A");
    format!("/2026-07-09/resource-policy/{arn}")
}

#[tokio::test]
async fn statements_are_added_and_removed() {
    let host = host().await;
    let missing = "The resource you requested does not exist.";
    assert_eq!(error_of(&get(&host).await), not_found(missing));
    let source = json!({"SourceArn": "arn:aws:s3:::bucket", "SourceAccount": "123456789012"});
    let added = add(&host, "s3", source).await;
    assert_eq!(added.status, 201);
    let first = format!(
        r#"{{"Sid":"s3","Effect":"Allow","Principal":{{"Service":"s3.amazonaws.com"}},"Action":"lambda:InvokeFunction","Resource":"{ARN}","Condition":{{"StringEquals":{{"AWS:SourceAccount":"123456789012"}},"ArnLike":{{"AWS:SourceArn":"arn:aws:s3:::bucket"}}}}}}"#
    );
    assert_eq!(added.json(), json!({"Statement": first}));
    let one = get(&host).await.json();
    let expected = format!(r#"{{"Version":"2012-10-17","Id":"default","Statement":[{first}]}}"#);
    assert_eq!(one["Policy"], expected);

    add(&host, "other", json!({"Principal": "123456789012"})).await;
    let two = get(&host).await.json();
    assert_ne!(one["RevisionId"], two["RevisionId"]);
    let function = host.lambda("GET", "/2015-03-31/functions/f", &Value::Null);
    let function = function.await.json();
    assert_ne!(two["RevisionId"], function["Configuration"]["RevisionId"]);
    let again = add(&host, "s3", json!({})).await;
    let text = "The statement id (s3) provided already exists. Please provide a new statement id, \
                or remove the existing statement.";
    let conflict = (409, "ResourceConflictException".into(), text.into());
    assert_eq!(error_of(&again), conflict);

    let unknown = remove(&host, "nope").await;
    let text = "Statement nope is not found in resource policy.";
    assert_eq!(error_of(&unknown), not_found(text));
    assert_eq!(remove(&host, "s3").await.status, 204);
    let left = get(&host).await.json()["Policy"].to_string();
    assert!(left.contains("other") && !left.contains("s3"), "{left}");
    assert_eq!(remove(&host, "other").await.status, 204);
    assert_eq!(error_of(&get(&host).await), not_found(missing));
    let text = "No policy is associated with the given resource.";
    assert_eq!(error_of(&remove(&host, "other").await), not_found(text));
}

#[tokio::test]
async fn policy_has_its_own_revision() {
    let host = host().await;
    let stale = json!({"RevisionId": "00000000-0000-4000-8000-000000000000"});
    let text = "The Revision Id provided does not match the latest Revision Id. Call the GetPolicy \
                API to retrieve the latest Revision Id";
    let refusal = (412, "PreconditionFailedException".into(), text.to_owned());
    assert_eq!(error_of(&add(&host, "a", stale.clone()).await), refusal);
    assert_eq!(add(&host, "a", json!({})).await.status, 201);
    let revision = get(&host).await.json()["RevisionId"].clone();
    assert_eq!(error_of(&add(&host, "b", stale).await), refusal);
    let fresh = json!({"RevisionId": revision});
    assert_eq!(add(&host, "b", fresh).await.status, 201);
    let query = |revision: &Value| {
        let revision = revision.as_str().unwrap_or_default();
        format!("a?RevisionId={revision}")
    };
    assert_eq!(error_of(&remove(&host, &query(&revision)).await), refusal);
    let revision = get(&host).await.json()["RevisionId"].clone();
    assert_eq!(remove(&host, &query(&revision)).await.status, 204);
}

#[tokio::test]
async fn revision_without_policy_is_that_of_function() {
    let host = host().await;
    let path = format!("{F}/versions");
    let version = host.lambda("POST", &path, &json!({})).await;
    assert_eq!(version.status, 201, "{}", version.text());
    host.settled("f").await;
    let alias = json!({"Name": "prod", "FunctionVersion": "1"});
    let alias = host.lambda("POST", &format!("{F}/aliases"), &alias).await;
    let configuration = async |qualifier: &str| {
        let path = format!("{F}/configuration{qualifier}");
        host.lambda("GET", &path, &Value::Null).await.json()
    };
    let revisions = [
        ("", configuration("").await["RevisionId"].clone()),
        (
            "?Qualifier=1",
            configuration("?Qualifier=1").await["RevisionId"].clone(),
        ),
        ("?Qualifier=prod", alias.json()["RevisionId"].clone()),
    ];
    for (at, (qualifier, own)) in revisions.iter().enumerate() {
        let path = format!("{POLICY}{qualifier}");
        let (_, other) = &revisions[(at + 1) % revisions.len()];
        for (revision, expected) in [(other, 412), (own, 201)] {
            let request = grant("s", json!({"RevisionId": revision}));
            let added = host.lambda("POST", &path, &request).await;
            assert_eq!(added.status, expected, "{qualifier}: {}", added.text());
        }
    }
}

#[tokio::test]
async fn invalid_statement_error_is_awss() {
    let host = host().await;
    let post = |path: &'static str, more: Value| {
        let (host, request) = (&host, grant("s", more));
        async move { error_of(&host.lambda("POST", path, &request).await) }
    };
    let invalid = |text: &str| {
        (
            400,
            "InvalidParameterValueException".to_owned(),
            text.to_owned(),
        )
    };
    let principal = "The provided principal was invalid. Please check the principal and try again.";
    let latest = "We currently do not support adding policies for $LATEST.";
    for (more, expected) in [
        (json!({"Principal": "invalid.nonaws.com"}), principal),
        (json!({"Principal": "amazonaws.com"}), principal),
        (
            json!({"FunctionUrlAuthType": "NONE"}),
            "FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action",
        ),
    ] {
        assert_eq!(
            post(POLICY, more.clone()).await,
            invalid(expected),
            "{more}"
        );
    }
    for path in [
        "/2015-03-31/functions/f/policy?Qualifier=$LATEST",
        "/2015-03-31/functions/f:$LATEST/policy",
    ] {
        assert_eq!(post(path, json!({})).await, invalid(latest), "{path}");
    }
    for (path, text) in [
        ("/2015-03-31/functions/g/policy", "Function not found: {}g"),
        (
            "/2015-03-31/functions/f/policy?Qualifier=7",
            "Function not found: {}f:7",
        ),
        (
            "/2015-03-31/functions/f/policy?Qualifier=no",
            "Cannot find alias arn: {}f:no",
        ),
    ] {
        let text = text.replace("{}", "arn:aws:lambda:us-east-1:000000000000:function:");
        assert_eq!(post(path, json!({})).await, not_found(&text), "{path}");
    }
    let (status, name, text) =
        post("/2015-03-31/functions/f:1/policy?Qualifier=2", json!({})).await;
    assert_eq!((status, &*name), (400, "InvalidParameterValueException"));
    assert!(text.starts_with("The derived qualifier"), "{text}");
    let (status, name, text) = post(
        POLICY,
        json!({"Action": "lambda:x y", "StatementId": "s s"}),
    )
    .await;
    assert_eq!((status, &*name), (400, "ValidationException"));
    assert!(
        text.starts_with("2 validation errors detected: ") && text.contains("'statementId'"),
        "{text}"
    );
    let gone = host.lambda("DELETE", "/2015-03-31/functions/g/policy/s", &Value::Null);
    let text = "No policy found for: arn:aws:lambda:us-east-1:000000000000:function:g";
    assert_eq!(error_of(&gone.await), not_found(text));
    assert_eq!(get(&host).await.status, 404, "nothing was added");
}

#[tokio::test]
async fn policy_over_20_kb_is_refused() {
    let host = host().await;
    let mut added = 0;
    let refused = loop {
        let long = format!("arn:aws:s3:::{}", "b".repeat(4_000));
        let answer = add(&host, &format!("s{added}"), json!({"SourceArn": long})).await;
        if answer.status != 201 {
            break answer;
        }
        added += 1;
    };
    assert_eq!(added, 4);
    let (status, name, text) = error_of(&refused);
    assert_eq!((status, &*name), (400, "PolicyLengthExceededException"));
    assert!(
        text.starts_with("The final policy size (2") && text.ends_with("limit (20480)."),
        "{text}"
    );
    assert_eq!(refused.json()["Type"], "User");
    assert!(refused.json()["message"].is_string());
}

#[tokio::test]
async fn resource_policy_is_put_read_and_deleted() {
    let host = host().await;
    add(&host, "gone", json!({})).await;
    let statement = json!({
        "Sid": "own", "Effect": "Deny", "Principal": {"AWS": "123456789012"},
        "Action": "lambda:*", "Resource": [ARN, format!("{ARN}:*")],
    });
    let policy = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
    let put = host
        .lambda("PUT", &whole(""), &json!({"Policy": policy}))
        .await;
    assert_eq!(
        (put.status.as_u16(), &put.json()["Policy"]),
        (200, &json!(policy))
    );
    let shown = host.lambda("GET", &whole(""), &Value::Null).await.json();
    assert_eq!(shown, put.json());
    assert_eq!(
        get(&host).await.json(),
        shown,
        "it is the policy that GetPolicy shows"
    );
    assert_eq!(add(&host, "more", json!({})).await.status, 201);
    let both = host.lambda("GET", &whole(""), &Value::Null).await.json();
    let both: Value = serde_json::from_str(both["Policy"].as_str().expect("a text")).expect("JSON");
    let sids: Vec<&Value> = both["Statement"]
        .as_array()
        .expect("statements")
        .iter()
        .map(|it| &it["Sid"])
        .collect();
    assert_eq!(sids, ["own", "more"]);

    let stale = json!({"Policy": policy, "RevisionId": put.json()["RevisionId"]});
    assert_eq!(host.lambda("PUT", &whole(""), &stale).await.status, 412);
    let query = format!(
        "{}?RevisionId={}",
        whole(""),
        "0".repeat(8) + "-0000-4000-8000-" + &"0".repeat(12)
    );
    assert_eq!(
        host.lambda("DELETE", &query, &Value::Null).await.status,
        412
    );
    assert_eq!(
        host.lambda("DELETE", &whole(""), &Value::Null).await.status,
        204
    );
    let text = "No policy is associated with the given resource.";
    let again = host.lambda("DELETE", &whole(""), &Value::Null).await;
    assert_eq!(error_of(&again), not_found(text));
    let missing = host.lambda("GET", &whole(""), &Value::Null).await;
    let text = "The resource you requested does not exist.";
    assert_eq!(error_of(&missing), not_found(text));
}

#[tokio::test]
async fn version_and_alias_have_own_policies() {
    let host = host().await;
    let make = async |path: &str, body: Value| {
        let made = host.lambda("POST", &format!("{F}{path}"), &body).await;
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()
    };
    let read = async |path: &str| {
        let path = format!("{F}{path}");
        host.lambda("GET", &path, &Value::Null).await
    };
    make("/versions", json!({})).await;
    let alias = json!({"Name": "prod", "FunctionVersion": "1"});
    make("/aliases", alias.clone()).await;
    for (path, resource) in [
        ("/policy", ARN.to_owned()),
        ("/policy?Qualifier=1", format!("{ARN}:1")),
        (":prod/policy", format!("{ARN}:prod")),
    ] {
        let added = make(path, grant("s", json!({}))).await;
        let statement = added["Statement"].as_str().expect("a text");
        let statement: Value = serde_json::from_str(statement).expect("JSON");
        assert_eq!(statement["Resource"], resource);
        let shown = read(path).await.json()["Policy"].to_string();
        assert!(shown.contains(&format!("{resource}\\\"")), "{shown}");
        assert_eq!(shown.matches("Sid").count(), 1, "{shown}");
    }
    let qualified = host.lambda("GET", &whole("%3Aprod"), &Value::Null).await;
    assert_eq!(qualified.status, 200);
    let latest = read(":$LATEST/policy").await;
    assert_eq!(latest.json(), get(&host).await.json());

    // Policies are deleted with their version or alias, and not inherited by a namesake.
    let gone = async |path: &str| {
        let path = format!("{F}{path}");
        let gone = host.lambda("DELETE", &path, &Value::Null).await;
        assert_eq!(gone.status, 204);
    };
    gone("/aliases/prod").await;
    let text = "The resource you requested does not exist.";
    assert_eq!(error_of(&read(":prod/policy").await), not_found(text));
    make("/aliases", alias).await;
    assert_eq!(error_of(&read(":prod/policy").await), not_found(text));
    gone("/aliases/prod").await;
    gone("?Qualifier=1").await;
    // GetPolicy does not check that the version exists.
    assert_eq!(error_of(&read(":1/policy").await), not_found(text));
    let path = "/2015-03-31/functions/none/policy";
    let none = host.lambda("GET", path, &Value::Null).await;
    assert_eq!(error_of(&none), not_found(text));
    assert_eq!(
        get(&host).await.status,
        200,
        "the function's own is as it was"
    );
}

#[tokio::test]
async fn malformed_policy_is_not_put() {
    let host = host().await;
    let good = json!({
        "Effect": "Allow", "Principal": "*", "Action": "lambda:InvokeFunction", "Resource": ARN,
    });
    let with = |member: &str, value: Value| {
        let mut statement = good.clone();
        statement[member] = value;
        json!({"Statement": [statement]}).to_string()
    };
    let invalid = "InvalidParameterValueException";
    for (policy, name, expected) in [
        ("{".to_owned(), invalid, "it is not JSON"),
        ("[]".to_owned(), invalid, "an object is expected"),
        (
            with("Effect", json!("allow")),
            invalid,
            "Statement[0].Effect",
        ),
        (
            with("Principal", json!({"AWS": "bob"})),
            invalid,
            "is not a principal",
        ),
        (
            with("Condition", json!({"StringIs": {"k": "v"}})),
            invalid,
            "operator \"StringIs\"",
        ),
        (with("Other", json!(1)), invalid, "there is no element"),
        ("[".repeat(5_000), invalid, "it is not JSON"),
        (
            " ".repeat(20_481),
            "ValidationException",
            "less than or equal to 20480",
        ),
    ] {
        let put = host
            .lambda("PUT", &whole(""), &json!({"Policy": policy}))
            .await;
        assert_eq!(put.error().0, name, "{policy}");
        assert!(put.error().1.contains(expected), "{}", put.text());
    }
    let fine = with("Sid", json!("s"));
    let to = |path: String| {
        let (host, request) = (&host, json!({"Policy": fine}));
        async move { error_of(&host.lambda("PUT", &path, &request).await) }
    };
    let latest = "We currently do not support adding policies for $LATEST.".to_owned();
    assert_eq!(to(whole("%3A$LATEST")).await, (400, invalid.into(), latest));
    assert_eq!(
        to(whole("%3A9")).await,
        not_found(&format!("Function not found: {ARN}:9"))
    );
    let runtime =
        "/2026-07-09/resource-policy/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Aruntime%2Fx";
    let text = "The resource you requested does not exist.";
    assert_eq!(to(runtime.to_owned()).await, not_found(text));
    let foreign = whole("").replace("000000000000", "123456789012");
    assert_eq!(to(foreign).await.1, "AccessDeniedException");
    assert_eq!(
        to("/2026-07-09/resource-policy/f".to_owned()).await.1,
        "ValidationException"
    );
    assert_eq!(get(&host).await.status, 404, "nothing was put");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writers_keep_all_statements() {
    let host = host().await;
    let sids: Vec<String> = (0..8).map(|at| format!("s{at}")).collect();
    let writers = sids.iter().map(|sid| add(&host, sid, json!({})));
    for added in futures_of(writers.collect()).await {
        assert_eq!(added.status, 201, "{}", added.text());
    }
    let policy = get(&host).await.json()["Policy"].to_string();
    assert!(
        sids.iter().all(|sid| policy.contains(sid.as_str())),
        "{policy}"
    );
}

/// Runs all futures concurrently.
async fn futures_of<F: Future<Output = ApiResponse>>(futures: Vec<F>) -> Vec<ApiResponse> {
    let mut waiting: Vec<_> = futures.into_iter().map(|it| (Box::pin(it), None)).collect();
    std::future::poll_fn(move |context| {
        for (future, answer) in waiting.iter_mut().filter(|(_, answer)| answer.is_none()) {
            if let std::task::Poll::Ready(ready) = future.as_mut().poll(context) {
                *answer = Some(ready);
            }
        }
        if waiting.iter().any(|(_, answer)| answer.is_none()) {
            return std::task::Poll::Pending;
        }
        let answers = waiting.iter_mut().filter_map(|(_, answer)| answer.take());
        std::task::Poll::Ready(answers.collect())
    })
    .await
}

#[tokio::test]
async fn policy_survives_restart_and_goes_with_function() {
    let host = host().await;
    add(&host, "kept", json!({})).await;
    let before = get(&host).await.json();
    let host = Lamina::in_dir(host.kill(), "");
    assert_eq!(get(&host).await.json(), before);
    host.lambda("DELETE", "/2015-03-31/functions/f", &Value::Null)
        .await;
    host.create("f", &guest("echo"), json!({})).await;
    assert_eq!(get(&host).await.status, 404);
}
