//! `lamina dev`: builds functions, starts a host, deploys and invokes them, and repeats on every change of their
//! sources and their configuration.

use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::sync::oneshot;

use super::client::Client;
use super::deploy::{self, Deployed};
use super::function_argument::FunctionArgument;
use super::invoke::invoke;
use super::project::Project;
use super::start::{Start, Stops, open, stopped};
use super::url::UrlAccess;
use super::watch::{Sources, Watch};
use super::{Access, Ended, output, package};
use crate::clock::Clock;
use crate::config::Config;

pub(super) mod host;
mod introduction;
mod stream;

use stream::LogStream;

const LOG_POLL: Duration = Duration::from_millis(300);

/// Start a host, deploy functions, and redeploy them on every change.
#[derive(Args, Clone, Debug)]
pub(super) struct Dev {
    /// Directory of a function, or of a lamina.toml with several; or a component or package.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Exit after the first invocation.
    #[arg(long)]
    once: bool,
    /// Function URL: none, iam (signed requests only) or public (anyone who can reach the host)
    /// [default: `url` of the manifest; else public if the host has no keys, because then only this machine can reach it; else
    /// none].
    #[arg(long, value_enum, value_name = "ACCESS", hide_possible_values = true)]
    url: Option<UrlAccess>,
    #[command(flatten)]
    start: Start,
}

impl Dev {
    pub(super) async fn run(self) -> anyhow::Result<Ended> {
        let (mut config, speaker) = self.start.logged_config(&self.dir)?;
        if config.limits.settle_millis == Config::default().limits.settle_millis {
            // The wait is for clients that expect to see a change in progress.
            config.limits.settle_millis = 0;
        }
        let unkeyed = config.keys.is_empty().then_some(UrlAccess::Public);
        let mut session = Session {
            dir: self.dir,
            url: (self.url, unkeyed),
            data_dir: config.data_dir.clone(),
            once: self.once,
            clock: Clock::system(),
            logs: LogStream::default(),
        };
        let projects = session.projects()?;
        // Watch before the first build, so that changes made during it trigger the next one.
        let mut changes = Changes {
            watch: Watch::on(session.sources(&projects)?)?,
            stopped: Box::pin(stopped(Stops::WithTerminal, speaker)?),
        };
        let Some(built) = session.first_build(&mut changes).await? else {
            return Ok(Ended::Well);
        };
        let (stop, stopping) = oneshot::channel::<()>();
        let (access, serving) = host::serve(open(&config).await?, config, stopping).await?;
        let ended = session.develop(&access, built, &mut changes).await?;
        drop(stop);
        serving.await??;
        Ok(ended)
    }
}

/// Sources of changes and of the signal to stop.
struct Changes {
    watch: Watch,
    stopped: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Changes {
    /// Waits for a change. False after a stop signal.
    async fn next(&mut self, session: &Session) -> bool {
        output::note("waiting for a change; Ctrl-C quits");
        tokio::select! {
            biased;
            () = &mut self.stopped => return false,
            () = self.watch.changed() => {}
        }
        // A half-written manifest fails here too; the build that follows reports it.
        let _ = self.watch_new_dependencies(session);
        true
    }

    /// Updates the watched directories; manifests may have new functions and path dependencies.
    fn watch_new_dependencies(&mut self, session: &Session) -> anyhow::Result<()> {
        let sources = session.sources(&session.projects()?)?;
        self.watch.also(&sources)
    }
}

/// Functions under development.
struct Session {
    dir: PathBuf,
    /// Access to function URLs: by option, and by default.
    url: (Option<UrlAccess>, Option<UrlAccess>),
    data_dir: PathBuf,
    /// Exit after the first invocation or failure.
    once: bool,
    clock: Clock,
    logs: LogStream,
}

/// A built function with the time that its build took.
struct Built {
    project: Project,
    package: Vec<u8>,
    time: Duration,
}

impl Session {
    /// Reads the functions anew, with their configuration.
    fn projects(&self) -> anyhow::Result<Vec<Project>> {
        let mut projects = Project::read(&self.dir)?;
        let (option, default) = self.url;
        for project in &mut projects {
            let url = &mut project.settings.url;
            *url = option.or(*url).or(default);
        }
        Ok(projects)
    }

    fn sources(&self, projects: &[Project]) -> anyhow::Result<Sources> {
        let mut dirs = Vec::new();
        let mut ignored = vec![self.data_dir.clone()];
        for project in projects {
            let (own, made) = project.sources()?;
            dirs.extend(own);
            ignored.extend(made);
        }
        if self.dir.is_dir() {
            dirs.push(self.dir.clone());
        }
        Sources::new(&dirs, &ignored)
    }

    fn build(&self) -> anyhow::Result<Vec<Built>> {
        let build = |project: Project| {
            output::note(&output::bold(&format!("Building {}", project.name)));
            let begun = self.clock.instant();
            // The build prints its own progress.
            let package = package::built(&project)?;
            Ok(Built {
                project,
                package,
                time: self.clock.instant() - begun,
            })
        };
        self.projects()?.into_iter().map(build).collect()
    }

    /// Builds until success. `None` after a stop signal.
    async fn first_build(&self, changes: &mut Changes) -> anyhow::Result<Option<Vec<Built>>> {
        loop {
            match self.build() {
                Err(error) if !self.once => output::error(&error),
                done => return done.map(Some),
            }
            if !changes.next(self).await {
                return Ok(None);
            }
        }
    }

    /// Deploys until success. `None` after a stop signal.
    async fn first_deployment(
        &mut self,
        client: &Client,
        built: Vec<Built>,
        changes: &mut Changes,
    ) -> anyhow::Result<Option<(Vec<Deployed>, Ended)>> {
        let mut built = Ok(built);
        loop {
            let deployed = match built {
                Ok(built) => self.deploy(client, built, true).await,
                Err(error) => Err(error),
            };
            match deployed {
                Err(error) if !self.once => output::error(&error),
                done => return done.map(Some),
            }
            if !changes.next(self).await {
                return Ok(None);
            }
            built = self.build();
        }
    }

    async fn develop(
        &mut self,
        access: &Access,
        built: Vec<Built>,
        changes: &mut Changes,
    ) -> anyhow::Result<Ended> {
        let client = Client::new(access)?;
        let deployed = self.first_deployment(&client, built, changes).await?;
        let Some((deployed, ended)) = deployed else {
            return Ok(Ended::Well);
        };
        introduction::introduce(access, &deployed);
        if self.once {
            return Ok(ended);
        }
        self.follow(&client, changes).await?;
        Ok(Ended::Well)
    }

    /// Prints the logs and redeploys changes until a stop signal.
    async fn follow(&mut self, client: &Client, changes: &mut Changes) -> anyhow::Result<()> {
        output::note("watching for changes; Ctrl-C quits");
        loop {
            tokio::select! {
                biased;
                () = &mut changes.stopped => return Ok(()),
                () = changes.watch.changed() => {
                    if let Err(error) = self.again(client, changes).await {
                        output::error(&error);
                    }
                }
                () = tokio::time::sleep(LOG_POLL) => self.logs.print(client).await?,
            }
        }
    }

    async fn again(&mut self, client: &Client, changes: &mut Changes) -> anyhow::Result<()> {
        changes.watch_new_dependencies(self)?;
        let built = self.build()?;
        self.deploy(client, built, false).await.map(drop)
    }

    /// Deploys functions and invokes those that changed. The first time, all are invoked.
    async fn deploy(
        &mut self,
        client: &Client,
        built: Vec<Built>,
        is_first: bool,
    ) -> anyhow::Result<(Vec<Deployed>, Ended)> {
        let names: Vec<_> = built.iter().map(|it| it.project.name.clone()).collect();
        let (mut all, mut ended) = (Vec::new(), Ended::Well);
        for Built {
            project,
            package,
            time,
        } in built
        {
            let begun = self.clock.instant();
            let deployed = deploy::put(client, &project, &package).await?;
            deployed.note_times(time, self.clock.instant() - begun);
            if is_first || !deployed.changes.is_empty() {
                self.logs.follow(client, &deployed, &names).await?;
                let tried = self.try_out(client, &project, &deployed).await;
                match tried {
                    Err(error) if !self.once => output::error(&error),
                    Ok(Ended::Well) => {}
                    tried => ended = tried?,
                }
            }
            all.push(deployed);
        }
        Ok((all, ended))
    }

    async fn try_out(
        &mut self,
        client: &Client,
        project: &Project,
        deployed: &Deployed,
    ) -> anyhow::Result<Ended> {
        let event = project.sample_event()?;
        let function = FunctionArgument::parse(&deployed.name).map_err(anyhow::Error::msg)?;
        let invoked = invoke(client, &function, event)
            .await
            .context("the first invoke")?;
        match self.once {
            // The log of the response, because the host ends soon.
            true => self.logs.print_lines(&deployed.name, &invoked.log),
            false => self.logs.print(client).await?,
        }
        let payload = String::from_utf8_lossy(&invoked.payload);
        self.logs.print_line(&deployed.name, &payload);
        Ok(match invoked.failed {
            true => Ended::FunctionFailed,
            false => Ended::Well,
        })
    }
}
