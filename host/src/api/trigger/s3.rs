//! Event notifications of S3, as S3 and compatible servers write them.

use super::{Delivery, Refused};
use crate::config::Trigger;
use crate::names::Region;
use crate::payload::Document;
use crate::payload::json::Value;

/// Source of a record as functions know it. MinIO writes `minio:s3`.
const EVENT_SOURCE: &str = "aws:s3";

/// Reads a notification; `None` for the test event that S3 sends when notifications are configured. Only the records
/// are passed on: servers put members of their own beside them.
pub(super) fn read(
    body: &Document,
    trigger: &Trigger,
    region: &Region,
) -> Result<Option<Delivery>, Refused> {
    let root = body.root();
    let is_test = |it: Value<'_>| it.text().is_some_and(|it| it.is("s3:TestEvent"));
    if root.member("Event").is_some_and(is_test) {
        return Ok(None);
    }
    let malformed = |text: &str| {
        let text = format!("the body is not an event notification of S3: {text}");
        Refused::malformed(text)
    };
    let records = root.member("Records").and_then(Value::elements);
    let records = records.ok_or_else(|| malformed("\"Records\" is missing"))?;
    let mut source_arn = None;
    let mut texts = Vec::new();
    for record in records {
        let arn = arn(record).ok_or_else(|| malformed("a record has no s3.bucket.arn"))?;
        trigger.require_source(&arn)?;
        // A policy is judged once for each delivery, so all records have one source.
        if source_arn.get_or_insert_with(|| arn.clone()) != &arn {
            return Err(malformed("its records are of several buckets"));
        }
        let text = in_shape_of_aws(record, region);
        texts.push(text.ok_or_else(|| malformed("a record is not an object"))?);
    }
    let source_arn = source_arn.ok_or_else(|| malformed("it has no records"))?;
    let event = format!("{{\"Records\":[{}]}}", texts.join(","));
    let event = Document::parse(event.into());
    let event = event.map_err(|error| Refused::malformed(error.to_string()))?;
    Ok(Some(Delivery { event, source_arn }))
}

fn arn(record: Value<'_>) -> Option<String> {
    let arn = record.member("s3")?.member("bucket")?.member("arn")?;
    Some(arn.text()?.decode().ok()?.into_owned())
}

/// Text of a record with the values that functions written for AWS expect, member by member.
fn in_shape_of_aws(record: Value<'_>, region: &Region) -> Option<String> {
    let is = |value: Value<'_>, text: &str| value.text().is_some_and(|it| it.is(text));
    let members = record.members()?.map(|(name, value)| {
        let raw = value.raw();
        if name.is("eventSource") {
            format!("\"eventSource\":\"{EVENT_SOURCE}\"")
        } else if name.is("awsRegion") && is(value, "") {
            format!("\"awsRegion\":\"{region}\"")
        } else if name.is("eventName") && raw.starts_with("\"s3:") {
            format!("\"eventName\":\"{}", &raw["\"s3:".len()..])
        } else {
            format!("\"{}\":{raw}", name.raw())
        }
    });
    let members: Vec<String> = members.collect();
    Some(format!("{{{}}}", members.join(",")))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn trigger() -> Trigger {
        let text = "name = \"t\"\nfunction = \"f\"\nsource = \"s3\"\nsource_arns = [\"arn:aws:s3:::a\", \
                    \"arn:aws:s3:::b\"]\ntoken = \"0123456789abcdef\"";
        toml::from_str(text).unwrap()
    }

    fn read_text(text: &str) -> Result<Option<Delivery>, Refused> {
        let body = Document::parse(text.to_owned().into()).unwrap();
        read(&body, &trigger(), &Region::parse("eu-west-1").unwrap())
    }

    #[test]
    fn record_of_minio_has_the_shape_of_aws() {
        let text = r#"{"EventName":"s3:ObjectCreated:Put","Key":"a/k","Records":[{"eventVersion":"2.0",
            "eventSource":"minio:s3","awsRegion":"","eventName":"s3:ObjectCreated:Put","s3":{"bucket":
            {"name":"a","arn":"arn:aws:s3:::a"},"object":{"key":"k\ud83d"}}}]}"#;
        let read = read_text(text).unwrap().unwrap();
        assert_eq!(read.source_arn, "arn:aws:s3:::a");
        assert_eq!(
            read.event.as_str().replace(char::is_whitespace, ""),
            r#"{"Records":[{"eventVersion":"2.0","eventSource":"aws:s3","awsRegion":"eu-west-1","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"a","arn":"arn:aws:s3:::a"},"object":{"key":"k\ud83d"}}}]}"#
        );
    }

    #[test]
    fn test_event_invokes_nothing() {
        let text = r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"a"}"#;
        assert!(read_text(text).unwrap().is_none());
    }

    #[test]
    fn notification_of_other_or_several_buckets_is_refused() {
        let record =
            |bucket: &str| format!(r#"{{"s3":{{"bucket":{{"arn":"arn:aws:s3:::{bucket}"}}}}}}"#);
        let (a, b, other) = (record("a"), record("b"), record("other"));
        for (records, expected) in [
            (format!("[{a},{a}]"), None),
            (format!("[{other}]"), Some(StatusCode::FORBIDDEN)),
            (format!("[{a},{b}]"), Some(StatusCode::BAD_REQUEST)),
            ("[]".to_owned(), Some(StatusCode::BAD_REQUEST)),
            ("[1]".to_owned(), Some(StatusCode::BAD_REQUEST)),
            ("1".to_owned(), Some(StatusCode::BAD_REQUEST)),
        ] {
            let read = read_text(&format!("{{\"Records\":{records}}}"));
            assert_eq!(read.err().map(|it| it.status), expected, "{records}");
        }
    }
}
