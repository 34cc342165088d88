//! Settings of a container: those of the image's configuration, and those that a function sets over them.

use serde::{Deserialize, Serialize};

use crate::sandbox::Process;

/// Entries of a list of the configuration, and bytes of all its texts. Guests get them.
const ENTRIES_MAX: usize = 1_024;
const BYTES_MAX: usize = 256 << 10;

/// Settings of an image's configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// `Entrypoint`.
    #[serde(default)]
    pub entry_point: Vec<String>,
    /// `Cmd`.
    #[serde(default)]
    pub command: Vec<String>,
    /// `WorkingDir`.
    #[serde(default)]
    pub working_directory: String,
    /// `Env`.
    #[serde(default)]
    pub environment: Vec<(String, String)>,
}

/// A function's `ImageConfig`. An empty list is the image's own, as in AWS.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// `EntryPoint`.
    pub entry_point: Option<Vec<String>>,
    /// `Command`.
    pub command: Option<Vec<String>>,
    /// `WorkingDirectory`.
    pub working_directory: Option<String>,
}

#[derive(Deserialize)]
struct Document {
    config: Option<Container>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    working_dir: Option<String>,
}

impl Settings {
    /// Reads an image's configuration. Artifacts that are no file systems have other documents there, or none.
    pub(super) fn parse(document: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(document)
            .map_err(|error| format!("its configuration is not one of an image: {error:.200}"))?;
        let Some(container) = document.config else {
            return Ok(Self::default());
        };
        let variables = container.env.unwrap_or_default();
        let variables = variables.iter().filter_map(|text| text.split_once('='));
        let settings = Self {
            entry_point: container.entrypoint.unwrap_or_default(),
            command: container.cmd.unwrap_or_default(),
            working_directory: container.working_dir.unwrap_or_default(),
            environment: variables
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        };
        settings.require_bounded()?;
        Ok(settings)
    }

    fn require_bounded(&self) -> Result<(), String> {
        let lists = self.entry_point.iter().chain(&self.command);
        let variables = self
            .environment
            .iter()
            .flat_map(|(name, value)| [name, value]);
        let (mut count, mut bytes) = (0, self.working_directory.len());
        for text in lists.chain(variables) {
            count += 1;
            bytes += text.len();
            if text.contains('\0') {
                return Err("its configuration has a NUL in a text".to_owned());
            }
        }
        if count > ENTRIES_MAX || bytes > BYTES_MAX {
            return Err("its configuration is too large".to_owned());
        }
        Ok(())
    }

    /// Arguments and directory under a function's settings. As in AWS, another entry point leaves the image's command.
    pub fn process(&self, overrides: &Overrides) -> Process {
        let chosen = |over: &Option<Vec<String>>, own: &[String]| match over {
            Some(list) if !list.is_empty() => list.clone(),
            _ => own.to_owned(),
        };
        let mut arguments = chosen(&overrides.entry_point, &self.entry_point);
        arguments.extend(chosen(&overrides.command, &self.command));
        let directory = overrides.working_directory.clone();
        let directory = directory.filter(|it| !it.is_empty());
        Process {
            arguments,
            directory: directory.unwrap_or_else(|| self.working_directory.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|it| (*it).to_owned()).collect()
    }

    #[test]
    fn function_overrides_settings_of_the_image() {
        let document = br#"{"os": "wasi", "config": {"Env": ["A=1", "B=x=y", "broken"],
            "Entrypoint": ["/app.wasm"], "Cmd": ["a"], "WorkingDir": "/srv"}}"#;
        let settings = Settings::parse(document).unwrap();
        let variables = [("A", "1"), ("B", "x=y")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(settings.environment, variables);
        let process = |overrides| settings.process(&overrides);
        let own = process(Overrides::default());
        assert_eq!(
            (own.arguments, &*own.directory),
            (list(&["/app.wasm", "a"]), "/srv")
        );
        let over = process(Overrides {
            entry_point: Some(list(&["/b.wasm", "x"])),
            command: Some(list(&[])),
            working_directory: Some("/w".into()),
        });
        assert_eq!(
            (over.arguments, &*over.directory),
            (list(&["/b.wasm", "x", "a"]), "/w")
        );
    }

    #[test]
    fn configuration_beyond_its_bounds_is_refused() {
        assert_eq!(Settings::parse(b"{}").unwrap(), Settings::default());
        assert!(Settings::parse(b"<html>").is_err());
        let many = serde_json::json!({"config": {"Cmd": vec!["a"; ENTRIES_MAX + 1]}});
        assert!(Settings::parse(many.to_string().as_bytes()).is_err());
        let long = serde_json::json!({"config": {"Env": [format!("A={}", "x".repeat(BYTES_MAX))]}});
        assert!(Settings::parse(long.to_string().as_bytes()).is_err());
        assert!(Settings::parse(br#"{"config": {"Cmd": ["a\u0000"]}}"#).is_err());
    }
}
