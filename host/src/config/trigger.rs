//! HTTP endpoints that services deliver events to: S3, SNS and EventBridge. Plain data, validated when read.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{CustomTarget, Token};
use crate::names::{AccountId, FunctionName};

/// Shortest token: it is all that protects an endpoint.
const TOKEN_BYTES_MIN: usize = 16;

/// HTTP endpoint of a function for the events of a service. Constructed by deserialization, which validates it.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(try_from = "TriggerKeys")]
pub struct Trigger {
    pub(crate) name: String,
    pub(crate) source: TriggerSource,
    pub(crate) function: CustomTarget,
    pub(crate) source_arns: Vec<String>,
    pub(crate) source_account: Option<AccountId>,
    pub(crate) token: Option<Token>,
}

/// Service that sends events to a trigger.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TriggerSource {
    /// S3 event notifications, as servers such as MinIO send them to webhooks.
    S3,
    /// HTTP or HTTPS subscription of an SNS topic.
    Sns,
    /// API destination of an EventBridge rule.
    EventBridge,
}

/// Endpoint `POST /_lamina/triggers/NAME` for the events of a service. Each delivery is an asynchronous invocation, which
/// the function's policy must allow to the service, as `aws lambda add-permission` does.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TriggerKeys {
    /// Last segment of the path: 1 to 64 letters, digits, hyphens and underscores. Since 0.1.0.
    name: String,
    /// Service: "s3", "sns" or "eventbridge". Since 0.1.0.
    source: TriggerSource,
    /// `name` or `name:alias` of the function. Since 0.1.0.
    #[schemars(with = "String")]
    function: CustomTarget,
    /// ARNs of the topics or buckets, or of the one rule: `SourceArn` in the function's policy. Events of others are
    /// refused. Since 0.1.0.
    source_arns: Vec<String>,
    /// Account of the buckets, whose ARNs name none: `SourceAccount` in the function's policy. Default: the host's own.
    /// Since 0.1.0.
    #[schemars(with = "Option<String>")]
    source_account: Option<AccountId>,
    /// Token of 16 bytes or more for "s3" and "eventbridge": `Authorization: Bearer`, the password of `Basic`, or
    /// `x-api-key`. Messages of SNS are signed and have none. Since 0.1.0.
    token: Option<Token>,
}

/// Malformed trigger.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// Not a path segment.
    #[error("{0:?} is not the name of a trigger: 1 to 64 letters, digits, hyphens and underscores")]
    Name(String),
    /// No ARN, or several rules.
    #[error("trigger {name:?}: source_arns has {expected}")]
    Arns {
        /// Name of the trigger.
        name: String,
        /// Expectation.
        expected: &'static str,
    },
    /// ARN of another service.
    #[error("trigger {name:?}: {arn:?} is not the ARN of {expected}")]
    Arn {
        /// Name of the trigger.
        name: String,
        /// ARN.
        arn: String,
        /// Expectation.
        expected: &'static str,
    },
    /// Token missing or too short.
    #[error("trigger {0:?}: token needs {TOKEN_BYTES_MIN} bytes or more")]
    Token(String),
    /// Token of a trigger that checks signatures.
    #[error("trigger {0:?}: messages of SNS are signed and have no token: remove it")]
    NeedlessToken(String),
}

impl TriggerSource {
    /// Service principal in policies.
    pub(crate) fn principal(self) -> &'static str {
        match self {
            Self::S3 => "s3.amazonaws.com",
            Self::Sns => "sns.amazonaws.com",
            Self::EventBridge => "events.amazonaws.com",
        }
    }

    /// Service in ARNs, and the resource that they name.
    fn resource(self) -> (&'static str, &'static str) {
        match self {
            Self::S3 => (
                "s3",
                "a bucket, such as \"arn:aws:s3:::bucket\", without a pattern",
            ),
            Self::Sns => (
                "sns",
                "a topic, such as \"arn:aws:sns:us-east-1:123456789012:topic\"",
            ),
            Self::EventBridge => (
                "events",
                "a rule, such as \"arn:aws:events:us-east-1:123456789012:rule/name\"",
            ),
        }
    }

    fn owns(self, arn: &str) -> bool {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let ["arn", partition, service, region, account, resource] = parts.as_slice() else {
            return false;
        };
        let is_whole = partition.starts_with("aws") && *service == self.resource().0;
        let is_plain = |it: char| it.is_ascii_alphanumeric() || "-._/".contains(it);
        let is_plain = |text: &str| !text.is_empty() && text.chars().all(is_plain);
        let has_place = match self {
            Self::S3 => region.is_empty() && account.is_empty() && !resource.contains('/'),
            Self::Sns => is_plain(region) && AccountId::parse(account).is_ok(),
            Self::EventBridge => {
                is_plain(region)
                    && AccountId::parse(account).is_ok()
                    && resource.starts_with("rule/")
            }
        };
        is_whole && has_place && is_plain(resource)
    }
}

impl TryFrom<TriggerKeys> for Trigger {
    type Error = Malformed;

    fn try_from(keys: TriggerKeys) -> Result<Self, Malformed> {
        let TriggerKeys {
            name,
            source,
            function,
            source_arns,
            source_account,
            token,
        } = keys;
        // Names of functions have the same characters.
        if FunctionName::parse(&name).is_err() {
            return Err(Malformed::Name(name));
        }
        let expected = match (source, source_arns.len()) {
            (_, 0) => Some("no ARN: one or more are expected"),
            // An event does not say which rule sent it.
            (TriggerSource::EventBridge, 2..) => Some("several rules: one is expected"),
            _ => None,
        };
        if let Some(expected) = expected {
            return Err(Malformed::Arns { name, expected });
        }
        if let Some(arn) = source_arns.iter().find(|arn| !source.owns(arn)) {
            return Err(Malformed::Arn {
                name,
                arn: arn.clone(),
                expected: source.resource().1,
            });
        }
        match (source, &token) {
            (TriggerSource::Sns, Some(_)) => return Err(Malformed::NeedlessToken(name)),
            (TriggerSource::Sns, None) => {}
            (_, Some(token)) if token.as_bytes().len() >= TOKEN_BYTES_MIN => {}
            (_, _) => return Err(Malformed::Token(name)),
        }
        Ok(Self {
            name,
            source,
            function,
            source_arns,
            source_account,
            token,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:orders";

    fn read(source: &str, arns: &[&str], more: &str) -> Result<Trigger, String> {
        let text = format!(
            "name = \"t\"\nfunction = \"f:live\"\nsource = \"{source}\"\nsource_arns = {arns:?}\n{more}"
        );
        toml::from_str(&text).map_err(|error| error.to_string())
    }

    #[test]
    fn trigger_of_each_service_is_read() {
        let token = "token = \"0123456789abcdef\"";
        let rule = "arn:aws:events:us-east-1:123456789012:rule/bus/orders";
        assert!(read("sns", &[TOPIC, TOPIC], "").is_ok());
        assert!(read("s3", &["arn:aws:s3:::uploads"], token).is_ok());
        assert!(read("eventbridge", &[rule], token).is_ok());
    }

    #[test]
    fn malformed_trigger_is_refused_with_its_reason() {
        let token = "token = \"0123456789abcdef\"";
        let rule = "arn:aws:events:us-east-1:123456789012:rule/orders";
        for (read, expected) in [
            (read("sns", &[], ""), "has no ARN"),
            (read("sns", &[TOPIC], token), "remove it"),
            (
                read("sns", &["arn:aws:sqs:us-east-1:123456789012:q"], ""),
                "not the ARN of a topic",
            ),
            (
                read("sns", &["arn:aws:sns:us-east-1:12:t"], ""),
                "not the ARN of a topic",
            ),
            (read("s3", &["arn:aws:s3:::uploads"], ""), "16 bytes"),
            (
                read("s3", &["arn:aws:s3:::uploads"], "token = \"short\""),
                "16 bytes",
            ),
            (
                read("s3", &["arn:aws:s3:::up*"], token),
                "not the ARN of a bucket",
            ),
            (
                read("s3", &["arn:aws:s3:::b/key"], token),
                "not the ARN of a bucket",
            ),
            (read("eventbridge", &[rule, rule], token), "several rules"),
            (
                read(
                    "eventbridge",
                    &["arn:aws:events:us-east-1:123456789012:event-bus/b"],
                    token,
                ),
                "not the ARN of a rule",
            ),
            (read("kafka", &[TOPIC], ""), "unknown variant"),
            (read("sns", &[TOPIC], "colour = 1"), "unknown field"),
        ] {
            let error = read.unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        let unnamed = format!(
            "name = \"a/b\"\nfunction = \"f\"\nsource = \"sns\"\nsource_arns = [\"{TOPIC}\"]"
        );
        let error = toml::from_str::<Trigger>(&unnamed).unwrap_err().to_string();
        assert!(error.contains("not the name of a trigger"), "{error}");
    }
}
