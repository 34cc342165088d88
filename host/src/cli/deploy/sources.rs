//! Event source mappings of a function, as its project wants them.

use std::time::Duration;

use anyhow::Context;
use http::Method;
use serde_json::{Map, Value, json};

use crate::cli::client::{Client, is_denied};
use crate::cli::project::manifest::EventSource;

const MAPPINGS: &str = "/2015-03-31/event-source-mappings";

/// Tag of mappings that a manifest made. Only they are deleted with their sources; its value is the function's name.
const MADE: &str = "lamina:manifest";
/// Time for a change of a mapping to finish: until then it cannot be changed again.
const SETTLE_MAX: Duration = Duration::from_secs(60);
const SETTLE_POLL: Duration = Duration::from_millis(50);

/// Creates missing mappings, updates those that differ, and deletes those that the manifest made and no longer has. True
/// if any changed.
pub(super) async fn apply(
    client: &Client,
    function: &str,
    wanted: &[EventSource],
) -> anyhow::Result<bool> {
    let found = match all(client, function).await {
        // A user who declares no sources needs no permission to list them.
        Err(error) if wanted.is_empty() && is_denied(&error) => return Ok(false),
        found => found?,
    };
    let mut has_changed = false;
    for source in wanted {
        let existing = found.iter().find(|it| it["EventSourceArn"] == *source.arn);
        let applied = match existing {
            None => create(client, function, source).await.map(|()| true),
            Some(mapping) => update(client, source, mapping).await,
        };
        has_changed |= applied.with_context(|| format!("source {}", source.arn))?;
    }
    let is_wanted = |mapping: &Value| wanted.iter().any(|it| mapping["EventSourceArn"] == *it.arn);
    for mapping in found.iter().filter(|it| !is_wanted(it)) {
        if is_made(client, mapping).await? {
            settled(client, mapping).await?;
            client.lambda(Method::DELETE, &path(mapping)?, None).await?;
            has_changed = true;
        }
    }
    Ok(has_changed)
}

/// Mappings of a function, without those that are being deleted.
async fn all(client: &Client, function: &str) -> anyhow::Result<Vec<Value>> {
    let mut mappings = Vec::new();
    let mut marker = String::new();
    loop {
        let path = format!("{MAPPINGS}?FunctionName={function}{marker}");
        let mut page = client.lambda(Method::GET, &path, None).await?;
        if let Some(Value::Array(found)) = page.get_mut("EventSourceMappings").map(Value::take) {
            mappings.extend(found.into_iter().filter(|it| it["State"] != "Deleting"));
        }
        match page["NextMarker"].as_str() {
            Some(next) => marker = format!("&Marker={next}"),
            None => return Ok(mappings),
        }
    }
}

/// True for a mapping that a manifest made.
async fn is_made(client: &Client, mapping: &Value) -> anyhow::Result<bool> {
    let arn = mapping["EventSourceMappingArn"].as_str();
    let arn = arn.context("a mapping has an ARN")?;
    let path = format!("/2017-03-31/tags/{arn}");
    let shown = client.lambda(Method::GET, &path, None).await?;
    Ok(shown["Tags"][MADE].is_string())
}

/// Waits until a mapping can be changed; returns its configuration.
async fn settled(client: &Client, mapping: &Value) -> anyhow::Result<Value> {
    let path = path(mapping)?;
    let settled = async {
        loop {
            let shown = client.lambda(Method::GET, &path, None).await?;
            if ["Enabled", "Disabled"]
                .iter()
                .any(|it| shown["State"] == *it)
            {
                return Ok(shown);
            }
            tokio::time::sleep(SETTLE_POLL).await;
        }
    };
    let late = || {
        format!(
            "the mapping does not settle within {} s",
            SETTLE_MAX.as_secs()
        )
    };
    let ended = tokio::time::timeout(SETTLE_MAX, settled).await;
    ended.with_context(late)?
}

async fn update(client: &Client, source: &EventSource, mapping: &Value) -> anyhow::Result<bool> {
    keeps_position(source, mapping)?;
    let mut settings = settings(source);
    let lost = lost(&settings, mapping);
    // A mapping made by hand keeps what its maker chose and the manifest does not name.
    if !lost.is_empty() && is_made(client, mapping).await? {
        settings.extend(lost);
    }
    let settings = Value::Object(settings);
    if !differs(&settings, mapping) {
        return Ok(false);
    }
    let shown = settled(client, mapping).await?;
    let differs = differs(&settings, &shown);
    if differs {
        let path = path(mapping)?;
        client.lambda(Method::PUT, &path, Some(&settings)).await?;
    }
    Ok(differs)
}

/// Refuses another starting position: Lambda takes it only at the creation of a mapping.
fn keeps_position(source: &EventSource, mapping: &Value) -> anyhow::Result<()> {
    let shown = mapping["StartingPosition"].as_str();
    match (&source.starting_position, shown) {
        (Some(wanted), Some(shown)) if wanted != shown => anyhow::bail!(
            "the mapping began at {shown} and its starting_position cannot become {wanted}: deploy without the source, \
             then with it again, to read from there"
        ),
        _ => Ok(()),
    }
}

/// Defaults of settings that the mapping has and the manifest does not name (any more).
fn lost(settings: &Map<String, Value>, mapping: &Value) -> Map<String, Value> {
    let is_queue = mapping["StartingPosition"].is_null();
    let batch_size = if is_queue { 10 } else { 100 };
    let defaults = [
        ("BatchSize", json!(batch_size)),
        ("MaximumBatchingWindowInSeconds", json!(0)),
        ("ParallelizationFactor", json!(1)),
        ("MaximumRetryAttempts", json!(-1)),
        ("MaximumRecordAgeInSeconds", json!(-1)),
        ("BisectBatchOnFunctionError", json!(false)),
        ("TumblingWindowInSeconds", json!(0)),
        ("DestinationConfig", json!({"OnFailure": {}})),
        ("ScalingConfig", json!({})),
    ];
    let is_lost = |(member, default): &(&str, Value)| {
        let shown = &mapping[*member];
        !settings.contains_key(*member) && !shown.is_null() && shown != default
    };
    let lost = defaults.into_iter().filter(is_lost);
    let mut lost: Map<_, _> = lost
        .map(|(member, value)| (member.to_owned(), value))
        .collect();
    if !settings.contains_key("Enabled") && mapping["State"] == "Disabled" {
        lost.insert("Enabled".to_owned(), json!(true));
    }
    lost
}

fn path(mapping: &Value) -> anyhow::Result<String> {
    let id = mapping["UUID"].as_str().context("a mapping has an id")?;
    Ok(format!("{MAPPINGS}/{id}"))
}

async fn create(client: &Client, function: &str, source: &EventSource) -> anyhow::Result<()> {
    let mut settings = settings(source);
    if source.filters.is_empty() {
        settings.remove("FilterCriteria");
    }
    let mut request = Value::Object(settings);
    request["FunctionName"] = function.into();
    request["Tags"] = json!({MADE: function});
    request["EventSourceArn"] = source.arn.as_str().into();
    if let Some(position) = &source.starting_position {
        request["StartingPosition"] = position.as_str().into();
    }
    client
        .lambda(Method::POST, MAPPINGS, Some(&request))
        .await
        .map(drop)
}

/// Members of the mapping that the project sets.
fn settings(source: &EventSource) -> Map<String, Value> {
    let mut request = Map::new();
    let types = if source.partial_failures {
        json!(["ReportBatchItemFailures"])
    } else {
        json!([])
    };
    request.insert("FunctionResponseTypes".to_owned(), types);
    let filters = source
        .filters
        .iter()
        .map(|pattern| json!({"Pattern": pattern}));
    let filters = json!({"Filters": filters.collect::<Vec<_>>()});
    request.insert("FilterCriteria".to_owned(), filters);
    let given = [
        ("BatchSize", source.batch_size.map(Value::from)),
        (
            "MaximumBatchingWindowInSeconds",
            source.window_seconds.map(Value::from),
        ),
        ("Enabled", source.enabled.map(Value::from)),
        (
            "ParallelizationFactor",
            source.parallelization.map(Value::from),
        ),
        ("MaximumRetryAttempts", source.retries.map(Value::from)),
        (
            "MaximumRecordAgeInSeconds",
            source.maximum_age_seconds.map(Value::from),
        ),
        ("BisectBatchOnFunctionError", source.bisect.map(Value::from)),
        (
            "TumblingWindowInSeconds",
            source.tumbling_window_seconds.map(Value::from),
        ),
        (
            "DestinationConfig",
            source
                .on_failure
                .as_ref()
                .map(|arn| json!({"OnFailure": {"Destination": arn}})),
        ),
        (
            "ScalingConfig",
            source
                .maximum_concurrency
                .map(|it| json!({"MaximumConcurrency": it})),
        ),
    ];
    let given = given.into_iter();
    request.extend(given.filter_map(|(member, value)| Some((member.to_owned(), value?))));
    request
}

/// True if a mapping has other settings. A mapping shows its state instead of `Enabled`.
fn differs(settings: &Value, shown: &Value) -> bool {
    let members = settings.as_object().into_iter().flatten();
    members
        .into_iter()
        .any(|(member, wanted)| match member.as_str() {
            "Enabled" => {
                let is_on = ["Enabled", "Enabling", "Creating", "Updating"];
                let is_on = is_on.iter().any(|it| shown["State"] == *it);
                *wanted != Value::Bool(is_on)
            }
            "FilterCriteria" => {
                let none = json!([]);
                let filters = &shown["FilterCriteria"]["Filters"];
                wanted["Filters"] != *if filters.is_null() { &none } else { filters }
            }
            "FunctionResponseTypes" if shown[member].is_null() => *wanted != json!([]),
            _ => *wanted != shown[member],
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_mapping_does_not_differ() {
        let source: EventSource = toml::from_str(
            "arn = \"arn:aws:sqs:us-east-1:0:q\"\nbatch_size = 5\nenabled = true\nmaximum_concurrency = 2",
        )
        .unwrap();
        let mut shown = json!({
            "BatchSize": 5, "State": "Enabled", "ScalingConfig": {"MaximumConcurrency": 2}, "FunctionResponseTypes": [],
        });
        let wanted = Value::Object(settings(&source));
        assert!(!differs(&wanted, &shown));
        shown["State"] = "Disabled".into();
        assert!(differs(&wanted, &shown));
        shown["State"] = "Creating".into();
        shown["FilterCriteria"] = json!({"Filters": [{"Pattern": "{}"}]});
        assert!(differs(&wanted, &shown));
    }

    #[test]
    fn starting_position_that_cannot_change_is_refused() {
        let stream = |position: &str| -> EventSource {
            let arn = "arn:aws:kinesis:us-east-1:0:stream/s";
            toml::from_str(&format!(
                "arn = \"{arn}\"\nstarting_position = \"{position}\""
            ))
            .unwrap()
        };
        let shown = json!({"StartingPosition": "LATEST"});
        assert!(keeps_position(&stream("LATEST"), &shown).is_ok());
        let refused = keeps_position(&stream("TRIM_HORIZON"), &shown).unwrap_err();
        assert!(
            refused.to_string().contains("cannot become TRIM_HORIZON"),
            "{refused}"
        );
    }
}
