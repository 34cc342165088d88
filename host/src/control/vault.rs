//! Encryption of environment variables at rest with a host key, stored beside the data and readable
//! by its owner only.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::record::{decode, encode};
use super::{Error, kind};
use crate::clock::Clock;
use crate::disk;
use crate::library::blocking;
use crate::store::{Expect, Key, Record, Records, Write};

/// Key file in the data directory.
const KEY_FILE: &str = "host.key";
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
/// Records per read.
const PAGE_MAX: usize = 256;

/// Encrypted variables.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(String);

/// The host key.
#[derive(Debug)]
pub struct Vault(RandomizedNonceKey);

/// Error of the opening of a vault.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Missing key beside encrypted variables.
    #[error(
        "{0} is missing, and the environment variables of this data directory are encrypted with it. Put it \
         back from where you keep it. If it is lost, make another one (head -c 32 /dev/urandom > {0}; \
         chmod 600 {0}): the functions' environment variables must then be given again"
    )]
    Missing(PathBuf),
    /// Key file of another length.
    #[error("{0} is not a key of {KEY_BYTES} bytes")]
    NotAKey(PathBuf),
    /// I/O error on the key file.
    #[error("{path} cannot be read or written")]
    Io {
        /// Path of the key file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// Store failed.
    #[error(transparent)]
    Store(#[from] Error),
}

/// Variables encrypted with another key.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("environment variables were encrypted with another {KEY_FILE}")]
pub struct OtherKey;

impl Vault {
    /// Vault of a data directory. A new key is created only if nothing was encrypted before.
    ///
    /// # Errors
    /// If the key is missing beside sealed records, or cannot be read or made.
    pub async fn open(
        data_dir: &Path,
        records: &dyn Records,
        clock: &Clock,
    ) -> Result<Self, OpenError> {
        let path = data_dir.join(KEY_FILE);
        let io = |source| OpenError::Io {
            path: path.clone(),
            source,
        };
        let proof = records.get(&proof_key()).await.map_err(Error::from)?;
        let file = path.clone();
        let found = blocking(move || Ok(read(&file))).await;
        let key = match found.map_err(Error::from)?.map_err(io)? {
            Some(key) => key,
            None if proof.is_some() || has_sealed(records).await? => {
                return Err(OpenError::Missing(path));
            }
            None => {
                let (dir, clock) = (data_dir.to_owned(), clock.clone());
                let made = blocking(move || Ok(make(&dir, &clock))).await;
                made.map_err(Error::from)?.map_err(io)?
            }
        };
        let key = RandomizedNonceKey::new(&AES_256_GCM, &key);
        let vault = Self(key.map_err(|_| OpenError::NotAKey(path.clone()))?);
        vault.prove(proof.as_ref(), records).await?;
        Ok(vault)
    }

    /// Writes an encrypted proof record, if missing, by which the next start recognizes the key.
    async fn prove(&self, proof: Option<&Record>, records: &dyn Records) -> Result<(), Error> {
        let known = proof.map(decode::<Sealed>).transpose()?;
        match known {
            Some(sealed) if self.open_sealed(&sealed).is_ok() => return Ok(()),
            Some(_) => tracing::warn!(
                "{KEY_FILE} is another key than before: functions whose environment variables were encrypted \
                 with the former one must be given them again"
            ),
            None => {}
        }
        let put = Write::Put {
            key: proof_key(),
            value: encode(&self.seal(&[])),
            expect: Expect::Any,
        };
        // Not fatal: without the proof, only a later loss of the key goes unnoticed.
        if let Err(error) = records.commit(vec![put]).await {
            tracing::warn!(%error, "the proof of {KEY_FILE} could not be written");
        }
        Ok(())
    }

    pub(super) fn seal(&self, variables: &[(String, String)]) -> Sealed {
        let mut bytes = serde_json::to_vec(variables).expect("strings are JSON");
        let sealed = self.0.seal_in_place_append_tag(Aad::empty(), &mut bytes);
        let nonce = sealed.expect("what fits in memory can be encrypted");
        Sealed(STANDARD.encode([nonce.as_ref().as_slice(), &bytes].concat()))
    }

    /// Decrypts variables, in the order given.
    ///
    /// # Errors
    /// Where they were sealed with another key.
    pub fn open_sealed(&self, sealed: &Sealed) -> Result<Vec<(String, String)>, OtherKey> {
        let opened = STANDARD.decode(&sealed.0).ok().and_then(|bytes| {
            let (nonce, rest) = bytes.split_at_checked(NONCE_BYTES)?;
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let mut rest = rest.to_vec();
            let plain = self.0.open_in_place(nonce, Aad::empty(), &mut rest).ok()?;
            serde_json::from_slice(plain).ok()
        });
        opened.ok_or(OtherKey)
    }
}

/// Key of the proof record.
fn proof_key() -> Key {
    Key {
        kind: "vault",
        id: "proof".to_owned(),
    }
}

/// Looks for sealed variables in the functions' records: a data directory of an earlier release has no proof.
async fn has_sealed(records: &dyn Records) -> Result<bool, Error> {
    let sealed_in = |record: &Record| -> Result<bool, Error> {
        let value: serde_json::Value = decode(record)?;
        let latest = &value["latest"]["configuration"]["environment"];
        let own = &value["configuration"]["environment"];
        Ok(latest.is_string() || own.is_string())
    };
    for kind in [kind::FUNCTION, kind::VERSION] {
        let mut after = None;
        loop {
            let page = records.list(kind, "", after.as_deref(), PAGE_MAX).await?;
            for record in &page {
                if sealed_in(record)? {
                    return Ok(true);
                }
            }
            match page.last() {
                None => break,
                Some(last) => after = Some(last.key.id.clone()),
            }
        }
    }
    Ok(false)
}

/// Reads the key, and closes its file to others. `None` if there is no file.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(key) => disk::close_to_others(path).map(|()| Some(key)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn make(data_dir: &Path, clock: &Clock) -> io::Result<Vec<u8>> {
    let key = clock.random::<KEY_BYTES>();
    let unfinished = data_dir.join(format!("{KEY_FILE}.unfinished"));
    let mut options = disk::options();
    let options = options.write(true).create(true).truncate(true);
    let mut file = options.open(&unfinished)?;
    file.write_all(&key)?;
    file.sync_all()?;
    fs::rename(&unfinished, data_dir.join(KEY_FILE))?;
    File::open(data_dir)?.sync_all()?;
    Ok(key.to_vec())
}

impl Sealed {
    /// Encoded form, for storage.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Restores from the encoded form.
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
    use crate::store::sqlite::Sqlite;

    async fn open(dir: &Path, records: &Sqlite) -> Result<Vault, OpenError> {
        Vault::open(dir, records, &Clock::system()).await
    }

    #[tokio::test]
    async fn sealed_variables_are_opened_by_their_host_only() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let records = Sqlite::open(here.path()).unwrap();
        let variables = vec![
            ("B".to_owned(), "secret".to_owned()),
            ("A".into(), "2".into()),
        ];
        let vault = open(here.path(), &records).await.unwrap();
        let sealed = vault.seal(&variables);
        assert!(!serde_json::to_string(&sealed).unwrap().contains("secret"));
        let again = open(here.path(), &records).await.unwrap();
        assert_eq!(again.open_sealed(&sealed).unwrap(), variables);
        assert_ne!(again.seal(&variables), sealed, "a nonce is used once");
        let elsewhere = Sqlite::open(there.path()).unwrap();
        let other = open(there.path(), &elsewhere).await.unwrap();
        assert!(other.open_sealed(&sealed).is_err());
    }

    #[tokio::test]
    async fn missing_key_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let records = Sqlite::open(dir.path()).unwrap();
        open(dir.path(), &records).await.unwrap();
        let path = dir.path().join(KEY_FILE);
        fs::remove_file(&path).unwrap();
        let refused = open(dir.path(), &records).await.unwrap_err();
        assert!(matches!(refused, OpenError::Missing(_)), "{refused}");
        assert!(!path.exists());
        // Remedy: a key created by the operator.
        fs::write(&path, [7; KEY_BYTES]).unwrap();
        open(dir.path(), &records).await.unwrap();
    }

    #[tokio::test]
    async fn missing_key_of_an_earlier_release_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let records = Sqlite::open(dir.path()).unwrap();
        let put = |kind, value: &str| Write::Put {
            key: Key {
                kind,
                id: "f".to_owned(),
            },
            value: value.to_owned().into(),
            expect: Expect::Any,
        };
        let open_version = r#"{"configuration": {"environment": null}}"#;
        let sealed = r#"{"latest": {"configuration": {"environment": "c2VhbGVk"}}}"#;
        let batch = vec![
            put(kind::VERSION, open_version),
            put(kind::FUNCTION, sealed),
        ];
        records.commit(batch).await.unwrap();
        let refused = open(dir.path(), &records).await.unwrap_err();
        assert!(matches!(refused, OpenError::Missing(_)), "{refused}");
    }
}
