//! Authorization of every operation by every way to name a group or stream: the resource authorized
//! is the resource read.

use serde_json::{Value, json};

use super::demand::Demanded;
use super::operation::Backend;
use super::queries::Queries;
use crate::clock::Clock;
use crate::names::{AccountId, Home, Region};
use crate::telemetry::log::{Config, Filter, Format, Logs};

const ARN: &str = "arn:aws:logs:us-east-1:000000000000:log-group:";

struct Case {
    operation: &'static str,
    request: Value,
    resource: &'static str,
    /// Members that name the target.
    own: &'static [&'static str],
    /// Expected parts of the response.
    readable: &'static [&'static str],
    /// Names and messages outside the target.
    hidden: &'static [&'static str],
}

fn cases() -> [Case; 8] {
    [
        Case {
            operation: "DescribeLogGroups",
            request: json!({}),
            resource: ":log-stream:",
            own: &[],
            readable: &["mine", "other"],
            hidden: &["stream-", "mine/", "other/"],
        },
        Case {
            operation: "DescribeLogStreams",
            request: json!({"logGroupName": "mine"}),
            resource: "mine:log-stream:",
            own: &["logGroupName"],
            readable: &["mine", "stream-1", "stream-2"],
            hidden: &["other", "mine/"],
        },
        Case {
            operation: "FilterLogEvents",
            request: json!({"logGroupName": "mine"}),
            resource: "mine:log-stream:",
            own: &["logGroupName"],
            readable: &["stream-1", "stream-2", "mine/1", "mine/2"],
            hidden: &["other"],
        },
        Case {
            operation: "GetLogEvents",
            request: json!({"logGroupName": "mine", "logStreamName": "stream-1"}),
            resource: "mine:log-stream:stream-1",
            own: &["logGroupName", "logStreamName"],
            readable: &["mine/1"],
            hidden: &["other", "stream-2", "mine/2"],
        },
        changing("DeleteLogGroup", "mine:log-stream:", &["logGroupName"]),
        changing(
            "DeleteLogStream",
            "mine:log-stream:stream-1",
            &["logGroupName", "logStreamName"],
        ),
        changing("PutRetentionPolicy", "mine:log-stream:", &["logGroupName"]),
        changing(
            "DeleteRetentionPolicy",
            "mine:log-stream:",
            &["logGroupName"],
        ),
    ]
}

/// Case of an operation with an empty response.
fn changing(operation: &'static str, resource: &'static str, own: &'static [&'static str]) -> Case {
    let mut request = json!({"logGroupName": "mine", "retentionInDays": 1});
    if own.contains(&"logStreamName") {
        request["logStreamName"] = "stream-1".into();
    }
    Case {
        operation,
        request,
        resource,
        own,
        readable: &["null"],
        hidden: &["other"],
    }
}

/// Resource-naming members of all requests, and one that no request has.
fn members() -> Vec<(&'static str, Value)> {
    let other = format!("{ARN}other");
    let stream = format!("{ARN}other:log-stream:stream-2");
    let texts = ["other", "mine", "*", &other, &stream].map(Value::from);
    let lists = [json!(["other"]), json!(["stream-2"]), json!([other])];
    let named = |names: &[&'static str], values: &[Value]| {
        let pairs = names
            .iter()
            .flat_map(|name| values.iter().map(|value| (*name, value.clone())));
        pairs.collect::<Vec<_>>()
    };
    let text = [
        "logGroupName",
        "logGroupIdentifier",
        "logStreamName",
        "logStreamNamePrefix",
        "logGroupNamePrefix",
        "logGroupNamePattern",
        "resourceArn",
        "LogGroupName",
        "unknown",
    ];
    let list = [
        "logStreamNames",
        "logGroupNames",
        "logGroupIdentifiers",
        "accountIdentifiers",
    ];
    [named(&text, &texts), named(&list, &lists)].concat()
}

fn home() -> Home {
    Home {
        region: Region::parse("us-east-1").unwrap(),
        account: AccountId::parse("000000000000").unwrap(),
    }
}

fn backend() -> Backend {
    let logs = Logs::open(Config::new(None, 1 << 20), Clock::system()).unwrap();
    for group in ["mine", "other"] {
        for stream in ["1", "2"] {
            let stream_name = format!("stream-{stream}");
            let log = logs.environment(group, &stream_name, Format::Text, Vec::new());
            log.line(&format!("{group}/{stream}"));
        }
    }
    Backend {
        logs,
        home: home(),
        queries: Queries::default(),
        clock: Clock::system(),
    }
}

/// Resource that a request is authorized by, and its response once permitted.
fn authorized(operation: &str, request: &Value, backend: &Backend) -> Option<(String, String)> {
    let body = request.to_string();
    let demanded = Demanded::parse(operation, body.as_bytes(), &backend.home).ok()?;
    let mut resource = String::new();
    let permitted = demanded.permitted_by(|action, asked| {
        assert_eq!(action, format!("logs:{operation}"));
        asked.clone_into(&mut resource);
        Ok(())
    });
    let answer = permitted.unwrap().answer(backend).map(|it| it.to_string());
    Some((resource, answer.unwrap_or_default()))
}

/// Messages of a group.
fn content(backend: &Backend, group: &str) -> Vec<String> {
    let filter = Filter {
        limit: 10,
        ..Filter::default()
    };
    let page = backend.logs.filter(group, &filter).unwrap();
    page.events.iter().map(|it| it.message.clone()).collect()
}

#[test]
fn operation_is_authorized_by_its_own_target() {
    for case in cases() {
        let backend = backend();
        let (resource, answer) = authorized(case.operation, &case.request, &backend).unwrap();
        assert_eq!(
            resource,
            format!("{ARN}{}", case.resource),
            "{}",
            case.operation
        );
        for name in case.readable {
            assert!(answer.contains(name), "{}: {answer}", case.operation);
        }
    }
}

#[test]
fn unused_members_do_not_change_target() {
    for case in cases() {
        let unused = members()
            .into_iter()
            .filter(|(name, _)| !case.own.contains(name));
        for (name, value) in unused {
            let mut request = case.request.clone();
            request[name] = value;
            let backend = backend();
            // A refused request reads nothing.
            let Some((resource, answer)) = authorized(case.operation, &request, &backend) else {
                continue;
            };
            let operation = case.operation;
            assert_eq!(
                resource,
                format!("{ARN}{}", case.resource),
                "{operation} {request}"
            );
            for name in case.hidden {
                assert!(!answer.contains(name), "{operation} {request}: {answer}");
            }
            assert_eq!(content(&backend, "other"), ["other/1", "other/2"]);
            if operation == "DeleteLogStream" {
                assert_eq!(content(&backend, "mine"), ["mine/2"], "{request}");
            }
        }
    }
}

#[test]
fn group_by_name_or_arn_has_same_target() {
    let backend = backend();
    for operation in ["FilterLogEvents", "DescribeLogStreams", "GetLogEvents"] {
        let by = |member: &str, value: &str| {
            let mut request = json!({"logStreamName": "stream-1"});
            request[member] = value.into();
            authorized(operation, &request, &backend)
        };
        let named = by("logGroupName", "mine");
        assert!(named.is_some());
        assert_eq!(named, by("logGroupIdentifier", "mine"));
        assert_eq!(named, by("logGroupIdentifier", &format!("{ARN}mine")));
        for foreign in [
            "arn:aws:logs:eu-west-1:000000000000:log-group:mine",
            "arn:aws:logs:us-east-1:111111111111:log-group:mine",
            "arn:aws:logs:us-east-1:000000000000:log-group:mine:*",
            "arn:aws:logs:us-east-1:000000000000:log-group:other:log-group:mine",
            "x:log-group:mine",
        ] {
            assert_eq!(by("logGroupIdentifier", foreign), None, "{foreign}");
        }
    }
}

#[test]
fn refusal_lists_all_violated_constraints() {
    let request = json!({"logGroupName": "mine", "limit": 51, "orderBy": "Age"}).to_string();
    let refused = Demanded::parse("DescribeLogStreams", request.as_bytes(), &home()).unwrap_err();
    assert_eq!(
        refused.message,
        "2 validation errors detected: Value 'Age' at 'orderBy' failed to satisfy constraint: \
         Member must satisfy enum value set: [LogStreamName, LastEventTime]; Value '51' at 'limit' \
         failed to satisfy constraint: Member must have value less than or equal to 50"
    );
    let request = json!({"logGroupName": "mine"}).to_string();
    let refused = Demanded::parse("GetLogEvents", request.as_bytes(), &home()).unwrap_err();
    assert_eq!(
        refused.message,
        "1 validation error detected: Value null at 'logStreamName' failed to satisfy constraint: \
         Member must not be null"
    );
}
