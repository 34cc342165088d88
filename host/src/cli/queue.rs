//! `lamina queue`: events that wait for their functions.

use clap::{Args, Subcommand};
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::client::Client;
use super::function_argument::FunctionArgument;
use super::{Calling, ClientOptions, Ended, Format, output};

/// Commands on queues.
#[derive(Debug, Subcommand)]
pub(super) enum Queue {
    /// List the queues that have events.
    List(Calling<List>),
    /// Print the events of a queue that are due first, without taking them.
    Peek(Calling<Peek>),
    /// Delete all events of a queue.
    Purge(Calling<Purge>),
    /// Take events out of a dead-letter queue of SQS, and queue them again.
    Redrive(Calling<Redrive>),
}

/// List the queues that have events.
#[derive(Args, Clone, Debug)]
pub(super) struct List {}

/// Print the events of a queue that are due first, without taking them.
#[derive(Args, Clone, Debug)]
pub(super) struct Peek {
    /// Function name or ARN, with a qualifier for its events only.
    #[arg(value_parser = FunctionArgument::parse)]
    function: FunctionArgument,
    /// Number of events, at most 1000.
    #[arg(long, short = 'n', value_name = "EVENTS", default_value_t = 20)]
    limit: u32,
}

/// Delete all events of a queue.
#[derive(Args, Clone, Debug)]
pub(super) struct Purge {
    /// Function name or ARN, with a qualifier for its events only.
    #[arg(value_parser = FunctionArgument::parse)]
    function: FunctionArgument,
}

/// Take events out of a dead-letter queue of SQS, and queue them again.
#[derive(Args, Clone, Debug)]
pub(super) struct Redrive {
    /// Function name or ARN.
    #[arg(value_parser = FunctionArgument::parse)]
    function: FunctionArgument,
    /// ARN of the dead-letter queue.
    #[arg(long, value_name = "ARN")]
    from: String,
}

impl Queue {
    pub(super) async fn run(self, before: ClientOptions) -> anyhow::Result<Ended> {
        match self {
            Self::List(list) => {
                let (list, client, format) = list.with(before)?;
                list.run(&client, format).await
            }
            Self::Peek(peek) => {
                let (peek, client, format) = peek.with(before)?;
                peek.run(&client, format).await
            }
            Self::Purge(purge) => {
                let (purge, client, format) = purge.with(before)?;
                purge.run(&client, format).await
            }
            Self::Redrive(redrive) => {
                let (redrive, client, format) = redrive.with(before)?;
                redrive.run(&client, format).await
            }
        }
    }
}

impl List {
    async fn run(self, client: &Client, format: Format) -> anyhow::Result<Ended> {
        let found = client.lambda(Method::GET, "/_lamina/queues", None).await?;
        print(&found, "Queues", format, "no events are queued", |queue| {
            let (function, events) = (&queue["Function"], &queue["Events"]);
            format!("{}  {events}", function.as_str().unwrap_or_default())
        });
        Ok(Ended::Well)
    }
}

impl Peek {
    async fn run(self, client: &Client, format: Format) -> anyhow::Result<Ended> {
        let path = format!("{}?limit={}", path(&self.function), self.limit);
        let found = client.lambda(Method::GET, &path, None).await?;
        print(&found, "Events", format, "no events are queued", |event| {
            let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
            format!(
                "{}  attempts {}  {} bytes  {}",
                text("RequestId"),
                event["Attempts"],
                event["PayloadBytes"],
                text("Payload")
            )
        });
        Ok(Ended::Well)
    }
}

impl Purge {
    async fn run(self, client: &Client, format: Format) -> anyhow::Result<Ended> {
        let path = path(&self.function);
        let done = client.lambda(Method::DELETE, &path, None).await?;
        report(&done, "Deleted", "deleted", format);
        Ok(Ended::Well)
    }
}

impl Redrive {
    async fn run(self, client: &Client, format: Format) -> anyhow::Result<Ended> {
        let from = utf8_percent_encode(&self.from, NON_ALPHANUMERIC);
        let path = format!("{}?from={from}", path(&self.function));
        let done = client.lambda(Method::POST, &path, None).await?;
        report(&done, "Moved", "queued again", format);
        Ok(Ended::Well)
    }
}

fn path(function: &FunctionArgument) -> String {
    format!("/_lamina/queues/{}", function.reference())
}

fn print(found: &Value, member: &str, format: Format, none: &str, row: impl Fn(&Value) -> String) {
    let all = found[member].as_array().map(Vec::as_slice);
    match (format, all.unwrap_or_default()) {
        (Format::Json, _) => output::line(&found[member].to_string()),
        (Format::Text, []) => output::note(none),
        (Format::Text, all) => all.iter().for_each(|it| output::line(&row(it))),
    }
}

fn report(done: &Value, member: &str, verb: &str, format: Format) {
    match format {
        Format::Json => output::line(&done.to_string()),
        Format::Text => output::note(&format!("{} events were {verb}", done[member])),
    }
}
