//! `lamina dev`: the inner loop. Builds a function, starts a host, deploys it there, invokes it once,
//! and does so again whenever a source changes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::sync::oneshot;

use super::client::Client;
use super::deploy::{self, Deployed};
use super::invoke::invoke;
use super::logs::{Follower, print};
use super::project::Project;
use super::start::{Start, log_to_stderr, open, stopped};
use super::watch::Watch;
use super::{Access, Ended, Format, build, output};

const LOG_POLL: Duration = Duration::from_millis(300);

/// Start a host, deploy a function, and deploy it again whenever it changes.
#[derive(Args, Clone, Debug)]
pub(super) struct Dev {
    /// The function's crate.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Exit after the first invoke.
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    start: Start,
}

impl Dev {
    pub(super) async fn run(self, access: &Access) -> anyhow::Result<Ended> {
        log_to_stderr();
        let project = Project::read(&self.dir)?;
        let component = built(&project)?;
        let config = self.start.config()?;
        let host = open(&config).await?;
        let (bound, address) = oneshot::channel();
        let (stop, stopping) = oneshot::channel::<()>();
        let serving = tokio::spawn(async move {
            // Whoever waits for it has gone only when the command has failed.
            let bound = |address: SocketAddr| {
                let _ = bound.send(address);
            };
            // Ready when the sender is dropped, which is how it is told.
            host.serve(config.listen, bound, async { drop(stopping.await) })
                .await
        });
        let Ok(address) = address.await else {
            serving.await??;
            anyhow::bail!("the host ended before it answered");
        };
        let access = Access {
            endpoint_url: format!("http://{address}"),
            ..access.clone()
        };
        let client = Client::new(&access)?;
        let deployed = deploy::put(&client, &project, &component).await?;
        let ended = try_out(&client, &project, &deployed).await?;
        introduce(&client, &deployed);
        if !self.once {
            self.follow(&client, project, &deployed).await?;
        }
        drop(stop);
        serving.await??;
        Ok(if self.once { ended } else { Ended::Well })
    }

    /// Shows the log, and deploys what changes, until told to stop.
    async fn follow(
        &self,
        client: &Client,
        project: Project,
        deployed: &Deployed,
    ) -> anyhow::Result<()> {
        let mut watch = Watch::on(&self.dir)?;
        let mut follower = Follower::default();
        follower.next(client, &deployed.name).await?;
        let mut stopped = std::pin::pin!(stopped()?);
        output::note("watching for changes; ctrl-c ends");
        loop {
            tokio::select! {
                () = &mut stopped => return Ok(()),
                () = watch.changed() => {
                    if let Err(error) = again(client, &project).await {
                        output::error(&error);
                    }
                }
                () = tokio::time::sleep(LOG_POLL) => {
                    let events = follower.next(client, &deployed.name).await?;
                    events.iter().for_each(|event| print(event, Format::Text));
                }
            }
        }
    }
}

async fn again(client: &Client, project: &Project) -> anyhow::Result<()> {
    let component = built(project)?;
    let deployed = deploy::put(client, project, &component).await?;
    try_out(client, project, &deployed).await.map(drop)
}

fn built(project: &Project) -> anyhow::Result<PathBuf> {
    output::note(&output::bold(&format!("Building {}", project.name)));
    // Cargo writes its own progress to the terminal.
    build::component(project)
}

async fn try_out(client: &Client, project: &Project, deployed: &Deployed) -> anyhow::Result<Ended> {
    let event = project.sample_event()?;
    let invoked = invoke(client, &deployed.name, event)
        .await
        .context("the first invoke")?;
    output::line(&String::from_utf8_lossy(&invoked.payload));
    let report = invoked.log.lines().find(|line| line.starts_with("REPORT"));
    output::line(report.unwrap_or(&invoked.log));
    Ok(if invoked.failed {
        Ended::FunctionFailed
    } else {
        Ended::Well
    })
}

/// What to type next.
fn introduce(client: &Client, deployed: &Deployed) {
    let (name, endpoint) = (&deployed.name, client.endpoint());
    output::line(&format!("\n{}  {}", output::bold("URL"), deployed.url));
    output::line(&format!("\n  curl {}", deployed.url));
    output::line(&format!(
        "\n  AWS_ACCESS_KEY_ID=lamina AWS_SECRET_ACCESS_KEY=lamina AWS_DEFAULT_REGION=us-east-1 \\\n  \
         aws lambda invoke --endpoint-url {endpoint} --function-name {name} /dev/stdout\n"
    ));
}
