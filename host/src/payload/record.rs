//! Record of an asynchronous invocation, as destinations receive it.

use bytes::Bytes;
use serde_json::json;

use super::json::Document;
use crate::clock::Timestamp;
use crate::names::RequestId;

/// An invocation that has ended, or was given up.
#[derive(Clone, Copy, Debug)]
pub struct InvocationRecord<'a> {
    pub at: Timestamp,
    pub request_id: RequestId,
    /// ARN with the qualifier; `$LATEST` if none was given.
    pub function_arn: &'a str,
    /// `Success`, `RetriesExhausted`, `EventAgeExceeded` and others.
    pub condition: &'a str,
    /// Attempts that reached the function.
    pub invoke_count: u32,
    /// Payload of the event.
    pub request: &'a Bytes,
    /// Response of the last attempt, if one is known.
    pub response: Option<Response<'a>>,
}

/// Response of a function, or its error.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    pub executed_version: &'a str,
    pub is_error: bool,
    pub payload: &'a Bytes,
}

impl InvocationRecord<'_> {
    /// JSON document, with the members in AWS's order.
    pub fn to_json(self) -> Bytes {
        let context = json!({
            "requestId": self.request_id.as_str(),
            "functionArn": self.function_arn,
            "condition": self.condition,
            "approximateInvokeCount": self.invoke_count,
        });
        let timestamp = self.at.utc().strftime("%Y-%m-%dT%H:%M:%S%.3fZ");
        // Spliced rather than built: payloads are JSON already, and up to megabytes of it.
        let mut text = format!(
            r#"{{"version":"1.0","timestamp":"{timestamp}","requestContext":{context},"requestPayload":{}"#,
            payload(self.request)
        );
        if let Some(response) = self.response {
            let mut context = json!({
                "statusCode": 200,
                "executedVersion": response.executed_version,
            });
            if response.is_error {
                context["functionError"] = "Unhandled".into();
            }
            let payload = payload(response.payload);
            text.push_str(&format!(
                r#","responseContext":{context},"responsePayload":{payload}"#
            ));
        }
        text.push('}');
        text.into()
    }
}

/// A payload as JSON. What a streaming function wrote may be any bytes; they become a text.
fn payload(bytes: &Bytes) -> String {
    if bytes.is_empty() {
        return "null".into();
    }
    match Document::parse(bytes.clone()) {
        Ok(document) => document.as_str().to_owned(),
        Err(_) => serde_json::Value::from(String::from_utf8_lossy(bytes)).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn record<'a>(request: &'a Bytes, response: Option<Response<'a>>) -> String {
        let record = InvocationRecord {
            at: Timestamp::from_millis(1_767_225_600_007),
            request_id: RequestId::try_from("00000000-0000-4000-8000-000000000000".to_owned())
                .unwrap(),
            function_arn: "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST",
            condition: "RetriesExhausted",
            invoke_count: 3,
            request,
            response,
        };
        String::from_utf8(record.to_json().into()).unwrap()
    }

    #[test]
    fn record_has_awss_members_in_awss_order() {
        let (request, failed) = (
            Bytes::from(r#"{"a":1}"#),
            Bytes::from(r#"{"errorType":"E"}"#),
        );
        let response = Response {
            executed_version: "$LATEST",
            is_error: true,
            payload: &failed,
        };
        let expected = r#"{"version":"1.0","timestamp":"2026-01-01T00:00:00.007Z","requestContext":{"requestId":"00000000-0000-4000-8000-000000000000","functionArn":"arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST","condition":"RetriesExhausted","approximateInvokeCount":3},"requestPayload":{"a":1},"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},"responsePayload":{"errorType":"E"}}"#;
        assert_eq!(record(&request, Some(response)), expected);
        let short: Value = serde_json::from_str(&record(&request, None)).unwrap();
        assert!(short.get("responseContext").is_none() && short.get("responsePayload").is_none());
    }

    #[test]
    fn response_that_is_not_json_becomes_a_text() {
        let (request, bytes) = (Bytes::from("{}"), Bytes::from_static(b"a\"\xff"));
        let response = Response {
            executed_version: "7",
            is_error: false,
            payload: &bytes,
        };
        let shown: Value = serde_json::from_str(&record(&request, Some(response))).unwrap();
        assert_eq!(shown["responsePayload"], "a\"\u{fffd}");
        assert_eq!(
            shown["responseContext"],
            json!({"statusCode": 200, "executedVersion": "7"})
        );
        let empty = Bytes::new();
        let response = Response {
            payload: &empty,
            ..response
        };
        let shown: Value = serde_json::from_str(&record(&request, Some(response))).unwrap();
        assert_eq!(shown["responsePayload"], Value::Null);
    }
}
