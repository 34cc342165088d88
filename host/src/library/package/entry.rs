//! Zip entries, validated from the central directory alone and together. Names, types and sizes are
//! checked here; actual bytes are counted while unzipping.

use std::collections::{HashMap, HashSet};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use zip::CompressionMethod;
use zip::ZipReadOptions;
use zip::read::{Config, OwnedZipFileEntry, ZipFile, ZipFileEntry};
use zip::unstable::read::ZipIterable;

use super::Error;
use crate::units::UNZIPPED_BYTES_MAX;

/// Entries of a zip: the format's limit without its 64-bit extension.
pub(super) const ENTRIES_MAX: usize = 65_535;
/// Length of a path, which the operating system must accept below another path.
const NAME_BYTES_MAX: usize = 2_048;
/// Length of a symbolic link's target: Linux's `PATH_MAX` without the NUL.
pub(super) const TARGET_BYTES_MAX: u64 = 4_095;
/// Nesting of directories. Unzipping, measuring and deleting a tree keep each level open.
const DEPTH_MAX: usize = 64;
/// Implied directories per entry, beyond a fixed number. Real packages have fewer than one per
/// entry; a small zip with deeply nested entries would be expensive to unzip.
const DIRECTORIES_PER_ENTRY_MAX: usize = 4;
const DIRECTORIES_FREE: usize = 1_000;
/// Compression ratio beyond a minimum size: real files stay below it, zip bombs do not.
const RATIO_MAX: u64 = 200;
const RATIO_FREE_BYTES: u64 = 1 << 20;
/// Fixed part of a local file header, which precedes each entry's name and data.
const LOCAL_HEADER_BYTES: u64 = 30;

/// An entry to unzip.
#[derive(Debug)]
pub(super) struct Entry {
    /// Relative path without `.`, `..` or empty segments.
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
    zipped: OwnedZipFileEntry,
}

/// Type of an entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Directory,
    File {
        executable: bool,
    },
    /// Symbolic link with its target as content: kept as is, never followed.
    Link,
}

impl Entry {
    /// Reader of the entry's content.
    pub(super) fn content<'a, R: Read + Seek>(
        &'a self,
        reader: &'a mut R,
    ) -> Result<ZipFile<'a, R>, Error> {
        let opened = self
            .zipped
            .as_ref()
            .with_reader(reader, ZipReadOptions::new());
        opened.map_err(|_| Error::NotAZip)
    }

    pub(super) fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }

    /// True if an entry with the same path unzips to the same content.
    fn is_same(&self, other: &Self) -> bool {
        let size_and_sum = |it: &Self| (it.zipped.size(), it.zipped.crc32());
        self.kind == other.kind
            && (self.is_directory() || size_and_sum(self) == size_and_sum(other))
    }
}

/// Validated entries of a zip, each path once.
pub(super) fn list<R: Read + Seek>(reader: R) -> Result<Vec<Entry>, Error> {
    // Unlike `ZipArchive`, this iterates over all entries of a repeated name.
    let mut archive =
        ZipIterable::try_new(reader, Config::default()).map_err(|_| Error::NotAZip)?;
    if archive.len() > ENTRIES_MAX {
        return Err(Error::TooManyEntries(archive.len()));
    }
    let mut entries = Vec::with_capacity(archive.len());
    let mut extents = Vec::with_capacity(archive.len());
    let mut unzipped: u64 = 0;
    for zipped in archive.files().map_err(|_| Error::NotAZip)? {
        let zipped = zipped.map_err(|_| Error::NotAZip)?;
        unzipped = unzipped.saturating_add(zipped.size());
        if unzipped > UNZIPPED_BYTES_MAX {
            return Err(Error::UnzippedTooLarge);
        }
        let name = String::from_utf8_lossy(zipped.name_raw()).into_owned();
        let refuse = |problem| Error::Entry {
            name: name.clone(),
            problem,
        };
        extents.push(extent(&zipped, name.clone()));
        entries.extend(inspect(zipped).map_err(refuse)?);
    }
    if entries.is_empty() {
        return Err(Error::Empty);
    }
    require_apart(extents)?;
    let entries = once(entries)?;
    require_tree(&entries)?;
    Ok(entries)
}

/// Validates one entry. `None` for the root of the zip, which some tools list as `/` or `./`.
fn inspect(zipped: ZipFileEntry<'static>) -> Result<Option<Entry>, &'static str> {
    let name = zipped.name().map_err(|_| "its name is not text")?;
    let mode = zipped.unix_mode().unwrap_or(0o644);
    let kind = match mode & 0o170_000 {
        // The trailing slash decides, as in `unzip`: tools write directories with file modes.
        0 | 0o100_000 | 0o040_000 if name.ends_with('/') => Kind::Directory,
        0o040_000 => Kind::Directory,
        0 | 0o100_000 => Kind::File {
            executable: mode & 0o111 != 0,
        },
        0o120_000 if !name.ends_with('/') => Kind::Link,
        _ => return Err("it is a device; files, directories and symbolic links are allowed"),
    };
    if kind == Kind::Directory && name.split('/').all(|part| matches!(part, "" | ".")) {
        return Ok(None);
    }
    let path = relative(&name)?;
    if zipped.encrypted() {
        return Err("it is encrypted");
    }
    if !matches!(
        zipped.compression(),
        CompressionMethod::Stored | CompressionMethod::Deflated
    ) {
        return Err("it is compressed with another method than deflate");
    }
    if kind == Kind::Link && !(1..=TARGET_BYTES_MAX).contains(&zipped.size()) {
        return Err("it is a symbolic link with no target, or one longer than 4095 bytes");
    }
    let ratio = zipped.size() / zipped.compressed_size().max(1);
    if zipped.size() > RATIO_FREE_BYTES && ratio > RATIO_MAX {
        return Err("it unpacks to more than 200 times its size");
    }
    Ok(Some(Entry {
        path,
        kind,
        zipped: zipped.into(),
    }))
}

/// Relative path of an entry's name.
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
        return Err("its name is longer than 2048 bytes, or a part of it longer than 255");
    }
    Ok(parts.iter().collect())
}

/// Drops repeated entries. Tools that merge zips repeat directories and equal files; different
/// contents are refused, because zip readers disagree about which one counts.
fn once(entries: Vec<Entry>) -> Result<Vec<Entry>, Error> {
    let mut found: HashMap<PathBuf, usize> = HashMap::with_capacity(entries.len());
    let mut kept: Vec<Entry> = Vec::with_capacity(entries.len());
    for entry in entries {
        match found.get(&entry.path) {
            None => {
                found.insert(entry.path.clone(), kept.len());
                kept.push(entry);
            }
            Some(&at) if kept[at].is_same(&entry) => kept[at] = entry,
            Some(_) => return refuse(&entry.path, "it is listed twice, with different contents"),
        }
    }
    Ok(kept)
}

/// Refuses a file or symbolic link where another entry needs a directory, so that nothing is
/// unzipped through a symbolic link.
fn require_tree(entries: &[Entry]) -> Result<(), Error> {
    let files = entries.iter().filter(|entry| !entry.is_directory());
    let files: HashSet<&Path> = files.map(|entry| entry.path.as_path()).collect();
    let max = entries.len() * DIRECTORIES_PER_ENTRY_MAX + DIRECTORIES_FREE;
    let max = max.min(ENTRIES_MAX);
    let mut directories = HashSet::new();
    for entry in entries {
        let above = entry
            .path
            .ancestors()
            .skip(usize::from(!entry.is_directory()));
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

/// Byte range of an entry in the zip, at least, with its name.
fn extent(zipped: &ZipFileEntry<'_>, name: String) -> (u64, u64, String) {
    let start = zipped.header_start();
    let end = start
        .saturating_add(LOCAL_HEADER_BYTES)
        .saturating_add(zipped.compressed_size());
    (start, end, name)
}

/// Refuses overlapping entries, with which a small zip unzips to a huge tree.
fn require_apart(mut extents: Vec<(u64, u64, String)>) -> Result<(), Error> {
    extents.sort();
    let overlap = extents.windows(2).find(|pair| pair[1].0 < pair[0].1);
    overlap.map_or(Ok(()), |pair| {
        refuse(
            Path::new(&pair[1].2),
            "it shares its bytes with another entry",
        )
    })
}

fn refuse<T>(path: &Path, problem: &'static str) -> Result<T, Error> {
    let name = path.display().to_string();
    Err(Error::Entry { name, problem })
}
