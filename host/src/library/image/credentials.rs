//! Credentials of registries: from the configuration, else from the `auths` of Docker's `config.json`. Credential
//! helpers are programs, which the host does not run.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use serde::Deserialize;

/// Longest `config.json`.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A user's name and password at one registry.
#[derive(Clone, Eq, PartialEq)]
pub struct Login {
    pub(super) username: String,
    pub(super) password: String,
}

/// Logins by registry.
#[derive(Clone, Debug, Default)]
pub struct Credentials(HashMap<String, Login>);

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: HashMap<String, Auth>,
}

#[derive(Deserialize)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

impl Login {
    /// A login.
    pub fn new(username: String, password: String) -> Self {
        Self { username, password }
    }

    /// Value of `Authorization`.
    pub(super) fn basic(&self) -> Option<HeaderValue> {
        let text = STANDARD.encode(format!("{}:{}", self.username, self.password));
        let mut value = HeaderValue::try_from(format!("Basic {text}")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    fn of_docker(auth: Auth) -> Option<Self> {
        if let (Some(username), Some(password)) = (auth.username, auth.password) {
            return Some(Self { username, password });
        }
        let decoded = STANDARD.decode(auth.auth?.trim()).ok()?;
        let decoded = String::from_utf8(decoded).ok()?;
        let (username, password) = decoded.split_once(':')?;
        Some(Self::new(
            username.to_owned(),
            password.trim_end_matches('\0').to_owned(),
        ))
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// Reads Docker's `config.json`. Blocks on the disk.
    ///
    /// # Errors
    /// If it cannot be read or is not JSON of that form. The text does not quote it.
    pub fn read_docker(path: &Path) -> Result<Self, String> {
        let failed = |problem: String| format!("{} cannot be read: {problem}", path.display());
        let size = std::fs::metadata(path)
            .map_err(|error| failed(error.to_string()))?
            .len();
        if size > FILE_BYTES_MAX {
            return Err(failed(format!("it is larger than {FILE_BYTES_MAX} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        Self::parse_docker(&text).map_err(failed)
    }

    fn parse_docker(text: &str) -> Result<Self, String> {
        let config: DockerConfig = serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            format!("it is not a Docker configuration (line {line}, column {column})")
        })?;
        let logins = config.auths.into_iter();
        let logins = logins.filter_map(|(host, auth)| Some((key(&host), Login::of_docker(auth)?)));
        Ok(Self(logins.collect()))
    }

    /// Sets the login at a registry, over that of Docker's file.
    pub fn set(&mut self, registry: &str, login: Login) {
        self.0.insert(key(registry), login);
    }

    pub(super) fn find(&self, registry: &str) -> Option<&Login> {
        self.0.get(&key(registry))
    }
}

/// Registry of an entry's name: Docker writes its own as a URL.
fn key(name: &str) -> String {
    let host = name
        .trim_start_matches("https://")
        .trim_start_matches("http://");
    let host = host
        .split('/')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    match host.as_str() {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_of_docker_are_found_by_registry() {
        let text = r#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "dTpw"},
            "localhost:5000": {"username": "v", "password": "q"},
            "ghcr.io": {}}, "credsStore": "desktop"}"#;
        let found = Credentials::parse_docker(text).unwrap();
        let login = |user: &str, password: &str| Login::new(user.into(), password.into());
        assert_eq!(found.find("docker.io"), Some(&login("u", "p")));
        assert_eq!(found.find("LOCALHOST:5000"), Some(&login("v", "q")));
        assert_eq!(found.find("ghcr.io"), None);
        assert_eq!(login("u", "p").basic().unwrap(), "Basic dTpw");
    }

    #[test]
    fn secret_is_in_no_text() {
        let refused = Credentials::parse_docker(r#"{"auths": {"x": {"auth": 12345}}}"#);
        let refused = refused.unwrap_err();
        assert!(
            !refused.contains("12345") && refused.contains("line 1"),
            "{refused}"
        );
        let login = Login::new("u".into(), "hidden".into());
        assert!(!format!("{login:?}").contains("hidden"));
    }
}
