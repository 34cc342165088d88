//! Reading a deployment package: a zip, or a bare component. Nothing in it is believed: names, sizes
//! and kinds are checked before a byte is written, and bytes are counted while they are.

use std::collections::HashSet;
use std::fs::{self, File, Permissions};
use std::io::{self, Cursor, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use zip::ZipArchive;
use zip::read::ZipFile;

use crate::units::{UNZIPPED_BYTES_MAX, ZIP_BYTES_MAX};

mod component;
mod manifest;
#[cfg(test)]
mod tests;

pub use component::choose;

/// Entries of a zip. The format's own bound without its 64-bit extension.
const ENTRIES_MAX: usize = 65_535;
/// A name with its directories, as the operating system takes it below another path.
const NAME_BYTES_MAX: usize = 2_048;
/// Directories above an entry. Who unpacks, measures or deletes a tree holds each of them open.
const DEPTH_MAX: usize = 64;
/// Directories that entries imply, for each entry and beyond. Real packages have fewer than one for
/// each; a zip of few entries in deep directories is a small one that is much work to unpack.
const DIRECTORIES_PER_ENTRY_MAX: usize = 4;
const DIRECTORIES_FREE: usize = 1_000;
/// How much smaller than its content an entry of some size may be: deflate of real files does not
/// reach this, bombs do.
const RATIO_MAX: u64 = 200;
const RATIO_FREE_BYTES: u64 = 1 << 20;
/// A bare component is laid into its tree under this name.
pub(super) const BARE_NAME: &str = "bootstrap.wasm";

/// Why a package was refused. The texts are AWS's own where AWS has one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not a zip, or a damaged one.
    #[error("Could not unzip uploaded file. Please check your file, then try to upload again.")]
    NotAZip,
    /// There is nothing in it.
    #[error("Uploaded file must be a non-empty zip")]
    Empty,
    /// It is too large as it is.
    #[error("Zipped size must be smaller than {ZIP_BYTES_MAX} bytes")]
    ZippedTooLarge,
    /// It is too large unpacked.
    #[error("Unzipped size must be smaller than {UNZIPPED_BYTES_MAX} bytes")]
    UnzippedTooLarge,
    /// It has too many entries.
    #[error("The zip has {0} entries; {ENTRIES_MAX} are allowed.")]
    TooManyEntries(usize),
    /// Its entries are in too many directories.
    #[error("The {entries} entries of the zip are in more than {max} directories.")]
    TooManyDirectories {
        /// How many entries there are.
        entries: usize,
        /// The directories that so many may be in.
        max: usize,
    },
    /// Two entries have the same name.
    #[error("The zip has two entries of the same name.")]
    DuplicateNames,
    /// An entry has a name, kind or form that is not allowed.
    #[error("The entry {name:?} of the zip is not allowed: {problem}.")]
    Entry {
        /// Its name.
        name: String,
        /// What is wrong with it.
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
    bytes: Bytes,
    contents: Contents,
}

#[derive(Debug)]
enum Contents {
    /// The bytes are a component.
    Bare,
    /// The bytes are a zip of these.
    Zip(Vec<Entry>),
}

#[derive(Debug)]
struct Entry {
    index: usize,
    /// Relative, without `..`.
    path: PathBuf,
    directory: bool,
    executable: bool,
}

impl Package {
    /// Checks a package without unpacking it.
    ///
    /// # Errors
    /// Where it is not a package, is too large, or has entries that are not allowed.
    pub fn read(bytes: Bytes) -> Result<Self, Error> {
        if bytes.len() > ZIP_BYTES_MAX {
            return Err(Error::ZippedTooLarge);
        }
        let contents = if component::is_wasm(&bytes) {
            Contents::Bare
        } else {
            Contents::Zip(list(&bytes)?)
        };
        Ok(Self { bytes, contents })
    }

    /// Checks a layer, which is a zip in any case: to a layer, a component is a file like others.
    ///
    /// # Errors
    /// As [`read`](Self::read), and where it is no zip.
    pub fn read_layer(bytes: Bytes) -> Result<Self, Error> {
        if component::is_wasm(&bytes) {
            return Err(Error::NotAZip);
        }
        Self::read(bytes)
    }

    /// Whether there is a file of this path in it.
    pub fn has(&self, path: &str) -> bool {
        let Contents::Zip(entries) = &self.contents else {
            return false;
        };
        let is = |entry: &Entry| !entry.directory && entry.path == Path::new(path);
        entries.iter().any(is)
    }

    /// Unpacks into an empty directory.
    ///
    /// # Errors
    /// Where an entry is damaged or larger than it said, or the disk fails.
    pub fn unpack(&self, into: &Path) -> Result<(), Error> {
        let entries = match &self.contents {
            Contents::Bare => return Ok(fs::write(into.join(BARE_NAME), &self.bytes)?),
            Contents::Zip(entries) => entries,
        };
        let mut archive = open(&self.bytes)?;
        let mut room = UNZIPPED_BYTES_MAX;
        for entry in entries {
            let path = into.join(&entry.path);
            if entry.directory {
                fs::create_dir_all(&path)?;
                continue;
            }
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            let mut source = archive.by_index(entry.index).map_err(|_| Error::NotAZip)?;
            let mut file = File::create_new(&path)?;
            room -= copy(&mut source, &mut file, room)?;
            let mode = if entry.executable { 0o755 } else { 0o644 };
            file.set_permissions(Permissions::from_mode(mode))?;
        }
        Ok(())
    }
}

/// Copies at most `room` bytes, whatever the entry's header promised.
fn copy(source: &mut impl Read, file: &mut impl Write, room: u64) -> Result<u64, Error> {
    let mut buffer = vec![0; 64 << 10];
    let mut copied = 0;
    loop {
        let read = source.read(&mut buffer).map_err(|_| Error::NotAZip)?;
        if read == 0 {
            return Ok(copied);
        }
        copied += u64::try_from(read).expect("a buffer's size fits in 64 bits");
        if copied > room {
            return Err(Error::UnzippedTooLarge);
        }
        file.write_all(&buffer[..read])?;
    }
}

fn open(bytes: &Bytes) -> Result<ZipArchive<Cursor<&[u8]>>, Error> {
    ZipArchive::new(Cursor::new(bytes.as_ref())).map_err(|_| Error::NotAZip)
}

/// The entries of a zip, all of them allowed, alone and together.
fn list(bytes: &Bytes) -> Result<Vec<Entry>, Error> {
    let mut archive = open(bytes)?;
    if archive.is_empty() {
        return Err(Error::Empty);
    }
    if archive.len() > ENTRIES_MAX {
        return Err(Error::TooManyEntries(archive.len()));
    }
    if archive.has_duplicate_names() {
        return Err(Error::DuplicateNames);
    }
    let mut entries = Vec::with_capacity(archive.len());
    let mut places = Vec::with_capacity(archive.len());
    let mut unzipped: u64 = 0;
    for index in 0..archive.len() {
        let file = archive.by_index_raw(index).map_err(|_| Error::NotAZip)?;
        let name = file.name().map_err(|_| Error::NotAZip)?.into_owned();
        let entry = inspect(index, &name, &file).map_err(|problem| Error::Entry {
            name: name.clone(),
            problem,
        })?;
        let start = file.data_start().unwrap_or_default();
        places.push((start, start.saturating_add(file.compressed_size()), name));
        unzipped = unzipped.saturating_add(file.size());
        entries.push(entry);
    }
    if unzipped > UNZIPPED_BYTES_MAX {
        return Err(Error::UnzippedTooLarge);
    }
    require_apart(places)?;
    require_tree(&entries)?;
    Ok(entries)
}

/// One entry, if there is nothing wrong with it alone.
fn inspect<R: Read + ?Sized>(
    index: usize,
    name: &str,
    file: &ZipFile<'_, R>,
) -> Result<Entry, &'static str> {
    let path = relative(name)?;
    let mode = file.unix_mode().unwrap_or(0o644);
    if file.encrypted() {
        return Err("it is encrypted");
    }
    if !matches!(mode & 0o170_000, 0 | 0o040_000 | 0o100_000) {
        return Err("it is a link or a device; only files and directories are allowed");
    }
    if file.size() > RATIO_FREE_BYTES && file.size() / file.compressed_size().max(1) > RATIO_MAX {
        return Err("it unpacks to more than 200 times its size");
    }
    let (directory, executable) = (file.is_dir(), mode & 0o111 != 0);
    Ok(Entry {
        index,
        path,
        directory,
        executable,
    })
}

/// No two entries may have one path, and no file may stand where another entry needs a directory.
fn require_tree(entries: &[Entry]) -> Result<(), Error> {
    let refuse = |path: &Path, problem| {
        let name = path.display().to_string();
        Err(Error::Entry { name, problem })
    };
    let mut files = HashSet::with_capacity(entries.len());
    for entry in entries.iter().filter(|entry| !entry.directory) {
        if !files.insert(entry.path.as_path()) {
            return refuse(&entry.path, "there is another entry of the same name");
        }
    }
    let max = entries.len() * DIRECTORIES_PER_ENTRY_MAX + DIRECTORIES_FREE;
    let max = max.min(ENTRIES_MAX);
    let mut directories = HashSet::new();
    for entry in entries {
        let above = entry.path.ancestors().skip(usize::from(!entry.directory));
        for directory in above.filter(|path| !path.as_os_str().is_empty()) {
            if files.contains(directory) {
                return refuse(directory, "it is a file and a directory");
            }
            directories.insert(directory);
        }
        if directories.len() > max {
            let entries = entries.len();
            return Err(Error::TooManyDirectories { entries, max });
        }
    }
    Ok(())
}

/// Entries that share bytes make a small zip unpack to a huge one.
fn require_apart(mut places: Vec<(u64, u64, String)>) -> Result<(), Error> {
    places.sort();
    let overlap = places.windows(2).find(|pair| pair[1].0 < pair[0].1);
    overlap.map_or(Ok(()), |pair| {
        let name = pair[1].2.clone();
        Err(Error::Entry {
            name,
            problem: "it shares its bytes with another entry",
        })
    })
}

/// A name as a path below the package's root.
fn relative(name: &str) -> Result<PathBuf, &'static str> {
    if name.contains(['\\', '\0']) {
        return Err("its name has a backslash or a NUL");
    }
    if name.starts_with('/') || name.as_bytes().get(1) == Some(&b':') {
        return Err("its name is absolute");
    }
    let parts: Vec<&str> = name
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    if parts.contains(&"..") {
        return Err("its name leads out of the package");
    }
    if parts.is_empty() {
        return Err("it has no name");
    }
    if parts.len() > DEPTH_MAX {
        return Err("it is in too many directories");
    }
    if name.len() > NAME_BYTES_MAX || parts.iter().any(|part| part.len() > 255) {
        return Err("its name is too long");
    }
    Ok(parts.iter().collect())
}
