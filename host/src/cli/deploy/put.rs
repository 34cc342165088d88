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

/// Code of a function.
#[derive(Clone, Copy, Debug)]
pub(super) enum Code<'a> {
    Package(&'a [u8]),
    /// Reference of an image.
    Image(&'a str),
}

impl Code<'_> {
    /// `Code` of CreateFunction, and members of UpdateFunctionCode.
    fn members(self) -> Value {
        match self {
            Self::Package(package) => json!({"ZipFile": STANDARD.encode(package)}),
            Self::Image(uri) => json!({"ImageUri": uri}),
        }
    }

    /// Members of a configuration that go with this code.
    fn fitting(self, mut settings: Value) -> Value {
        if let (Self::Image(_), Some(members)) = (self, settings.as_object_mut()) {
            for member in ["Handler", "Runtime", "Layers"] {
                members.remove(member);
            }
        }
        settings
    }

    /// True if the host shows this code already. A tag is resolved again, without a change.
    async fn is_shown(self, client: &Client, name: &str, shown: &Value) -> anyhow::Result<bool> {
        let digest = match self {
            Self::Package(package) => Digest::of(package).base64().into(),
            Self::Image(_) => {
                let mut dry_run = self.members();
                dry_run["DryRun"] = true.into();
                let path = format!("{FUNCTIONS}/{name}/code");
                let resolved = client.lambda(Method::PUT, &path, Some(&dry_run)).await?;
                resolved["CodeSha256"].clone()
            }
        };
        Ok(shown["CodeSha256"] == digest)
    }
}

/// Creates the function, or updates its code and configuration where they differ.
pub(in crate::cli) async fn put(
    client: &Client,
    project: &Project,
    package: &[u8],
) -> anyhow::Result<Deployed> {
    put_code(client, project, Code::Package(package)).await
}

/// The same, for a package or an image.
pub(super) async fn put_code(
    client: &Client,
    project: &Project,
    code: Code<'_>,
) -> anyhow::Result<Deployed> {
    let name = project.name.clone();
    FunctionName::parse(&name).context("choose another name, with --name")?;
    let layers = wanted::layers(client, project).await?;
    let settings = code.fitting(settings(project, layers));
    let found = client
        .lambda(Method::GET, &format!("{FUNCTIONS}/{name}"), None)
        .await;
    let progress = output::spinner(&match code {
        Code::Package(package) => {
            let megabytes = package.len().div_ceil(1_000_000);
            format!("Deploying {name}: {megabytes} MB to compile")
        }
        Code::Image(uri) => format!("Deploying {name} from {uri}"),
    });
    let mut changes = match found {
        Ok(shown) => update(client, &name, &shown["Configuration"], &settings, code).await?,
        Err(error) if is_missing(&error) => {
            create(client, &name, settings, code).await?;
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
    code: Code<'_>,
) -> anyhow::Result<()> {
    let mut request = settings;
    request["FunctionName"] = name.into();
    request["Role"] = ROLE.into();
    request["Code"] = code.members();
    let defaults = [("Runtime", "provided.al2023"), ("Handler", "bootstrap")];
    let defaults = match code {
        Code::Package(_) => &defaults[..],
        Code::Image(_) => &[("PackageType", "Image")],
    };
    for (member, default) in defaults {
        if request[*member].is_null() {
            request[*member] = (*default).into();
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
    code: Code<'_>,
) -> anyhow::Result<Vec<String>> {
    let mut changes = wanted::differing(settings, shown);
    let is_reconfigured = !changes.is_empty();
    if !code.is_shown(client, name, shown).await? {
        client.idle(name).await?;
        let path = format!("{FUNCTIONS}/{name}/code");
        client
            .lambda(Method::PUT, &path, Some(&code.members()))
            .await?;
        changes.insert(0, "code".to_owned());
    }
    if is_reconfigured {
        client.idle(name).await?;
        let path = format!("{FUNCTIONS}/{name}/configuration");
        client.lambda(Method::PUT, &path, Some(settings)).await?;
    }
    Ok(changes)
}
