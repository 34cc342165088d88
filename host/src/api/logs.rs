//! The operations of CloudWatch Logs that read function logs: enough for `aws logs tail`,
//! `filter-log-events`, `get-log-events`, `describe-log-groups` and `describe-log-streams`.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::access::{Caller, Demand};
use super::body::{self, Body};
use super::facts::{Asked, RequestFacts};
use super::{Front, Reply, json};
use crate::names::{Home, RequestId};
use crate::telemetry::log::Logs;

mod pattern;
mod read;

/// A request of this API is a small document.
const REQUEST_BYTES_MAX: usize = 64 << 10;
/// What requests and answers are.
const JSON: &str = "application/x-amz-json-1.1";

/// An error of this API.
#[derive(Debug)]
struct Fault {
    status: StatusCode,
    name: &'static str,
    message: String,
}

impl Fault {
    fn new(name: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            name,
            message: message.into(),
        }
    }

    fn into_reply(self) -> Reply {
        let document = serde_json::json!({"__type": self.name, "message": self.message});
        let mut reply = json(self.status, document.to_string());
        let json = HeaderValue::from_static(JSON);
        reply.headers_mut().insert(header::CONTENT_TYPE, json);
        reply
    }
}

/// The answer to whoever must not read anything.
pub(super) fn refused(text: String) -> Reply {
    let fault = Fault {
        status: StatusCode::FORBIDDEN,
        name: "AccessDeniedException",
        message: text,
    };
    fault.into_reply()
}

impl Front {
    pub(super) async fn serve_logs<B>(
        &self,
        target: &str,
        request_id: RequestId,
        parts: &Parts,
        body: B,
    ) -> Reply
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let answered = self.answer_logs(target, parts, body).await;
        let mut reply = answered.unwrap_or_else(Fault::into_reply);
        let json = HeaderValue::from_static(JSON);
        reply.headers_mut().insert(header::CONTENT_TYPE, json);
        tracing::debug!(%request_id, target, "logs were read");
        reply
    }

    async fn answer_logs<B>(&self, target: &str, parts: &Parts, body: B) -> Result<Reply, Fault>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let refused = |error: super::rest::sigv4::Error| Fault {
            status: StatusCode::FORBIDDEN,
            name: "UnrecognizedClientException",
            message: error.to_string(),
        };
        let signed = self.access.as_ref().map(|it| it.parse(parts, "logs"));
        let signed = signed.transpose().map_err(refused)?;
        let body = self.bodies.read(body, REQUEST_BYTES_MAX).await;
        let Body { bytes: body, room } = body.map_err(of_body)?;
        let operation = target.strip_prefix("Logs_20140328.").unwrap_or(target);
        if let Some(signed) = signed {
            let caller = signed.check(&body).map_err(refused)?;
            self.require_reader(&caller, operation, parts, &body)?;
        }
        let (logs, home) = (self.logs.clone(), self.control.home().clone());
        let operation = operation.to_owned();
        // What is not in memory is read from disk.
        let read = move || answer(&logs, &home, &operation, &body);
        let document = tokio::task::spawn_blocking(read)
            .await
            .map_err(|_| Fault {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                name: "InternalFailure",
                message: "The logs could not be read.".to_owned(),
            })??;
        drop(room);
        Ok(json(StatusCode::OK, document.to_string()))
    }

    /// Log groups have no policies here: the caller's own decides.
    fn require_reader(
        &self,
        caller: &Caller,
        operation: &str,
        parts: &Parts,
        body: &Bytes,
    ) -> Result<(), Fault> {
        let home = self.control.home();
        if caller.owns(&home.account) {
            return Ok(());
        }
        let Place { group, stream } = Place::of(body)?;
        let demand = Demand {
            action: format!("logs:{operation}"),
            resource: format!(
                "arn:aws:logs:{}:{}:log-group:{group}:log-stream:{stream}",
                home.region, home.account
            ),
            function: None,
            own_policy: None,
        };
        let facts = RequestFacts {
            principal: &caller.principal,
            parts,
            now: self.clock.now(),
            account: &home.account,
            region: &home.region,
            resource_tags: None,
            asked: &AskedOfLogs,
        };
        self.permit(caller, &demand, &facts)
            .map_err(|denied| Fault::new("AccessDeniedException", denied.text))
    }
}

fn answer(logs: &Logs, home: &Home, operation: &str, body: &[u8]) -> Result<Value, Fault> {
    match operation {
        "FilterLogEvents" => read::filter_log_events(logs, &parse(body)?),
        "GetLogEvents" => read::get_log_events(logs, &parse(body)?),
        "DescribeLogStreams" => read::describe_log_streams(logs, &parse(body)?, home),
        "DescribeLogGroups" => Ok(read::describe_log_groups(logs, &parse(body)?, home)),
        _ => {
            let text = format!("This host does not offer {operation} yet.");
            Err(Fault::new("UnknownOperationException", text))
        }
    }
}

/// What a request of this API is about, as far as it says.
struct Place {
    group: String,
    stream: String,
}

impl Place {
    fn of(body: &Bytes) -> Result<Self, Fault> {
        let request: serde_json::Value = parse(body)?;
        let text = |name: &str| request[name].as_str();
        let group = text("logGroupName").or_else(|| text("logGroupIdentifier"));
        Ok(Self {
            group: group.map(read::bare_group).unwrap_or_default().to_owned(),
            stream: text("logStreamName").unwrap_or_default().to_owned(),
        })
    }
}

/// It asks for nothing that policies could depend on.
struct AskedOfLogs;

impl Asked for AskedOfLogs {
    fn values(&self, _key: &str) -> Option<Vec<String>> {
        None
    }
}

fn of_body(error: body::Error) -> Fault {
    match error {
        body::Error::Busy => Fault::new("ThrottlingException", "Rate exceeded"),
        body::Error::TooLarge(_) | body::Error::Ended => {
            Fault::new("SerializationException", error.to_string())
        }
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body)
        .map_err(|error| Fault::new("SerializationException", error.to_string()))
}
