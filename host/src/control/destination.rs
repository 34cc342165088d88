//! Where records of invocations and batches go when they end: what a caller asks for, and which ends
//! an invocation's record may have. Sending them is not its business.

use serde::{Deserialize, Serialize};

/// A `DestinationConfig`. An end that was not named is None.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Destinations {
    /// Where the records of successes go.
    pub on_success: Option<End>,
    /// Where the records of failures go.
    pub on_failure: Option<End>,
}

/// One end. It may have been named without saying where.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// The ARN of a queue, topic, bus, function or bucket, or the name of a Kafka topic.
    pub destination: Option<String>,
}

impl Destinations {
    /// Where the records of successes go, if anywhere.
    pub fn success(&self) -> Option<&str> {
        self.on_success.as_ref().and_then(End::place)
    }

    /// Where the records of failures go, if anywhere.
    pub fn failure(&self) -> Option<&str> {
        self.on_failure.as_ref().and_then(End::place)
    }

    /// As AWS prints it in its errors.
    pub(super) fn printed(&self) -> String {
        let end = |end: Option<&End>, name: &str| match end {
            None => "null".to_owned(),
            Some(end) => {
                let place = end.destination.as_deref().unwrap_or("null");
                format!("{name}(destination={place})")
            }
        };
        format!(
            "DestinationConfig(onSuccess={}, onFailure={})",
            end(self.on_success.as_ref(), "OnSuccess"),
            end(self.on_failure.as_ref(), "OnFailure")
        )
    }
}

impl End {
    /// An empty text is how a caller takes a destination back.
    fn place(&self) -> Option<&str> {
        self.destination
            .as_deref()
            .filter(|place| !place.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_printed_as_aws_prints_them() {
        let end = |place: Option<&str>| {
            Some(End {
                destination: place.map(Into::into),
            })
        };
        let cases = [
            (end(Some("a")), None, "OnSuccess(destination=a)", "null"),
            (None, end(Some("b")), "null", "OnFailure(destination=b)"),
            (end(None), None, "OnSuccess(destination=null)", "null"),
        ];
        for (on_success, on_failure, success, failure) in cases {
            let printed = Destinations {
                on_success,
                on_failure,
            };
            let expected = format!("DestinationConfig(onSuccess={success}, onFailure={failure})");
            assert_eq!(printed.printed(), expected);
        }
    }

    #[test]
    fn an_empty_destination_is_none() {
        let taken_back = Destinations {
            on_failure: Some(End {
                destination: Some(String::new()),
            }),
            ..Destinations::default()
        };
        assert_eq!((taken_back.success(), taken_back.failure()), (None, None));
    }
}
