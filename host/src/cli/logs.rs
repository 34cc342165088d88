//! `lamina logs`: prints a function's log and follows it.

use std::time::Duration;

use clap::Args;
use http::Method;
use serde_json::{Value, json};

use super::client::{Client, is_denied, is_missing};
use super::function_argument::FunctionArgument;
use super::{Ended, Format, output};

const POLL: Duration = Duration::from_millis(500);

/// Print a function's log.
#[derive(Args, Clone, Debug)]
pub(super) struct Logs {
    /// Function name or ARN.
    #[arg(value_parser = FunctionArgument::parse)]
    function: FunctionArgument,
    /// Keep printing new events.
    #[arg(long, short)]
    follow: bool,
    /// Print only the last LINES lines.
    #[arg(long, value_name = "LINES")]
    last: Option<usize>,
}

/// Cursor in a log group.
#[derive(Debug, Default)]
pub(super) struct Follower {
    seen: Option<String>,
}

impl Logs {
    pub(super) async fn run(self, client: &Client, format: Format) -> anyhow::Result<Ended> {
        let (group, missing) = group(client, &self.function).await?;
        let mut follower = Follower::default();
        let mut events = follower.next(client, &group).await?;
        match missing {
            // Log groups outlive their functions.
            Some(_) if !events.is_empty() => output::note("the function has been deleted"),
            Some(error) => return Err(error),
            None if events.is_empty() && !self.follow => {
                output::note(&format!("{} has no log events", self.function.name));
            }
            None => {}
        }
        if let Some(last) = self.last {
            events.drain(..events.len().saturating_sub(last));
        }
        loop {
            events.iter().for_each(|event| print(event, format));
            if !self.follow {
                return Ok(Ended::Well);
            }
            tokio::time::sleep(POLL).await;
            events = follower.next(client, &group).await?;
        }
    }
}

/// Log group of a function. For a missing function, its default group and the host's error.
async fn group(
    client: &Client,
    function: &FunctionArgument,
) -> anyhow::Result<(String, Option<anyhow::Error>)> {
    let usual = || format!("/aws/lambda/{}", function.name);
    let path = function.path("configuration");
    match client.lambda(Method::GET, &path, None).await {
        Ok(shown) => {
            let group = shown["LoggingConfig"]["LogGroup"].as_str();
            Ok((group.map_or_else(usual, str::to_owned), None))
        }
        Err(error) if is_missing(&error) => Ok((usual(), Some(error))),
        // Callers with log permissions only cannot read the function, but its default group.
        Err(error) if is_denied(&error) => Ok((usual(), None)),
        Err(error) => Err(error),
    }
}

impl Follower {
    /// Events since the last call, oldest first.
    pub(super) async fn next(
        &mut self,
        client: &Client,
        group: &str,
    ) -> anyhow::Result<Vec<Value>> {
        let mut events = Vec::new();
        let mut token = self.seen.clone();
        loop {
            let mut request = json!({"logGroupName": group});
            if let Some(token) = &token {
                request["nextToken"] = token.as_str().into();
            }
            let mut page = match client.logs("FilterLogEvents", &request).await {
                Err(error) if is_unlogged(&error) => return Ok(events),
                page => page?,
            };
            if let Some(Value::Array(found)) = page.get_mut("events").map(Value::take) {
                events.extend(found);
            }
            token = page["nextToken"].as_str().map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        // Event ids ascend, and a token names the first id to return.
        let last = events
            .last()
            .and_then(|event| event["eventId"].as_str()?.parse::<u128>().ok());
        if let Some(last) = last {
            self.seen = Some((last + 1).to_string());
        }
        Ok(events)
    }
}

fn is_unlogged(error: &anyhow::Error) -> bool {
    is_missing(error) || error.to_string().starts_with("ResourceNotFoundException")
}

pub(super) fn print(event: &Value, format: Format) {
    match format {
        Format::Json => output::line(&event.to_string()),
        Format::Text => {
            let message = event["message"].as_str().unwrap_or_default();
            output::line(&printable(message.trim_end_matches('\n')));
        }
    }
}

/// Strips control characters, which could move the cursor or change colours of the terminal.
fn printable(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_control() || matches!(letter, '\t' | '\n'))
        .collect()
}
