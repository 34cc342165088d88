//! `lamina deploy`: builds a crate and creates or updates a function on a running host, through the
//! public API.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use http::Method;
use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::client::{Client, FUNCTIONS, is_missing};
use super::project::Project;
use super::url::{self, Url, UrlAccess};
use super::{Ended, Format, build, output};
use crate::names::FunctionName;

/// Placeholder role: CreateFunction requires one, and this host assumes none.
const ROLE: &str = "arn:aws:iam::000000000000:role/lamina";

/// Build a function and deploy it to a running host.
#[derive(Args, Clone, Debug)]
pub(super) struct Deploy {
    /// Directory of the function's crate.
    #[arg(default_value = ".")]
    pub(super) dir: PathBuf,
    /// Function name [default: the package's].
    #[arg(long)]
    pub(super) name: Option<String>,
    /// Memory in MiB.
    #[arg(long, value_name = "MIB")]
    pub(super) memory: Option<u32>,
    /// Timeout in seconds.
    #[arg(long, value_name = "SECONDS")]
    pub(super) timeout: Option<u32>,
    /// Environment variable; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub(super) env: Vec<(String, String)>,
    /// Function URL: none, iam (signed requests only) or public (anyone who can reach the host). If
    /// not given, the URL stays unchanged.
    #[arg(long, value_enum, value_name = "ACCESS", hide_possible_values = true)]
    pub(super) url: Option<UrlAccess>,
}

/// A deployed function.
#[derive(Clone, Debug)]
pub(super) struct Deployed {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) url: Option<Url>,
    pub(super) log_group: String,
}

impl Deploy {
    pub(super) async fn run(self, client: &Client, format: Format) -> anyhow::Result<Ended> {
        let mut project = Project::read(&self.dir)?;
        self.apply(&mut project);
        let component = build::component(&project)?;
        let deployed = put(client, &project, &component).await?;
        output::line(&deployed.shown(format));
        deployed.warn_if_public();
        Ok(Ended::Well)
    }

    /// Overrides the manifest's settings with command-line options.
    fn apply(self, project: &mut Project) {
        let settings = &mut project.settings;
        settings.name = self.name.or_else(|| settings.name.take());
        settings.memory = self.memory.or(settings.memory);
        settings.timeout = self.timeout.or(settings.timeout);
        settings.env.extend(self.env);
        settings.url = self.url.or(settings.url);
    }
}

impl Deployed {
    fn shown(&self, format: Format) -> String {
        let url = self.url.as_ref();
        match format {
            Format::Text => {
                let url = url.map(|url| format!("\n{}", url.address));
                format!("{}{}", self.arn, url.unwrap_or_default())
            }
            Format::Json => json!({
                "FunctionName": self.name,
                "FunctionArn": self.arn,
                "FunctionUrl": url.map(|url| &url.address),
                "AuthType": url.map(|url| &url.auth_type),
            })
            .to_string(),
        }
    }

    /// Warns if the URL is public.
    pub(super) fn warn_if_public(&self) {
        if self.url.as_ref().is_some_and(Url::is_unsigned) {
            output::note(
                "the URL is public: anyone who reaches the host may call it. `lamina deploy --url iam` requires \
                 signatures, `--url none` deletes it",
            );
        }
    }
}

/// Creates the function, or updates its code.
pub(super) async fn put(
    client: &Client,
    project: &Project,
    component: &Path,
) -> anyhow::Result<Deployed> {
    let name = project.function_name().to_owned();
    FunctionName::parse(&name).context("choose another name, with --name")?;
    let zip = STANDARD.encode(package(component)?);
    let found = client
        .lambda(Method::GET, &format!("{FUNCTIONS}/{name}"), None)
        .await;
    match found {
        Ok(_) => update(client, project, &name, &zip).await?,
        Err(error) if is_missing(&error) => create(client, project, &name, &zip).await?,
        Err(error) => return Err(error),
    }
    let shown = client.settled(&name).await?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(Deployed {
        url: url::apply(client, &name, project.settings.url).await?,
        name,
        arn: text(&shown["FunctionArn"]),
        log_group: text(&shown["LoggingConfig"]["LogGroup"]),
    })
}

async fn create(client: &Client, project: &Project, name: &str, zip: &str) -> anyhow::Result<()> {
    let mut request = settings(project);
    request["FunctionName"] = name.into();
    request["Runtime"] = "provided.al2023".into();
    request["Handler"] = "bootstrap".into();
    request["Role"] = ROLE.into();
    request["Code"] = json!({"ZipFile": zip});
    client
        .lambda(Method::POST, FUNCTIONS, Some(&request))
        .await
        .map(drop)
}

async fn update(client: &Client, project: &Project, name: &str, zip: &str) -> anyhow::Result<()> {
    client.settled(name).await?;
    let code = json!({"ZipFile": zip});
    client
        .lambda(
            Method::PUT,
            &format!("{FUNCTIONS}/{name}/code"),
            Some(&code),
        )
        .await?;
    let settings = settings(project);
    if settings
        .as_object()
        .is_some_and(|settings| !settings.is_empty())
    {
        client.settled(name).await?;
        let path = format!("{FUNCTIONS}/{name}/configuration");
        client.lambda(Method::PUT, &path, Some(&settings)).await?;
    }
    Ok(())
}

/// Settings in the manifest, as members of the request.
fn settings(project: &Project) -> Value {
    let settings = &project.settings;
    let mut request = json!({});
    if let Some(memory) = settings.memory {
        request["MemorySize"] = memory.into();
    }
    if let Some(timeout) = settings.timeout {
        request["Timeout"] = timeout.into();
    }
    if !settings.env.is_empty() {
        request["Environment"] = json!({"Variables": settings.env});
    }
    request
}

fn package(component: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = std::fs::read(component).with_context(|| component.display().to_string())?;
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("bootstrap.wasm", SimpleFileOptions::default())?;
    zip.write_all(&bytes)?;
    Ok(zip.finish()?.into_inner())
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE is expected")?;
    Ok((name.to_owned(), value.to_owned()))
}
