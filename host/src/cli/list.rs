//! `lamina list`: lists the functions of a host.

use clap::Args;
use http::Method;
use serde_json::Value;

use super::client::Client;
use super::{Ended, Format, output};
use crate::library::runtime::{self, Kind};

/// List the functions of a host.
#[derive(Args, Clone, Debug)]
pub(super) struct List {}

impl List {
    pub(super) async fn run(self, client: &Client, format: Format) -> anyhow::Result<Ended> {
        let functions = all(client).await?;
        match format {
            Format::Json => output::line(&Value::Array(functions).to_string()),
            Format::Text if functions.is_empty() => {
                output::note("there are no functions; deploy one with `lamina deploy`");
            }
            Format::Text => table(&functions).iter().for_each(|row| output::line(row)),
        }
        Ok(Ended::Well)
    }
}

async fn all(client: &Client) -> anyhow::Result<Vec<Value>> {
    let mut functions = Vec::new();
    let mut marker = String::new();
    loop {
        let path = format!("/2015-03-31/functions?MaxItems=50{marker}");
        let mut page = client.lambda(Method::GET, &path, None).await?;
        if let Some(Value::Array(listed)) = page.get_mut("Functions").map(Value::take) {
            functions.extend(listed);
        }
        match page["NextMarker"].as_str() {
            Some(next) => marker = format!("&Marker={next}"),
            None => return Ok(functions),
        }
    }
}

/// A runtime, and the version that runs in its place.
fn runtime_of(name: &str) -> String {
    match runtime::find(name).map(|it| it.kind) {
        Some(Kind::Managed(managed)) if managed.name != name => {
            format!("{name} (runs in {})", managed.name)
        }
        _ => name.to_owned(),
    }
}

fn table(functions: &[Value]) -> Vec<String> {
    let text = |function: &Value, name: &str| match &function[name] {
        Value::String(text) if name == "Runtime" => runtime_of(text),
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let columns = [
        "FunctionName",
        "Runtime",
        "MemorySize",
        "Timeout",
        "LastModified",
    ];
    let mut rows = vec![["NAME", "RUNTIME", "MEMORY", "TIMEOUT", "MODIFIED"].map(String::from)];
    rows.extend(
        functions
            .iter()
            .map(|function| columns.map(|name| text(function, name))),
    );
    let widths = [0, 1, 2, 3, 4].map(|column| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or_default()
    });
    let line = |row: &[String; 5]| {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}
