//! Sample events of AWS's services, for `lamina invoke --event`.

use clap::ValueEnum;

macro_rules! sample {
    ($file:literal) => {
        include_str!(concat!("sample_event/", $file, ".json"))
    };
}

/// Service whose event is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum SampleEvent {
    /// Application load balancer.
    Alb,
    /// REST API of API Gateway, payload version 1.0.
    Apigateway,
    /// Stream of a DynamoDB table.
    Dynamodb,
    /// EventBridge.
    Eventbridge,
    /// Function URL or HTTP API, payload version 2.0.
    HttpApi,
    /// Kinesis stream.
    Kinesis,
    /// S3 notification.
    S3,
    /// Schedule of EventBridge.
    Schedule,
    /// SNS topic.
    Sns,
    /// SQS queue.
    Sqs,
}

impl SampleEvent {
    /// The event as JSON.
    pub(super) fn json(self) -> &'static str {
        match self {
            Self::Alb => sample!("alb"),
            Self::Apigateway => sample!("apigateway"),
            Self::Dynamodb => sample!("dynamodb"),
            Self::Eventbridge => sample!("eventbridge"),
            Self::HttpApi => sample!("http-api"),
            Self::Kinesis => sample!("kinesis"),
            Self::S3 => sample!("s3"),
            Self::Schedule => sample!("schedule"),
            Self::Sns => sample!("sns"),
            Self::Sqs => sample!("sqs"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sample_event_is_an_object() {
        for sample in SampleEvent::value_variants() {
            let event: serde_json::Value = serde_json::from_str(sample.json()).unwrap();
            assert!(event.is_object(), "{sample:?}");
        }
    }
}
