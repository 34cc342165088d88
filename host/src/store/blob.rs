//! Content by digest, on disk: files, and directory trees made from them. What is here under a name
//! is whole and never changes; what a crash left half-written is not here.

use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// How the names of unfinished files and directories begin.
const UNFINISHED: &str = ".unfinished-";

/// Tells unfinished files of this process apart.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// The SHA-256 of some content.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Digest([u8; 32]);

/// Why a text is not a digest.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a digest is 64 hexadecimal digits")]
pub struct NotADigest;

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let digest = digest::digest(&digest::SHA256, bytes);
        Self(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    /// In base64, as `CodeSha256` has it.
    pub fn base64(&self) -> String {
        STANDARD.encode(self.0)
    }
}

/// A digest in the making, of all that is written to it.
#[derive(Clone)]
pub struct Hasher(digest::Context);

impl Default for Hasher {
    fn default() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }
}

impl Hasher {
    /// The digest of what was written.
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

/// Files by the digest of their content. Its functions wait for the disk.
#[derive(Debug)]
pub struct Blobs(PathBuf);

impl Blobs {
    /// The blobs of a directory, which is made where there is none.
    ///
    /// # Errors
    /// Where the directory cannot be made or read.
    pub fn open(dir: &Path) -> io::Result<Self> {
        tidy(dir)?;
        Ok(Self(dir.to_owned()))
    }

    /// Keeps these bytes. They are on the disk when this returns.
    ///
    /// # Errors
    /// Where the disk does not take them.
    pub fn put(&self, bytes: &[u8]) -> io::Result<Digest> {
        let digest = Digest::of(bytes);
        let path = self.path(&digest);
        if !path.exists() {
            let unfinished = unfinished(&self.0);
            let mut file = File::create_new(&unfinished)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)?;
            sync(&self.0)?;
        }
        Ok(digest)
    }

    /// The content of this digest.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn get(&self, digest: &Digest) -> io::Result<Option<Bytes>> {
        match fs::read(self.path(digest)) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes the content of this digest, if it is here.
    ///
    /// # Errors
    /// Where it cannot be deleted.
    pub fn remove(&self, digest: &Digest) -> io::Result<()> {
        match fs::remove_file(self.path(digest)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Everything that is here.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    pub fn list(&self) -> io::Result<Vec<Digest>> {
        names(&self.0)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.0.join(digest.to_string())
    }
}

/// Directories by the digest of what they were made from. Their files are read-only.
#[derive(Debug)]
pub struct Trees(PathBuf);

/// Why a tree could not be made.
#[derive(Debug, thiserror::Error)]
pub enum InsertError<E> {
    /// Whoever was to fill it failed.
    #[error("{0}")]
    Fill(E),
    /// The disk failed.
    #[error("{0}")]
    Io(io::Error),
}

impl Trees {
    /// The trees of a directory, which is made where there is none.
    ///
    /// # Errors
    /// Where the directory cannot be made or read.
    pub fn open(dir: &Path) -> io::Result<Self> {
        tidy(dir)?;
        Ok(Self(dir.to_owned()))
    }

    /// The tree made from this content, if it is here.
    pub fn tree(&self, digest: &Digest) -> Option<PathBuf> {
        let path = self.0.join(digest.to_string());
        path.is_dir().then_some(path)
    }

    /// Makes a tree: `fill` gets an empty directory. It is on the disk, whole, when this returns.
    ///
    /// # Errors
    /// Where `fill` or the disk fails; then there is no tree.
    pub fn insert<E>(
        &self,
        digest: &Digest,
        fill: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<(), InsertError<E>> {
        let unfinished = unfinished(&self.0);
        fs::create_dir(&unfinished).map_err(InsertError::Io)?;
        let filled = fill(&unfinished).map_err(InsertError::Fill);
        let placed = filled.and_then(|()| self.place(&unfinished, digest).map_err(InsertError::Io));
        if placed.is_err() {
            // What cannot be deleted now is deleted when the directory is opened again.
            let _ = delete_tree(&unfinished);
        }
        placed
    }

    fn place(&self, unfinished: &Path, digest: &Digest) -> io::Result<()> {
        protect(unfinished)?;
        sync_tree(unfinished)?;
        match fs::rename(unfinished, self.0.join(digest.to_string())) {
            // Someone else has made the same tree meanwhile.
            Err(_) if self.tree(digest).is_some() => delete_tree(unfinished),
            Err(error) => Err(error),
            Ok(()) => sync(&self.0),
        }
    }

    /// Everything that is here.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    pub fn list(&self) -> io::Result<Vec<Digest>> {
        names(&self.0)
    }

    /// Deletes a tree, if it is here.
    ///
    /// # Errors
    /// Where it cannot be deleted.
    pub fn remove(&self, digest: &Digest) -> io::Result<()> {
        match self.tree(digest) {
            // Out of its place first: a tree that is half deleted must not be found.
            Some(tree) => {
                let unfinished = unfinished(&self.0);
                fs::rename(tree, &unfinished)?;
                delete_tree(&unfinished)
            }
            None => Ok(()),
        }
    }
}

/// Makes a directory, and deletes what a crash left in it.
fn tidy(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            if entry.file_type()?.is_dir() {
                delete_tree(&entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
    }
    Ok(())
}

fn unfinished(dir: &Path) -> PathBuf {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    dir.join(format!("{UNFINISHED}{}-{number}", std::process::id()))
}

fn names(dir: &Path) -> io::Result<Vec<Digest>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        found.extend(
            entry?
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<Digest>().ok()),
        );
    }
    Ok(found)
}

/// Makes every file of a tree read-only. Directories stay writable to their owner: guests cannot
/// write through their mounts, and renaming a directory needs it.
fn protect(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            protect(&path)?;
        } else {
            let executable = entry.metadata()?.permissions().mode() & 0o111 != 0;
            let mode = if executable { 0o555 } else { 0o444 };
            fs::set_permissions(&path, Permissions::from_mode(mode))?;
        }
    }
    Ok(())
}

/// Waits until a tree is on the disk, with all else that its file system has to write: file by file,
/// a tree of thousands would take thousands of turns of the disk.
#[cfg(target_os = "linux")]
fn sync_tree(dir: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(dir)?)?)
}

/// Waits until a tree is on the disk, file by file: this system knows nothing better.
#[cfg(not(target_os = "linux"))]
fn sync_tree(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        } else {
            File::open(entry.path())?.sync_all()?;
        }
    }
    sync(dir)
}

fn delete_tree(dir: &Path) -> io::Result<()> {
    fs::remove_dir_all(dir)
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_are_found_by_digest_until_removed() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        let digest = blobs.put(b"abc").unwrap();
        assert_eq!(digest, Digest::of(b"abc"));
        assert_eq!(blobs.put(b"abc").unwrap(), digest);
        assert_eq!(blobs.get(&digest).unwrap().unwrap(), "abc");
        assert_eq!(blobs.list().unwrap(), [digest]);
        blobs.remove(&digest).unwrap();
        blobs.remove(&digest).unwrap();
        assert_eq!(blobs.get(&digest).unwrap(), None);
    }

    #[test]
    fn a_tree_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let trees = Trees::open(dir.path()).unwrap();
        let digest = Digest::of(b"x");
        let failed = trees.insert(&digest, |into| {
            fs::write(into.join("half"), "written").unwrap();
            Err("the package is damaged")
        });
        assert!(matches!(
            failed,
            Err(InsertError::Fill("the package is damaged"))
        ));
        assert_eq!(trees.tree(&digest), None);
        let fill = |into: &Path| -> Result<(), io::Error> {
            fs::create_dir(into.join("sub"))?;
            fs::write(into.join("sub/file"), "whole")
        };
        trees.insert(&digest, fill).unwrap();
        trees.insert(&digest, fill).unwrap();
        let file = trees.tree(&digest).unwrap().join("sub/file");
        assert_eq!(fs::read_to_string(&file).unwrap(), "whole");
        assert!(fs::metadata(&file).unwrap().permissions().readonly());
        trees.remove(&digest).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_crash_left_is_deleted() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(".unfinished-1-0"), "half").unwrap();
        fs::create_dir(dir.path().join(".unfinished-1-1")).unwrap();
        Blobs::open(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_digest_is_read_as_it_is_written() {
        let digest = Digest::of(b"");
        let text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest.to_string(), text);
        assert_eq!(text.parse(), Ok(digest));
        for bad in ["", "e3", &"z".repeat(64), &"é".repeat(32)] {
            assert_eq!(bad.parse::<Digest>(), Err(NotADigest));
        }
    }
}
