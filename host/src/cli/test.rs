//! `lamina test`: runs saved events of functions on a host of its own, and compares the responses.
//!
//! `events/NAME.json` is an event; `events/NAME.expected.json` its response. Without the latter, the function must not
//! fail.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use serde::de::IgnoredAny;
use serde_json::Value;
use tokio::sync::oneshot;

use super::client::Client;
use super::function_argument::FunctionArgument;
use super::invoke::{Invoked, invoke};
use super::project::Project;
use super::speaker::Speaker;
use super::start::open_as;
use super::{Ended, deploy, dev, host_config, output, package};
use crate::config::{Aws, Config, HostLog};
use crate::disk;
use crate::host::HostBuilder;

/// Directory with the events of a function.
const EVENTS: &str = "events";
/// Data directory of the test's host, in the project.
const DATA_DIR: &str = ".lamina/test";
/// Installed runtimes in a data directory.
const RUNTIMES: &str = "runtimes";
const EVENT_SUFFIX: &str = ".json";
const EXPECTED_SUFFIX: &str = ".expected.json";

/// Run the saved events of functions and compare the responses.
///
/// A host of its own runs them, with its data in .lamina/test of the project and the runtimes of the project's host. It
/// polls no event sources and starts no schedules.
#[derive(Args, Clone, Debug)]
pub(super) struct Test {
    /// Directory of a function, or of a lamina.toml with several.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Run only events whose name contains this text.
    filter: Option<String>,
    /// Write the responses as the expected ones.
    #[arg(long)]
    update: bool,
    /// Configuration file of the host [default: [host] of lamina.toml].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Outcome of one event.
enum Outcome {
    Equal,
    /// Written as the expected response.
    Written,
    Differs {
        difference: String,
        log: String,
    },
}

/// A saved event.
struct Case {
    name: String,
    event: PathBuf,
    expected: PathBuf,
}

impl Test {
    pub(super) async fn run(self) -> anyhow::Result<Ended> {
        let filter = Some("warn".to_owned());
        Speaker::start(&HostLog {
            filter,
            ..HostLog::default()
        })?;
        let config = host_config::read(self.config.as_deref(), &self.dir)?;
        let mut tests = Vec::new();
        for mut project in Project::read(&self.dir)? {
            let cases = self.cases(&project)?;
            if !cases.is_empty() {
                without_sources(&mut project);
                let package = package::built(&project)?;
                tests.push((project, package, cases));
            }
        }
        if tests.is_empty() {
            bail!("{}", self.nothing());
        }
        let config = self.test_config(config)?;
        let host = open_as(&config, HostBuilder::without_sources).await?;
        let (stop, stopping) = oneshot::channel::<()>();
        let (access, serving) = dev::host::serve(host, config, stopping).await?;
        let client = Client::new(&access)?;
        let mut failures = 0;
        for (project, package, cases) in tests {
            let deployed = deploy::put(&client, &project, &package).await;
            deployed.with_context(|| project.name.clone())?;
            for case in cases {
                failures += usize::from(!self.passes(&client, &project, &case).await);
            }
        }
        drop(stop);
        serving.await??;
        Ok(match failures {
            0 => Ended::Well,
            _ => Ended::FunctionFailed,
        })
    }

    fn nothing(&self) -> String {
        match &self.filter {
            Some(filter) => format!("no event has `{filter}` in its name"),
            None => format!(
                "there are no events: save one as {EVENTS}/NAME{EVENT_SUFFIX} beside the function"
            ),
        }
    }

    /// Configuration of the test's own host. It calls no service of AWS.
    fn test_config(&self, mut config: Config) -> anyhow::Result<Config> {
        config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        config.tls = None;
        config.aws = Aws::default();
        config.triggers.clear();
        config.limits.settle_millis = 0;
        // Kept between runs, so that an unchanged component is compiled once.
        let base = if self.dir.is_dir() {
            &*self.dir
        } else {
            Path::new(".")
        };
        let installed = std::mem::replace(&mut config.data_dir, base.join(DATA_DIR));
        share_runtimes(&installed, &config.data_dir)?;
        Ok(config)
    }

    fn cases(&self, project: &Project) -> anyhow::Result<Vec<Case>> {
        let dir = project.dir.join(EVENTS);
        let entries = match std::fs::read_dir(&dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.with_context(|| dir.display().to_string())?,
        };
        let mut cases = Vec::new();
        for entry in entries {
            let file = entry?.file_name();
            let file = file.to_string_lossy();
            let name = file.strip_suffix(EVENT_SUFFIX);
            let Some(name) = name.filter(|_| !file.ends_with(EXPECTED_SUFFIX)) else {
                continue;
            };
            let is_wanted = self.filter.as_ref().is_none_or(|it| name.contains(&**it));
            if is_wanted {
                cases.push(Case {
                    name: format!("{}/{name}", project.name),
                    event: dir.join(&*file),
                    expected: dir.join(format!("{name}{EXPECTED_SUFFIX}")),
                });
            }
        }
        cases.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(cases)
    }

    /// Runs one event, and prints how it went.
    async fn passes(&self, client: &Client, project: &Project, case: &Case) -> bool {
        let failure = match self.outcome(client, project, case).await {
            Ok(Outcome::Written) => {
                output::line(&format!("written  {}", case.expected.display()));
                return true;
            }
            Ok(Outcome::Equal) => {
                output::line(&format!("ok      {}", case.name));
                return true;
            }
            Ok(Outcome::Differs { difference, log }) => {
                output::line(&format!("FAILED  {}\n{difference}", case.name));
                return note_log(&log);
            }
            Err(error) => output::chain(&error),
        };
        output::line(&format!("FAILED  {}\n  {failure}", case.name));
        false
    }

    async fn outcome(
        &self,
        client: &Client,
        project: &Project,
        case: &Case,
    ) -> anyhow::Result<Outcome> {
        let shown = || case.event.display().to_string();
        let event = std::fs::read_to_string(&case.event).with_context(shown)?;
        let parsed: Result<IgnoredAny, _> = serde_json::from_str(&event);
        parsed.with_context(|| format!("{} is not JSON", shown()))?;
        let function = FunctionArgument::parse(&project.name).map_err(anyhow::Error::msg)?;
        let invoked = invoke(client, &function, event).await?;
        let differs = |difference, log| Outcome::Differs { difference, log };
        // An error has the id of its request, which the next run cannot repeat.
        if self.update && invoked.failed {
            let difference = format!(
                "the function failed; nothing was written\n{}",
                pretty(&invoked.payload)
            );
            return Ok(differs(difference, invoked.log));
        }
        if self.update {
            std::fs::write(&case.expected, pretty(&invoked.payload) + "\n")?;
            return Ok(Outcome::Written);
        }
        Ok(match difference(case, &invoked)? {
            None => Outcome::Equal,
            Some(difference) => differs(difference, invoked.log),
        })
    }
}

/// Prints the log of a failed event. Always false.
fn note_log(log: &str) -> bool {
    output::note(log.trim_end());
    false
}

/// Removes what connects a function with others: events come from files only.
fn without_sources(project: &mut Project) {
    project.settings.url = None;
    project.settings.sources.clear();
    project.settings.schedules.clear();
}

/// Links the runtimes of the project's own host into the data directory of its tests, unless they have some.
fn share_runtimes(installed: &Path, data_dir: &Path) -> anyhow::Result<()> {
    let (from, link) = (installed.join(RUNTIMES), data_dir.join(RUNTIMES));
    let is_own = std::fs::symlink_metadata(&link).is_ok_and(|it| !it.is_symlink());
    let has_some = || std::fs::read_dir(&link).is_ok_and(|mut it| it.next().is_some());
    if !from.is_dir() || is_own && has_some() {
        return Ok(());
    }
    disk::create_dir_all(data_dir).with_context(|| data_dir.display().to_string())?;
    // An empty directory is of a run before the first installation.
    let _ = match is_own {
        true => std::fs::remove_dir(&link),
        false => std::fs::remove_file(&link),
    };
    let from = from.canonicalize()?;
    std::os::unix::fs::symlink(from, &link).with_context(|| link.display().to_string())
}

/// Difference from the expected response. Without one, a function error.
fn difference(case: &Case, invoked: &Invoked) -> anyhow::Result<Option<String>> {
    let response = pretty(&invoked.payload);
    let expected = match std::fs::read(&case.expected) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(invoked.failed.then_some(response));
        }
        expected => expected.with_context(|| case.expected.display().to_string())?,
    };
    let parsed: Value = serde_json::from_slice(&expected)
        .with_context(|| format!("{} is not JSON", case.expected.display()))?;
    // A response that is no JSON is compared as a string.
    let actual: Value = serde_json::from_slice(&invoked.payload)
        .unwrap_or_else(|_| String::from_utf8_lossy(&invoked.payload).into());
    Ok((parsed != actual).then(|| lines(&pretty(&expected), &response)))
}

fn pretty(payload: &[u8]) -> String {
    match serde_json::from_slice::<Value>(payload) {
        Ok(value) => format!("{value:#}"),
        Err(_) => Value::from(String::from_utf8_lossy(payload)).to_string(),
    }
}

/// Lines that differ, with - for expected and + for actual ones, between those that begin and end both.
fn lines(expected: &str, actual: &str) -> String {
    let (expected, actual): (Vec<_>, Vec<_>) =
        (expected.lines().collect(), actual.lines().collect());
    let start = expected
        .iter()
        .zip(&actual)
        .take_while(|(one, other)| one == other);
    let start = start.count();
    let rest = expected.len().min(actual.len()) - start;
    let end = expected.iter().rev().zip(actual.iter().rev());
    let end = end
        .take(rest)
        .take_while(|(one, other)| one == other)
        .count();
    let marked = |mark: char, lines: &[&str]| {
        let differing = &lines[start..lines.len() - end];
        let marked = differing.iter().map(|line| format!("  {mark} {line}\n"));
        marked.collect::<String>()
    };
    let text = marked('-', &expected) + &marked('+', &actual);
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_are_shared_unless_the_tests_have_some() {
        let dir = tempfile::tempdir().unwrap();
        let (installed, own) = (dir.path().join("host"), dir.path().join("test"));
        share_runtimes(&installed, &own).unwrap();
        assert!(!own.exists());
        std::fs::create_dir_all(own.join(RUNTIMES)).unwrap();
        std::fs::create_dir_all(installed.join(RUNTIMES)).unwrap();
        std::fs::write(installed.join("runtimes/python3.14.json"), "").unwrap();
        for _ in 0..2 {
            share_runtimes(&installed, &own).unwrap();
            assert!(own.join("runtimes/python3.14.json").is_file());
        }
        std::fs::remove_file(own.join(RUNTIMES)).unwrap();
        std::fs::create_dir_all(own.join("runtimes/kept")).unwrap();
        share_runtimes(&installed, &own).unwrap();
        assert!(own.join("runtimes/kept").is_dir());
    }

    #[test]
    fn only_differing_lines_are_shown() {
        let shown = lines(
            "{\n  \"a\": 1,\n  \"b\": 2\n}",
            "{\n  \"a\": 3,\n  \"b\": 2\n}",
        );
        assert_eq!(shown, "  -   \"a\": 1,\n  +   \"a\": 3,");
        assert_eq!(lines("1", "1\n2"), "  + 2");
        assert_eq!(pretty(b"not json"), "\"not json\"");
    }
}
