//! Settings that are refused, and the error texts.

use super::*;
use crate::invoke::snapshot::destination::{Destinations, End};
use crate::invoke::snapshot::event_source::settings::{
    Consumption, DocumentDb, Kafka, Registry, Scaling, SchemaAttribute,
};

const SQS: &str = "arn:aws:sqs:us-east-1:000000000000:q";
const FIFO: &str = "arn:aws:sqs:us-east-1:000000000000:q.fifo";
const KINESIS: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/s";
const DYNAMODB: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/s";
const MSK: &str = "arn:aws:kafka:us-east-1:000000000000:cluster/c/u";
const MQ: &str = "arn:aws:mq:us-east-1:000000000000:broker:b:u";
const DOCUMENT_DB: &str = "arn:aws:rds:us-east-1:000000000000:cluster:c";

fn reading(arn: &str) -> SourceChoice {
    SourceChoice {
        arn: Some(arn.to_owned()),
        ..SourceChoice::default()
    }
}

fn from(arn: &str, position: Position) -> SourceChoice {
    SourceChoice {
        position: Some(position),
        ..reading(arn)
    }
}

fn topic(choice: SourceChoice) -> SourceChoice {
    SourceChoice {
        topics: Some(vec!["topic".into()]),
        ..choice
    }
}

fn servers() -> SourceChoice {
    topic(SourceChoice {
        bootstrap_servers: Some(vec!["a:9092".into()]),
        ..SourceChoice::default()
    })
}

fn entered() -> Settings {
    Settings {
        access: Some(Vec::new()),
        ..Settings::default()
    }
}

/// The error of a create with these settings.
fn refused(choice: SourceChoice, chosen: Settings) -> String {
    let checked = recognise(choice, &chosen).and_then(|source| {
        let settings = source.kind.defaults("id").overlaid(chosen.clone());
        check(&source, &source.kind.completed(settings))
    });
    checked.map_or_else(|error| error.to_string(), |()| String::new())
}

fn unsupported_text(name: &str) -> String {
    format!("Unsupported {name} parameter for given event source mapping type.")
}

#[test]
fn source_of_unknown_kind_is_refused() {
    let unrecognised = "Unrecognized event source.";
    assert_eq!(
        refused(SourceChoice::default(), Settings::default()),
        unrecognised
    );
    assert_eq!(
        refused(reading("arn:aws:s3:::b"), Settings::default()),
        unrecognised
    );
    assert_eq!(
        refused(servers(), Settings::default()),
        "Required 'sourceAccessConfigurations' parameter is missing."
    );
    let both = SourceChoice {
        arn: Some(MSK.into()),
        ..servers()
    };
    assert_eq!(
        refused(both, entered()),
        unsupported_text("'eventSourceArn'")
    );
    assert_eq!(refused(servers(), entered()), "");
}

#[test]
fn streams_need_a_position_that_they_know() {
    let needed = "1 validation error detected: Value null at 'startingPosition' failed to satisfy \
                  constraint: Member must not be null.";
    for stream in [KINESIS, DYNAMODB] {
        assert_eq!(refused(reading(stream), Settings::default()), needed);
        let latest = from(stream, Position::Latest);
        assert_eq!(refused(latest, Settings::default()), "");
    }
    assert_eq!(
        refused(from(DYNAMODB, Position::AtTimestamp), Settings::default()),
        format!("Unsupported starting position for arn type: {DYNAMODB}")
    );
    assert_eq!(
        refused(from(KINESIS, Position::AtTimestamp), Settings::default()),
        "Need to specify a timestamp"
    );
    assert_eq!(
        refused(from(SQS, Position::Latest), Settings::default()),
        "StartingPosition is not valid for SQS event sources."
    );
}

#[test]
fn large_batch_of_messages_without_a_window_is_refused() {
    let batch = |size, window| Settings {
        batch_size: Some(size),
        batching_window_seconds: window,
        ..Settings::default()
    };
    let needs_window = "Maximum batch window in seconds must be greater than 0 if maximum batch \
                        size is greater than 10";
    assert_eq!(refused(reading(SQS), batch(10, None)), "");
    assert_eq!(refused(reading(SQS), batch(11, None)), needs_window);
    assert_eq!(refused(reading(SQS), batch(11, Some(0))), needs_window);
    assert_eq!(refused(reading(SQS), batch(10_000, Some(1))), "");
    assert_eq!(refused(reading(FIFO), batch(11, None)), needs_window);
    assert_eq!(
        refused(reading(FIFO), batch(100, Some(5))),
        "Batching window is not supported for FIFO queues"
    );
    let stream = from(KINESIS, Position::Latest);
    assert_eq!(refused(stream, batch(10_000, Some(0))), "");
}

#[test]
fn setting_that_a_source_does_not_have_is_refused_by_name() {
    let end = |place: &str| {
        Some(End {
            destination: Some(place.into()),
        })
    };
    let failure = Destinations {
        on_failure: end(SQS),
        ..Destinations::default()
    };
    let success = Destinations {
        on_success: end(SQS),
        ..Destinations::default()
    };
    let sends = |destinations| Settings {
        destinations: Some(destinations),
        ..Settings::default()
    };
    let unsupported = unsupported_text("DestinationConfig");
    let stream = || from(KINESIS, Position::Latest);
    assert_eq!(refused(reading(SQS), sends(failure.clone())), unsupported);
    assert_eq!(refused(stream(), sends(success)), unsupported);
    assert_eq!(refused(stream(), sends(failure)), "");
    let scaling = Settings {
        scaling: Some(Scaling {
            concurrency_max: Some(2),
        }),
        ..Settings::default()
    };
    let unsupported = unsupported_text("'scalingConfig'");
    assert_eq!(refused(stream(), scaling.clone()), unsupported);
    assert_eq!(refused(reading(SQS), scaling), "");
    let unsupported = unsupported_text("'topics'");
    assert_eq!(
        refused(topic(reading(SQS)), Settings::default()),
        unsupported
    );
}

#[test]
fn clusters_and_brokers_need_what_is_theirs() {
    let missing = |name: &str| format!("Required '{name}' parameter is missing.");
    assert_eq!(
        refused(reading(MSK), Settings::default()),
        missing("topics")
    );
    assert_eq!(refused(topic(reading(MSK)), Settings::default()), "");
    assert_eq!(refused(reading(MQ), entered()), missing("queues"));
    let queue = || SourceChoice {
        queues: Some(vec!["queue".into()]),
        ..reading(MQ)
    };
    let access = missing("sourceAccessConfigurations");
    assert_eq!(refused(queue(), Settings::default()), access);
    assert_eq!(refused(queue(), entered()), "");
    let database = missing("documentDBEventSourceConfig.databaseName");
    assert_eq!(refused(reading(DOCUMENT_DB), entered()), database);
    let named = Settings {
        document_db: Some(DocumentDb {
            database: Some("db".into()),
            ..DocumentDb::default()
        }),
        ..entered()
    };
    assert_eq!(refused(reading(DOCUMENT_DB), named), "");
}

#[test]
fn records_are_given_up_after_a_minute_at_least() {
    let aged = |limit| Settings {
        record_age_max_seconds: Some(limit),
        ..Settings::default()
    };
    for (limit, is_allowed) in [
        (Limit::Forever, true),
        (Limit::Of(0), false),
        (Limit::Of(59), false),
        (Limit::Of(60), true),
    ] {
        let refusal = refused(from(DYNAMODB, Position::Latest), aged(limit));
        assert_eq!(refusal.is_empty(), is_allowed, "{limit:?}: {refusal}");
    }
}

#[test]
fn pollers_that_are_kept_ready_have_bounds() {
    let with = |min, max| Settings {
        pollers: Some(Pollers {
            min,
            max,
            group: None,
        }),
        ..Settings::default()
    };
    let cases = [
        (reading(SQS), with(Some(1), None), false),
        (reading(SQS), with(Some(2), Some(10_000)), true),
        (topic(reading(MSK)), with(Some(1), None), true),
        (topic(reading(MSK)), with(None, Some(2_001)), false),
        (topic(reading(MSK)), with(Some(5), Some(4)), false),
    ];
    for (choice, chosen, is_allowed) in cases {
        let told = format!("{choice:?} {:?}", chosen.pollers);
        assert_eq!(refused(choice, chosen).is_empty(), is_allowed, "{told}");
    }
    let both = Settings {
        scaling: Some(Scaling {
            concurrency_max: Some(2),
        }),
        ..with(Some(2), None)
    };
    assert!(refused(reading(SQS), both).contains("cannot be used together"));
}

#[test]
fn schema_registry_without_pollers_or_validation_is_refused() {
    let with = |validation, pollers| Settings {
        managed_kafka: Some(Kafka {
            registry: Some(Registry {
                uri: Some("https://registry".into()),
                validation,
                ..Registry::default()
            }),
            ..Kafka::default()
        }),
        pollers,
        ..Settings::default()
    };
    let ready = || {
        Some(Pollers {
            min: Some(1),
            ..Pollers::default()
        })
    };
    let key = || Some(vec![Some(SchemaAttribute::Key)]);
    assert_eq!(refused(topic(reading(MSK)), with(key(), ready())), "");
    assert_ne!(refused(topic(reading(MSK)), with(key(), None)), "");
    assert_ne!(refused(topic(reading(MSK)), with(None, ready())), "");
}

#[test]
fn starting_position_of_a_shared_topic_is_refused() {
    let shared = |window| Settings {
        self_managed_kafka: Some(Kafka {
            consumption: Some(Consumption::Queue),
            ..Kafka::default()
        }),
        batching_window_seconds: window,
        ..entered()
    };
    let source = recognise(servers(), &shared(None)).unwrap();
    assert_eq!(source.position, None);
    let placed = SourceChoice {
        position: Some(Position::Latest),
        ..servers()
    };
    let unsupported = unsupported_text("'startingPosition'");
    assert_eq!(refused(placed, shared(None)), unsupported);
    let unsupported = unsupported_text("'maximumBatchingWindowInSeconds'");
    assert_eq!(refused(servers(), shared(Some(1))), unsupported);
    let source = recognise(servers(), &entered()).unwrap();
    assert_eq!(source.position, Some(Position::TrimHorizon));
}

#[test]
fn change_of_the_consumer_group_is_refused() {
    let source = recognise(topic(reading(MSK)), &Settings::default()).unwrap();
    let moved = Settings {
        managed_kafka: Some(Kafka {
            consumer_group: Some("other".into()),
            ..Kafka::default()
        }),
        ..Settings::default()
    };
    assert_eq!(
        check_change(&source, &moved).unwrap_err().to_string(),
        unsupported_text("'amazonManagedKafkaEventSourceConfig.consumerGroupId'")
    );
}

#[test]
fn filters_are_patterns_and_not_too_many() {
    let with = |patterns: &[&str]| Settings {
        filters: Some(patterns.iter().map(|it| (*it).to_owned()).collect()),
        ..Settings::default()
    };
    assert!(filters(&with(&[r#"{"a":["b"]}"#])).is_ok());
    assert!(filters(&with(&[])).is_ok());
    for bad in [&["[\"a\"]"][..], &[r#"{"a":["b"]}"#, ""]] {
        let refusal = filters(&with(bad)).unwrap_err().to_string();
        assert_eq!(refusal, "Invalid filter pattern definition.");
    }
    assert!(filters(&with(&[r#"{"a":["b"]}"#; 11])).is_err());
}
