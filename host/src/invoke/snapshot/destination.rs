//! Destinations: where records of invocations and batches go when these end. Sending them is no matter of
//! this module.

use serde::{Deserialize, Serialize};

/// A `DestinationConfig`. An end that the caller did not name is `None`.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Destinations {
    /// Destination of the records of successes.
    pub on_success: Option<End>,
    /// Destination of the records of failures.
    pub on_failure: Option<End>,
}

/// One end. A caller may name it without a destination.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// The ARN of a queue, topic, bus, function or bucket, or the name of a Kafka topic.
    pub destination: Option<String>,
}

impl Destinations {
    /// The destination of the records of successes.
    pub fn success(&self) -> Option<&str> {
        self.on_success.as_ref().and_then(End::destination)
    }

    /// The destination of the records of failures.
    pub fn failure(&self) -> Option<&str> {
        self.on_failure.as_ref().and_then(End::destination)
    }
}

impl End {
    /// The destination. Callers take one back with an empty text.
    fn destination(&self) -> Option<&str> {
        let destination = self.destination.as_deref();
        destination.filter(|it| !it.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_destination_is_none() {
        let taken_back = Destinations {
            on_failure: Some(End {
                destination: Some(String::new()),
            }),
            ..Destinations::default()
        };
        assert_eq!((taken_back.success(), taken_back.failure()), (None, None));
    }
}
