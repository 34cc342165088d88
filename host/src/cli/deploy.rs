//! `lamina deploy`: builds functions and creates or updates them on a running host, through the public API.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;

use super::client::Client;
use super::project::manifest::Manifest;
use super::project::{Project, Source};
use super::url::{Url, UrlAccess};
use super::{Ended, Format, output, package, sign};
use crate::clock::Clock;

mod put;
mod schedules;
mod sources;
mod wanted;

use put::Code;
pub(super) use put::put;

/// Placeholder role: CreateFunction and CreateSchedule require one, and this host assumes none.
const ROLE: &str = "arn:aws:iam::000000000000:role/lamina";

/// Build functions and deploy them to a running host.
#[derive(Args, Clone, Debug)]
pub(super) struct Deploy {
    /// Directory of a function, or of a lamina.toml with several; or a component (.wasm) or package (.zip).
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Function of a lamina.toml with several; may be repeated [default: all].
    #[arg(long, value_name = "NAME")]
    function: Vec<String>,
    /// Container image to deploy, registry/repository:tag, rather than to build. The host pulls it.
    #[arg(long, value_name = "IMAGE", conflicts_with_all = ["runtime", "handler", "sign_key"])]
    image: Option<String>,
    #[command(flatten)]
    overrides: Overrides,
    /// Private key that signs the package.
    #[arg(long, value_name = "FILE", requires = "sign_profile")]
    sign_key: Option<PathBuf>,
    /// ARN of the signing profile version that has the public key.
    #[arg(long, value_name = "ARN", requires = "sign_key")]
    sign_profile: Option<String>,
}

/// Settings that override those of lamina.toml.
#[derive(Args, Clone, Debug)]
pub(super) struct Overrides {
    /// Function name [default: the package's, or the file's].
    #[arg(long)]
    name: Option<String>,
    /// Memory in MiB [default: `memory` of the manifest; else unchanged, 128 for a new function].
    #[arg(long, value_name = "MIB")]
    memory: Option<u32>,
    /// Timeout in seconds [default: `timeout` of the manifest; else unchanged, 3 for a new function].
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u32>,
    /// Environment variable; may be repeated. Together with `environment` of the manifest, replaces all variables of the function.
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// Runtime, such as python3.14 [default: provided.al2023].
    #[arg(long)]
    runtime: Option<String>,
    /// Handler, such as app.handler [default: bootstrap].
    #[arg(long)]
    handler: Option<String>,
    /// Function URL: none, iam (signed requests only) or public (anyone who can reach the host). If
    /// not given, `url` of the manifest applies; without it, the URL stays unchanged.
    #[arg(long, value_enum, value_name = "ACCESS", hide_possible_values = true)]
    url: Option<UrlAccess>,
}

/// A deployed function.
#[derive(Clone, Debug)]
pub(super) struct Deployed {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) url: Option<Url>,
    pub(super) log_group: String,
    /// Parts that the host had otherwise: `code`, members of the configuration, or `new`.
    pub(super) changes: Vec<String>,
}

impl Deploy {
    pub(super) async fn run(self, client: &Client, format: Format) -> anyhow::Result<Ended> {
        let mut projects = self.selected(self.projects()?)?;
        if self.image.is_some() && projects.len() > 1 {
            bail!("--image is the code of one function; select one with --function");
        }
        if self.overrides.name.is_some() && projects.len() > 1 {
            bail!(
                "--name names one function, and lamina.toml has several; select one with --function"
            );
        }
        let clock = Clock::system();
        for project in &mut projects {
            self.overrides.apply(project);
            let begun = clock.instant();
            let package = match &self.image {
                Some(_) => Vec::new(),
                None => self.signed(package::built(project)?)?,
            };
            let built = clock.instant();
            let image = self.image.as_deref().map(Code::Image);
            let code = image.unwrap_or(Code::Package(&package));
            let deployed = put::put_code(client, project, code).await;
            let deployed = deployed.with_context(|| project.name.clone())?;
            output::line(&deployed.shown(format));
            deployed.note_times(built - begun, clock.instant() - built);
            deployed.warn_if_public();
        }
        Ok(Ended::Well)
    }

    /// Functions of the path. An image needs none there, but a name.
    fn projects(&self) -> anyhow::Result<Vec<Project>> {
        let read = Project::read(&self.path);
        match (read, &self.image, &self.overrides.name) {
            (Err(_), Some(_), Some(name)) => Ok(vec![Project {
                dir: self.path.clone(),
                name: name.clone(),
                is_declared: false,
                settings: Manifest::default(),
                source: Source::Artifact {
                    command: None,
                    path: self.path.clone(),
                },
            }]),
            (read, ..) => read,
        }
    }

    fn selected(&self, projects: Vec<Project>) -> anyhow::Result<Vec<Project>> {
        let is_known = |name: &&String| projects.iter().any(|it| it.name == **name);
        if let Some(name) = self.function.iter().find(|it| !is_known(it)) {
            bail!("{} has no function {name}", self.path.display());
        }
        let is_selected =
            |it: &Project| self.function.is_empty() || self.function.contains(&it.name);
        Ok(projects.into_iter().filter(is_selected).collect())
    }

    fn signed(&self, package: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        match self.sign_key.as_ref().zip(self.sign_profile.as_ref()) {
            None => Ok(package),
            Some((key, profile)) => {
                let (signed, _) = sign::signed(package.into(), key, profile, None)?;
                Ok(signed.into())
            }
        }
    }
}

impl Overrides {
    fn apply(&self, project: &mut Project) {
        let Manifest {
            memory,
            timeout,
            environment,
            runtime,
            handler,
            url,
            ..
        } = &mut project.settings;
        *memory = self.memory.or(*memory);
        *timeout = self.timeout.or(*timeout);
        *url = self.url.or(*url);
        environment.extend(self.env.iter().cloned());
        for (setting, given) in [(runtime, &self.runtime), (handler, &self.handler)] {
            if given.is_some() {
                setting.clone_from(given);
            }
        }
        if let Some(name) = &self.name {
            project.name.clone_from(name);
        }
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

    /// Prints the times of build and deployment.
    pub(super) fn note_times(&self, build: std::time::Duration, deployment: std::time::Duration) {
        let (name, build, deployment) = (&self.name, build.as_secs_f64(), deployment.as_secs_f64());
        let changes = self.changes.join(", ");
        output::note(&match self.changes.is_empty() {
            false => {
                format!("{name}: built in {build:.1} s, deployed in {deployment:.1} s ({changes})")
            }
            true => format!("{name}: built in {build:.1} s, unchanged on the host"),
        });
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

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE is expected")?;
    Ok((name.to_owned(), value.to_owned()))
}
