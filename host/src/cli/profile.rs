//! Profiles of AWS's shared files `~/.aws/config` and `~/.aws/credentials`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, bail};

/// Settings of a profile that name another source of keys, which `lamina` does not read.
const OTHER_SOURCES: [&str; 7] = [
    "credential_process",
    "credential_source",
    "login_session",
    "role_arn",
    "sso_session",
    "sso_start_url",
    "web_identity_token_file",
];

/// Settings of a profile.
#[derive(Clone, Debug, Default)]
pub(super) struct Profile {
    name: String,
    settings: BTreeMap<String, String>,
}

impl Profile {
    /// Reads the profile of this name, or the default one, whose absence is no error.
    pub(super) fn read(
        name: Option<&str>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Self> {
        let given = |name: &str| variable(name).filter(|value| !value.is_empty());
        let home = given("HOME").map(PathBuf::from);
        let path = |own: &str, usual: &str| {
            let usual = home.as_ref().map(|home| home.join(".aws").join(usual));
            given(own).map(PathBuf::from).or(usual)
        };
        let config = path("AWS_CONFIG_FILE", "config");
        let credentials = path("AWS_SHARED_CREDENTIALS_FILE", "credentials");
        let read = |path: Option<PathBuf>| match path.map(|it| (std::fs::read_to_string(&it), it)) {
            Some((Ok(text), _)) => Ok(text),
            Some((Err(error), path)) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| path.display().to_string())
            }
            _ => Ok(String::new()),
        };
        let wanted = name.unwrap_or("default");
        match find(&read(config)?, &read(credentials)?, wanted) {
            Some(settings) => Ok(Self {
                name: wanted.to_owned(),
                settings,
            }),
            None if name.is_none() => Ok(Self::default()),
            None => bail!("The config profile ({wanted}) could not be found"),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.settings.get(name).filter(|it| !it.is_empty()).cloned()
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Reason for which requests cannot be signed with this profile.
    pub(super) fn without_keys(&self) -> String {
        let name = &self.name;
        let other = OTHER_SOURCES.iter().find(|it| self.get(it).is_some());
        let other = other.map_or_else(String::new, |other| {
            format!(", but {other}, which lamina does not use")
        });
        format!(
            "the profile {name} has no aws_access_key_id{other}: put keys into it, or export AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY without --profile"
        )
    }
}

/// Merges a profile of both files. Credentials take precedence, as in the AWS CLI.
fn find(config: &str, credentials: &str, name: &str) -> Option<BTreeMap<String, String>> {
    let named = format!("profile {name}");
    let is_own = |section: &str| section == named || name == "default" && section == name;
    let found = [
        section(config, is_own),
        section(credentials, |section| section == name),
    ];
    if found.iter().all(Option::is_none) {
        return None;
    }
    Some(found.into_iter().flatten().flatten().collect())
}

/// Settings of the sections that fit. `None` without such a section.
fn section(text: &str, fits: impl Fn(&str) -> bool) -> Option<Vec<(String, String)>> {
    let mut found = None;
    let mut is_inside = false;
    for line in text.lines() {
        let trimmed = line.trim();
        if let Some(name) = trimmed.strip_prefix('[') {
            let name = name.split(']').next().unwrap_or_default();
            let words: Vec<&str> = name.split_whitespace().collect();
            is_inside = fits(&words.join(" "));
            if is_inside {
                found.get_or_insert_with(Vec::new);
            }
            continue;
        }
        // Indented lines are nested settings, such as those of `s3 =`.
        let is_setting = !line.starts_with([' ', '\t', '#', ';']);
        if let (true, true, Some((name, value))) = (is_inside, is_setting, trimmed.split_once('='))
        {
            let setting = (name.trim().to_lowercase(), value.trim().to_owned());
            found.get_or_insert_with(Vec::new).push(setting);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "[default]\nregion = eu-west-1\n# region = no\n[profile  mine]\nregion=eu-west-2\n\
                          s3 =\n  region = nested\naws_access_key_id = config\n[services x]\nregion = none\n";
    const CREDENTIALS: &str = "[mine]\naws_access_key_id = own\naws_secret_access_key = a=b\n";

    #[test]
    fn profile_is_merged_from_both_files() {
        let mine = find(CONFIG, CREDENTIALS, "mine").unwrap();
        for (name, value) in [
            ("region", "eu-west-2"),
            ("aws_access_key_id", "own"),
            ("aws_secret_access_key", "a=b"),
        ] {
            assert_eq!(mine.get(name).map(String::as_str), Some(value), "{name}");
        }
        let default = find(CONFIG, CREDENTIALS, "default").unwrap();
        assert_eq!(default["region"], "eu-west-1");
        assert_eq!(default.get("aws_access_key_id"), None);
        assert!(find(CONFIG, CREDENTIALS, "other").is_none());
    }

    #[test]
    fn missing_profile_is_an_error_if_named() {
        let none = |_: &str| None;
        assert!(Profile::read(None, none).unwrap().get("region").is_none());
        let error = Profile::read(Some("other"), none).unwrap_err();
        assert!(error.to_string().contains("(other)"), "{error}");
    }
}
