//! Documents made from the code: shell completions, man pages, and the reference of both kinds of `lamina.toml`.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use schemars::schema_for;
use serde_json::{Map, Value};

use super::project::manifest::Manifest;
use super::{Cli, Ended, output};
use crate::config::{Config, Limits};

/// Print completions for a shell.
#[derive(Args, Clone, Debug)]
pub(super) struct Completions {
    /// Shell: bash, elvish, fish, powershell or zsh.
    #[arg(hide_possible_values = true)]
    shell: Shell,
}

/// Write man pages, one for each command.
#[derive(Args, Clone, Debug)]
pub(super) struct Man {
    /// Directory to write them into.
    dir: PathBuf,
}

impl Completions {
    pub(super) fn run(&self) -> Ended {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "lamina", &mut script);
        output::line(String::from_utf8_lossy(&script).trim_end());
        Ended::Well
    }
}

impl Man {
    pub(super) fn run(&self) -> anyhow::Result<Ended> {
        std::fs::create_dir_all(&self.dir).with_context(|| self.dir.display().to_string())?;
        clap_mangen::generate_to(Cli::command(), &self.dir)?;
        output::line(&self.dir.join("lamina.1").display().to_string());
        Ok(Ended::Well)
    }
}

/// Introduction of the reference.
const INTRODUCTION: &str = "# Reference of lamina.toml

This page is made from the code: `lamina reference`. Unknown keys are refused, with their line and column.

`lamina.toml` of a directory with a function describes a project; it is read by `lamina deploy`, `dev`, `build` and
`test`. `lamina.toml` of a host is read by `lamina start`, with `--config` or from the current directory. A project may
have the settings of the host of `lamina dev` below `[host]`.
";

/// Introduction of the host's part.
const OF_HOST: &str = "
Each setting can also be a variable of the environment, which precedes the file: `LAMINA_REGION`,
`LAMINA_LIMITS__CONCURRENCY` (section, two underscores, key). Values other than text are TOML, also
`LAMINA_KEYS='[{access_key_id = \"...\", secret_access_key = \"...\"}]'`. `LAMINA_CONFIG` names the file, `LAMINA_LOG` is
the filter of the log.

A secret can be in a file of its own: `access_key_id_file`, `secret_access_key_file`, `session_token_file`,
`metrics_token_file`, `token_file` and `policy_file` name it, relative to the configuration or to `$CREDENTIALS_DIRECTORY` of systemd.

SIGHUP reloads keys, policies and certificates; other changes take effect after a restart. `GET /_lamina/health` answers
`ok` with status 200, without a signature, as soon as the host takes requests: it is the check of health and readiness
alike, because a host listens only once its functions are loaded. `GET /_lamina/metrics` has metrics for Prometheus.
";

/// The reference as Markdown.
pub(super) fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("\n## A project\n");
    sections(
        &mut page,
        &Value::from(schema_for!(Manifest)),
        &["host", "functions"],
        &|_| None,
    );
    page.push_str("\n## A host\n");
    page.push_str(OF_HOST);
    let defaults = defaults();
    let default = |key: &str| {
        defaults
            .iter()
            .find(|(it, _)| it == key)
            .map(|(_, it)| it.clone())
    };
    sections(&mut page, &Value::from(schema_for!(Config)), &[], &default);
    page.truncate(page.trim_end().len());
    page
}

/// Defaults that the descriptions do not name, by path.
fn defaults() -> Vec<(String, String)> {
    let config = Config::default();
    let Limits {
        concurrency,
        drain_seconds,
        environments,
        idle_seconds,
        idle_large_seconds,
        code_bytes,
        log_bytes_per_function,
        log_bytes,
        settle_millis,
        ..
    } = config.limits;
    let numbers = [
        ("limits.concurrency", u64::from(concurrency)),
        ("limits.drain_seconds", drain_seconds),
        ("limits.environments", environments.into()),
        ("limits.idle_seconds", idle_seconds),
        ("limits.idle_large_seconds", idle_large_seconds),
        ("limits.code_bytes", code_bytes),
        (
            "limits.log_bytes_per_function",
            log_bytes_per_function as u64,
        ),
        ("limits.log_bytes", log_bytes),
        ("limits.settle_millis", settle_millis),
        ("s3.timeout_seconds", config.s3.timeout_seconds),
    ];
    let texts = [
        ("listen", config.listen.to_string()),
        ("data_dir", config.data_dir.display().to_string()),
        ("region", config.region.to_string()),
        ("account_id", config.account_id.to_string()),
        ("egress", "public".to_owned()),
        ("runtimes", "refuse".to_owned()),
        ("urls.scheme", "http".to_owned()),
        ("log.format", "text".to_owned()),
    ];
    let numbers = numbers.map(|(key, value)| (key.to_owned(), value.to_string()));
    let texts = texts.map(|(key, value)| (key.to_owned(), format!("\"{value}\"")));
    numbers.into_iter().chain(texts).collect()
}

/// Writes a table of keys for the root and for each structure below it, apart from `closed` ones.
fn sections(
    page: &mut String,
    root: &Value,
    closed: &[&str],
    default: &dyn Fn(&str) -> Option<String>,
) {
    let mut open = vec![(String::new(), String::new(), root)];
    while let Some((path, heading, object)) = open.pop() {
        let Some(properties) = object["properties"].as_object() else {
            continue;
        };
        if !heading.is_empty() {
            let _ = write!(page, "\n### `{heading}`\n");
            let text = object["description"].as_str().unwrap_or_default();
            let _ = write!(page, "\n{}\n", text.replace('\n', " "));
        }
        page.push_str("\n| key | value | |\n|---|---|---|\n");
        let mut inner = Vec::new();
        for (key, property) in properties {
            let path = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            row(page, root, key, property, default(&path));
            let (target, is_list) = structure(root, property);
            if target["properties"].is_object() && !closed.contains(&&**key) {
                let heading = if is_list {
                    format!("[[{path}]]")
                } else {
                    format!("[{path}]")
                };
                inner.push((path, heading, target));
            }
        }
        open.extend(inner.into_iter().rev());
    }
}

fn row(page: &mut String, root: &Value, key: &str, property: &Value, default: Option<String>) {
    let text = property["description"].as_str().unwrap_or_default();
    let text = text.replace('\n', " ").replace('|', "\\|");
    let default = default
        .map(|it| format!(" Default: `{it}`."))
        .unwrap_or_default();
    let kind = kind(root, property);
    let _ = writeln!(page, "| `{key}` | {kind} | {text}{default} |");
}

/// Structure of a property, and true for a list of them.
fn structure<'a>(root: &'a Value, property: &'a Value) -> (&'a Value, bool) {
    let property = resolved(root, property);
    match property["items"].is_object() {
        true => (resolved(root, &property["items"]), true),
        false => (property, false),
    }
}

/// Schema behind a reference. An optional one is an alternative to `null`.
fn resolved<'a>(root: &'a Value, at: &'a Value) -> &'a Value {
    if let Some(first) = at["anyOf"].as_array().and_then(|all| all.first()) {
        return resolved(root, first);
    }
    let name = at["$ref"].as_str().and_then(|it| it.rsplit('/').next());
    match name {
        Some("#") => root,
        Some(name) => resolved(root, &root["$defs"][name]),
        None => at,
    }
}

/// Kind of a value, in words.
fn kind(root: &Value, property: &Value) -> String {
    let at = resolved(root, property);
    if let Some(names) = constants(at) {
        return names.join(", ");
    }
    let kind = match &at["type"] {
        Value::Array(kinds) => kinds.iter().find_map(Value::as_str),
        kind => kind.as_str(),
    };
    match kind {
        Some("array") => format!("list of {}", kind_of_items(root, at)),
        Some("object") => "table".to_owned(),
        Some("string") => "text".to_owned(),
        Some("integer" | "number") => "number".to_owned(),
        Some("boolean") => "true, false".to_owned(),
        Some(other) => other.to_owned(),
        None => "text, table".to_owned(),
    }
}

fn kind_of_items(root: &Value, list: &Value) -> String {
    match &*kind(root, &list["items"]) {
        "text" => "texts".to_owned(),
        "number" => "numbers".to_owned(),
        "table" => "tables".to_owned(),
        other => other.to_owned(),
    }
}

/// Values of an enumeration.
fn constants(at: &Value) -> Option<Vec<String>> {
    let quoted = |it: &Value| it.as_str().map(|it| format!("`\"{it}\"`"));
    if let Some(all) = at["enum"].as_array() {
        return Some(all.iter().filter_map(quoted).collect());
    }
    let all = at["oneOf"].as_array()?.iter();
    let names = all.flat_map(|it: &Value| match it.as_object().map(Map::is_empty) {
        Some(false) if it["const"].is_string() => vec![quoted(&it["const"])],
        _ => it["enum"]
            .as_array()
            .into_iter()
            .flatten()
            .map(quoted)
            .collect(),
    });
    Some(names.flatten().collect())
}
