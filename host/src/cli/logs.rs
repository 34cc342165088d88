//! `lamina logs`: prints a function's log and follows it.

use std::time::Duration;

use anyhow::Context;
use clap::Args;
use http::Method;
use serde_json::{Value, json};

use super::client::{Client, is_denied, is_missing};
use super::function_argument::FunctionArgument;
use super::{Ended, Format, output};
use crate::clock::Clock;

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
    /// Print only the last EVENTS log events [default: all that are kept].
    #[arg(long, value_name = "EVENTS")]
    last: Option<usize>,
    /// Print only events since a time, such as 2026-01-02T03:04:05Z, or for a duration: 30s, 5m, 2h, 1d.
    #[arg(long, value_name = "TIME", value_parser = Since::parse)]
    since: Option<Since>,
}

/// Beginning of the events to print.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Since {
    /// Milliseconds since the Unix epoch.
    At(i64),
    Ago(Duration),
}

/// Cursor in a log group.
#[derive(Debug, Default)]
pub(super) struct Follower {
    seen: Option<String>,
    /// Earliest time in milliseconds since the Unix epoch.
    start: Option<i64>,
}

impl Logs {
    pub(super) async fn run(self, client: &Client, format: Format) -> anyhow::Result<Ended> {
        let (group, missing) = group(client, &self.function).await?;
        let mut follower = Follower {
            start: self.since.map(Since::millis),
            ..Follower::default()
        };
        let mut events = follower.next(client, &group).await?;
        match missing {
            // Log groups outlive their functions.
            Some(_) if !events.is_empty() => output::note("the function has been deleted"),
            Some(error) => return Err(error),
            None if events.is_empty() && !self.follow => {
                let since = self.since.map_or("", |_| " since then");
                output::note(&format!("{} has no log events{since}", self.function.name));
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

impl Since {
    fn parse(text: &str) -> Result<Self, String> {
        const UNITS: [(char, u64); 4] = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];
        let unit = UNITS.iter().find(|(unit, _)| text.ends_with(*unit));
        let number = text.get(..text.len().saturating_sub(1));
        let number = number.and_then(|number| number.parse::<u64>().ok());
        if let Some(((_, seconds), number)) = unit.zip(number) {
            return Ok(Self::Ago(Duration::from_secs(
                number.saturating_mul(*seconds),
            )));
        }
        let time: Result<jiff::Timestamp, _> = text.parse();
        time.map(|time| Self::At(time.as_millisecond()))
            .map_err(|_| {
                "a time such as 2026-01-02T03:04:05Z or a duration such as 5m is expected".into()
            })
    }

    fn millis(self) -> i64 {
        match self {
            Self::At(millis) => millis,
            Self::Ago(duration) => {
                let duration = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
                let now = Clock::system().now().utc().as_millisecond();
                now.saturating_sub(duration).max(0)
            }
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
            if let Some(start) = self.start {
                request["startTime"] = start.into();
            }
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

fn print(event: &Value, format: Format) {
    match format {
        Format::Json => output::line(&event.to_string()),
        Format::Text => {
            let time = time(event).unwrap_or_default();
            output::line(&format!("{time} {}", message(event)));
        }
    }
}

/// Time of an event in UTC.
fn time(event: &Value) -> anyhow::Result<String> {
    let millis = event["timestamp"].as_i64().context("an event has a time")?;
    let time = jiff::Timestamp::from_millisecond(millis)?;
    Ok(format!("{time:.3}"))
}

/// Message of an event without control characters, which could move the cursor or change colours of the terminal.
pub(super) fn message(event: &Value) -> String {
    let text = event["message"].as_str().unwrap_or_default();
    printable(text.trim_end_matches('\n'))
}

/// Strips control characters other than tabs and line ends.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_control() || matches!(letter, '\t' | '\n'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_or_a_duration() {
        for (text, expected) in [
            ("30s", Since::Ago(Duration::from_secs(30))),
            ("2h", Since::Ago(Duration::from_secs(7_200))),
            ("1970-01-01T00:00:01Z", Since::At(1_000)),
        ] {
            assert_eq!(Since::parse(text), Ok(expected), "{text}");
        }
        for text in ["", "m", "5", "-5m", "yesterday"] {
            assert!(Since::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn event_is_printed_with_its_time() {
        let event = json!({"timestamp": 1_500, "message": "a\u{1b}[31m\n"});
        assert_eq!(time(&event).unwrap(), "1970-01-01T00:00:01.500Z");
        assert_eq!(message(&event), "a[31m");
    }
}
