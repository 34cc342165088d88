//! Requests to services of AWS and compatible servers: one signed POST each, in AWS's JSON or query protocol. The SDK
//! crates of five services would add 80 crates and minutes to the build, for a few operations of each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::sigv4::{self, Credentials, Scope};
use super::{Client, failed};

/// Time of one request, its response included.
const TIME_MAX: Duration = Duration::from_secs(30);
/// Response of an operation that sends.
const RESPONSE_BYTES_MAX: usize = 64 << 10;

/// Endpoints and credentials.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Endpoint URLs by service; `None` is that of all other services.
    pub endpoints: BTreeMap<Option<Service>, String>,
    /// Credentials; requests without are not signed.
    pub credentials: Option<Credentials>,
}

/// A service.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum Service {
    Sqs,
    Sns,
    EventBridge,
    Kinesis,
    DynamoDbStreams,
}

/// A request that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither endpoint nor credentials.
    #[error("no endpoint and no credentials of AWS are configured: see [aws] in lamina.toml")]
    NotConfigured,
    /// Error response of the service.
    #[error("{code}: {message} (status {status})")]
    Refused {
        /// Status.
        status: StatusCode,
        /// AWS's error code.
        code: String,
        /// Message.
        message: String,
    },
    /// The service could not be reached, or its response was not whole.
    #[error("the service could not be reached: {0}")]
    Unreachable(String),
    /// The request cannot be sent.
    #[error("the request cannot be sent: {0}")]
    Unsendable(String),
}

/// Client of AWS's services; cheap to clone.
#[derive(Clone, Debug)]
pub struct Aws {
    client: Client,
    config: Arc<Config>,
}

impl Service {
    /// Service of an ARN.
    pub fn of(arn: &str) -> Option<Self> {
        match arn.split(':').nth(2)? {
            "sqs" => Some(Self::Sqs),
            "sns" => Some(Self::Sns),
            "events" => Some(Self::EventBridge),
            _ => None,
        }
    }

    /// Name in signatures.
    fn name(self) -> &'static str {
        match self {
            Self::Sqs => "sqs",
            Self::Sns => "sns",
            Self::EventBridge => "events",
            Self::Kinesis => "kinesis",
            Self::DynamoDbStreams => "dynamodb",
        }
    }

    /// Name in host names.
    fn host(self) -> &'static str {
        match self {
            Self::DynamoDbStreams => "streams.dynamodb",
            other => other.name(),
        }
    }

    /// Content type of its JSON protocol.
    fn json(self) -> &'static str {
        match self {
            Self::Sqs | Self::DynamoDbStreams => "application/x-amz-json-1.0",
            Self::Sns | Self::EventBridge | Self::Kinesis => "application/x-amz-json-1.1",
        }
    }
}

impl Aws {
    pub fn new(client: Client, config: Config) -> Self {
        Self {
            client,
            config: Arc::new(config),
        }
    }

    /// Endpoint of a service in a region, without trailing slash.
    pub fn endpoint(&self, service: Service, region: &str) -> String {
        let endpoints = &self.config.endpoints;
        let chosen = endpoints
            .get(&Some(service))
            .or_else(|| endpoints.get(&None));
        match chosen {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => {
                // Regions in China have their own domain.
                let top = if region.starts_with("cn-") { ".cn" } else { "" };
                format!("https://{}.{region}.amazonaws.com{top}", service.host())
            }
        }
    }

    /// Sends an operation in the JSON protocol; returns its response.
    ///
    /// # Errors
    /// If the service refuses it, or cannot be reached.
    pub async fn json(
        &self,
        service: Service,
        region: &str,
        target: &str,
        body: &Value,
    ) -> Result<Value, Error> {
        self.json_up_to(service, region, target, body, RESPONSE_BYTES_MAX)
            .await
    }

    /// Sends an operation whose response may have so many bytes, as [`json`](Self::json) does.
    ///
    /// # Errors
    /// If the service refuses it, or cannot be reached.
    pub async fn json_up_to(
        &self,
        service: Service,
        region: &str,
        target: &str,
        body: &Value,
        bytes_max: usize,
    ) -> Result<Value, Error> {
        let kind = service.json();
        let body = Bytes::from(body.to_string());
        let response = self
            .post(service, region, kind, Some(target), body, bytes_max)
            .await?;
        if response.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&response).map_err(|error| Error::Unreachable(error.to_string()))
    }

    /// Sends an operation in the query protocol.
    ///
    /// # Errors
    /// If the service refuses it, or cannot be reached.
    pub async fn query(
        &self,
        service: Service,
        region: &str,
        parameters: &[(&str, &str)],
    ) -> Result<(), Error> {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let pairs = parameters.iter();
        let pairs = pairs.map(|(name, value)| format!("{}={}", encode(name), encode(value)));
        let body = Bytes::from(pairs.collect::<Vec<_>>().join("&"));
        let kind = "application/x-www-form-urlencoded";
        let sent = self.post(service, region, kind, None, body, RESPONSE_BYTES_MAX);
        sent.await.map(drop)
    }

    /// Sends a GET that AWS takes unsigned: a public file, or the confirmation of a subscription. Signed for an endpoint of
    /// one's own, which may serve several services and tell them apart by the signature's scope.
    ///
    /// # Errors
    /// If the service refuses it, or cannot be reached.
    pub async fn get(
        &self,
        service: Service,
        region: &str,
        path_and_query: &str,
    ) -> Result<Bytes, Error> {
        let endpoints = &self.config.endpoints;
        let is_own = endpoints.contains_key(&Some(service)) || endpoints.contains_key(&None);
        let uri = format!("{}{path_and_query}", self.endpoint(service, region));
        let request = Request::builder().method(Method::GET).uri(uri);
        let request = request.body(Bytes::new());
        let request = request.map_err(|error| Error::Unsendable(error.to_string()))?;
        let scope = is_own.then_some(Scope {
            region,
            service: service.name(),
        });
        self.send(request, scope, RESPONSE_BYTES_MAX).await
    }

    async fn post(
        &self,
        service: Service,
        region: &str,
        content_type: &'static str,
        target: Option<&str>,
        body: Bytes,
        bytes_max: usize,
    ) -> Result<Bytes, Error> {
        if self.config.credentials.is_none() && self.config.endpoints.is_empty() {
            return Err(Error::NotConfigured);
        }
        let uri = format!("{}/", self.endpoint(service, region));
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some(target) = target {
            request = request.header("x-amz-target", target);
        }
        let request = request.body(body);
        let request = request.map_err(|error| Error::Unsendable(error.to_string()))?;
        let scope = Scope {
            region,
            service: service.name(),
        };
        self.send(request, Some(scope), bytes_max).await
    }

    /// Sends a request, signed for a scope if there are credentials.
    async fn send(
        &self,
        mut request: Request<Bytes>,
        scope: Option<Scope<'_>>,
        bytes_max: usize,
    ) -> Result<Bytes, Error> {
        if let (Some(credentials), Some(scope)) = (&self.config.credentials, scope) {
            let now = self.client.clock().now();
            let signed = sigv4::sign(&mut request, credentials, scope, now);
            signed.map_err(|error| Error::Unsendable(error.to_string()))?;
        }
        let exchange = self.exchange(request, bytes_max);
        let ended = self.client.clock().timeout(TIME_MAX, exchange).await;
        ended.unwrap_or_else(|| {
            let text = format!("no response within {} s", TIME_MAX.as_secs());
            Err(Error::Unreachable(text))
        })
    }

    async fn exchange(&self, request: Request<Bytes>, bytes_max: usize) -> Result<Bytes, Error> {
        let unreachable = |error: super::Error| Error::Unreachable(error.to_string());
        let response = self.client.send(request).await.map_err(unreachable)?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, bytes_max).collect().await;
        let body = body
            .map_err(|error| unreachable(failed(&*error)))?
            .to_bytes();
        if parts.status.is_success() {
            Ok(body)
        } else {
            Err(refusal(parts.status, &body))
        }
    }
}

/// Error of a response: JSON, or the XML of the query protocol.
fn refusal(status: StatusCode, body: &[u8]) -> Error {
    let text = String::from_utf8_lossy(body);
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let code = json["__type"].as_str().map(|it| {
        let name = it.rsplit('#').next().unwrap_or(it);
        name.to_owned()
    });
    let code = code.or_else(|| element(&text, "Code")).unwrap_or_default();
    let message = ["message", "Message"]
        .iter()
        .find_map(|name| json[name].as_str().map(str::to_owned));
    let message = message
        .or_else(|| element(&text, "Message"))
        .unwrap_or_default();
    Error::Refused {
        status,
        code,
        message,
    }
}

/// Text of the first element of a name.
fn element(xml: &str, name: &str) -> Option<String> {
    let rest = xml.split(&format!("<{name}>")).nth(1)?;
    Some(rest.split('<').next()?.to_owned())
}

impl Error {
    /// True if the same request can never succeed: it is malformed or too large.
    pub fn is_final(&self) -> bool {
        /// Codes of SQS, SNS and EventBridge for messages that they never accept.
        const FINAL: [&str; 6] = [
            "InvalidMessageContents",
            "InvalidParameterValue",
            "InvalidParameterValueException",
            "MessageTooLong",
            "ParameterValueInvalid",
            "ValidationException",
        ];
        match self {
            Self::Refused { status, code, .. } => {
                *status == StatusCode::PAYLOAD_TOO_LARGE || FINAL.contains(&code.as_str())
            }
            Self::Unsendable(_) => true,
            Self::NotConfigured | Self::Unreachable(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::outbound::Trust;

    #[test]
    fn endpoint_is_that_of_the_service_or_of_all_or_awss() {
        let aws = |endpoints: &[(Option<Service>, &str)]| {
            let endpoints = endpoints.iter();
            let endpoints = endpoints.map(|(service, url)| (*service, (*url).to_owned()));
            let config = Config {
                endpoints: endpoints.collect(),
                credentials: None,
            };
            Aws::new(Client::new(Trust::default(), Clock::system()), config)
        };
        let all = (None, "http://all:1/");
        let own = (Some(Service::Sqs), "http://sqs:2");
        for (endpoints, expected) in [
            (vec![], "https://sqs.eu-west-1.amazonaws.com"),
            (vec![all], "http://all:1"),
            (vec![all, own], "http://sqs:2"),
        ] {
            let found = aws(&endpoints).endpoint(Service::Sqs, "eu-west-1");
            assert_eq!(found, expected);
        }
        let china = aws(&[]).endpoint(Service::EventBridge, "cn-north-1");
        assert_eq!(china, "https://events.cn-north-1.amazonaws.com.cn");
        let streams = aws(&[]).endpoint(Service::DynamoDbStreams, "us-east-1");
        assert_eq!(streams, "https://streams.dynamodb.us-east-1.amazonaws.com");
    }

    #[test]
    fn refusals_of_both_protocols_are_read() {
        let xml = "<ErrorResponse><Error><Code>NotFound</Code><Message>no topic</Message></Error></ErrorResponse>";
        for (body, code, text) in [
            (
                r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"no queue"}"#,
                "QueueDoesNotExist",
                "no queue",
            ),
            (r#"{"__type":"X","Message":"m"}"#, "X", "m"),
            (xml, "NotFound", "no topic"),
            ("gateway", "", ""),
        ] {
            let found = refusal(StatusCode::BAD_REQUEST, body.as_bytes());
            let Error::Refused {
                code: found,
                message,
                ..
            } = found
            else {
                panic!("it is a refusal");
            };
            assert_eq!((found.as_str(), message.as_str()), (code, text));
        }
    }
}
