//! `lamina logs`: a function's log, as it was and as it grows.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::client::{Client, is_missing};
use super::{Ended, Format, output};

const POLL: Duration = Duration::from_millis(500);

/// Print a function's log.
#[derive(Args, Clone, Debug)]
pub(super) struct Logs {
    /// The function.
    function: String,
    /// Go on printing what comes.
    #[arg(long, short)]
    follow: bool,
    /// Only the newest lines.
    #[arg(long, value_name = "LINES")]
    last: Option<usize>,
}

/// A place in a log.
#[derive(Debug, Default)]
pub(super) struct Follower {
    seen: Option<String>,
}

impl Logs {
    pub(super) async fn run(self, client: &Client, format: Format) -> anyhow::Result<Ended> {
        let name = self.function.split(':').next().unwrap_or_default();
        let mut follower = Follower::default();
        let mut events = follower.next(client, name).await?;
        if events.is_empty() && !self.follow {
            output::note(&format!("{name} has not logged anything"));
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
            events = follower.next(client, name).await?;
        }
    }
}

impl Follower {
    /// The events since the last call, oldest first.
    pub(super) async fn next(&mut self, client: &Client, name: &str) -> anyhow::Result<Vec<Value>> {
        let mut events = Vec::new();
        let mut token = self.seen.clone();
        loop {
            let mut request = json!({"logGroupName": format!("/aws/lambda/{name}")});
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
        // Event ids count up, and a token is the first id wanted.
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
        Format::Text => output::line(&printable(event["message"].as_str().unwrap_or_default())),
    }
}

/// Without what would move a terminal's cursor or change its colours.
fn printable(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_control() || *letter == '\t')
        .collect()
}
