//! `lamina.toml` of a project: its functions and all that is configured of them. Without the file, `lamina` reads
//! `[package.metadata.lamina]` of `Cargo.toml`, which has the same keys.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use crate::cli::secrets;
use crate::cli::url::UrlAccess;
use crate::config::{Config, Document};

/// File name of the manifest.
pub(in crate::cli) const FILE: &str = "lamina.toml";

/// Configuration of a function, or of several.
///
/// With `[[functions]]`, the keys at the top are defaults of all functions: `memory`, `timeout`, `runtime`,
/// `environment`, `layers` and `url`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "lamina.toml of a project")]
pub(in crate::cli) struct Manifest {
    /// Function name. Default: the name of the crate, or of the directory.
    pub(in crate::cli) name: Option<String>,
    /// Description of the function.
    pub(in crate::cli) description: Option<String>,
    /// Memory in MiB. Default: 128.
    pub(in crate::cli) memory: Option<u32>,
    /// Timeout in seconds. Default: 3.
    pub(in crate::cli) timeout: Option<u32>,
    /// Runtime, such as `python3.14`. Default: `provided.al2023`, which runs components.
    pub(in crate::cli) runtime: Option<String>,
    /// Handler: of a managed runtime `module.function`, else the file of the component. Default: `bootstrap`.
    pub(in crate::cli) handler: Option<String>,
    /// Environment variables.
    #[serde(alias = "env")]
    pub(in crate::cli) environment: BTreeMap<String, String>,
    /// Function URL. Without the key, an existing one stays as it is.
    pub(in crate::cli) url: Option<UrlAccess>,
    /// Files and directories to package, relative to the function's directory. The function finds them below /var/task.
    pub(in crate::cli) assets: Vec<String>,
    /// Layers: ARNs of versions, or `NAME:VERSION`. Later ones win.
    pub(in crate::cli) layers: Vec<String>,
    /// Event sources, which become event source mappings. A mapping that the manifest made is deleted once its source is
    /// no longer here; others stay.
    pub(in crate::cli) sources: Vec<EventSource>,
    /// Schedules of the function, in EventBridge Scheduler's group `lamina`. Those of the function that are no longer here
    /// are deleted.
    pub(in crate::cli) schedules: Vec<Schedule>,
    /// Build of the function.
    pub(in crate::cli) build: Option<Build>,
    /// Directory of the function, relative to the manifest, in `[[functions]]`. Default: the manifest's.
    pub(in crate::cli) dir: Option<PathBuf>,
    /// Functions of a project with several.
    pub(in crate::cli) functions: Vec<Manifest>,
    /// Host of `lamina dev`, with the keys of a host's configuration.
    pub(in crate::cli) host: Option<Box<Config>>,
}

/// Build of a function. Without `artifact`, cargo builds the crate.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::cli) struct Build {
    /// Command for the shell, run in the function's directory. Default: none, because the artifact exists.
    pub(in crate::cli) command: Option<String>,
    /// Result of the command: a component (`.wasm`), a package (`.zip`) or a directory to package.
    pub(in crate::cli) artifact: Option<PathBuf>,
    /// Cargo's target directory is one for all functions of this user, in its cache directory, unless
    /// `CARGO_TARGET_DIR` is set: dependencies are compiled once.
    pub(in crate::cli) shared_target: bool,
}

/// Event source of a function.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::cli) struct EventSource {
    /// ARN of a queue or a stream.
    pub(in crate::cli) arn: String,
    /// Records of one invocation at most. Default: that of AWS for the source.
    pub(in crate::cli) batch_size: Option<u32>,
    /// Seconds to wait for a full batch.
    pub(in crate::cli) window_seconds: Option<u32>,
    /// Concurrent invocations at most, of a queue.
    pub(in crate::cli) maximum_concurrency: Option<u32>,
    /// The function names the records that failed (`batchItemFailures`); only they come again.
    #[serde(default)]
    pub(in crate::cli) partial_failures: bool,
    /// Filter patterns as JSON; a record needs to match one of them.
    #[serde(default)]
    pub(in crate::cli) filters: Vec<String>,
    /// Position in a new stream: `LATEST` or `TRIM_HORIZON`.
    pub(in crate::cli) starting_position: Option<String>,
    /// Batches of one shard at a time, in the order of their keys.
    pub(in crate::cli) parallelization: Option<u32>,
    /// Retries of a failing batch of a stream. Default: until its records expire.
    pub(in crate::cli) retries: Option<u32>,
    /// Age in seconds from which on records of a stream are given up.
    pub(in crate::cli) maximum_age_seconds: Option<u32>,
    /// A failing batch of a stream is split in two.
    pub(in crate::cli) bisect: Option<bool>,
    /// Seconds of a tumbling window.
    pub(in crate::cli) tumbling_window_seconds: Option<u32>,
    /// ARN of the queue, topic or bucket that gets records of discarded batches.
    pub(in crate::cli) on_failure: Option<String>,
    /// False stops the polling.
    pub(in crate::cli) enabled: Option<bool>,
}

/// Schedule of a function.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::cli) struct Schedule {
    /// Name among the schedules of the function: letters, digits, hyphens and underscores.
    pub(in crate::cli) name: String,
    /// Times of the runs: `rate(5 minutes)`, `cron(0 3 * * ? *)` or `at(2027-01-01T00:00:00)`.
    pub(in crate::cli) expression: String,
    /// Time zone of the expression, such as `Europe/Vienna`. Default: UTC.
    pub(in crate::cli) timezone: Option<String>,
    /// Event as JSON. Default: the event of EventBridge Scheduler.
    pub(in crate::cli) input: Option<String>,
    /// Minutes within which a run begins. Default: it begins on time.
    pub(in crate::cli) flexible_minutes: Option<u32>,
    /// False stops the runs.
    pub(in crate::cli) enabled: Option<bool>,
}

/// Contents of a file `lamina.toml`.
#[derive(Debug)]
pub(in crate::cli) enum File {
    Project(Box<Manifest>),
    /// Configuration of a host.
    Host,
}

/// Reads the file of a directory, if there is one.
pub(in crate::cli) fn read(dir: &Path) -> anyhow::Result<Option<File>> {
    let path = dir.join(FILE);
    match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
        Ok(text) => {
            let parsed = parse(&text);
            parsed
                .with_context(|| format!("{} is not valid", path.display()))
                .map(Some)
        }
    }
}

fn parse(text: &str) -> anyhow::Result<File> {
    let mut document = Document::parse(text)?;
    // The commands that read a host's configuration read its secrets as well.
    secrets::ignore_files(&mut document)?;
    match owners(&document) {
        (None, Some(_)) => Ok(File::Host),
        (Some(own), Some(key)) => bail!(
            "`{own}` belongs to a project, and `{key}` to a host: move the host's keys below [host]"
        ),
        (_, None) => Ok(File::Project(Box::new(document.read()?))),
    }
}

/// First key at the top that is of a project, and first one that is of a host.
fn owners(document: &Document<'_>) -> (Option<String>, Option<String>) {
    let table = document.table.get_ref();
    let first = |known: &[String]| {
        let mut keys = table.keys().map(|it| it.get_ref().to_string());
        keys.find(|key| known.contains(key))
    };
    (
        first(&keys(schema_for!(Manifest))),
        first(&keys(schema_for!(Config))),
    )
}

/// Refuses the manifest of a project where a host's configuration is expected.
pub(in crate::cli) fn require_of_host(document: &Document<'_>) -> anyhow::Result<()> {
    match owners(document) {
        (Some(own), None) => bail!(
            "`{own}` belongs to a project: name the configuration of a host, or start in the project's directory \
             to use its [host]"
        ),
        _ => Ok(()),
    }
}

/// JSON schema of the file.
pub(in crate::cli) fn schema() -> String {
    let schema = serde_json::to_string_pretty(&schema_for!(Manifest));
    schema.expect("a schema is JSON")
}

/// Names of the keys of an object.
fn keys(schema: schemars::Schema) -> Vec<String> {
    let properties = schema
        .get("properties")
        .and_then(serde_json::Value::as_object);
    properties
        .into_iter()
        .flat_map(|it| it.keys().cloned())
        .collect()
}

impl Manifest {
    /// Functions of the manifest with their directories, completed by the keys at the top.
    pub(in crate::cli) fn into_functions(mut self, dir: &Path) -> anyhow::Result<Vec<Self>> {
        let functions = std::mem::take(&mut self.functions);
        if functions.is_empty() {
            return Ok(vec![Self {
                dir: Some(
                    self.dir
                        .as_ref()
                        .map_or_else(|| dir.to_owned(), |it| dir.join(it)),
                ),
                ..self
            }]);
        }
        for (key, is_given) in [
            ("name", self.name.is_some()),
            ("dir", self.dir.is_some()),
            ("build", self.build.is_some()),
            ("assets", !self.assets.is_empty()),
            ("sources", !self.sources.is_empty()),
            ("schedules", !self.schedules.is_empty()),
        ] {
            if is_given {
                bail!("`{key}` is of one function: move it into one of [[functions]]");
            }
        }
        let completed = functions
            .into_iter()
            .map(|function| function.completed(&self, dir));
        completed.collect()
    }

    fn completed(self, defaults: &Self, dir: &Path) -> anyhow::Result<Self> {
        if !self.functions.is_empty() || self.host.is_some() {
            bail!("[[functions]] and [host] stand at the top of {FILE}, not in a function");
        }
        let mut environment = defaults.environment.clone();
        environment.extend(self.environment);
        let layers = match self.layers.is_empty() {
            true => defaults.layers.clone(),
            false => self.layers,
        };
        Ok(Self {
            dir: Some(
                self.dir
                    .as_ref()
                    .map_or_else(|| dir.to_owned(), |it| dir.join(it)),
            ),
            memory: self.memory.or(defaults.memory),
            timeout: self.timeout.or(defaults.timeout),
            runtime: self.runtime.or_else(|| defaults.runtime.clone()),
            url: self.url.or(defaults.url),
            environment,
            layers,
            ..self
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn functions(text: &str) -> Vec<Manifest> {
        let File::Project(manifest) = parse(text).unwrap() else {
            panic!("{text} is a project")
        };
        manifest.into_functions(Path::new("/p")).unwrap()
    }

    #[test]
    fn keys_at_the_top_are_defaults_of_functions() {
        let found = functions(
            "memory = 256\nenvironment = { A = \"1\", B = \"1\" }\n[[functions]]\nname = \"f\"\n\
             dir = \"f\"\nenvironment = { B = \"2\" }\n[[functions]]\nname = \"g\"\nmemory = 512",
        );
        let shown = found
            .iter()
            .map(|it| (it.name.clone().unwrap(), it.memory, it.dir.clone().unwrap()));
        let expected = [
            ("f".to_owned(), Some(256), "/p/f".into()),
            ("g".to_owned(), Some(512), "/p".into()),
        ];
        assert_eq!(shown.collect::<Vec<_>>(), expected);
        assert_eq!(found[0].environment["A"], "1");
        assert_eq!(found[0].environment["B"], "2");
    }

    #[test]
    fn configuration_of_a_host_is_recognized() {
        for text in [
            "region = \"eu-west-1\"",
            "[limits]\nconcurrency = 1\n[[keys]]",
        ] {
            assert!(matches!(parse(text).unwrap(), File::Host), "{text}");
        }
        for text in [
            "metrics_token_file = \"token\"",
            "[[keys]]\nsecret_access_key_file = \"k\"",
        ] {
            assert!(matches!(parse(text).unwrap(), File::Host), "{text}");
        }
        let found = functions(
            "name = \"f\"\n[[host.keys]]\naccess_key_id = \"a\"\nsecret_access_key_file = \"k\"\n\
             policy_file = \"p.json\"",
        );
        assert_eq!(found[0].host.as_ref().unwrap().keys.len(), 1);
        let mixed = parse("memory = 128\nregion = \"eu-west-1\"").unwrap_err();
        assert!(mixed.to_string().contains("below [host]"), "{mixed}");
        let found = functions("[host]\nregion = \"eu-west-1\"");
        assert_eq!(
            found[0].host.as_ref().unwrap().region.to_string(),
            "eu-west-1"
        );
    }

    #[test]
    fn broken_manifest_is_reported_with_line_and_column() {
        for (text, expected) in [
            ("memory = \"much\"", ["line 1, column 10", "invalid type"]),
            (
                "memory = 1\nmemroy = 2",
                ["line 2, column 1", "unknown field `memroy`"],
            ),
            ("[[functions]]\nurl = \"open\"", ["line 2", "`public`"]),
            ("memory = ", ["line 1", "column"]),
        ] {
            let error = format!("{:#}", parse(text).unwrap_err());
            for part in expected {
                assert!(error.contains(part), "{error}");
            }
        }
    }

    #[test]
    fn misplaced_key_is_refused() {
        for (text, expected) in [
            ("name = \"f\"\n[[functions]]\nname = \"g\"", "`name`"),
            (
                "[[functions]]\nname = \"g\"\n[functions.host]",
                "stand at the top",
            ),
        ] {
            let File::Project(manifest) = parse(text).unwrap() else {
                panic!("{text} is a project")
            };
            let error = manifest.into_functions(Path::new("/p")).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
