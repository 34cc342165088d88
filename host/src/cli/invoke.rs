//! `lamina invoke`: sends one event to a function and prints the response.

use std::io::Read;
use std::path::PathBuf;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use clap::Args;
use http::Method;
use serde_json::{Value, json};

use super::client::{Client, Response};
use super::function_argument::FunctionArgument;
use super::sample_event::SampleEvent;
use super::{Ended, Format, output};

/// Invoke a function and print its response.
#[derive(Args, Clone, Debug)]
pub(super) struct Invoke {
    /// Function name or ARN, with an optional :VERSION or :ALIAS.
    #[arg(value_parser = FunctionArgument::parse)]
    function: FunctionArgument,
    /// Event as JSON [default: {}].
    #[arg(short, long, value_name = "JSON", conflicts_with = "file")]
    data: Option<String>,
    /// File with the event; `-` reads stdin.
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Sample event: alb, apigateway, dynamodb, eventbridge, http-api (also of function URLs), kinesis, s3, schedule,
    /// sns or sqs.
    #[arg(long, value_enum, value_name = "SERVICE", conflicts_with_all = ["data", "file"], hide_possible_values = true)]
    event: Option<SampleEvent>,
    /// Print the tail of the log to stderr.
    #[arg(long)]
    log: bool,
}

/// Response of an invocation.
pub(super) struct Invoked {
    pub(super) payload: Bytes,
    pub(super) failed: bool,
    pub(super) log: String,
    pub(super) version: String,
}

impl Invoke {
    pub(super) async fn run(self, client: &Client, format: Format) -> anyhow::Result<Ended> {
        let event = self.event()?;
        let invoked = invoke(client, &self.function, event).await?;
        let payload = String::from_utf8_lossy(&invoked.payload);
        match format {
            Format::Text => {
                if self.log {
                    output::note(invoked.log.trim_end());
                }
                output::line(&payload);
            }
            Format::Json => {
                let parsed: Value = serde_json::from_slice(&invoked.payload)
                    .unwrap_or_else(|_| payload.as_ref().into());
                let answer = json!({
                    "Payload": parsed,
                    "FunctionError": invoked.failed,
                    "ExecutedVersion": invoked.version,
                    "Log": invoked.log,
                });
                output::line(&answer.to_string());
            }
        }
        Ok(if invoked.failed {
            Ended::FunctionFailed
        } else {
            Ended::Well
        })
    }

    fn event(&self) -> anyhow::Result<String> {
        if let Some(sample) = self.event {
            return Ok(sample.json().to_owned());
        }
        match (&self.data, &self.file) {
            (Some(data), _) => Ok(data.clone()),
            (None, Some(path)) if path.as_os_str() == "-" => {
                let mut event = String::new();
                std::io::stdin().read_to_string(&mut event)?;
                Ok(event)
            }
            (None, Some(path)) => {
                std::fs::read_to_string(path).with_context(|| path.display().to_string())
            }
            (None, None) => Ok("{}".to_owned()),
        }
    }
}

/// Invokes a function and asks for its log tail.
pub(super) async fn invoke(
    client: &Client,
    function: &FunctionArgument,
    event: String,
) -> anyhow::Result<Invoked> {
    let path = function.path("invocations");
    let tail = [("x-amz-log-type", "Tail")];
    let answer = client
        .send("lambda", Method::POST, &path, &tail, event.into())
        .await?;
    let header = |name: &str| header(&answer, name);
    let log = STANDARD
        .decode(header("x-amz-log-result"))
        .unwrap_or_default();
    Ok(Invoked {
        failed: !header("x-amz-function-error").is_empty(),
        log: String::from_utf8_lossy(&log).into_owned(),
        version: header("x-amz-executed-version"),
        payload: answer.body.clone(),
    })
}

fn header(answer: &Response, name: &str) -> String {
    let value = answer
        .headers
        .get(name)
        .and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}
