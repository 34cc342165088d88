//! Content-addressed files. A file named by its digest is complete, durable and immutable. All
//! functions block on the disk.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::directory;
use crate::disk;

/// A SHA-256 digest.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Digest([u8; 32]);

/// Syntax error of a digest.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a digest is 64 hexadecimal digits")]
pub struct NotADigest;

impl Digest {
    /// Digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let digest = digest::digest(&digest::SHA256, bytes);
        Self(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    /// Digest of a reader's remaining bytes.
    ///
    /// # Errors
    /// If the reader fails.
    pub fn read(mut source: impl io::Read) -> io::Result<Self> {
        let mut hasher = Hasher::default();
        io::copy(&mut source, &mut hasher)?;
        Ok(hasher.finish())
    }

    /// Base64, the form of `CodeSha256`.
    pub fn base64(&self) -> String {
        STANDARD.encode(self.0)
    }
}

/// Incremental digest of the bytes written to it.
#[derive(Clone)]
pub struct Hasher(digest::Context);

impl Default for Hasher {
    fn default() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }
}

impl Hasher {
    /// Digest of the bytes written so far.
    pub fn finish(self) -> Digest {
        let digest = self.0.finish();
        Digest(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::names::hex(&self.0))
    }
}

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        if text.len() != 64 || !text.is_ascii() {
            return Err(NotADigest);
        }
        let mut bytes = [0; 32];
        if !text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        {
            return Err(NotADigest);
        }
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| NotADigest)?;
        }
        Ok(Self(bytes))
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = NotADigest;

    fn try_from(text: String) -> Result<Self, NotADigest> {
        text.parse()
    }
}

/// Content-addressed files of a directory.
#[derive(Debug)]
pub struct Blobs(PathBuf);

/// A file being written. It is deleted on drop unless finished.
#[derive(Debug)]
pub struct Staged {
    file: File,
    path: PathBuf,
    dir: PathBuf,
    hasher: Hasher,
    size_bytes: u64,
}

impl Blobs {
    /// Opens a directory, and creates it if it is missing.
    ///
    /// # Errors
    /// If the directory cannot be created.
    pub fn open(dir: &Path) -> io::Result<Self> {
        directory::open(dir)?;
        Ok(Self(dir.to_owned()))
    }

    /// Temporary files of a killed process.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn leftovers(&self) -> io::Result<Vec<PathBuf>> {
        directory::leftovers(&self.0)
    }

    /// Creates a temporary file. Its digest is known once it is finished.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub fn stage(&self) -> io::Result<Staged> {
        let path = directory::unfinished(&self.0);
        Ok(Staged {
            file: disk::create_new(&path)?,
            path,
            dir: self.0.clone(),
            hasher: Hasher::default(),
            size_bytes: 0,
        })
    }

    /// Path of the file with this digest.
    pub fn find(&self, digest: &Digest) -> Option<PathBuf> {
        let path = self.0.join(digest.to_string());
        path.is_file().then_some(path)
    }

    /// Deletes the file with this digest, if it exists.
    ///
    /// # Errors
    /// If the file exists and cannot be deleted.
    pub fn remove(&self, digest: &Digest) -> io::Result<()> {
        directory::delete(&self.0.join(digest.to_string()))
    }

    /// Digests of all files, read one by one.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn digests(&self) -> io::Result<impl Iterator<Item = io::Result<Digest>>> {
        let entries = fs::read_dir(&self.0)?;
        Ok(entries.filter_map(|entry| match entry {
            Ok(entry) => entry.file_name().to_str()?.parse().ok().map(Ok),
            Err(error) => Some(Err(error)),
        }))
    }

    /// Digests of all files.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn list(&self) -> io::Result<Vec<Digest>> {
        directory::names(&self.0)
    }
}

impl Staged {
    /// Bytes written so far.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Path of the file, for a reader while it is not finished.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Digest of the bytes written so far.
    pub fn digest(&self) -> Digest {
        self.hasher.clone().finish()
    }

    /// Renames the file to its digest and returns its path. It is durable on return.
    ///
    /// # Errors
    /// On I/O errors, such as a full disk.
    pub fn finish(self) -> io::Result<PathBuf> {
        let path = self.dir.join(self.digest().to_string());
        // An existing file has the same content; drop deletes this one.
        if !path.exists() {
            self.file.sync_all()?;
            fs::rename(&self.path, &path)?;
            directory::sync(&self.dir)?;
        }
        Ok(path)
    }
}

impl Write for Staged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.write_all(&bytes[..written])?;
        self.size_bytes += u64::try_from(written).expect("a length fits in 64 bits");
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Missing after `finish`. A file that cannot be deleted now is deleted on the next start.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn put(blobs: &Blobs, content: &[u8]) -> Digest {
        let mut staged = blobs.stage().unwrap();
        staged.write_all(content).unwrap();
        let digest = staged.digest();
        assert!(staged.finish().unwrap().ends_with(digest.to_string()));
        digest
    }

    #[test]
    fn blob_is_found_by_digest_until_removed() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        let digest = put(&blobs, b"abc");
        assert_eq!(digest, Digest::of(b"abc"));
        assert_eq!(put(&blobs, b"abc"), digest);
        let path = blobs.find(&digest).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"abc");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(blobs.list().unwrap(), [digest]);
        blobs.remove(&digest).unwrap();
        blobs.remove(&digest).unwrap();
        assert_eq!(blobs.find(&digest), None);
    }

    #[test]
    fn dropped_staged_file_is_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        let mut staged = blobs.stage().unwrap();
        staged.write_all(b"half").unwrap();
        assert_eq!(staged.size_bytes(), 4);
        assert_eq!(blobs.leftovers().unwrap().len(), 1);
        assert!(blobs.list().unwrap().is_empty());
        drop(staged);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn digest_round_trips_through_text() {
        let digest = Digest::of(b"");
        let text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest.to_string(), text);
        assert_eq!(text.parse(), Ok(digest));
        for bad in ["", "e3", &"z".repeat(64), &"é".repeat(32)] {
            assert_eq!(bad.parse::<Digest>(), Err(NotADigest));
        }
    }
}
