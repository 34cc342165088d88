//! Authorized resource equals accessed resource: every operation of the model that names a
//! function, by every reference to name it.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{ARN, F, allow};
use crate::harness::{ApiResponse, Lamina, ROLE, guest, root, zipped};
use crate::signed::Signed;

/// An operation with a function in its path.
struct Operation {
    name: String,
    method: String,
    uri: String,
    /// True if the model has a Qualifier in the query.
    has_qualifier: bool,
}

/// A reference to name the function `f`: qualifier in the name and in the query.
struct Reference {
    name: String,
    inner: Option<&'static str>,
    query: &'static str,
    beside: Option<&'static str>,
}

impl Reference {
    /// Effective qualifier for an operation.
    fn qualifier(&self, operation: &Operation) -> Option<&'static str> {
        let beside = self.beside.filter(|_| operation.has_qualifier);
        beside.or(self.inner)
    }

    /// Expected ARN for authorization.
    fn arn(&self, operation: &Operation) -> String {
        match self.qualifier(operation) {
            Some(qualifier) => format!("{ARN}:{qualifier}"),
            None => ARN.to_owned(),
        }
    }
}

fn operations() -> Vec<Operation> {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).expect("it is there");
    let model: Value = serde_json::from_str(&read("host/model/lambda-2015-03-31.json"))
        .expect("the model is JSON");
    let unbuilt = read("host/model/unbuilt.txt");
    let unbuilt: BTreeSet<&str> = unbuilt.lines().collect();
    let operations = model["operations"].as_object().expect("operations");
    let named = operations.iter().filter_map(|(name, operation)| {
        let input = operation["input"]["shape"].as_str()?;
        let members = &model["shapes"][input]["members"];
        let is_named = members["FunctionName"]["location"] == "uri";
        (is_named && !unbuilt.contains(name.as_str())).then(|| Operation {
            name: name.clone(),
            method: operation["http"]["method"]
                .as_str()
                .unwrap_or_default()
                .into(),
            uri: operation["http"]["requestUri"]
                .as_str()
                .unwrap_or_default()
                .into(),
            has_qualifier: members["Qualifier"]["location"] == "querystring",
        })
    });
    named.collect()
}

fn references() -> Vec<Reference> {
    let forms = [
        "f".to_owned(),
        "%66".to_owned(),
        "function:f".to_owned(),
        "000000000000:f".to_owned(),
        "000000000000:function:f".to_owned(),
        "us-east-1:000000000000:function:f".to_owned(),
        ARN.to_owned(),
        ARN.replace(':', "%3A"),
        ARN.replace("arn:aws:", "arn:aws-cn:"),
    ];
    let inner = [
        ("", None),
        (":prod", Some("prod")),
        ("%3apr%6Fd", Some("prod")),
        (":1", Some("1")),
        (":01", Some("1")),
        (":$LATEST", Some("$LATEST")),
    ];
    let queries = [
        ("", None),
        ("?Qualifier=prod", Some("prod")),
        ("?Qualifier=nope", Some("nope")),
        ("?Qualifier=1", Some("1")),
        ("?Qualifier=%24LATEST", Some("$LATEST")),
        ("?%51ualifier=pr%6fd", Some("prod")),
        ("?Qualifier=prod&Qualifier=1", Some("prod")),
        ("?Qualifier=nope&Qualifier=prod", Some("nope")),
        ("?qualifier=prod", None),
        ("?Qualifier+=prod", None),
        ("?Qualifier=", None),
        ("?FunctionName=g&Name=g&LayerName=g", None),
    ];
    let mut references = Vec::new();
    for form in &forms {
        for (end, inner) in inner {
            // All queries with the plainest name, and the two plainest queries with the others.
            let queries = if *form == "f" && end.is_empty() {
                &queries[..]
            } else {
                &queries[..2]
            };
            references.extend(queries.iter().map(|(query, beside)| Reference {
                name: format!("{form}{end}"),
                inner,
                query,
                beside: *beside,
            }));
        }
    }
    references
}

/// A valid request body of an operation.
fn body(operation: &str, zip: &str) -> Value {
    match operation {
        "AddPermission" => json!({
            "StatementId": "new", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com",
        }),
        "CreateAlias" => json!({"Name": "more", "FunctionVersion": "1"}),
        "CreateFunctionUrlConfig" => json!({"AuthType": "NONE"}),
        "UpdateFunctionUrlConfig" => json!({"AuthType": "AWS_IAM"}),
        "UpdateAlias" | "PublishVersion" => json!({"Description": "changed"}),
        "PutFunctionConcurrency" => json!({"ReservedConcurrentExecutions": 2}),
        "PutFunctionEventInvokeConfig" | "UpdateFunctionEventInvokeConfig" => {
            json!({"MaximumRetryAttempts": 1})
        }
        "PutFunctionRecursionConfig" => json!({"RecursiveLoop": "Allow"}),
        "PutProvisionedConcurrencyConfig" => json!({"ProvisionedConcurrentExecutions": 1}),
        "PutRuntimeManagementConfig" => json!({"UpdateRuntimeOn": "FunctionUpdate"}),
        "UpdateFunctionCode" => json!({"ZipFile": zip}),
        "UpdateFunctionConfiguration" => json!({"Description": "changed"}),
        "Invoke" => json!({"x": 1}),
        _ => Value::Null,
    }
}

fn path(operation: &Operation, reference: &Reference) -> String {
    let path = operation.uri.replace("{FunctionName}", &reference.name);
    let path = path.replace("{Name}", "prod").replace("{StatementId}", "s");
    // The path of ListProvisionedConcurrencyConfigs contains a query already.
    match path.contains('?') {
        true => format!("{path}{}", reference.query.replace('?', "&")),
        false => format!("{path}{}", reference.query),
    }
}

async fn call(
    who: Signed<'_>,
    operation: &Operation,
    reference: &Reference,
    zip: &str,
) -> ApiResponse {
    let path = path(operation, reference);
    who.lambda(&operation.method, &path, &body(&operation.name, zip))
        .await
}

/// Host with keys: `owner` without restrictions, `denied` with a Deny on `f`, `partial` with the
/// alias
/// `prod` only, and `nobody` without permissions.
fn host() -> Lamina {
    let mut deny = allow("lambda:*", ARN);
    deny["Effect"] = "Deny".into();
    deny["Resource"] = json!([ARN, format!("{ARN}:*")]);
    let keys = [
        ("owner", None),
        ("denied", Some(json!([allow("lambda:*", "*"), deny]))),
        (
            "partial",
            Some(json!([allow("lambda:*", &format!("{ARN}:prod"))])),
        ),
        ("nobody", Some(json!([allow("s3:*", "*")]))),
    ];
    let key = |(id, statement): (&str, Option<Value>)| {
        let policy = statement.map(|statement| {
            let policy = json!({"Version": "2012-10-17", "Statement": statement});
            format!("name = \"{id}\"\npolicy = '{policy}'\n")
        });
        let policy = policy.unwrap_or_default();
        format!("[[keys]]\naccess_key_id = \"{id}\"\nsecret_access_key = \"{id}\"\n{policy}\n")
    };
    Lamina::configured(&keys.map(key).concat())
}

async fn prepare(owner: Signed<'_>) {
    owner.create("f", &json!({"Publish": true})).await;
    for (path, body) in [
        (
            "/2015-03-31/functions/f/aliases",
            json!({"Name": "prod", "FunctionVersion": "1"}),
        ),
        ("/2015-03-31/functions/f/policy", grant()),
        ("/2015-03-31/functions/f/policy?Qualifier=prod", grant()),
    ] {
        let made = owner.lambda("POST", path, &body).await;
        assert_eq!(made.status, 201, "{path}: {}", made.text());
    }
}

fn grant() -> Value {
    json!({"StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"})
}

/// State of the function as a whole.
async fn state(owner: Signed<'_>) -> String {
    let mut state = String::new();
    for path in [
        "/2015-03-31/functions/f",
        "/2015-03-31/functions/f/versions",
        "/2015-03-31/functions/f/aliases",
        "/2015-03-31/functions/f/policy",
        "/2019-09-30/functions/f/concurrency",
        "/2024-08-31/functions/f/recursion-config",
        "/2021-07-20/functions/f/runtime-management-config",
        "/2019-09-25/functions/f/event-invoke-config",
        "/2021-10-31/functions/f/url",
        "/2020-06-30/functions/f/code-signing-config",
    ] {
        let mut shown = owner.lambda("GET", path, &Value::Null).await.json();
        // The code link differs each time.
        shown["Code"] = Value::Null;
        state += &format!("{path}: {shown}\n");
    }
    state
}

#[tokio::test]
async fn operation_is_authorized_by_accessed_resource() {
    let host = host();
    let key = |key| Signed { host: &host, key };
    let (owner, denied, partial, nobody) =
        (key("owner"), key("denied"), key("partial"), key("nobody"));
    prepare(owner).await;
    let zip = STANDARD.encode(zipped(&guest("echo")));
    let (before, operations, references) = (state(owner).await, operations(), references());
    assert!(operations.len() > 35, "{}", operations.len());
    for operation in &operations {
        for reference in &references {
            let what = format!("{} {}", operation.name, path(operation, reference));
            let agree = reference.inner.is_none()
                || !operation.has_qualifier
                || reference
                    .beside
                    .is_none_or(|it| Some(it) == reference.inner);
            let refused = call(nobody, operation, reference, &zip).await;
            let resource = format!("on resource: {} because", reference.arn(operation));
            assert_eq!(refused.status, 403, "{what}: {}", refused.text());
            // With two different qualifiers, the refusal may name either.
            assert!(
                !agree || refused.text().contains(&resource),
                "{what}: {}",
                refused.text()
            );
            let refused = call(denied, operation, reference, &zip).await;
            assert_eq!(refused.status, 403, "{what}: {}", refused.text());
            let answer = call(partial, operation, reference, &zip).await;
            let may = agree && reference.qualifier(operation) == Some("prod");
            let is_let_in = answer.status != 403;
            assert!(!agree || is_let_in == may, "{what}: {}", answer.text());
            let is_taken = operation.has_qualifier || reference.inner.is_none();
            let is_done = answer.status.is_success();
            assert!(!is_done || (may && is_taken), "{what}: {}", answer.text());
        }
        assert_eq!(state(owner).await, before, "{}", operation.name);
    }
}

#[tokio::test]
async fn operation_succeeds_for_permitted_caller() {
    let host = host();
    let owner = Signed {
        host: &host,
        key: "owner",
    };
    prepare(owner).await;
    let zip = STANDARD.encode(zipped(&guest("echo")));
    let mut operations = operations();
    // Creating operations first, deleting ones last.
    operations.sort_by_key(|it| {
        let order = ["Create", "Put", "Update", "Get", "List", "Invoke", "Delete"];
        let order = order.iter().position(|start| it.name.starts_with(start));
        (
            order.unwrap_or(2),
            // Its event runs later, and takes the reserved concurrency meanwhile.
            it.name == "InvokeAsync",
            it.name == "DeleteFunction",
            it.name == "DeleteAlias",
        )
    });
    for operation in &operations {
        let beside = [
            "PutProvisioned",
            "GetProvisioned",
            "DeleteProvisioned",
            "DeleteFunction",
        ];
        let is_qualified = beside[..3].iter().any(|it| operation.name.starts_with(it));
        // A configuration without code signing exists.
        if operation.name == "PutFunctionCodeSigningConfig" {
            continue;
        }
        let reference = Reference {
            name: "f".into(),
            inner: None,
            query: if is_qualified { "?Qualifier=prod" } else { "" },
            beside: None,
        };
        settled(owner).await;
        let answer = call(owner, operation, &reference, &zip).await;
        assert!(
            answer.status.is_success(),
            "{}: {}",
            operation.name,
            answer.text()
        );
    }
}

async fn settled(owner: Signed<'_>) {
    for _ in 0..1_000 {
        let shown = owner
            .lambda("GET", &format!("{F}/configuration"), &Value::Null)
            .await;
        let shown = shown.json();
        if shown["State"] == "Active" && shown["LastUpdateStatus"] == "Successful" {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn function_in_body_is_authorized() {
    let mut deny = allow("lambda:*", ARN);
    deny["Effect"] = "Deny".into();
    let host = super::host(&json!([allow("lambda:*", "*"), deny]));
    let super::People { owner, alice, .. } = super::people(&host);
    let zip = STANDARD.encode(zipped(&guest("echo")));
    let made = |name: &str| {
        format!(
            r#"{{"FunctionName": "g", "Runtime": "provided.al2023", "Handler": "bootstrap",
            "Role": "{ROLE}", "Code": {{"ZipFile": "{zip}"}}, "{name}": "f"}}"#
        )
    };
    for body in [made("FunctionName"), made(r"\u0046unctionName")] {
        let functions = "/2015-03-31/functions?FunctionName=g";
        let answer = alice.send("lambda", "POST", functions, &[], body).await;
        assert_eq!(
            answer.status,
            403,
            "the last name counts: {}",
            answer.text()
        );
    }
    for name in ["f", "000000000000:f", ARN, "f:1"] {
        let answer = alice.try_create("g", &json!({"FunctionName": name})).await;
        assert!(
            matches!(answer.status.as_u16(), 400 | 403),
            "{name}: {}",
            answer.text()
        );
    }
    assert_eq!(owner.lambda("GET", F, &Value::Null).await.status, 404);
}

#[tokio::test]
async fn moved_mapping_needs_permission_on_both_functions() {
    let only = |name: &str, actions: Value| {
        let mut statement = allow("lambda:*", "*");
        statement["Action"] = actions;
        let arn = ARN.replace("function:f", &format!("function:{name}"));
        statement["Condition"] = json!({"ArnEquals": {"lambda:FunctionArn": arn}});
        statement
    };
    let host = super::host(&json!([only("f", json!("lambda:*EventSourceMapping"))]));
    let super::People { owner, alice, .. } = super::people(&host);
    for name in ["f", "g"] {
        owner.create(name, &json!({})).await;
    }
    let mappings = "/2015-03-31/event-source-mappings";
    let source = |name: &str, queue: &str| {
        json!({
            "FunctionName": name, "Enabled": false,
            "EventSourceArn": format!("arn:aws:sqs:us-east-1:000000000000:{queue}"),
        })
    };
    let made = alice.lambda("POST", mappings, &source("f", "a")).await;
    assert_eq!(made.status, 202, "{}", made.text());
    let own = made.json()["UUID"].as_str().unwrap().to_owned();
    let refused = alice.lambda("POST", mappings, &source("g", "a")).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    let made = owner.lambda("POST", mappings, &source("g", "b")).await;
    let theirs = made.json()["UUID"].as_str().unwrap().to_owned();
    let of = |id: &str| format!("{mappings}/{id}");
    for (method, id, body, may) in [
        ("GET", &own, Value::Null, true),
        ("GET", &theirs, Value::Null, false),
        ("DELETE", &theirs, Value::Null, false),
        ("PUT", &theirs, json!({"BatchSize": 2}), false),
        ("PUT", &theirs, json!({"FunctionName": "f"}), false),
        ("PUT", &own, json!({"FunctionName": "g"}), false),
        ("PUT", &own, json!({"FunctionName": "f:$LATEST"}), false),
    ] {
        let answer = alice.lambda(method, &of(id), &body).await;
        assert_eq!(
            answer.status != 403,
            may,
            "{method} {body}: {}",
            answer.text()
        );
    }
    let shown = owner.lambda("GET", &of(&own), &Value::Null).await.json();
    assert_eq!(shown["FunctionArn"], ARN, "it was not moved");
}

#[tokio::test]
async fn layer_version_number_is_normalized_for_authorization() {
    let layer = "arn:aws:lambda:us-east-1:000000000000:layer:l:1";
    let mut deny = allow("lambda:*", layer);
    deny["Effect"] = "Deny".into();
    let host = super::host(&json!([allow("lambda:*", "*"), deny]));
    let super::People { owner, alice, .. } = super::people(&host);
    let content = json!({"Content": {"ZipFile": STANDARD.encode(zipped(b"text"))}});
    let made = owner
        .lambda("POST", "/2018-10-31/layers/l/versions", &content)
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
    let arn = layer.trim_end_matches(":1");
    let cn = arn.replace("arn:aws:", "arn:aws-cn:");
    for path in [
        "/2018-10-31/layers/l/versions/1".to_owned(),
        "/2018-10-31/layers/l/versions/01".to_owned(),
        "/2018-10-31/layers/%6C/versions/+1".to_owned(),
        format!("/2018-10-31/layers/{arn}/versions/001"),
        format!("/2018-10-31/layers/{cn}/versions/1"),
        format!("/2018-10-31/layers?find=LayerVersion&Arn={arn}:01"),
        format!("/2018-10-31/layers?find=LayerVersion&Arn={cn}:1"),
    ] {
        let answer = alice.lambda("GET", &path, &Value::Null).await;
        assert_eq!(answer.status, 403, "{path}: {}", answer.text());
    }
    for written in [format!("{arn}:01"), format!("{cn}:1")] {
        let answer = alice.try_create("g", &json!({"Layers": [written]})).await;
        assert_eq!(answer.status, 403, "{written}: {}", answer.text());
    }
}

#[tokio::test]
async fn foreign_members_satisfy_no_condition() {
    let mut tagged = allow("lambda:PutFunctionConcurrency", ARN);
    tagged["Condition"] = json!({"ForAnyValue:StringEquals": {"aws:TagKeys": "team"}});
    let host = super::host(&json!([tagged]));
    let super::People { owner, alice, .. } = super::people(&host);
    owner.create("f", &json!({})).await;
    let body = json!({"ReservedConcurrentExecutions": 1, "Tags": {"team": "x"}});
    let path = "/2017-10-31/functions/f/concurrency?tagKeys=team";
    let answer = alice.lambda("PUT", path, &body).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
}

#[tokio::test]
async fn code_signing_needs_permission_on_configuration() {
    let host = super::host(&json!([allow("lambda:PutFunctionCodeSigningConfig", ARN)]));
    let super::People { owner, alice, .. } = super::people(&host);
    owner.create("f", &json!({})).await;
    let config = "arn:aws:lambda:us-east-1:000000000000:code-signing-config:csc-0123456789abcdef0";
    let path = "/2020-06-30/functions/f/code-signing-config";
    let body = json!({"CodeSigningConfigArn": config});
    let refused = alice.lambda("PUT", path, &body).await;
    let expected = super::silent(
        "alice",
        "identity",
        "lambda:PutFunctionCodeSigningConfig",
        config,
    );
    assert_eq!(super::status_and_message(&refused), expected);
}

#[tokio::test]
async fn tags_by_qualified_arn_need_permission() {
    let mut deny = allow("lambda:ListTags", ARN);
    deny["Effect"] = "Deny".into();
    let host = super::host(&json!([allow("lambda:*", "*"), deny]));
    let super::People { owner, alice, .. } = super::people(&host);
    owner.create("f", &json!({"Tags": {"team": "edge"}})).await;
    for query in ["", "?Qualifier=%24LATEST"] {
        let shown = alice
            .lambda("GET", &format!("{F}{query}"), &Value::Null)
            .await;
        assert!(
            shown.json().get("Tags").is_none(),
            "{query}: {}",
            shown.text()
        );
    }
}

#[tokio::test]
async fn grant_on_alias_does_not_allow_code_update() {
    let host = super::host(&json!([allow("s3:*", "*")]));
    let super::People { owner, bob, .. } = super::people(&host);
    owner.create("f", &json!({"Publish": true})).await;
    let alias = json!({"Name": "prod", "FunctionVersion": "1"});
    let made = owner.lambda("POST", &format!("{F}/aliases"), &alias).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let all = json!({"StatementId": "all", "Principal": "111111111111", "Action": "lambda:*"});
    super::grant(owner, &super::policy_path("?Qualifier=prod"), all).await;
    let code = json!({"ZipFile": STANDARD.encode(zipped(&guest("echo")))});
    let path = |name: &str| format!("/2015-03-31/functions/{ARN}{name}/code");
    for (path, expected) in [
        (path(""), 403),
        (format!("{}?Qualifier=prod", path("")), 403),
        (path(":prod"), 403),
    ] {
        let answer = bob.lambda("PUT", &path, &code).await;
        assert_eq!(answer.status, expected, "{path}: {}", answer.text());
    }
    assert_eq!(bob.invoke(&format!("{ARN}:prod")).await.status, 200);
}
