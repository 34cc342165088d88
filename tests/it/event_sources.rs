//! Event source mappings through the API: defaults by source type, states, uniqueness, listings,
//! refusals, restarts. No source is polled.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::harness::{ApiResponse, Lamina, guest};

mod refused;

const MAPPINGS: &str = "/2015-03-31/event-source-mappings";
const SQS: &str = "arn:aws:sqs:us-east-1:000000000000:queue";
const KINESIS: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/stream";
const DYNAMODB: &str =
    "arn:aws:dynamodb:us-east-1:000000000000:table/table/stream/2024-01-01T00:00:00.000";
const MSK: &str = "arn:aws:kafka:us-east-1:000000000000:cluster/cluster/3a1b";
const MQ: &str = "arn:aws:mq:us-east-1:000000000000:broker:broker:b-1";
const DOCUMENT_DB: &str = "arn:aws:rds:us-east-1:000000000000:cluster:cluster";
const SECRET: &str = "arn:aws:secretsmanager:us-east-1:000000000000:secret:s";

async fn host_with(names: &[&str]) -> Lamina {
    let host = Lamina::start();
    for name in names {
        host.create(name, &guest("echo"), json!({})).await;
    }
    host
}

fn merged(mut into: Value, more: &Value) -> Value {
    for (key, value) in more.as_object().into_iter().flatten() {
        into[key] = value.clone();
    }
    into
}

async fn try_map(host: &Lamina, more: Value) -> ApiResponse {
    let request = merged(json!({"FunctionName": "f"}), &more);
    host.lambda("POST", MAPPINGS, &request).await
}

async fn map(host: &Lamina, more: Value) -> Value {
    let made = try_map(host, more).await;
    assert_eq!(made.status, 202, "{}", made.text());
    made.json()
}

fn path_of(mapping: &Value) -> String {
    format!("{MAPPINGS}/{}", mapping["UUID"].as_str().expect("a UUID"))
}

async fn get(host: &Lamina, path: &str) -> ApiResponse {
    host.lambda("GET", path, &Value::Null).await
}

/// Mapping after its change has completed.
async fn settled(host: &Lamina, path: &str) -> Value {
    for _ in 0..1_000 {
        let shown = get(host, path).await.json();
        if ["Enabled", "Disabled"]
            .iter()
            .any(|it| shown["State"] == *it)
        {
            return shown;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{path} does not settle");
}

async fn gone(host: &Lamina, path: &str) -> ApiResponse {
    for _ in 0..1_000 {
        let answer = get(host, path).await;
        if answer.status == 404 {
            return answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{path} does not go");
}

/// Mapping without its variable members, which are checked.
fn known(mut shown: Value) -> Value {
    let members = shown.as_object_mut().expect("an object");
    let id = members.remove("UUID").expect("a UUID");
    let id = id.as_str().expect("a text");
    assert_eq!(id.len(), 36);
    let arn = members.remove("EventSourceMappingArn").expect("an ARN");
    let expected = format!("arn:aws:lambda:us-east-1:000000000000:event-source-mapping:{id}");
    assert_eq!(arn, json!(expected));
    let modified = members.remove("LastModified").expect("a time");
    assert!(modified.as_f64().is_some_and(|at| at > 1.7e9), "{modified}");
    for kafka in [
        "AmazonManagedKafkaEventSourceConfig",
        "SelfManagedKafkaEventSourceConfig",
    ] {
        if members
            .get(kafka)
            .is_some_and(|it| it["ConsumerGroupId"] == id)
        {
            members[kafka]["ConsumerGroupId"] = json!("<id>");
        }
    }
    shown
}

fn function_arn(name: &str) -> String {
    format!("arn:aws:lambda:us-east-1:000000000000:function:{name}")
}

#[tokio::test]
async fn queue_mapping_lifecycle_is_awss() {
    let host = host_with(&["f"]).await;
    let made = map(&host, json!({"EventSourceArn": SQS})).await;
    let path = path_of(&made);
    let expected = json!({
        "BatchSize": 10, "MaximumBatchingWindowInSeconds": 0, "EventSourceArn": SQS,
        "FunctionArn": function_arn("f"), "State": "Creating",
        "StateTransitionReason": "USER_INITIATED", "FunctionResponseTypes": [],
    });
    assert_eq!(known(made.clone()), expected);
    let enabled = merged(expected, &json!({"State": "Enabled"}));
    assert_eq!(known(settled(&host, &path).await), enabled);

    let change = json!({"BatchSize": 20, "MaximumBatchingWindowInSeconds": 5,
        "FunctionResponseTypes": ["ReportBatchItemFailures"], "ScalingConfig": {"MaximumConcurrency": 7}});
    let changed = host.lambda("PUT", &path, &change).await;
    let updating = merged(enabled, &merged(change, &json!({"State": "Updating"})));
    assert_eq!(
        (changed.status.as_u16(), known(changed.json())),
        (202, updating.clone())
    );
    let enabled = merged(updating, &json!({"State": "Enabled"}));
    assert_eq!(known(settled(&host, &path).await), enabled);

    for (enabled, during, after) in [
        (false, "Disabling", "Disabled"),
        (true, "Enabling", "Enabled"),
    ] {
        let switched = host
            .lambda("PUT", &path, &json!({"Enabled": enabled}))
            .await;
        assert_eq!(switched.json()["State"], during);
        assert_eq!(settled(&host, &path).await["State"], after);
    }
    let taken_back = host
        .lambda("PUT", &path, &json!({"ScalingConfig": {}}))
        .await;
    assert_eq!(taken_back.json().get("ScalingConfig"), None);
    settled(&host, &path).await;

    let function = "/2015-03-31/functions/f";
    assert_eq!(
        host.lambda("DELETE", function, &Value::Null).await.status,
        204
    );
    let left = settled(&host, &path).await;
    assert_eq!(left["FunctionArn"], function_arn("f"));
    let deleted = host.lambda("DELETE", &path, &Value::Null).await;
    assert_eq!(
        (deleted.status.as_u16(), &deleted.json()["State"]),
        (202, &json!("Deleting"))
    );
    let unknown = gone(&host, &path).await;
    let unknown = (unknown.json(), unknown.error());
    assert_eq!(
        unknown.0,
        json!({"Type": "User", "Message": "The resource you requested does not exist."})
    );
    assert_eq!(unknown.1.0, "ResourceNotFoundException");
    for method in ["PUT", "DELETE"] {
        assert_eq!(host.lambda(method, &path, &json!({})).await.status, 404);
    }
}

#[tokio::test]
async fn source_type_determines_defaults() {
    let host = host_with(&["f"]).await;
    let stream = json!({
        "BatchSize": 100, "MaximumBatchingWindowInSeconds": 0, "ParallelizationFactor": 1,
        "FunctionArn": function_arn("f"), "StartingPosition": "LATEST", "State": "Creating",
        "StateTransitionReason": "User action", "LastProcessingResult": "No records processed",
        "DestinationConfig": {"OnFailure": {}}, "MaximumRecordAgeInSeconds": -1,
        "BisectBatchOnFunctionError": false, "MaximumRetryAttempts": -1,
        "TumblingWindowInSeconds": 0, "FunctionResponseTypes": [],
    });
    for arn in [KINESIS, DYNAMODB] {
        let request = json!({"EventSourceArn": arn, "StartingPosition": "LATEST"});
        let made = map(&host, request.clone()).await;
        assert_eq!(known(made), merged(stream.clone(), &request));
    }
    let other = json!({
        "BatchSize": 100, "FunctionArn": function_arn("f"), "State": "Creating",
        "StateTransitionReason": "USER_INITIATED", "LastProcessingResult": "No records processed",
    });
    let access = json!([{"Type": "BASIC_AUTH", "URI": SECRET}]);
    let group = json!({"ConsumerGroupId": "<id>"});
    let servers =
        json!({"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["a.example:9092", "b.example:9092"]}});
    let cases = [
        (
            json!({"EventSourceArn": MSK, "Topics": ["topic"]}),
            json!({"StartingPosition": "TRIM_HORIZON", "AmazonManagedKafkaEventSourceConfig": group}),
        ),
        (
            json!({"SelfManagedEventSource": servers, "Topics": ["topic"],
                "SourceAccessConfigurations": access}),
            json!({"StartingPosition": "TRIM_HORIZON", "SelfManagedKafkaEventSourceConfig": group}),
        ),
        (
            json!({"EventSourceArn": MQ, "Queues": ["queue"], "SourceAccessConfigurations": access}),
            json!({}),
        ),
        (
            json!({"EventSourceArn": DOCUMENT_DB, "SourceAccessConfigurations": access,
                "StartingPosition": "LATEST"}),
            json!({"StateTransitionReason": "User action", "MaximumBatchingWindowInSeconds": 0}),
        ),
    ];
    for (request, assumed) in cases {
        let mut asked = request.clone();
        let mut expected = merged(merged(other.clone(), &request), &assumed);
        if request["EventSourceArn"] == DOCUMENT_DB {
            asked["DocumentDBEventSourceConfig"] = json!({"DatabaseName": "db"});
            expected["DocumentDBEventSourceConfig"] =
                json!({"DatabaseName": "db", "FullDocument": "Default"});
        }
        assert_eq!(known(map(&host, asked).await), expected);
    }
}

#[tokio::test]
async fn all_members_are_kept_and_shown() {
    let host = host_with(&["f"]).await;
    let stream = json!({
        "EventSourceArn": KINESIS, "StartingPosition": "AT_TIMESTAMP",
        "StartingPositionTimestamp": 1_700_000_000.5, "BatchSize": 7,
        "MaximumBatchingWindowInSeconds": 3, "ParallelizationFactor": 2,
        "DestinationConfig": {"OnFailure": {"Destination": SQS}}, "MaximumRecordAgeInSeconds": 60,
        "BisectBatchOnFunctionError": true, "MaximumRetryAttempts": 0,
        "TumblingWindowInSeconds": 30, "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "FilterCriteria": {"Filters": [{"Pattern": "{\"data\":{\"a\":[1]}}"}]},
        "KMSKeyArn": "arn:aws:kms:us-east-1:000000000000:key/k",
        "MetricsConfig": {"Metrics": ["EventCount"]},
    });
    let asked = merged(
        stream.clone(),
        &json!({"Enabled": false, "Tags": {"k": "v"}}),
    );
    let made = map(&host, asked).await;
    let path = path_of(&made);
    let expected = json!({
        "FunctionArn": function_arn("f"), "State": "Disabled", "StateTransitionReason": "User action",
        "LastProcessingResult": "No records processed",
    });
    let expected = merged(expected, &stream);
    assert_eq!(known(made), expected, "there is nothing to wait for");
    let shown = known(settled(&host, &path).await);
    assert_eq!(shown, expected);
    let begun = host.lambda("PUT", &path, &json!({"Enabled": true})).await;
    assert_eq!(begun.json()["State"], "Enabling");
    settled(&host, &path).await;

    let registry = json!({
        "SchemaRegistryURI": "https://registry.example", "EventRecordFormat": "JSON",
        "AccessConfigs": [{"Type": "BASIC_AUTH", "URI": SECRET}],
        "SchemaValidationConfigs": [{"Attribute": "KEY"}],
    });
    let cluster = json!({
        "EventSourceArn": MSK, "Topics": ["topic"], "StartingPosition": "LATEST",
        "AmazonManagedKafkaEventSourceConfig": {"ConsumerGroupId": "own", "SchemaRegistryConfig": registry},
        "ProvisionedPollerConfig": {"MinimumPollers": 3, "PollerGroupName": "group"},
        "LoggingConfig": {"SystemLogLevel": "DEBUG"},
        "SourceAccessConfigurations": [{"Type": "SASL_SCRAM_512_AUTH", "URI": SECRET}],
    });
    let made = map(&host, cluster.clone()).await;
    let path = path_of(&made);
    let mut expected = merged(made.clone(), &cluster);
    expected["ProvisionedPollerConfig"]["MaximumPollers"] = json!(200);
    assert_eq!(made, expected);
    settled(&host, &path).await;
    // An empty registry configuration removes it; unnamed poller settings stay.
    let change = json!({
        "AmazonManagedKafkaEventSourceConfig": {"SchemaRegistryConfig": {}},
        "ProvisionedPollerConfig": {"MaximumPollers": 9}, "LoggingConfig": {},
    });
    let changed = host.lambda("PUT", &path, &change).await.json();
    assert_eq!(
        changed["AmazonManagedKafkaEventSourceConfig"],
        json!({"ConsumerGroupId": "own"})
    );
    assert_eq!(
        changed["ProvisionedPollerConfig"],
        json!({"MinimumPollers": 3, "MaximumPollers": 9, "PollerGroupName": "group"})
    );
    assert_eq!(changed.get("LoggingConfig"), None);
}

#[tokio::test]
async fn second_mapping_of_same_source_is_refused() {
    let host = Arc::new(host_with(&["f", "g"]).await);
    let racers = (0..8).map(|_| {
        let host = host.clone();
        tokio::spawn(async move { try_map(&host, json!({"EventSourceArn": SQS})).await })
    });
    let mut made = Vec::new();
    let mut refused = Vec::new();
    for racer in racers.collect::<Vec<_>>() {
        let answer = racer.await.expect("it ends");
        match answer.status.as_u16() {
            202 => made.push(answer.json()),
            status => refused.push((status, answer.error())),
        }
    }
    assert_eq!((made.len(), refused.len()), (1, 7));
    let already = |text: String, mapping: &Value| {
        let id = mapping["UUID"].as_str().expect("a UUID");
        let text = format!("{text} Please update or delete the existing mapping with UUID {id}");
        (409, ("ResourceConflictException".to_owned(), text))
    };
    let text = format!(
        "An event source mapping with SQS arn (\" {SQS} \") and function (\" f \") already exists."
    );
    let expected = already(text, &made[0]);
    assert!(refused.iter().all(|it| *it == expected), "{refused:?}");

    let stream = json!({"EventSourceArn": KINESIS, "StartingPosition": "LATEST"});
    let mapped = map(&host, stream.clone()).await;
    let again = try_map(&host, stream.clone()).await;
    let text = format!(
        "The event source arn (\" {KINESIS} \") and function (\" f \") provided mapping already exists."
    );
    assert_eq!(
        (again.status.as_u16(), again.error()),
        already(text, &mapped)
    );
    let kafka = |topic: &str| json!({"EventSourceArn": MSK, "Topics": [topic]});
    let mapped = map(&host, kafka("one")).await;
    map(&host, kafka("two")).await;
    let again = try_map(&host, kafka("one")).await;
    let text = format!(
        "An event source mapping with event source (\"{MSK}\"), function (\"{}\"), topics (\"one\") \
         already exists.",
        function_arn("f")
    );
    assert_eq!(
        (again.status.as_u16(), again.error()),
        already(text, &mapped)
    );

    // Another function may use the source, until it becomes the same function.
    let other = map(&host, json!({"FunctionName": "g", "EventSourceArn": SQS})).await;
    let path = path_of(&other);
    settled(&host, &path).await;
    let moved = host
        .lambda("PUT", &path, &json!({"FunctionName": "f"}))
        .await;
    assert_eq!((moved.status.as_u16(), moved.error()), expected);
    // A deleted mapping can be created again.
    let path = path_of(&made[0]);
    settled(&host, &path).await;
    host.lambda("DELETE", &path, &Value::Null).await;
    gone(&host, &path).await;
    let moved = host
        .lambda("PUT", &path_of(&other), &json!({"FunctionName": "f"}))
        .await;
    assert_eq!(moved.json()["FunctionArn"], function_arn("f"));
    map(&host, json!({"FunctionName": "g", "EventSourceArn": SQS})).await;
}

#[tokio::test]
async fn function_reference_is_resolved_and_must_exist() {
    let host = host_with(&["f"]).await;
    let plain = function_arn("f");
    let latest = format!("{plain}:$LATEST");
    let forms = [
        ("f", &plain),
        (plain.as_str(), &plain),
        ("000000000000:function:f", &plain),
        ("f:$LATEST", &latest),
        (latest.as_str(), &latest),
    ];
    for (number, (name, expected)) in forms.into_iter().enumerate() {
        let arn = format!("{SQS}{number}");
        let made = map(&host, json!({"FunctionName": name, "EventSourceArn": arn})).await;
        assert_eq!(made["FunctionArn"], **expected, "{name}");
    }
    for name in ["missing", "f:missing", "f:7"] {
        let request = json!({"FunctionName": name, "EventSourceArn": SQS});
        let refused = try_map(&host, request).await;
        let expected = json!({"Type": "User", "message": "Function does not exist"});
        assert_eq!(
            (refused.status.as_u16(), refused.json()),
            (400, expected),
            "{name}"
        );
    }
    let elsewhere = "arn:aws:lambda:us-east-1:111111111111:function:f";
    let refused = try_map(
        &host,
        json!({"FunctionName": elsewhere, "EventSourceArn": SQS}),
    )
    .await;
    assert_eq!(refused.status, 403);
}

#[tokio::test]
async fn mappings_are_filtered_and_paged() {
    let host = host_with(&["f", "g"]).await;
    let mut ids = Vec::new();
    for (name, arn) in [
        ("f", SQS.to_owned()),
        ("g", SQS.to_owned()),
        ("f", format!("{SQS}2")),
    ] {
        let made = map(&host, json!({"FunctionName": name, "EventSourceArn": arn})).await;
        ids.push(made["UUID"].as_str().expect("a UUID").to_owned());
    }
    let listed = async |query: &str| {
        let page = get(&host, &format!("{MAPPINGS}{query}")).await.json();
        let mappings = page["EventSourceMappings"]
            .as_array()
            .expect("a list")
            .clone();
        let found: Vec<String> = mappings
            .iter()
            .map(|it| it["UUID"].as_str().expect("a UUID").to_owned())
            .collect();
        (found, page["NextMarker"].as_str().map(str::to_owned))
    };
    let sorted = |mut them: Vec<String>| {
        them.sort();
        them
    };
    let of_f = vec![ids[0].clone(), ids[2].clone()];
    assert_eq!(listed("/").await, (sorted(ids.clone()), None));
    assert_eq!(
        listed("?FunctionName=f").await,
        (sorted(of_f.clone()), None)
    );
    let arn = function_arn("f");
    assert_eq!(
        listed(&format!("?FunctionName={arn}")).await,
        (sorted(of_f.clone()), None)
    );
    assert_eq!(listed("?FunctionName=f:$LATEST").await, (vec![], None));
    assert_eq!(listed("?FunctionName=missing").await, (vec![], None));
    let of_queue = vec![ids[0].clone(), ids[1].clone()];
    assert_eq!(
        listed(&format!("?EventSourceArn={SQS}")).await,
        (sorted(of_queue), None)
    );
    let both = format!("?EventSourceArn={SQS}&FunctionName=g");
    assert_eq!(listed(&both).await, (vec![ids[1].clone()], None));

    let (first, marker) = listed("?MaxItems=1&FunctionName=f").await;
    let marker = marker.expect("another page");
    let (second, end) = listed(&format!("?MaxItems=1&FunctionName=f&Marker={marker}")).await;
    assert_eq!(
        (sorted([first, second].concat()), end),
        (sorted(of_f), None)
    );
    let refused = get(&host, &format!("{MAPPINGS}?MaxItems=0")).await;
    assert_eq!(refused.error().0, "ValidationException");
}

#[tokio::test]
async fn change_in_progress_survives_restart() {
    let host = Lamina::configured("settle_millis = 60000");
    let package = crate::harness::zipped(&guest("echo"));
    assert_eq!(host.try_create("f", &package, json!({})).await.status, 201);
    let made = map(&host, json!({"EventSourceArn": SQS})).await;
    let path = path_of(&made);
    assert_eq!(get(&host, &path).await.json(), made);
    for (method, what) in [("PUT", "update"), ("DELETE", "delete")] {
        let refused = host.lambda(method, &path, &json!({})).await;
        let text = format!("Cannot {what} the event source mapping because it is in use.");
        let expected = json!({"Type": "User", "Message": text});
        assert_eq!((refused.status.as_u16(), refused.json()), (400, expected));
        assert_eq!(refused.error().0, "ResourceInUseException");
    }
    // The change was interrupted; the next start completes it.
    let host = Lamina::in_dir(host.kill(), "");
    assert_eq!(settled(&host, &path).await["State"], "Enabled");
    let host = Lamina::in_dir(host.kill(), "settle_millis = 60000");
    assert_eq!(host.lambda("DELETE", &path, &Value::Null).await.status, 202);
    assert_eq!(get(&host, &path).await.json()["State"], "Deleting");
    let host = Lamina::in_dir(host.kill(), "");
    gone(&host, &path).await;
    map(&host, json!({"EventSourceArn": SQS})).await;
}
