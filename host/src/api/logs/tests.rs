//! Authorization of every operation by every way to name a group or stream: the resource authorized
//! is the resource read.

use serde_json::{Value, json};

use super::Fault;
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
        readable: &[],
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
        key: None,
        clock: Clock::system(),
    }
}

/// Resource that a request is authorized by, and its response once permitted.
fn authorized(operation: &str, request: &Value, backend: &Backend) -> Option<(String, String)> {
    let body = request.to_string();
    let demanded = Demanded::parse(operation, body.as_bytes(), &backend.home).ok()?;
    let mut resource = String::new();
    let permitted = demanded.permitted_by(backend, |action, asked| {
        assert_eq!(action, format!("logs:{operation}"));
        asked.clone_into(&mut resource);
        Ok(())
    });
    let answer = permitted.unwrap().answer(backend).map(|it| it.0);
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

/// Answer of an operation to a caller without the named permissions.
fn denied(
    operation: &str,
    request: &Value,
    backend: &Backend,
    denied: &[(&str, &str)],
) -> Result<Value, String> {
    let body = request.to_string();
    let demanded = Demanded::parse(operation, body.as_bytes(), &backend.home);
    let demanded = demanded.map_err(|fault| fault.name.to_owned())?;
    let permitted = demanded.permitted_by(backend, |action, resource| {
        let is_denied = denied.iter().any(|(denied, group)| {
            action == format!("logs:{denied}") && resource == format!("{ARN}{group}:log-stream:")
        });
        match is_denied {
            true => Err(Fault::denied(String::new())),
            false => Ok(()),
        }
    });
    let answered = permitted.and_then(|it| it.answer(backend));
    let answered = answered.map_err(|fault| fault.name.to_owned())?;
    Ok(serde_json::from_str(&answered.0).unwrap())
}

fn started(backend: &Backend, groups: &[&str], query: &str) -> Result<String, String> {
    let request = json!({
        "logGroupNames": groups, "startTime": 0, "endTime": 9_999_999_999_u64, "queryString": query,
    });
    let answer = denied("StartQuery", &request, backend, &[])?;
    Ok(answer["queryId"].as_str().unwrap().to_owned())
}

/// Results of a query, once it has ended and its thread has given its permit back.
fn results(backend: &Backend, id: &str) -> Value {
    loop {
        let found = denied("GetQueryResults", &json!({"queryId": id}), backend, &[]).unwrap();
        if found["status"] != "Running" {
            return found;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
}

#[test]
fn query_of_caller_without_permission_is_not_parsed() {
    let backend = backend();
    for query in [
        format!("stats pct(1, {}1)", "1+".repeat(4_000)),
        "filter a like /\\w{200}/ ".repeat(300),
        "no query".to_owned(),
    ] {
        let request = json!({
            "logGroupNames": ["mine", "other"], "startTime": 0, "endTime": 1, "queryString": query,
        });
        let refused = denied("StartQuery", &request, &backend, &[("StartQuery", "other")]);
        assert_eq!(refused, Err("AccessDeniedException".to_owned()));
        let wrong = denied("StartQuery", &request, &backend, &[]);
        assert_eq!(wrong, Err("MalformedQueryException".to_owned()));
    }
}

#[test]
fn results_need_permission_for_each_group_of_their_query() {
    let backend = backend();
    let both = started(&backend, &["mine", "other"], "stats count(*) as n").unwrap();
    let mine = started(&backend, &["mine"], "stats count(*) as n").unwrap();
    results(&backend, &both);
    results(&backend, &mine);
    for operation in ["GetQueryResults", "StopQuery"] {
        for action in [operation, "StartQuery"] {
            let ask = |id: &str| {
                let request = json!({"queryId": id});
                denied(operation, &request, &backend, &[(action, "other")])
            };
            assert_eq!(ask(&both), Err("AccessDeniedException".to_owned()));
            assert_ne!(ask(&mine), Err("AccessDeniedException".to_owned()));
        }
    }
    let seen = |groups: &[(&str, &str)]| {
        let all = denied("DescribeQueries", &json!({}), &backend, groups).unwrap();
        let all = all["queries"].as_array().unwrap().iter();
        let ids = all.map(|it| it["queryId"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(seen(&[]), [mine.clone(), both]);
    assert_eq!(seen(&[("StartQuery", "other")]), [mine]);
    assert!(seen(&[("StartQuery", "mine")]).is_empty());
}

#[test]
fn group_named_twice_is_read_once() {
    let backend = backend();
    let id = started(&backend, &["mine"; 50], "stats count(*) as n").unwrap();
    let found = results(&backend, &id);
    assert_eq!(found["results"], json!([[{"field": "n", "value": "2"}]]));
    assert_eq!(found["statistics"]["recordsScanned"], 2.0);
}

#[test]
fn unsupported_members_of_queries_are_refused() {
    let backend = backend();
    for (member, value) in [
        ("logGroupName", json!("mine")),
        ("logGroupIdentifiers", json!(["mine"])),
        ("queryLanguage", json!("SQL")),
        ("limit", json!(20_000)),
        ("limit", json!(0)),
        ("logGroupNames", json!([])),
        ("logGroupNames", json!(vec!["mine"; 51])),
    ] {
        let mut request = json!({"logGroupNames": ["mine"], "startTime": 0, "endTime": 1});
        request[member] = value;
        let refused = denied("StartQuery", &request, &backend, &[]);
        assert_eq!(
            refused,
            Err("InvalidParameterException".to_owned()),
            "{request}"
        );
    }
    let request = json!({"maxResults": 1_001});
    let refused = denied("DescribeQueries", &request, &backend, &[]);
    assert_eq!(refused, Err("InvalidParameterException".to_owned()));
}

#[test]
fn queries_are_described_in_pages() {
    let backend = backend();
    let first = started(&backend, &["mine"], "").unwrap();
    results(&backend, &first);
    let second = started(&backend, &["mine"], "").unwrap();
    results(&backend, &second);
    let page = |request: &Value| denied("DescribeQueries", request, &backend, &[]).unwrap();
    let newest = page(&json!({"maxResults": 1}));
    assert_eq!(newest["queries"][0]["queryId"], *second);
    let oldest = page(&json!({"maxResults": 1, "nextToken": newest["nextToken"]}));
    assert_eq!(oldest["queries"][0]["queryId"], *first);
    assert_eq!(oldest["nextToken"], Value::Null);
    let none = page(&json!({"queryLanguage": "SQL"}));
    assert_eq!(none["queries"], json!([]));
}

#[test]
fn stopped_query_is_cancelled_and_gives_its_permit_back() {
    let backend = backend();
    let log = backend
        .logs
        .environment("many", "s", Format::Text, Vec::new());
    for _ in 0..5_000 {
        log.line(&"a".repeat(100));
    }
    // Seconds of work.
    let slow = format!(
        "stats {}",
        vec!["max(strlen(concat(@message, '1')))"; 250].join(", ")
    );
    let id = started(&backend, &["many"], &slow).unwrap();
    let stop = || denied("StopQuery", &json!({"queryId": id}), &backend, &[]);
    assert_eq!(stop(), Ok(json!({"success": true})));
    assert_eq!(results(&backend, &id)["status"], "Cancelled");
    assert_eq!(stop(), Err("InvalidParameterException".to_owned()));
    for _ in 0..20 {
        loop {
            match started(&backend, &["mine"], "limit 1") {
                Ok(id) => break drop(results(&backend, &id)),
                Err(full) => assert_eq!(full, "LimitExceededException"),
            }
            std::thread::park_timeout(std::time::Duration::from_millis(5));
        }
    }
}

#[test]
fn hostile_queries_end_with_a_status() {
    let backend = backend();
    let tens = (1..9).map(|at| {
        let arguments = vec![format!("x{}", at - 1); 10].join(", ");
        format!(" | fields concat({arguments}) as x{at}")
    });
    let large = format!(
        "fields concat(@message, @message) as x0{}",
        tens.collect::<String>()
    );
    let id = started(&backend, &["mine", "other"], &large).unwrap();
    let found = results(&backend, &id);
    assert_eq!(found["status"], "Failed");
    assert_eq!(found["results"], json!([]));
}
