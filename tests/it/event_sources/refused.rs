//! Refused event source mappings: AWS's messages, and no effect.

use serde_json::{Value, json};

use super::{
    DYNAMODB, KINESIS, MAPPINGS, SQS, get, host_with, map, merged, path_of, settled, try_map,
};

/// Requests unsuitable for their source type, with the expected message.
fn unsupported() -> Vec<(Value, String)> {
    let unsupported =
        |name: &str| format!("Unsupported {name} parameter for given event source mapping type.");
    vec![
        (json!({}), "Unrecognized event source.".to_owned()),
        (
            json!({"EventSourceArn": "arn:aws:s3:::b"}),
            "Unrecognized event source.".into(),
        ),
        (
            json!({"EventSourceArn": KINESIS}),
            "1 validation error detected: Value null at 'startingPosition' failed to satisfy \
             constraint: Member must not be null."
                .into(),
        ),
        (
            json!({"EventSourceArn": SQS, "DestinationConfig": {"OnFailure": {"Destination": SQS}}}),
            unsupported("DestinationConfig"),
        ),
        (
            json!({"EventSourceArn": SQS, "ParallelizationFactor": 2}),
            unsupported("'parallelizationFactor'"),
        ),
    ]
}

/// Requests with inconsistent values, with the expected message.
fn unfit() -> Vec<(Value, String)> {
    vec![
        (
            json!({"EventSourceArn": DYNAMODB, "StartingPosition": "AT_TIMESTAMP",
                "StartingPositionTimestamp": 1}),
            format!("Unsupported starting position for arn type: {DYNAMODB}"),
        ),
        (
            json!({"EventSourceArn": SQS, "BatchSize": 11}),
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is \
             greater than 10"
                .into(),
        ),
        (
            json!({"EventSourceArn": KINESIS, "StartingPosition": "LATEST",
                "MaximumRecordAgeInSeconds": 30}),
            "MaximumRecordAgeInSeconds must be either -1 (forever) or between 60 and 604800 \
             (inclusive)"
                .into(),
        ),
        (
            json!({"EventSourceArn": KINESIS, "StartingPosition": "AT_TIMESTAMP",
                "StartingPositionTimestamp": 1e12}),
            "StartingPositionTimestamp must not be in the future.".into(),
        ),
        (
            json!({"EventSourceArn": KINESIS, "StartingPosition": "TRIM_HORIZON",
                "StartingPositionTimestamp": 1}),
            "Timestamp only valid with StartingPosition AT_TIMESTAMP".into(),
        ),
        (
            json!({"EventSourceArn": KINESIS, "StartingPosition": "AT_TIMESTAMP",
                "StartingPositionTimestamp": -1}),
            "Received Exception while reading from provided stream. class java.lang.Long can not \
             be converted to a Timestamp"
                .into(),
        ),
        (
            json!({"EventSourceArn": DYNAMODB, "StartingPosition": "AT_TIMESTAMP",
                "StartingPositionTimestamp": -1}),
            format!("Unsupported starting position for arn type: {DYNAMODB}"),
        ),
        (
            json!({"EventSourceArn": SQS, "StartingPosition": "AT_TIMESTAMP",
                "StartingPositionTimestamp": -1}),
            "StartingPosition is not valid for SQS event sources.".into(),
        ),
    ]
}

#[tokio::test]
async fn refusal_has_awss_message() {
    let host = host_with(&["f"]).await;
    let cases = unsupported().into_iter().chain(unfit());
    for (request, expected) in cases {
        let refused = try_map(&host, request.clone()).await;
        let told = json!({"Type": "User", "message": expected});
        assert_eq!(
            (refused.status.as_u16(), refused.json()),
            (400, told),
            "{request}"
        );
        assert_eq!(refused.error().0, "InvalidParameterValueException");
    }
    let position = json!({"EventSourceArn": KINESIS, "StartingPosition": "invalid"});
    let refused = try_map(&host, position).await;
    assert_eq!(
        refused.json(),
        json!({"message": "1 validation error detected: Value 'invalid' at 'startingPosition' \
            failed to satisfy constraint: Member must satisfy enum value set: [LATEST, \
            AT_TIMESTAMP, TRIM_HORIZON]"})
    );
    let tags: Value = (0..51)
        .map(|n| (n.to_string(), json!("v")))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let refused = try_map(&host, json!({"EventSourceArn": SQS, "Tags": tags})).await;
    assert_eq!(
        refused.error().1,
        "Number of tags exceeds resource tag limit."
    );
    let listed = get(&host, MAPPINGS).await.json();
    assert_eq!(listed["EventSourceMappings"], json!([]));
}

#[tokio::test]
async fn hostile_mapping_is_refused_without_effect() {
    let host = host_with(&["f"]).await;
    let deep = "{\"a\":".repeat(600) + "[1]" + &"}".repeat(600);
    let requests = [
        json!({"EventSourceArn": SQS, "BatchSize": "10"}),
        json!({"EventSourceArn": SQS, "BatchSize": 10_001}),
        json!({"EventSourceArn": SQS, "BatchSize": -1}),
        json!({"EventSourceArn": SQS, "BatchSize": 9_007_199_254_740_993_i64}),
        json!({"EventSourceArn": SQS, "Enabled": "yes"}),
        json!({"EventSourceArn": [SQS]}),
        json!({"EventSourceArn": "sqs"}),
        json!({"EventSourceArn": "\u{0}"}),
        json!({"EventSourceArn": SQS, "FunctionName": ""}),
        json!({"EventSourceArn": SQS, "FunctionName": "f".repeat(300)}),
        json!({"EventSourceArn": SQS, "FunctionName": null}),
        json!({"EventSourceArn": SQS, "FilterCriteria": {"Filters": [{}]}}),
        json!({"EventSourceArn": SQS, "FilterCriteria": {"Filters": [{"Pattern": deep}]}}),
        json!({"EventSourceArn": SQS, "FilterCriteria": {"Filters": {"Pattern": "{}"}}}),
        json!({"EventSourceArn": SQS, "ScalingConfig": {"MaximumConcurrency": 1}}),
        json!({"EventSourceArn": KINESIS, "StartingPosition": "AT_TIMESTAMP",
            "StartingPositionTimestamp": "now"}),
        json!({"EventSourceArn": KINESIS, "StartingPosition": "AT_TIMESTAMP",
            "StartingPositionTimestamp": -1}),
        json!({"EventSourceArn": KINESIS, "StartingPosition": "AT_TIMESTAMP",
            "StartingPositionTimestamp": 1e300}),
        json!({"SelfManagedEventSource": {"Endpoints": {"OTHER": ["a:1"]}}, "Topics": ["t"],
            "SourceAccessConfigurations": []}),
        json!({"SelfManagedEventSource": {}, "Topics": ["t"], "SourceAccessConfigurations": []}),
    ];
    for request in requests {
        let refused = try_map(&host, request.clone()).await;
        assert_eq!(refused.status, 400, "{request}: {}", refused.text());
    }
    for path in ["/x", "/00000000-0000-0000-0000-00000000000%2F"] {
        let refused = get(&host, &format!("{MAPPINGS}{path}"))
            .await
            .status
            .as_u16();
        assert!([400, 404].contains(&refused), "{path}: {refused}");
    }
    let listed = get(&host, MAPPINGS).await.json();
    assert_eq!(listed["EventSourceMappings"], json!([]));
    host.health().await;
}

#[tokio::test]
async fn filters_are_set_changed_and_removed() {
    let host = host_with(&["f"]).await;
    let criteria = |patterns: &[&str]| {
        let filters: Vec<Value> = patterns.iter().map(|it| json!({"Pattern": it})).collect();
        json!({"FilterCriteria": {"Filters": filters}})
    };
    let first = criteria(&[r#"{"body":{"a":["b"]}}"#]);
    let made = map(&host, merged(json!({"EventSourceArn": SQS}), &first)).await;
    assert_eq!(made["FilterCriteria"], first["FilterCriteria"]);
    let path = path_of(&made);
    settled(&host, &path).await;
    let second = criteria(&[
        r#"{"body":{"a":[{"prefix":"x"}]}}"#,
        r#"{"body":{"b":[{"exists":true}]}}"#,
    ]);
    let changed = host.lambda("PUT", &path, &second).await.json();
    assert_eq!(changed["FilterCriteria"], second["FilterCriteria"]);
    settled(&host, &path).await;
    for bad in ["", "{", "[]", r#"{"a":"b"}"#, r#"{"a":[{"wrong":1}]}"#] {
        let refused = host.lambda("PUT", &path, &criteria(&[bad])).await;
        let expected = json!({"Type": "User", "message": "Invalid filter pattern definition."});
        assert_eq!(
            (refused.status.as_u16(), refused.json()),
            (400, expected),
            "{bad}"
        );
    }
    assert_eq!(
        settled(&host, &path).await["FilterCriteria"],
        second["FilterCriteria"]
    );
    let cleared = host.lambda("PUT", &path, &criteria(&[])).await.json();
    assert_eq!(cleared.get("FilterCriteria"), None);
    assert_eq!(settled(&host, &path).await.get("FilterCriteria"), None);
}
