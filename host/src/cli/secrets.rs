//! Secrets from files: `<key>_file` in a configuration, in any of its sections.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::environment;
use crate::config::{self, Document};

/// Suffix of a key whose value is the name of a file with the secret.
const FILE_SUFFIX: &str = "_file";
/// Keys whose value can be in a file, and whether it is secret.
const KEYS: [(&str, bool); 7] = [
    ("access_key_id", false),
    ("metrics_token", true),
    ("password", true),
    ("policy", false),
    ("secret_access_key", true),
    ("session_token", true),
    ("token", true),
];
/// Variable of systemd with the directory of a service's credentials (`LoadCredential=`).
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Replaces `<key>_file` by the content of the file.
pub(super) fn read_files(document: &mut Document<'_>, config: Option<&Path>) -> anyhow::Result<()> {
    replace(document.table.get_mut(), &|key, is_secret, file| {
        content(file, config, is_secret)
            .map(Some)
            .with_context(|| format!("{key}{FILE_SUFFIX} = {file:?}"))
    })
}

/// Replaces `<key>_file` without reading the files, for commands that need no secrets.
pub(super) fn ignore_files(document: &mut Document<'_>) -> anyhow::Result<()> {
    replace(document.table.get_mut(), &|key, _, file| {
        Ok((key != "policy").then(|| file.to_owned()))
    })
}

/// True if a secret is in the document itself.
pub(super) fn has_plain(document: &Document<'_>) -> bool {
    fn in_table(table: &DeTable<'_>) -> bool {
        table.iter().any(|(key, value)| {
            let name = key.get_ref();
            let is_secret = KEYS.iter().any(|(it, is_secret)| *is_secret && name == it);
            is_secret || in_value(value.get_ref())
        })
    }
    fn in_value(value: &DeValue<'_>) -> bool {
        match value {
            DeValue::Table(table) => in_table(table),
            DeValue::Array(all) => all.iter().any(|it| in_value(it.get_ref())),
            _ => false,
        }
    }
    in_table(document.table.get_ref())
}

/// Content for a key and the file that it names; `None` removes the key.
type Content<'f> = dyn Fn(&str, bool, &str) -> anyhow::Result<Option<String>> + 'f;

fn replace(table: &mut DeTable<'_>, content: &Content<'_>) -> anyhow::Result<()> {
    for (key, is_secret) in KEYS {
        let name = format!("{key}{FILE_SUFFIX}");
        let Some((named, value)) = table.remove_entry(name.as_str()) else {
            continue;
        };
        let DeValue::String(file) = value.get_ref() else {
            bail!("{name} is the name of a file");
        };
        if table.contains_key(key) {
            bail!("{key} and {name} are both given");
        }
        // The spans stay: an error in the content is reported at the key of the file.
        if let Some(content) = content(key, is_secret, file)? {
            let value = Spanned::new(value.span(), DeValue::String(Cow::Owned(content)));
            table.insert(Spanned::new(named.span(), Cow::Borrowed(key)), value);
        }
    }
    for (_, value) in table.iter_mut() {
        replace_in_value(value.get_mut(), content)?;
    }
    Ok(())
}

fn replace_in_value(value: &mut DeValue<'_>, content: &Content<'_>) -> anyhow::Result<()> {
    match value {
        DeValue::Table(table) => replace(table, content),
        DeValue::Array(all) => all
            .iter_mut()
            .try_for_each(|it| replace_in_value(it.get_mut(), content)),
        _ => Ok(()),
    }
}

/// Content of a file, relative to systemd's credentials or to the configuration file. Editors end a file with a new line.
fn content(path: &str, config: Option<&Path>, is_secret: bool) -> anyhow::Result<String> {
    let credentials = environment::variable(CREDENTIALS).map(PathBuf::from);
    let of_systemd = credentials.map(|dir| dir.join(path));
    let of_systemd = of_systemd.filter(|it| it.is_file());
    let found = match (&of_systemd, config.and_then(Path::parent)) {
        (Some(found), _) => found.clone(),
        (None, Some(dir)) if dir.join(path).is_file() => dir.join(path),
        (None, _) => path.into(),
    };
    let content = std::fs::read_to_string(&found)?;
    if is_secret {
        warn_of_readers(&found);
    }
    let content = content.trim_end_matches(['\n', '\r']);
    if content.is_empty() {
        bail!("the file is empty");
    }
    Ok(content.to_owned())
}

/// Warns if a file with secrets can be read by other users. systemd closes its credentials by other means than the mode.
pub(super) fn warn_of_readers(path: &Path) {
    let credentials = environment::variable(CREDENTIALS);
    if credentials.is_none_or(|dir| !path.starts_with(dir)) {
        config::warn_of_readers(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn secret_is_read_from_its_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("secret"), "hidden\n").unwrap();
        std::fs::write(dir.path().join("empty"), "\n").unwrap();
        let config = dir.path().join("lamina.toml");
        let read = |text: &str| {
            let mut document = Document::parse(text)?;
            read_files(&mut document, Some(&config))?;
            anyhow::Ok(document.read::<Config>()?)
        };
        let key = "[[keys]]\naccess_key_id = \"a\"\nsecret_access_key_file = ";
        let config = read(&format!("{key}\"secret\"")).unwrap();
        assert_eq!(config.keys[0].secret_access_key, "hidden");
        for (text, expected) in [
            (
                "metrics_token_file = \"none\"",
                "metrics_token_file = \"none\"",
            ),
            ("metrics_token_file = 1", "is the name of a file"),
            (&format!("{key}\"empty\""), "the file is empty"),
            (
                "metrics_token = \"x\"\nmetrics_token_file = \"secret\"",
                "both given",
            ),
            (
                &format!("{key}\"secret\"\n  policy_file = \"secret\""),
                "line 4, column 17: not a policy",
            ),
        ] {
            let error = format!("{:#}", read(text).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn secret_in_the_text_is_found_in_any_section() {
        for (text, expected) in [
            ("[[keys]]\nsecret_access_key = \"x\"", true),
            ("keys = [{ session_token = \"x\" }]", true),
            ("[host.aws]\nsecret_access_key = \"x\"", true),
            (
                "[[keys]]\nsecret_access_key_file = \"x\"\naccess_key_id = \"a\"",
                false,
            ),
        ] {
            assert_eq!(
                has_plain(&Document::parse(text).unwrap()),
                expected,
                "{text}"
            );
        }
    }
}
