//! Messages of an SQS queue. A message that fails is named in the response and comes again; the others are done.

use lamina_sdk::{Error, LambdaEvent, handler};
use serde::{Deserialize, Serialize};

/// Relevant part of an event of SQS.
#[derive(Deserialize)]
struct Batch {
    #[serde(default, rename = "Records")]
    records: Vec<Message>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    message_id: String,
    body: String,
}

#[derive(Deserialize)]
struct Order {
    order: u64,
}

#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    batch_item_failures: Vec<Failure>,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    item_identifier: String,
}

#[handler]
fn consume(event: LambdaEvent<Batch>) -> Result<Outcome, Error> {
    let mut outcome = Outcome::default();
    for message in event.payload.records {
        if let Err(error) = process(&message.body) {
            eprintln!("message {}: {error}", message.message_id);
            outcome.batch_item_failures.push(Failure {
                item_identifier: message.message_id,
            });
        }
    }
    Ok(outcome)
}

fn process(body: &str) -> Result<(), Error> {
    let order: Order = serde_json::from_str(body)?;
    println!("order {}", order.order);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_message_is_named() {
        let message = |id: &str, body: &str| Message {
            message_id: id.to_owned(),
            body: body.to_owned(),
        };
        let records = vec![message("1", "{\"order\": 7}"), message("2", "no JSON")];
        let outcome = consume(LambdaEvent::new(Batch { records }, Default::default()));
        let failures = outcome.expect("an outcome").batch_item_failures;
        assert_eq!(failures.len(), 1);
        assert_eq!(failures[0].item_identifier, "2");
    }
}
