//! Destinations as AWS prints them in its errors.

use crate::invoke::snapshot::destination::{Destinations, End};

impl Destinations {
    /// The text of the configuration as Java prints it.
    pub(super) fn printed(&self) -> String {
        let end = |end: Option<&End>, name: &str| match end {
            None => "null".to_owned(),
            Some(end) => {
                let destination = end.destination.as_deref().unwrap_or("null");
                format!("{name}(destination={destination})")
            }
        };
        format!(
            "DestinationConfig(onSuccess={}, onFailure={})",
            end(self.on_success.as_ref(), "OnSuccess"),
            end(self.on_failure.as_ref(), "OnFailure")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_printed_as_aws_prints_them() {
        let end = |destination: Option<&str>| {
            Some(End {
                destination: destination.map(Into::into),
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
}
