//! Configuration of the host that a command starts or works on: a file, or `lamina.toml` of a directory; then variables
//! `LAMINA_<KEY>` and `LAMINA_<SECTION>__<KEY>`, and secrets from files, `<key>_file`.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use schemars::schema_for;
use serde_json::Value as Schema;
use toml::{Table, Value};

use super::environment;
use super::project::manifest::{self, File};
use crate::config::Config;

/// Prefix of the names of variables.
const PREFIX: &str = "LAMINA_";
/// Parts of a variable's name: a section and its key.
const SEPARATOR: &str = "__";
/// Variables of the program that are no settings.
const OTHERS: [&str; 2] = ["LAMINA_CONFIG", "LAMINA_LOG"];
/// Suffix of a key whose value is the name of a file with the secret.
const FILE_SUFFIX: &str = "_file";
/// Keys with secrets.
const SECRETS: [&str; 5] = [
    "access_key_id",
    "metrics_token",
    "policy",
    "secret_access_key",
    "session_token",
];
/// Variable of systemd with the directory of a service's credentials (`LoadCredential=`).
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Reads the file given by an option or `LAMINA_CONFIG`; else `lamina.toml` in `dir`, which is a host's configuration or
/// has `[host]`.
pub(super) fn read(given: Option<&Path>, dir: &Path) -> anyhow::Result<Config> {
    let variable = environment::variable("LAMINA_CONFIG").filter(|it| !it.is_empty());
    let given = given
        .map(Path::to_owned)
        .or_else(|| variable.map(PathBuf::from));
    let (path, host) = match given {
        Some(path) => (Some(path), None),
        None => found(if dir.is_dir() { dir } else { Path::new(".") })?,
    };
    let mut table = match (&path, host) {
        (Some(path), _) => match toml::from_str::<Table>(&text(path)?) {
            Ok(table) => table,
            Err(_) => return Ok(Config::read(path)?),
        },
        (None, Some(host)) => host,
        (None, None) => Table::new(),
    };
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let is_changed = overlay(&mut table, variables)? | read_secrets(&mut table, path.as_deref())?;
    match path {
        // Parsed from the text, an error has its line and column.
        Some(path) if !is_changed => Ok(Config::read(&path)?),
        path => {
            let shown =
                path.map_or_else(|| manifest::FILE.to_owned(), |it| it.display().to_string());
            let config = Value::Table(table).try_into();
            config.with_context(|| format!("{shown} with the variables {PREFIX}* is not valid"))
        }
    }
}

/// Configuration in the manifest of a directory: its path, or the table `[host]`.
fn found(dir: &Path) -> anyhow::Result<(Option<PathBuf>, Option<Table>)> {
    let path = dir.join(manifest::FILE);
    Ok(match manifest::read(dir)? {
        Some(File::Host) => (Some(path), None),
        Some(File::Project(_)) => {
            let host = toml::from_str::<Table>(&text(&path)?)?.remove("host");
            (None, host.and_then(|it| it.as_table().cloned()))
        }
        None => (None, None),
    })
}

fn text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).map_err(|source| {
        crate::config::Error::Read {
            path: path.to_owned(),
            source,
        }
        .into()
    })
}

/// Puts the values of variables into the table. False if no variable is a setting.
fn overlay(
    table: &mut Table,
    variables: impl Iterator<Item = (String, String)>,
) -> anyhow::Result<bool> {
    let schema = Schema::from(schema_for!(Config));
    let mut is_changed = false;
    for (variable, text) in variables {
        let Some(name) = variable.strip_prefix(PREFIX) else {
            continue;
        };
        let path: Vec<String> = name.split(SEPARATOR).map(str::to_lowercase).collect();
        let is_known = schema["properties"].get(&path[0]).is_some();
        if !is_known && path.len() > 1 {
            bail!("{variable}: there is no section {}", path[0]);
        }
        if !is_known || OTHERS.contains(&&*variable) || text.is_empty() {
            continue;
        }
        let value = value(&schema, &path, &text);
        let (key, sections) = path.split_last().context("a name has a part")?;
        let mut inner = &mut *table;
        for section in sections {
            let entry = inner
                .entry(section.clone())
                .or_insert_with(|| Value::Table(Table::new()));
            inner = entry
                .as_table_mut()
                .with_context(|| format!("{variable}: {section} is no section"))?;
        }
        inner.insert(key.clone(), value);
        is_changed = true;
    }
    Ok(is_changed)
}

/// Value of a variable: text where the setting is text, else TOML.
fn value(schema: &Schema, path: &[String], text: &str) -> Value {
    let mut at = schema;
    for part in path {
        at = &resolved(schema, at)["properties"][part];
    }
    let kind = &resolved(schema, at)["type"];
    let is_text = match kind {
        Schema::Array(kinds) => kinds.iter().any(|it| it == "string"),
        kind => kind == "string" || kind.is_null(),
    };
    let parsed = || {
        let table: Option<Table> = toml::from_str(&format!("value = {text}")).ok();
        table?.remove("value")
    };
    match is_text {
        true => Value::String(text.to_owned()),
        false => parsed().unwrap_or_else(|| Value::String(text.to_owned())),
    }
}

/// Schema behind a reference, which an optional value has beside `null`.
fn resolved<'a>(root: &'a Schema, at: &'a Schema) -> &'a Schema {
    let some = at["anyOf"].as_array().and_then(|all| all.first());
    let at = some.unwrap_or(at);
    let name = at["$ref"].as_str().and_then(|it| it.rsplit('/').next());
    name.map_or(at, |name| &root["$defs"][name])
}

/// Replaces `<key>_file` by the content of the file, in all sections. False if there is none.
fn read_secrets(table: &mut Table, config: Option<&Path>) -> anyhow::Result<bool> {
    let mut is_changed = false;
    let keys: Vec<String> = table.keys().cloned().collect();
    for name in keys {
        let secret = name
            .strip_suffix(FILE_SUFFIX)
            .filter(|it| SECRETS.contains(it));
        if let Some(secret) = secret {
            let path = table.remove(&name);
            let path = path.as_ref().and_then(Value::as_str);
            let path = path.with_context(|| format!("{name} is the name of a file"))?;
            if table.contains_key(secret) {
                bail!("{secret} and {name} are both given");
            }
            let content = secret_in(path, config).with_context(|| format!("{name} = {path:?}"))?;
            table.insert(secret.to_owned(), Value::String(content));
            is_changed = true;
            continue;
        }
        let inner = match table.get_mut(&name) {
            Some(Value::Table(inner)) => vec![inner],
            Some(Value::Array(all)) => all.iter_mut().filter_map(Value::as_table_mut).collect(),
            _ => Vec::new(),
        };
        for inner in inner {
            is_changed |= read_secrets(inner, config)?;
        }
    }
    Ok(is_changed)
}

/// Content of a file, relative to systemd's credentials or to the configuration file. Editors end a file with a new line.
fn secret_in(path: &str, config: Option<&Path>) -> anyhow::Result<String> {
    let credentials = environment::variable(CREDENTIALS).map(PathBuf::from);
    let candidates = [
        credentials,
        config.and_then(Path::parent).map(Path::to_owned),
    ];
    let candidates = candidates.into_iter().flatten().map(|dir| dir.join(path));
    let found = candidates.into_iter().find(|it| it.is_file());
    let content = std::fs::read_to_string(found.unwrap_or_else(|| path.into()))?;
    Ok(content.trim_end_matches(['\n', '\r']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlaid(text: &str, variables: &[(&str, &str)]) -> anyhow::Result<Config> {
        let mut table: Table = toml::from_str(text).unwrap();
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        overlay(&mut table, variables)?;
        Ok(Value::Table(table).try_into()?)
    }

    #[test]
    fn variables_replace_settings() {
        let text = "region = \"eu-west-1\"\n[limits]\nconcurrency = 7";
        let variables = [
            ("LAMINA_LIMITS__CONCURRENCY", "9"),
            ("LAMINA_LIMITS__SCRATCH_BYTES", "1000000"),
            ("LAMINA_ACCOUNT_ID", "123456789012"),
            ("LAMINA_LISTEN", "127.0.0.1:9"),
            ("LAMINA_LOG", "debug"),
            ("LAMINA_PROGRAM", "other"),
            ("LAMINA_LOG__FORMAT", "json"),
            ("LAMINA_S3__PATH_STYLE", "true"),
            ("LAMINA_METRICS_TOKEN", "12"),
            (
                "LAMINA_KEYS",
                "[{access_key_id = \"a\", secret_access_key = \"b\"}]",
            ),
            ("PATH", "x"),
        ];
        let config = overlaid(text, &variables).unwrap();
        assert_eq!(config.limits.concurrency, 9);
        assert_eq!(config.limits.scratch_bytes, Some(1_000_000));
        assert_eq!(config.account_id.to_string(), "123456789012");
        assert_eq!(config.listen.port(), 9);
        assert_eq!(config.log.format, crate::config::LogFormat::Json);
        assert_eq!(config.s3.path_style, Some(true));
        assert_eq!(config.metrics_token.unwrap().as_bytes(), b"12");
        assert_eq!(config.keys[0].access_key_id, "a");
        assert_eq!(config.region.to_string(), "eu-west-1");
    }

    #[test]
    fn unknown_section_or_key_is_named() {
        let error = overlaid("", &[("LAMINA_LIMIT__X", "1")]).unwrap_err();
        assert!(error.to_string().contains("no section limit"), "{error}");
        let error = overlaid("", &[("LAMINA_LIMITS__X", "1")]).unwrap_err();
        assert!(error.to_string().contains("unknown field `x`"), "{error}");
        let error = overlaid("", &[("LAMINA_REGION__X", "1")]);
        assert!(error.is_err());
    }

    #[test]
    fn secret_is_read_from_its_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("secret"), "hidden\n").unwrap();
        let config = dir.path().join("lamina.toml");
        let read = |text: &str| {
            let mut table: Table = toml::from_str(text).unwrap();
            read_secrets(&mut table, Some(&config))?;
            anyhow::Ok(Value::Table(table).try_into::<Config>()?)
        };
        let text = "[[keys]]\naccess_key_id = \"a\"\nsecret_access_key_file = \"secret\"";
        assert_eq!(read(text).unwrap().keys[0].secret_access_key, "hidden");
        let error = read("metrics_token_file = \"none\"").unwrap_err();
        assert!(error.to_string().contains("metrics_token_file"), "{error}");
        let both = "metrics_token = \"x\"\nmetrics_token_file = \"secret\"";
        assert!(read(both).is_err());
    }
}
