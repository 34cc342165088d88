//! AWS's services that events are sent to and taken from. Plain data; the commands `start` and `dev` fill missing
//! settings from the process environment, embedders get none.

use schemars::JsonSchema;
use serde::Deserialize;

/// Services of AWS or compatible servers: destinations, dead-letter queues, event sources. Without endpoint and keys
/// there are none.
#[derive(Clone, Default, Eq, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Aws {
    /// Endpoint URL of all services. Default with keys: AWS's endpoints. `AWS_ENDPOINT_URL`. Since 0.1.0.
    pub endpoint: Option<String>,
    /// Endpoint URL of SQS. `AWS_ENDPOINT_URL_SQS`. Since 0.1.0.
    pub endpoint_sqs: Option<String>,
    /// Endpoint URL of SNS. `AWS_ENDPOINT_URL_SNS`. Since 0.1.0.
    pub endpoint_sns: Option<String>,
    /// Endpoint URL of EventBridge. `AWS_ENDPOINT_URL_EVENTBRIDGE`. Since 0.1.0.
    pub endpoint_eventbridge: Option<String>,
    /// Endpoint URL of Kinesis. `AWS_ENDPOINT_URL_KINESIS`. Since 0.1.0.
    pub endpoint_kinesis: Option<String>,
    /// Endpoint URL of DynamoDB Streams. `AWS_ENDPOINT_URL_DYNAMODB_STREAMS`. Since 0.1.0.
    pub endpoint_dynamodb_streams: Option<String>,
    /// `AWS_ACCESS_KEY_ID`. Without keys, requests are not signed. Since 0.1.0.
    pub access_key_id: Option<String>,
    /// `AWS_SECRET_ACCESS_KEY`. Since 0.1.0.
    pub secret_access_key: Option<String>,
    /// `AWS_SESSION_TOKEN`, for temporary credentials. Since 0.1.0.
    pub session_token: Option<String>,
}

impl std::fmt::Debug for Aws {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Aws")
            .field("endpoint", &self.endpoint)
            .field("endpoint_sqs", &self.endpoint_sqs)
            .field("endpoint_sns", &self.endpoint_sns)
            .field("endpoint_eventbridge", &self.endpoint_eventbridge)
            .field("endpoint_kinesis", &self.endpoint_kinesis)
            .field("endpoint_dynamodb_streams", &self.endpoint_dynamodb_streams)
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_is_not_in_debug_output() {
        let text = "endpoint = \"http://127.0.0.1:5000\"\naccess_key_id = \"id\"\n\
                    secret_access_key = \"hidden\"\nsession_token = \"hidden\"";
        let aws: Aws = toml::from_str(text).unwrap();
        assert_eq!(aws.secret_access_key.as_deref(), Some("hidden"));
        assert!(!format!("{aws:?}").contains("hidden"));
    }
}
