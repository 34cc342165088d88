//! Tags of functions and other resources.

use serde_json::{Value, json};

use crate::harness::{ApiResponse, Lamina, guest};

const FUNCTION: &str = "/2015-03-31/functions/f";

fn path(resource: &str) -> String {
    let arn = format!("arn:aws:lambda:us-east-1:000000000000:{resource}").replace(':', "%3A");
    format!("/2017-03-31/tags/{arn}")
}

async fn tag(host: &Lamina, resource: &str, tags: Value) -> ApiResponse {
    host.lambda("POST", &path(resource), &json!({"Tags": tags}))
        .await
}

async fn untag(host: &Lamina, query: &str) -> ApiResponse {
    host.lambda(
        "DELETE",
        &format!("{}?{query}", path("function:f")),
        &Value::Null,
    )
    .await
}

async fn tags(host: &Lamina) -> Value {
    let listed = host.lambda("GET", &path("function:f"), &Value::Null).await;
    assert_eq!(listed.status, 200, "{}", listed.text());
    listed.json()
}

async fn host() -> Lamina {
    let host = Lamina::start();
    let made = json!({"Tags": {"team": "edge"}});
    host.create("f", &guest("echo"), made).await;
    host
}

#[tokio::test]
async fn tags_are_set_changed_listed_and_removed() {
    let host = host().await;
    assert_eq!(tags(&host).await, json!({"Tags": {"team": "edge"}}));
    let before = host.lambda("GET", FUNCTION, &Value::Null).await.json();
    let given = tag(
        &host,
        "function:f",
        json!({"team": "core", "cost/centre": "ü 1"}),
    )
    .await;
    assert_eq!((given.status.as_u16(), given.text()), (204, String::new()));
    let expected = json!({"team": "core", "cost/centre": "ü 1"});
    assert_eq!(tags(&host).await["Tags"], expected);
    let shown = host.lambda("GET", FUNCTION, &Value::Null).await.json();
    assert_eq!(shown["Tags"], expected);
    let revision = |shown: &Value| shown["Configuration"]["RevisionId"].clone();
    let tagged = revision(&shown);
    assert_ne!(tagged, revision(&before), "as in AWS");
    let taken = untag(&host, "tagKeys=team&tagKeys=never").await;
    assert_eq!((taken.status.as_u16(), taken.text()), (204, String::new()));
    assert_eq!(untag(&host, "tagKeys=cost%2Fcentre").await.status, 204);
    assert_eq!(tags(&host).await, json!({"Tags": {}}));
    let shown = host.lambda("GET", FUNCTION, &Value::Null).await.json();
    assert!(shown.get("Tags").is_none());
    assert_ne!(revision(&shown), tagged);
    let host = Lamina::in_dir(host.kill(), "");
    assert_eq!(tags(&host).await, json!({"Tags": {}}));
}

#[tokio::test]
async fn over_fifty_tags_are_refused() {
    let host = host().await;
    let some = |from: usize, to: usize| {
        let pairs = (from..to).map(|at| (format!("k{at}"), json!("v")));
        Value::Object(pairs.collect())
    };
    assert_eq!(tag(&host, "function:f", some(0, 49)).await.status, 204);
    let text = "Number of tags exceeds resource tag limit.";
    let error = ("InvalidParameterValueException".to_owned(), text.to_owned());
    let refused = tag(&host, "function:f", some(49, 50)).await;
    assert_eq!(refused.error(), error);
    assert_eq!(
        tag(&host, "function:f", some(0, 49)).await.status,
        204,
        "none is new"
    );
    let package = crate::harness::zipped(&guest("echo"));
    let made = host
        .try_create("g", &package, json!({"Tags": some(0, 51)}))
        .await;
    assert_eq!(made.error(), error);
    let all = tags(&host).await;
    assert_eq!(all["Tags"].as_object().map(serde_json::Map::len), Some(50));
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "tables of what is refused")]
async fn untaggable_resource_error_is_awss() {
    let host = host().await;
    let one = json!({"k": "v"});
    let uuid = "00000000-0000-4000-8000-000000000000";
    let (invalid, missing) = (
        "InvalidParameterValueException",
        "ResourceNotFoundException",
    );
    let qualified = "Tags on function aliases and versions are not supported. Please specify a \
                     function ARN.";
    let nowhere = "The resource you requested does not exist.";
    let named = |what: &str, resource: &str| {
        format!("{what} not found: arn:aws:lambda:us-east-1:000000000000:{resource}")
    };
    let config = "arn:aws:lambda:us-east-1:000000000000:code-signing-config:csc-00000000000000000";
    for (resource, tags, name, expected) in [
        (
            "function:f",
            json!({}),
            invalid,
            "An error occurred and the request cannot be processed.",
        ),
        ("function:f:1", one.clone(), invalid, qualified),
        ("function:f:$LATEST", one.clone(), invalid, qualified),
        ("function:f:prod", one.clone(), invalid, qualified),
        (
            "function:g",
            one.clone(),
            missing,
            &named("Function", "function:g"),
        ),
        (
            &format!("event-source-mapping:{uuid}"),
            one.clone(),
            missing,
            &named(
                "Event source mapping",
                &format!("event-source-mapping:{uuid}"),
            ),
        ),
        (
            "code-signing-config:csc-00000000000000000",
            one.clone(),
            missing,
            &format!("The Lambda code signing configuration {config} can not be found."),
        ),
        (
            "capacity-provider:p",
            one.clone(),
            missing,
            &named("Capacity provider", "capacity-provider:p"),
        ),
        ("network-connector:n", one.clone(), missing, nowhere),
    ] {
        let answer = tag(&host, resource, tags).await;
        assert_eq!(answer.error(), (name.into(), expected.into()), "{resource}");
    }
    for (tags, constraint) in [
        (
            json!({"k": "v".repeat(257)}),
            "Map value must satisfy constraint",
        ),
        (json!({"": "v"}), "Map keys must satisfy constraint"),
        (json!({"k!": "v"}), "Map keys must satisfy constraint"),
        (
            Value::Null,
            "Value null at 'tags' failed to satisfy constraint: Member must not be null",
        ),
    ] {
        let (name, text) = tag(&host, "function:f", tags).await.error();
        assert_eq!(name, "ValidationException");
        assert!(text.contains(constraint), "{text}");
    }
    let (name, text) = untag(&host, "").await.error();
    assert_eq!(name, "ValidationException");
    assert!(text.contains("Value null at 'tagKeys'"), "{text}");
    let (name, _) = tag(&host, "layer:l", one.clone()).await.error();
    assert_eq!(name, "ValidationException");
    let foreign = path("function:f").replace("000000000000", "123456789012");
    let answer = host.lambda("POST", &foreign, &json!({"Tags": one})).await;
    assert_eq!(
        (answer.status.as_u16(), answer.text().as_str()),
        (403, r#"{"Message":null}"#)
    );
    assert_eq!(
        tags(&host).await,
        json!({"Tags": {"team": "edge"}}),
        "nothing was changed"
    );
}

#[tokio::test]
async fn tags_change_during_function_update() {
    let host = Lamina::start();
    let package = crate::harness::zipped(&guest("echo"));
    assert_eq!(host.try_create("f", &package, json!({})).await.status, 201);
    assert_eq!(
        tag(&host, "function:f", json!({"early": "1"})).await.status,
        204
    );
    host.settled("f").await;
    assert_eq!(tags(&host).await, json!({"Tags": {"early": "1"}}));
}

#[tokio::test]
async fn code_signing_configuration_is_tagged() {
    let host = Lamina::start();
    let profile = "arn:aws:signer:us-east-1:000000000000:/signing-profiles/p/0123456789";
    let request = json!({
        "AllowedPublishers": {"SigningProfileVersionArns": [profile]}, "Tags": {"a": "1"},
    });
    let made = host
        .lambda("POST", "/2020-04-22/code-signing-configs", &request)
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    let id = made["CodeSigningConfig"]["CodeSigningConfigId"].as_str();
    let resource = format!("code-signing-config:{}", id.expect("an id"));
    let added = tag(&host, &resource, json!({"b": "2"})).await;
    assert_eq!(added.status, 204, "{}", added.text());
    let taken = format!("{}?tagKeys=a", path(&resource));
    let taken = host.lambda("DELETE", &taken, &Value::Null).await;
    assert_eq!(taken.status, 204, "{}", taken.text());
    let listed = host.lambda("GET", &path(&resource), &Value::Null).await;
    assert_eq!(listed.json(), json!({"Tags": {"b": "2"}}));
}

#[tokio::test]
async fn event_source_mapping_is_tagged() {
    let host = host().await;
    let queue = "arn:aws:sqs:us-east-1:000000000000:queue";
    let request = json!({
        "FunctionName": "f", "EventSourceArn": queue, "Enabled": false, "Tags": {"a": "1"},
    });
    let made = host
        .lambda("POST", "/2015-03-31/event-source-mappings", &request)
        .await;
    assert_eq!(made.status, 202, "{}", made.text());
    let uuid = made.json()["UUID"].as_str().expect("an id").to_owned();
    let resource = format!("event-source-mapping:{uuid}");
    let added = tag(&host, &resource, json!({"b": "2"})).await;
    assert_eq!(added.status, 204, "{}", added.text());
    let listed = host.lambda("GET", &path(&resource), &Value::Null).await;
    assert_eq!(listed.json(), json!({"Tags": {"a": "1", "b": "2"}}));
}
