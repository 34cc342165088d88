//! Environment variables at rest: encrypted with a key of this host, which lies beside the data and is
//! readable by its owner only. Who may read them through the API, it does not know.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::Error;
use crate::clock::Clock;

/// The file of the key, in the data directory.
const KEY_FILE: &str = "host.key";
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;

/// Variables that only their host can read.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(String);

/// The host's key.
#[derive(Debug)]
pub struct Vault(RandomizedNonceKey);

impl Vault {
    /// The vault of a data directory, with a new key where there is none.
    ///
    /// # Errors
    /// Where the key cannot be read or made.
    pub fn open(data_dir: &Path, clock: &Clock) -> io::Result<Self> {
        let path = data_dir.join(KEY_FILE);
        let key = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(data_dir, clock)?,
            read => read?,
        };
        let key = RandomizedNonceKey::new(&AES_256_GCM, &key).map_err(|_| {
            let text = format!("{} is not a key of {KEY_BYTES} bytes", path.display());
            io::Error::new(io::ErrorKind::InvalidData, text)
        })?;
        Ok(Self(key))
    }

    pub(super) fn seal(&self, variables: &[(String, String)]) -> Sealed {
        let mut bytes = serde_json::to_vec(variables).expect("strings are JSON");
        let sealed = self.0.seal_in_place_append_tag(Aad::empty(), &mut bytes);
        let nonce = sealed.expect("what fits in memory can be encrypted");
        Sealed(STANDARD.encode([nonce.as_ref().as_slice(), &bytes].concat()))
    }

    /// The variables, in the order they were given.
    ///
    /// # Errors
    /// Where they were sealed with another key.
    pub fn open_sealed(&self, sealed: &Sealed) -> Result<Vec<(String, String)>, Error> {
        let opened = STANDARD.decode(&sealed.0).ok().and_then(|bytes| {
            let (nonce, rest) = bytes.split_at_checked(NONCE_BYTES)?;
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let mut rest = rest.to_vec();
            let plain = self.0.open_in_place(nonce, Aad::empty(), &mut rest).ok()?;
            serde_json::from_slice(plain).ok()
        });
        opened.ok_or_else(|| {
            let text = format!("environment variables were encrypted with another {KEY_FILE}");
            Error::Internal(text)
        })
    }
}

fn make(data_dir: &Path, clock: &Clock) -> io::Result<Vec<u8>> {
    let key = clock.random::<KEY_BYTES>();
    let unfinished = data_dir.join(format!("{KEY_FILE}.unfinished"));
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&unfinished)?;
    file.write_all(&key)?;
    file.sync_all()?;
    fs::rename(&unfinished, data_dir.join(KEY_FILE))?;
    File::open(data_dir)?.sync_all()?;
    Ok(key.to_vec())
}

impl Sealed {
    /// The variables as they are stored, and as [`of_text`](Self::of_text) takes them.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Variables that were sealed before.
    pub fn of_text(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_host_reads_what_it_sealed() {
        let clock = Clock::system();
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let variables = vec![
            ("B".to_owned(), "secret".to_owned()),
            ("A".into(), "2".into()),
        ];
        let sealed = Vault::open(here.path(), &clock).unwrap().seal(&variables);
        assert!(!serde_json::to_string(&sealed).unwrap().contains("secret"));
        let again = Vault::open(here.path(), &clock).unwrap();
        assert_eq!(again.open_sealed(&sealed).unwrap(), variables);
        assert_ne!(again.seal(&variables), sealed, "a nonce is used once");
        let other = Vault::open(there.path(), &clock).unwrap();
        assert!(other.open_sealed(&sealed).is_err());
    }
}
