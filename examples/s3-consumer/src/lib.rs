//! Notifications of an S3 bucket: new objects are reported.

use lamina_sdk::{Error, LambdaEvent, handler};
use serde::Deserialize;

/// Relevant part of a notification.
#[derive(Deserialize)]
struct Notification {
    #[serde(default, rename = "Records")]
    records: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_name: String,
    s3: Subject,
}

#[derive(Deserialize)]
struct Subject {
    bucket: Bucket,
    object: Object,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
struct Object {
    /// Encoded as in a form.
    key: String,
    size: Option<u64>,
}

#[handler]
fn created(event: LambdaEvent<Notification>) -> Result<Vec<String>, Error> {
    let mut objects = Vec::new();
    for record in event.payload.records {
        if !record.event_name.starts_with("ObjectCreated:") {
            continue;
        }
        let Subject { bucket, object } = record.s3;
        let name = format!("{}/{}", bucket.name, decoded(&object.key)?);
        println!("{name}: {} bytes", object.size.unwrap_or_default());
        objects.push(name);
    }
    Ok(objects)
}

/// Key of an object: S3 writes spaces as `+` and other characters as `%` and two digits.
fn decoded(key: &str) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let mut rest = key.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().unwrap_or(b'?'), rest.next().unwrap_or(b'?')];
                u8::from_str_radix(std::str::from_utf8(&digits)?, 16)?
            }
            byte => byte,
        });
    }
    Ok(String::from_utf8(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_decoded() {
        assert_eq!(decoded("a+b%2Fc").expect("a key"), "a b/c");
        assert!(decoded("a%2").is_err());
    }
}
