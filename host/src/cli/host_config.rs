//! Configuration of the host that a command starts or works on: a file, or `lamina.toml` of a directory; then variables
//! `LAMINA_<KEY>` and `LAMINA_<SECTION>__<KEY>`, and secrets from files, `<key>_file`.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use schemars::schema_for;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Schema;
use toml::{Table, Value};

use super::project::manifest::{self, File};
use super::{environment, secrets};
use crate::config::{self, Config, Document, Located};

/// Prefix of the names of variables.
const PREFIX: &str = "LAMINA_";
/// Parts of a variable's name: a section and its key.
const SEPARATOR: &str = "__";
/// Variables that are no settings: of the program, of its clients and of its tests.
const OTHERS: [&str; 4] = [
    "LAMINA_CONFIG",
    "LAMINA_ENDPOINT_URL",
    "LAMINA_LOG",
    "LAMINA_PROGRAM",
];

/// Text with the configuration.
struct Source {
    /// `None` without a file.
    path: Option<PathBuf>,
    /// True if the configuration is the table `[host]` of a project.
    is_project: bool,
}

/// The part of a project's manifest that is of its host.
#[derive(Deserialize)]
struct OfHost<T> {
    host: Option<T>,
}

/// Reads the file given by an option or `LAMINA_CONFIG`; else `lamina.toml` in `dir`, which is a host's configuration or
/// has `[host]`.
pub(super) fn read(given: Option<&Path>, dir: &Path) -> anyhow::Result<Config> {
    let variable = environment::variable("LAMINA_CONFIG").filter(|it| !it.is_empty());
    let given = given
        .map(Path::to_owned)
        .or_else(|| variable.map(PathBuf::from));
    let source = match given {
        Some(path) => Source {
            path: Some(path),
            is_project: false,
        },
        None => found(if dir.is_dir() { dir } else { Path::new(".") })?,
    };
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let text = source.path.as_deref().map(text).transpose()?;
    source.config(&text.unwrap_or_default(), &variables.collect::<Vec<_>>())
}

impl Source {
    fn config(&self, text: &str, variables: &[(String, String)]) -> anyhow::Result<Config> {
        let path = self.path.as_deref();
        let shown = || {
            let shown =
                path.map_or_else(|| manifest::FILE.to_owned(), |it| it.display().to_string());
            format!("{shown} is not a valid configuration")
        };
        let mut document = Document::parse(text).with_context(shown)?;
        if !self.is_project {
            manifest::require_of_host(&document).with_context(shown)?;
        }
        if let (Some(path), true) = (path, secrets::has_plain(&document)) {
            secrets::warn_of_readers(path);
        }
        secrets::read_files(&mut document, path).with_context(shown)?;
        let strict = |document| self.read::<Config>(document).with_context(shown);
        let mut table: Table = self.read(document.clone()).with_context(shown)?;
        let base = table.clone();
        let applied = overlay(&mut table, variables)?;
        if applied.is_empty() {
            return strict(document);
        }
        match Value::Table(table).try_into() {
            Ok(config) => Ok(config),
            Err(_) => {
                // An error of the text has its line and column.
                strict(document)?;
                Err(misfit(base, &applied))
            }
        }
    }

    fn read<T: DeserializeOwned + Default>(&self, document: Document<'_>) -> Result<T, Located> {
        match self.is_project {
            true => Ok(document.read::<OfHost<T>>()?.host.unwrap_or_default()),
            false => document.read(),
        }
    }
}

/// Error that names the first variable with which the configuration is not valid.
fn misfit(mut table: Table, variables: &[(String, String)]) -> anyhow::Error {
    for variable in variables {
        let overlaid = overlay(&mut table, std::slice::from_ref(variable));
        if let Err(error) =
            overlaid.and_then(|_| Ok(Value::Table(table.clone()).try_into::<Config>()?))
        {
            let name = &variable.0;
            return match error.downcast_ref::<toml::de::Error>() {
                Some(error) => anyhow!("{name}: {}", Located::new("", error)),
                None => error,
            };
        }
    }
    anyhow!("the configuration with the variables {PREFIX}* is not valid")
}

/// Configuration in the manifest of a directory.
fn found(dir: &Path) -> anyhow::Result<Source> {
    let path = dir.join(manifest::FILE);
    Ok(match manifest::read(dir)? {
        Some(File::Host) => Source {
            path: Some(path),
            is_project: false,
        },
        Some(File::Project(_)) => Source {
            path: Some(path),
            is_project: true,
        },
        None => Source {
            path: None,
            is_project: false,
        },
    })
}

fn text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).map_err(|source| {
        config::Error::Read {
            path: path.to_owned(),
            source,
        }
        .into()
    })
}

/// Puts the values of variables into the table. Returns the variables that are settings.
fn overlay(
    table: &mut Table,
    variables: &[(String, String)],
) -> anyhow::Result<Vec<(String, String)>> {
    let schema = Schema::from(schema_for!(Config));
    let mut applied = Vec::new();
    for (variable, text) in variables {
        let Some(name) = variable.strip_prefix(PREFIX) else {
            continue;
        };
        let path: Vec<String> = name.split(SEPARATOR).map(str::to_lowercase).collect();
        let is_known = schema["properties"].get(&path[0]).is_some();
        if !is_known && path.len() > 1 {
            bail!("{variable}: there is no section {}", path[0]);
        }
        if OTHERS.contains(&&**variable) || text.is_empty() {
            continue;
        }
        if !is_known {
            tracing::warn!("{variable} is no setting of the host and is ignored");
            continue;
        }
        let value = value(&schema, &path, text).with_context(|| variable.clone())?;
        insert(table, &path, value).with_context(|| variable.clone())?;
        applied.push((variable.clone(), text.clone()));
    }
    Ok(applied)
}

fn insert(table: &mut Table, path: &[String], value: Value) -> anyhow::Result<()> {
    let (key, sections) = path.split_last().context("a name has a part")?;
    let mut inner = table;
    for section in sections {
        let entry = inner
            .entry(section.clone())
            .or_insert_with(|| Value::Table(Table::new()));
        inner = entry
            .as_table_mut()
            .with_context(|| format!("{section} is no section"))?;
    }
    inner.insert(key.clone(), value);
    Ok(())
}

/// Value of a variable: text where the setting is text, else TOML. An error has no part of the text, which may be a
/// secret.
fn value(schema: &Schema, path: &[String], text: &str) -> anyhow::Result<Value> {
    let mut at = schema;
    for part in path {
        at = &resolved(schema, at)["properties"][part];
    }
    let kind = &resolved(schema, at)["type"];
    let is_text = match kind {
        Schema::Array(kinds) => kinds.iter().any(|it| it == "string"),
        kind => kind == "string" || kind.is_null(),
    };
    if is_text {
        return Ok(Value::String(text.to_owned()));
    }
    let parsed = toml::from_str::<Table>(&format!("value = {text}"));
    let mut table =
        parsed.map_err(|error| anyhow!("the value is not TOML: {}", error.message()))?;
    table.remove("value").context("the value is empty")
}

/// Schema behind a reference, which an optional value has beside `null`.
fn resolved<'a>(root: &'a Schema, at: &'a Schema) -> &'a Schema {
    let some = at["anyOf"].as_array().and_then(|all| all.first());
    let at = some.unwrap_or(at);
    let name = at["$ref"].as_str().and_then(|it| it.rsplit('/').next());
    name.map_or(at, |name| &root["$defs"][name])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlaid(text: &str, variables: &[(&str, &str)]) -> anyhow::Result<Config> {
        let mut table: Table = toml::from_str(text).unwrap();
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<Vec<_>>();
        overlay(&mut table, &variables)?;
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
    fn broken_variable_is_named_without_its_value() {
        let keys = "[{access_key_id = \"a\", secret_access_key = \"hidden\"";
        for (variable, value, expected) in [
            ("LAMINA_KEYS", keys, "LAMINA_KEYS: the value is not TOML"),
            (
                "LAMINA_KEYS",
                "\"hidden\"",
                "LAMINA_KEYS: invalid type: string, expected",
            ),
            ("LAMINA_LISTEN", "foo", "LAMINA_LISTEN: "),
            ("LAMINA_METRICS_TOKEN", "", ""),
        ] {
            let variables = [
                ("LAMINA_REGION".to_owned(), "eu-west-1".to_owned()),
                (variable.to_owned(), value.to_owned()),
            ];
            let source = Source {
                path: None,
                is_project: false,
            };
            match source.config("", &variables) {
                Ok(config) => assert_eq!(config.region.to_string(), "eu-west-1"),
                Err(error) => {
                    let error = format!("{error:#}");
                    assert!(error.contains(expected), "{error}");
                    assert!(!error.contains("hidden"), "{error}");
                }
            }
        }
    }

    #[test]
    fn error_of_the_text_has_its_position_despite_variables() {
        let variables = [("LAMINA_REGION".to_owned(), "eu-west-1".to_owned())];
        let source = |is_project| Source {
            path: None,
            is_project,
        };
        for (text, is_project) in [("\nbogus = 1", false), ("[host]\nbogus = 1", true)] {
            let error = source(is_project).config(text, &variables).unwrap_err();
            let error = format!("{error:#}");
            assert!(
                error.contains("line 2, column 1: unknown field `bogus`"),
                "{error}"
            );
        }
        let text = "name = \"f\"\n[host]\naccount_id = \"123456789012\"";
        let config = source(true).config(text, &variables).unwrap();
        assert_eq!(config.account_id.to_string(), "123456789012");
        assert_eq!(config.region.to_string(), "eu-west-1");
    }
}
