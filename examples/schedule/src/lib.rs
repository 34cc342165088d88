//! A function that runs every minute.
//!
//! ```sh
//! lamina deploy examples/schedule
//! aws scheduler create-schedule --name every-minute --schedule-expression "rate(1 minute)" --flexible-time-window Mode=OFF --target '{"Arn": "arn:aws:lambda:us-east-1:000000000000:function:schedule", "RoleArn": "arn:aws:iam::000000000000:role/r", "Input": "{\"at\": \"<aws.scheduler.scheduled-time>\"}"}' --endpoint-url http://127.0.0.1:3001
//! ```

use lamina_sdk::{Error, LambdaEvent, handler};

#[derive(serde::Deserialize)]
struct Run {
    at: String,
}

#[handler]
fn tick(event: LambdaEvent<Run>) -> Result<String, Error> {
    println!("the run of {}", event.payload.at);
    Ok(event.payload.at)
}
