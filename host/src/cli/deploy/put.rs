//! Creation or update of one function. An update sends what differs only, because each change makes a new deployment
//! with new environments.

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};

use super::wanted::{self, settings};
use super::{Deployed, ROLE, schedules, sources};
use crate::cli::client::{Client, FUNCTIONS, is_missing};
use crate::cli::project::Project;
use crate::cli::{output, url};
use crate::names::FunctionName;
use crate::store::blob::Digest;

/// Creates the function, or updates its code and configuration where they differ.
pub(in crate::cli) async fn put(
    client: &Client,
    project: &Project,
    package: &[u8],
) -> anyhow::Result<Deployed> {
    let name = project.name.clone();
    FunctionName::parse(&name).context("choose another name, with --name")?;
    let layers = wanted::layers(client, project).await?;
    let settings = settings(project, layers);
    let found = client
        .lambda(Method::GET, &format!("{FUNCTIONS}/{name}"), None)
        .await;
    let megabytes = package.len().div_ceil(1_000_000);
    let progress = output::spinner(&format!("Deploying {name}: {megabytes} MB to compile"));
    let mut changes = match found {
        Ok(shown) => update(client, &name, &shown["Configuration"], &settings, package).await?,
        Err(error) if is_missing(&error) => {
            create(client, &name, settings, package).await?;
            vec!["new".to_owned()]
        }
        Err(error) => return Err(error),
    };
    let shown = client.settled(&name).await?;
    drop(progress);
    if project.is_declared {
        let applied = apply_triggers(client, project, &shown, &mut changes).await;
        applied.context("the function is deployed, but not all of its sources and schedules")?;
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(Deployed {
        url: url::apply(client, &name, project.settings.url).await?,
        name,
        arn: text(&shown["FunctionArn"]),
        log_group: text(&shown["LoggingConfig"]["LogGroup"]),
        changes,
    })
}

/// Applies event sources and schedules of a manifest.
async fn apply_triggers(
    client: &Client,
    project: &Project,
    shown: &Value,
    changes: &mut Vec<String>,
) -> anyhow::Result<()> {
    let (name, settings) = (&project.name, &project.settings);
    if sources::apply(client, name, &settings.sources).await? {
        changes.push("sources".to_owned());
    }
    let arn = shown["FunctionArn"].as_str().unwrap_or_default();
    if schedules::apply(client, (name, arn), &settings.schedules).await? {
        changes.push("schedules".to_owned());
    }
    Ok(())
}

async fn create(
    client: &Client,
    name: &str,
    settings: Value,
    package: &[u8],
) -> anyhow::Result<()> {
    let mut request = settings;
    request["FunctionName"] = name.into();
    request["Role"] = ROLE.into();
    request["Code"] = json!({"ZipFile": STANDARD.encode(package)});
    for (member, default) in [("Runtime", "provided.al2023"), ("Handler", "bootstrap")] {
        if request[member].is_null() {
            request[member] = default.into();
        }
    }
    client
        .lambda(Method::POST, FUNCTIONS, Some(&request))
        .await
        .map(drop)
}

/// Updates what differs, and names it.
async fn update(
    client: &Client,
    name: &str,
    shown: &Value,
    settings: &Value,
    package: &[u8],
) -> anyhow::Result<Vec<String>> {
    let mut changes = wanted::differing(settings, shown);
    let is_reconfigured = !changes.is_empty();
    if shown["CodeSha256"] != Digest::of(package).base64() {
        client.settled(name).await?;
        let code = json!({"ZipFile": STANDARD.encode(package)});
        let path = format!("{FUNCTIONS}/{name}/code");
        client.lambda(Method::PUT, &path, Some(&code)).await?;
        changes.insert(0, "code".to_owned());
    }
    if is_reconfigured {
        client.settled(name).await?;
        let path = format!("{FUNCTIONS}/{name}/configuration");
        client.lambda(Method::PUT, &path, Some(settings)).await?;
    }
    Ok(changes)
}
