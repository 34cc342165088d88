//! Reading a deployment package: a zip, or a bare component. Nothing in it is believed: names, sizes
//! and kinds are checked before a byte is written, and bytes are counted while they are.

use std::io::{self, Cursor, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::disk;
use crate::units::UNZIPPED_BYTES_MAX;

mod buffered;
mod component;
mod entry;
#[cfg(test)]
pub mod fuzz;
mod manifest;
#[cfg(test)]
mod tests;

use buffered::Buffered;
pub use component::{choose, choose_below, named};
use entry::{Entry, Kind};

/// Name of a bare component in its tree.
pub const BARE_NAME: &str = "bootstrap.wasm";
/// Bytes that are copied at once.
const BUFFER_BYTES: usize = 64 << 10;

/// Error of a refused package. The texts are AWS's own where AWS has one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not a zip, or a damaged one.
    #[error("Could not unzip uploaded file. Please check your file, then try to upload again.")]
    NotAZip,
    /// There is nothing in it.
    #[error("Uploaded file must be a non-empty zip")]
    Empty,
    /// It is too large as it is.
    #[error("Zipped size must be smaller than {0} bytes")]
    ZippedTooLarge(u64),
    /// It is too large unpacked.
    #[error("Unzipped size must be smaller than {UNZIPPED_BYTES_MAX} bytes")]
    UnzippedTooLarge,
    /// It has too many entries.
    #[error("The zip has {0} entries; {max} are allowed.", max = entry::ENTRIES_MAX)]
    TooManyEntries(usize),
    /// Its entries are in too many directories.
    #[error("The {entries} entries of the zip are in more than {max} directories.")]
    TooManyDirectories {
        /// Number of entries.
        entries: usize,
        /// The directories that so many may be in.
        max: usize,
    },
    /// An entry has a name, kind or form that is not allowed.
    #[error("The entry {name:?} of the zip is not allowed: {problem}.")]
    Entry {
        /// Its name.
        name: String,
        /// Problem with the entry.
        problem: &'static str,
    },
    /// There is no component in it, or not one that can run.
    #[error("{0}")]
    NoComponent(String),
    /// The disk failed.
    #[error("the package could not be unpacked: {0}")]
    Io(#[from] io::Error),
}

/// A package whose list of contents has been checked.
#[derive(Debug)]
pub struct Package {
    source: PackageSource,
    contents: Contents,
}

/// The bytes of a package.
#[derive(Clone, Debug)]
pub enum PackageSource {
    /// In memory.
    Memory(Bytes),
    /// In a file, which does not change.
    File(PathBuf),
}

#[derive(Debug)]
enum Contents {
    /// The bytes are a component.
    Bare,
    /// The bytes are a zip of these.
    Zip(Vec<Entry>),
}

/// A reader of either source.
trait Reader: Read + Seek {}
impl<T: Read + Seek> Reader for T {}

impl PackageSource {
    fn open(&self) -> io::Result<Box<dyn Reader>> {
        Ok(match self {
            Self::Memory(bytes) => Box::new(Cursor::new(bytes.clone())),
            Self::File(path) => Box::new(Buffered::open(path)?),
        })
    }

    /// True for WebAssembly's magic bytes.
    fn is_wasm(&self) -> io::Result<bool> {
        let mut head = Vec::with_capacity(4);
        self.open()?.take(4).read_to_end(&mut head)?;
        Ok(component::is_wasm(&head))
    }
}

impl Package {
    /// Checks a package without unpacking it.
    ///
    /// # Errors
    /// Where it is not a package, is too large, or has entries that are not allowed.
    pub fn read(source: PackageSource) -> Result<Self, Error> {
        let contents = if source.is_wasm()? {
            Contents::Bare
        } else {
            Contents::Zip(entry::list(source.open()?)?)
        };
        Ok(Self { source, contents })
    }

    /// Checks a layer, which is a zip in any case: to a layer, a component is a file like others.
    ///
    /// # Errors
    /// As [`read`](Self::read), and where it is no zip.
    pub fn read_layer(source: PackageSource) -> Result<Self, Error> {
        if source.is_wasm()? {
            return Err(Error::NotAZip);
        }
        Self::read(source)
    }

    /// True if it has a file with this path.
    pub fn has(&self, path: &str) -> bool {
        let Contents::Zip(entries) = &self.contents else {
            return false;
        };
        let is = |entry: &Entry| !entry.is_directory() && entry.path == Path::new(path);
        entries.iter().any(is)
    }

    /// Unpacks into an empty directory.
    ///
    /// # Errors
    /// Where an entry is damaged or larger than it said, or the disk fails.
    pub fn unpack(&self, into: &Path) -> Result<(), Error> {
        let mut reader = self.source.open()?;
        let entries = match &self.contents {
            Contents::Zip(entries) => entries,
            Contents::Bare => {
                let mut file = disk::create_new(&into.join(BARE_NAME))?;
                return copy(&mut reader, &mut file, UNZIPPED_BYTES_MAX).map(drop);
            }
        };
        let mut remaining = UNZIPPED_BYTES_MAX;
        for entry in entries {
            let path = into.join(&entry.path);
            if entry.is_directory() {
                disk::create_dir_all(&path)?;
                continue;
            }
            if let Some(parent) = path.parent() {
                disk::create_dir_all(parent)?;
            }
            let mut content = entry.content(&mut reader)?;
            let Kind::File { executable } = entry.kind else {
                let target = target(&mut content, &entry.path)?;
                symlink(std::ffi::OsStr::from_bytes(&target), &path)?;
                continue;
            };
            let mut file = disk::create_new(&path)?;
            remaining -= copy(&mut content, &mut file, remaining)?;
            if executable {
                disk::make_executable(&file)?;
            }
        }
        Ok(())
    }
}

/// Copies at most `max` bytes, whatever the entry's header promised.
fn copy(source: &mut impl Read, file: &mut impl Write, max: u64) -> Result<u64, Error> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut copied = 0;
    loop {
        let read = source.read(&mut buffer).map_err(|_| Error::NotAZip)?;
        if read == 0 {
            return Ok(copied);
        }
        copied += u64::try_from(read).expect("a buffer's size fits in 64 bits");
        if copied > max {
            return Err(Error::UnzippedTooLarge);
        }
        file.write_all(&buffer[..read])?;
    }
}

/// The target of a symbolic link, byte for byte.
fn target(content: &mut impl Read, path: &Path) -> Result<Vec<u8>, Error> {
    let refuse = |problem| Error::Entry {
        name: path.display().to_string(),
        problem,
    };
    let mut target = Vec::new();
    let mut content = content.take(entry::TARGET_BYTES_MAX + 1);
    content
        .read_to_end(&mut target)
        .map_err(|_| Error::NotAZip)?;
    let is_allowed = !target.is_empty()
        && target.len() as u64 <= entry::TARGET_BYTES_MAX
        && !target.contains(&0);
    if !is_allowed {
        return Err(refuse("it is a symbolic link to what cannot be a path"));
    }
    Ok(target)
}
